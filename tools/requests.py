"""Generate REST requests: images, columns, strokes, pages, and whatever may be wrong with them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.conversations import KEY, ORIGIN, Request
from tools.material import Material

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
JSON: Final = {"Content-Type": "application/json"}
PNG: Final = {"Content-Type": "image/png"}
ENLARGED: Final = 3  # times that images are larger than columns
N_SAMPLES: Final = 6  # of each kind of handwriting


def requests(material: Material) -> list[Request]:
    """Return all requests."""
    made = [
        *_handwriting(material),
        *_queries(material),
        *_bodies(material),
        *_pages(),
        *_operators(),
        *_small(material),
        *_guarded(material),
    ]
    assert len({request.name for request in made}) == len(made), "two requests have one name"
    return made


def _post(
    name: str, body: bytes, headers: dict[str, str], path: str = "recognize", **query: Any
) -> Request:
    tail = f"?{urlencode(query, doseq=True)}" if query else ""
    return Request(f"rest: {name}", "POST", f"/v1/{path}{tail}", body, headers)


def _image(columns: NDArray[np.uint8], form: str = "PNG", **options: Any) -> bytes:
    """Return an enlarged image file of columns [T, H], dark on light."""
    pixels = np.kron(255 - columns.T, np.ones((ENLARGED, ENLARGED), np.uint8))
    file = io.BytesIO()
    Image.fromarray(np.pad(pixels, 12, constant_values=255)).save(file, form, **options)
    return file.getvalue()


def _json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def _handwriting(material: Material) -> Iterator[Request]:
    """Yield what is read: each kind of body, for both models and both paths."""
    for number, digit in enumerate(material.digits[:N_SAMPLES]):
        yield _post(f"image of digit {number}", _image(digit), PNG, model="digits", curve="true")
        yield _post(f"columns of digit {number}", _json(columns=digit.tolist()), JSON)
        yield _post(f"digit {number} to columns", _image(digit), PNG, "columns", model="digits")
    for kind, samples in (("word", material.words), ("line", material.lines)):
        for number, sample in enumerate(samples[:N_SAMPLES]):
            strokes = [stroke.tolist() for stroke in sample.strokes]
            columns = _json(columns=sample.columns.tolist())
            bodies = {
                "image": (_image(sample.columns), PNG),
                "JPEG": (_image(sample.columns, "JPEG"), {"Content-Type": "image/jpeg"}),
                "columns": (columns, JSON),
                "strokes": (_json(strokes=strokes), JSON),
                "strokes in a frame": (_json(strokes=strokes, height=sample.height), JSON),
            }
            for form, (body, headers) in bodies.items():
                if number % 2 or "strokes" in form or form == "image":
                    name = f"{form} of {kind} {number}"
                    yield _post(f"{name} to columns", body, headers, "columns", model="lines")
                    yield _post(name, body, headers, model="lines")
            english = {"model": "lines", "language_model": "english", "context": "Dear"}
            words = {"words": sorted({*sample.label.split(), "inkstream"})}
            yield _post(f"{kind} {number} with english", *bodies["image"], **english)
            yield _post(f"{kind} {number} with words", *bodies["strokes"], **words, model="lines")
            yield _post(f"{kind} {number} without a model", *bodies["image"])
            yield _post(f"strokes of {kind} {number} without a model", *bodies["strokes"])


def _queries(material: Material) -> Iterator[Request]:
    """Yield parameters that are allowed, wrong, or of another model."""
    digit, line = _image(material.digits[3]), _image(material.words[3].columns)
    for name, query in {
        "characters": {"characters": "0123"},
        "one character": {"characters": "8", "curve": "1"},
        "no characters": {"characters": ""},
        "characters that are no labels": {"characters": "☃"},
        "hints for a classifier": {"words": ["one", "two"]},
        "a pattern for a classifier": {"pattern": "[0-9]"},
        "a curve that is neither": {"curve": "maybe"},
        "a form without a page": {"format": "hocr"},
        "a form that is none": {"format": "pdf"},
        "a page for a classifier": {"page": "true", "model": "digits"},
        "a page that is neither": {"page": "perhaps"},
        "an unknown parameter": {"modle": "lines"},
        "an unknown model": {"model": "letters"},
        "an empty model": {"model": ""},
    }.items():
        yield _post(f"a digit, {name}", digit, PNG, **query)
        yield _post(f"a digit to columns, {name}", digit, PNG, "columns", **query)
    for name, query in {
        "characters": {"characters": "abcdefghijklmnopqrstuvwxyz"},
        "a curve": {"curve": "true"},
        "a pattern": {"pattern": "[A-Za-z]+"},
        "a wrong pattern": {"pattern": "("},
        "a pattern of other characters": {"pattern": "[a-z]+", "characters": "0123"},
        "an unknown language": {"language_model": "klingon"},
        "a word with a space": {"words": "two words"},
        "many words": {"words": [f"w{number}" for number in range(3000)]},
        "a long context": {"context": "x" * 5000},
        "two models": {"model": ["digits", "lines"]},
    }.items():
        yield _post(f"a word, {name}", line, PNG, **({"model": "lines"} | query))


def _bodies(material: Material) -> Iterator[Request]:
    """Yield bodies that are wrong, or come in another way."""
    digit, png = material.digits[4], _image(material.digits[4])
    boundary = {"Content-Type": "multipart/form-data; boundary=cut"}
    start = b'--cut\r\nContent-Disposition: form-data; name="%s"; filename="a.png"\r\n\r\n'
    part = start % b"file" + png + b"\r\n--cut--\r\n"
    for name, (body, headers) in {
        "a form": (part, boundary),
        "a form without a file": (start % b"other" + png + b"\r\n--cut--\r\n", boundary),
        "a form that breaks off": (part[:90], boundary),
        "a form without a boundary": (part, {"Content-Type": "multipart/form-data"}),
        "an empty form": (b"--cut--\r\n", boundary),
        "bytes": (png, {"Content-Type": "application/octet-stream"}),
        "no content type": (png, {}),
        "nothing": (b"", PNG),
        "a text": (b"seven", {"Content-Type": "text/plain"}),
        "a text as an image": (b"seven", PNG),
        "half an image": (png[: len(png) // 2], PNG),
        "blank paper": (_image(np.zeros((28, 28), np.uint8)), PNG),
        "one pixel": (_image(np.zeros((1, 1), np.uint8)), PNG),
        "a palette": (_image(digit, "GIF"), {"Content-Type": "image/gif"}),
        "a TIFF": (_image(digit, "TIFF"), {"Content-Type": "image/tiff"}),
        "a bitmap": (_image(digit, "BMP"), {"Content-Type": "image/bmp; x=y"}),
        "broken JSON": (b'{"columns":', JSON),
        "an array": (b"[]", JSON),
        "an empty object": (b"{}", JSON),
        "columns and strokes": (_json(columns=[], strokes=[]), JSON),
        "no columns": (_json(columns=[]), JSON),
        "columns that are none": (_json(columns={}), JSON),
        "columns of another height": (_json(columns=[[0] * 27]), JSON),
        "a pixel that is none": (_json(columns=[[0] * 27 + [256]]), JSON),
        "pixels that are no numbers": (_json(columns=[[0] * 27 + ["a"]]), JSON),
        "a column that is none": (_json(columns=[5]), JSON),
        "no strokes": (_json(strokes=[]), JSON),
        "empty strokes": (_json(strokes=[[], []]), JSON),
        "strokes that are none": (_json(strokes=5), JSON),
        "a stroke that is none": (_json(strokes=[5]), JSON),
        "a point that is none": (_json(strokes=[[[1, 2], [3]]]), JSON),
        "a point beyond all paper": (_json(strokes=[[[1, 2], [1e300, 3]]]), JSON),
        "a dot": (_json(strokes=[[[5, 5]]]), JSON),
        "a dash": (_json(strokes=[[[5, 5], [25, 5]]]), JSON),
        "a height that is none": (_json(strokes=[[[5, 5], [9, 9]]], height="tall"), JSON),
        "a height of nothing": (_json(strokes=[[[5, 5], [9, 9]]], height=0), JSON),
        "null for a height": (_json(strokes=[[[5, 5], [9, 9]]], height=None), JSON),
        "strokes left of the paper": (_json(strokes=[[[-5, 5], [9, 9]]], height=20), JSON),
        "JSON that is too long": (b'{"columns":[' + b" " * (2 * 1024 * 1024) + b"]}", JSON),
    }.items():
        for model in ("digits", "lines"):
            yield _post(f"{name}, {model}", body, headers, model=model)


def _pages() -> Iterator[Request]:
    """Yield pages, which need the `scan` extra."""
    page, line = (EXAMPLES / "page.jpg").read_bytes(), (EXAMPLES / "hello.png").read_bytes()
    headers = {"Content-Type": "image/jpeg"}
    yield _post("page", page, headers, page="true", model="lines")
    yield _post("page without a model", page, headers, page="true")
    yield _post("page not said to be one", page, headers, model="lines")
    yield _post("page to columns", page, headers, "columns", page="true", model="lines")
    yield _post("page as hOCR", line, PNG, page="true", model="lines", format="hocr")
    yield _post("page as ALTO", line, PNG, page="true", model="lines", format="alto")
    yield _post("page as JSON", line, PNG, page="true", model="lines", format="json")
    yield _post(
        "page with english", line, PNG, page="true", model="lines", language_model="english"
    )
    yield _post("page of JSON", _json(columns=[[0] * 32]), JSON, page="true", model="lines")
    yield _post("page of nothing", b"", PNG, page="true", model="lines")
    yield _post("page of a text", b"seven", PNG, page="true", model="lines")


def _operators() -> Iterator[Request]:
    for method, target in (
        *(("GET", path) for path in ("/v1/models", "/healthz", "/readyz", "/v1/stream", "/v1")),
        *(("HEAD", path) for path in ("/healthz", "/readyz", "/v1/models")),
        *(("GET", path) for path in ("/v1/recognize", "/v1/columns", "/nothing", "/v2/recognize")),
        *(("DELETE", "/v1/models"), ("PUT", "/v1/recognize"), ("OPTIONS", "/v1/recognize")),
        *(("POST", "/v1/models"), ("POST", "/healthz"), ("POST", "/v1/stream")),
    ):
        yield Request(f"rest: {method} {target}", method, target)


def _small(material: Material) -> Iterator[Request]:
    """Yield bodies beyond the limits of the small server."""
    line = np.concatenate([sample.columns for sample in material.words[:8]])
    for name, body, headers, model in (
        ("a body that is too large", bytes(6001), PNG, "digits"),
        ("an image with too many pixels", _image(line[:120]), PNG, "lines"),
        ("a line that is too long", _json(strokes=[[[0, 0], [151, 5]]], height=32), JSON, "lines"),
        ("a small digit", _image(material.digits[0]), PNG, "digits"),
    ):
        yield Request(
            f"rest: small: {name}", "POST", f"/v1/recognize?model={model}", body, headers, "small"
        )
    words = urlencode({"model": "lines", "words": ["a" * 20, "b" * 21]}, doseq=True)
    body = _json(strokes=[[[0, 0], [20, 25]]])
    yield Request("rest: small: hints", "POST", f"/v1/recognize?{words}", body, JSON, "small")


def _guarded(material: Material) -> Iterator[Request]:
    """Yield requests with and without a key, from several origins."""
    image = _image(material.digits[0])
    bearer = {"Authorization": f"Bearer {KEY}"}
    for name, headers in {
        "no key": {},
        "a wrong key": {"Authorization": "Bearer wrong"},
        "a key": bearer,
        "an origin": bearer | {"Origin": ORIGIN},
        "another origin": bearer | {"Origin": "https://other.example"},
    }.items():
        for method, target, body in (
            ("POST", "/v1/recognize", image),
            ("GET", "/v1/models", b""),
            ("GET", "/healthz", b""),
        ):
            full = f"rest: guarded: {method} {target}, {name}"
            yield Request(full, method, target, body, headers | PNG, "guarded")
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    yield Request("rest: guarded: preflight", "OPTIONS", "/v1/recognize", b"", preflight, "guarded")
