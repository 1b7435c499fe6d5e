"""Generate REST requests: images, columns, strokes and pages, valid and invalid."""

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
from tools.handwriting import Handwriting

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
Content = tuple[bytes, dict[str, str]]  # a body, and the headers that say what it is

JSON: Final = {"Content-Type": "application/json"}
PNG: Final = {"Content-Type": "image/png"}
ENLARGED: Final = 3  # times that images are larger than columns
N_SAMPLES: Final = 6  # of each kind of handwriting


def requests(handwriting: Handwriting) -> list[Request]:
    """Return all requests."""
    all_requests = [
        *_handwriting(handwriting),
        *_queries(handwriting),
        *_bodies(handwriting),
        *_pages(),
        *_operators(),
        Request("rest: GET /openapi.json", "GET", "/openapi.json", compared="JSON without prose"),
        Request("rest: GET /asyncapi.json", "GET", "/asyncapi.json", compared="JSON without prose"),
        Request("rest: GET /metrics", "GET", "/metrics", compared="names of metrics"),
        *_small(handwriting),
        *_guarded(handwriting),
    ]
    assert len({request.name for request in all_requests}) == len(all_requests), (
        "two requests have one name"
    )
    return all_requests


def _post(name: str, content: Content, path: str = "recognize", **query: Any) -> Request:
    tail = f"?{urlencode(query, doseq=True)}" if query else ""
    return Request(f"rest: {name}", "POST", f"/v1/{path}{tail}", *content)


def _image(columns: NDArray[np.uint8], format_name: str = "PNG") -> Content:
    """Return an enlarged image file of columns [T, H], dark on light."""
    pixels = np.kron(255 - columns.T, np.ones((ENLARGED, ENLARGED), np.uint8))
    file = io.BytesIO()
    Image.fromarray(np.pad(pixels, 12, constant_values=255)).save(file, format_name)
    return file.getvalue(), {"Content-Type": f"image/{format_name.lower()}"}


def _json(**fields: Any) -> Content:
    return json.dumps(fields).encode(), JSON


def _handwriting(handwriting: Handwriting) -> Iterator[Request]:
    """Yield valid requests: each kind of body, for both models and both paths."""
    for number, digit in enumerate(handwriting.digits[:N_SAMPLES]):
        yield _post(f"image of digit {number}", _image(digit), model="digits", curve="true")
        yield _post(f"columns of digit {number}", _json(columns=digit.tolist()))
        yield _post(f"digit {number} to columns", _image(digit), "columns", model="digits")
    for kind, samples in (("word", handwriting.words), ("line", handwriting.lines)):
        for number, sample in enumerate(samples[:N_SAMPLES]):
            strokes = [stroke.tolist() for stroke in sample.strokes]
            contents = {
                "image": _image(sample.columns),
                "JPEG": _image(sample.columns, "JPEG"),
                "columns": _json(columns=sample.columns.tolist()),
                "strokes": _json(strokes=strokes),
                "strokes in a frame": _json(strokes=strokes, height=sample.height),
            }
            for format_name, content in contents.items():
                name = f"{format_name} of {kind} {number}"
                yield _post(f"{name} to columns", content, "columns", model="lines")
                yield _post(name, content, model="lines")
            hints: dict[str, Any] = {"language_model": "english", "context": "Dear"}
            words = sorted({*sample.label.split(), "inkstream"})
            yield _post(f"{kind} {number} with english", contents["image"], model="lines", **hints)
            yield _post(
                f"{kind} {number} with words", contents["strokes"], model="lines", words=words
            )
            yield _post(f"{kind} {number} without a model", contents["image"])
            yield _post(f"strokes of {kind} {number} without a model", contents["strokes"])


def _queries(handwriting: Handwriting) -> Iterator[Request]:
    """Yield parameters that are valid, invalid or of another model."""
    digit, word = _image(handwriting.digits[3]), _image(handwriting.words[3].columns)
    queries: dict[str, dict[str, Any]] = {
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
    }
    for name, query in queries.items():
        yield _post(f"a digit, {name}", digit, **query)
        yield _post(f"a digit to columns, {name}", digit, "columns", **query)
    queries = {
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
    }
    for name, query in queries.items():
        yield _post(f"a word, {name}", word, **({"model": "lines"} | query))


def _bodies(handwriting: Handwriting) -> Iterator[Request]:
    """Yield invalid bodies, and bodies of all content types."""
    digit, png = handwriting.digits[4], _image(handwriting.digits[4])[0]
    form = {"Content-Type": "multipart/form-data; boundary=cut"}
    start = b'--cut\r\nContent-Disposition: form-data; name="%s"; filename="a.png"\r\n\r\n'
    part = start % b"file" + png + b"\r\n--cut--\r\n"
    contents: dict[str, Content] = {
        "a form": (part, form),
        "a form without a file": (start % b"other" + png + b"\r\n--cut--\r\n", form),
        "a form that breaks off": (part[:90], form),
        "a form without a boundary": (part, {"Content-Type": "multipart/form-data"}),
        "an empty form": (b"--cut--\r\n", form),
        "bytes": (png, {"Content-Type": "application/octet-stream"}),
        "no content type": (png, {}),
        "nothing": (b"", PNG),
        "a text": (b"seven", {"Content-Type": "text/plain"}),
        "a text as an image": (b"seven", PNG),
        "half an image": (png[: len(png) // 2], PNG),
        "blank paper": _image(np.zeros((28, 28), np.uint8)),
        "one pixel": _image(np.zeros((1, 1), np.uint8)),
        "a palette": _image(digit, "GIF"),
        "a TIFF": _image(digit, "TIFF"),
        "a bitmap": _image(digit, "BMP"),
        "broken JSON": (b'{"columns":', JSON),
        "an array": (b"[]", JSON),
        "an empty object": (b"{}", JSON),
        "columns and strokes": _json(columns=[], strokes=[]),
        "no columns": _json(columns=[]),
        "columns that are none": _json(columns={}),
        "columns of another height": _json(columns=[[0] * 27]),
        "a pixel that is none": _json(columns=[[0] * 27 + [256]]),
        "pixels that are no numbers": _json(columns=[[0] * 27 + ["a"]]),
        "a column that is none": _json(columns=[5]),
        "no strokes": _json(strokes=[]),
        "empty strokes": _json(strokes=[[], []]),
        "strokes that are none": _json(strokes=5),
        "a stroke that is none": _json(strokes=[5]),
        "a point that is none": _json(strokes=[[[1, 2], [3]]]),
        "a point beyond all paper": _json(strokes=[[[1, 2], [1e300, 3]]]),
        "a dot": _json(strokes=[[[5, 5]]]),
        "a dash": _json(strokes=[[[5, 5], [25, 5]]]),
        "a height that is none": _json(strokes=[[[5, 5], [9, 9]]], height="tall"),
        "a height of nothing": _json(strokes=[[[5, 5], [9, 9]]], height=0),
        "null for a height": _json(strokes=[[[5, 5], [9, 9]]], height=None),
        "strokes left of the paper": _json(strokes=[[[-5, 5], [9, 9]]], height=20),
        "JSON that is too long": (b'{"columns":[' + b" " * (2 * 1024 * 1024) + b"]}", JSON),
    }
    for name, content in contents.items():
        for model in ("digits", "lines"):
            yield _post(f"{name}, {model}", content, model=model)


def _pages() -> Iterator[Request]:
    """Yield pages."""
    page = (EXAMPLES / "page.jpg").read_bytes(), {"Content-Type": "image/jpeg"}
    line = (EXAMPLES / "hello.png").read_bytes(), PNG
    page_of_lines = {"page": "true", "model": "lines"}
    yield _post("page", page, **page_of_lines)
    yield _post("page without a model", page, page="true")
    yield _post("page that is not called one", page, model="lines")
    yield _post("page to columns", page, "columns", **page_of_lines)
    for format_name in ("json", "hocr", "alto"):
        yield _post(f"page as {format_name}", line, format=format_name, **page_of_lines)
    yield _post("page with english", line, language_model="english", **page_of_lines)
    yield _post("page of columns", _json(columns=[[0] * 32]), **page_of_lines)
    yield _post("page of nothing", (b"", PNG), **page_of_lines)
    yield _post("page of a text", (b"seven", PNG), **page_of_lines)


def _operators() -> Iterator[Request]:
    """Yield requests of operators, and unknown paths and methods."""
    for method, target in (
        *(("GET", path) for path in ("/v1/models", "/healthz", "/readyz", "/v1/stream", "/v1")),
        *(("HEAD", path) for path in ("/healthz", "/readyz", "/v1/models")),
        *(("GET", path) for path in ("/v1/recognize", "/v1/columns", "/nothing", "/v2/recognize")),
        *(("DELETE", "/v1/models"), ("PUT", "/v1/recognize"), ("OPTIONS", "/v1/recognize")),
        *(("POST", "/v1/models"), ("POST", "/healthz"), ("POST", "/v1/stream")),
    ):
        yield Request(f"rest: {method} {target}", method, target)


def _small(handwriting: Handwriting) -> Iterator[Request]:
    """Yield bodies beyond the limits of the small server."""
    line = np.concatenate([sample.columns for sample in handwriting.words[:8]])
    target = "/v1/recognize?model=lines"
    hints = urlencode({"words": ["a" * 20, "b" * 21]}, doseq=True)
    for name, query, content in (
        ("a body that is too large", "", (bytes(6001), PNG)),
        ("an image with too many pixels", "", _image(line[:120])),
        ("a line that is too long", "", _json(strokes=[[[0, 0], [151, 5]]], height=32)),
        ("a small line", "", _json(strokes=[[[0, 0], [20, 25]]], height=32)),
        ("hints", f"&{hints}", _json(strokes=[[[0, 0], [20, 25]]])),
    ):
        yield Request(f"rest: small: {name}", "POST", target + query, *content, "small")


def _guarded(handwriting: Handwriting) -> Iterator[Request]:
    """Yield requests with and without a key, from several origins."""
    image = _image(handwriting.digits[0])[0]
    bearer = {"Authorization": f"Bearer {KEY}"}
    clients: dict[str, dict[str, str]] = {
        "no key": {},
        "a wrong key": {"Authorization": "Bearer wrong"},
        "a key": bearer,
        "an origin": bearer | {"Origin": ORIGIN},
        "another origin": bearer | {"Origin": "https://other.example"},
    }
    for name, headers in clients.items():
        for method, target, body in (
            ("POST", "/v1/recognize", image),
            ("GET", "/v1/models", b""),
            ("GET", "/healthz", b""),
        ):
            name_of_request = f"rest: guarded: {method} {target}, {name}"
            yield Request(name_of_request, method, target, body, headers | PNG, "guarded")
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    yield Request("rest: guarded: preflight", "OPTIONS", "/v1/recognize", b"", preflight, "guarded")
