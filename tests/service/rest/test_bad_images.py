"""Images of every kind, good and bad, over REST beside a healthy stream.

Each gets the right answer or a 4xx that says what came; none disturbs the stream or the server.
"""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.runtime import Runtime
from inkstream.service.client import connect_sync
from tests.helpers import builders
from tests.helpers.http import client_of, error
from tests.helpers.running_server import Running, server

ROOT: Final = Path(__file__).parents[3]
DIGIT: Final = np.asarray(Image.open(ROOT / "examples" / "7.png"))  # [28, 28], ink is light
MAX_GROWTH_BYTES: Final = 100_000_000  # of the server, for one request


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights")) as running:
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return builders.runtime(tmp_path_factory.mktemp("alone") / "tiny.onnx")


@pytest.fixture
def client(running: Running, alone: Runtime) -> Iterator[httpx.Client]:
    """A client, beside a stream that is half way when the test begins and ends after it."""
    columns = builders.columns(40)
    scores, _ = alone.run(columns[:, None], alone.initial_state(1))
    with connect_sync(running.url) as stream, client_of(running) as client:
        results = list(stream.send(columns[:20]))
        yield client
        results += stream.send(columns[20:])
        got = [list(result.probabilities.values()) for result in results]
        np.testing.assert_allclose(got, np.exp(scores[:, 0]), atol=1e-5)
        assert client.get("/readyz").status_code == 200


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def post(client: httpx.Client, data: bytes) -> httpx.Response:
    return client.post("/v1/recognize", content=data, headers={"content-type": "image/png"})


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, rows: bytes | None = None, bits: int = 1) -> bytes:
    """A grey PNG made by hand, whatever its header says; without rows it ends after the header."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    if rows is None:
        return made
    return made + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def deflated(n_bytes: int) -> bytes:
    """So many zero bytes, deflated without holding them."""
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(n_bytes >> 20)]
    parts.append(packer.compress(bytes(n_bytes & (1 << 20) - 1)))
    return b"".join([*parts, packer.flush()])


# The same digit in another coat: the same answer


def grey() -> Image.Image:
    return Image.fromarray(DIGIT)


def coloured(alpha: int = 255) -> NDArray[np.uint8]:
    layers = [DIGIT, DIGIT, DIGIT, np.full_like(DIGIT, alpha)]
    return np.stack(layers, -1)


def turned(orientation: int, turn: Callable[[Image.Image], Image.Image]) -> bytes:
    """Stored turned, with the EXIF tag that says how to turn it back."""
    exif = Image.Exif()
    exif[274] = orientation
    return saved(turn(grey()), exif=exif)


def animated(kind: str) -> bytes:
    later = Image.fromarray(np.zeros_like(DIGIT))
    return saved(grey(), kind, save_all=True, append_images=[later, later], duration=50)


COATS: Final = {
    "bmp": saved(grey(), "BMP"),
    "gif": saved(grey(), "GIF"),
    "tiff": saved(grey(), "TIFF"),
    "pgm": saved(grey(), "PPM"),
    "webp": saved(grey().convert("RGB"), "WEBP", lossless=True),
    "colours": saved(grey().convert("RGB")),
    "alpha": saved(Image.fromarray(coloured())),
    "grey with alpha": saved(grey().convert("LA")),
    "palette": saved(grey().convert("P")),
    "palette of ten tones": saved(grey().quantize(256)),
    "16 bits": saved(Image.fromarray(DIGIT.astype(np.uint16) * 257)),
    "turned to the left": turned(6, lambda image: image.transpose(Image.Transpose.ROTATE_90)),
    "upside down": turned(3, lambda image: image.transpose(Image.Transpose.ROTATE_180)),
    "mirrored": turned(2, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "animated gif": animated("GIF"),
    "animated png": animated("PNG"),
    "two pages": animated("TIFF"),
}


@pytest.mark.parametrize("coat", COATS)
def test_a_digit_in_another_file_format_gets_the_same_answer(
    client: httpx.Client, coat: str
) -> None:
    expected = post(client, saved(grey()))
    answer = post(client, COATS[coat])
    assert answer.status_code == 200, answer.text
    assert answer.json()["probabilities"] == pytest.approx(
        expected.json()["probabilities"], abs=0.02
    )


LARGE: Final = grey().resize((280, 280), Image.Resampling.BICUBIC)
ANSWERED: Final = {
    "a jpeg": saved(LARGE, "JPEG", quality=90),
    "cmyk": saved(LARGE.convert("CMYK"), "JPEG"),
    "one bit": saved(LARGE.convert("1")),
    "dark on light": saved(Image.fromarray(255 - np.asarray(LARGE))),
    "a progressive jpeg": saved(LARGE, "JPEG", progressive=True),
    "an interlaced gif": saved(LARGE, "GIF", interlace=1),
    "half transparent": saved(Image.fromarray(coloured(128)).resize((100, 100))),
    "floats": saved(Image.fromarray(DIGIT.astype(np.float32) / 255), "TIFF"),
    "32 bits": saved(Image.fromarray(DIGIT.astype(np.int32) * 65_537), "TIFF"),
    "very wide": saved(LARGE.resize((3_000, 40))),
    "very tall": saved(LARGE.resize((40, 3_000))),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_other_images_of_a_digit_are_answered(client: httpx.Client, name: str) -> None:
    answer = post(client, ANSWERED[name])
    assert answer.status_code == 200, answer.text
    assert sum(answer.json()["probabilities"].values()) == pytest.approx(1, abs=1e-5)


# What is no image, or a damaged one: 415

PDF: Final = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
SVG: Final = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
WHOLE: Final = saved(LARGE)

UNREADABLE: Final = {
    "one byte": b"\x89",
    "text": b"not an image at all, but long enough for a header" * 9,
    "the signature alone": WHOLE[:8],
    "a header alone": png(28, 28),
    "a header and an empty body": png(28, 28, b""),
    "a body that is not deflated": png(28, 28, b"garbage"),
    "a body that is too short": png(280, 280, zlib.compress(bytes(100))),
    "cut in the middle": WHOLE[: len(WHOLE) // 2],
    "cut after the header": WHOLE[:40],
    "a jpeg cut in the middle": saved(LARGE, "JPEG")[:1_500],
    "a changed byte": WHOLE[:60] + bytes([WHOLE[60] ^ 255]) + WHOLE[61:],
    "no width": png(0, 28, zlib.compress(b"")),
    "no height": png(28, 0, zlib.compress(b"")),
    "no pixels": png(0, 0, zlib.compress(b"")),
    "a pdf": PDF,
    "an svg": SVG,
    "html": b"<!doctype html><title>404</title>",
    "a zip": b"PK\x03\x04" + bytes(100),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "zeros": bytes(1000),
    "an icon": saved(LARGE, "ICO"),
    "blank paper": saved(Image.new("L", (28, 28), 255)),
    "blank night": saved(Image.new("L", (280, 280), 0)),
    "one pixel": saved(Image.new("L", (1, 1), 0)),
    "nothing but transparent": saved(Image.new("RGBA", (50, 50), (0, 0, 0, 0))),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_readable_image_is_a_415(client: httpx.Client, name: str) -> None:
    said = error(post(client, UNREADABLE[name]), 415, "bad_image")
    assert len(said) < 300


@pytest.mark.parametrize("size", [(1, 2_000), (2_000, 1), (1, 2), (2, 2), (3, 1)])
@pytest.mark.parametrize("striped", [True, False])
def test_thin_images_get_an_answer_or_a_415(
    client: httpx.Client, size: tuple[int, int], striped: bool
) -> None:
    pixels = np.full(size[::-1], 255, np.uint8)
    if striped:
        pixels.flat[: pixels.size // 2] = 0
    answer = post(client, saved(Image.fromarray(pixels)))
    if answer.status_code != 200:
        error(answer, 415, "bad_image")


@pytest.mark.parametrize("seed", range(60))
def test_a_file_with_random_damage_gets_an_answer_or_a_415(client: httpx.Client, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = list({**COATS, **ANSWERED}.values())[seed % (len(COATS) + len(ANSWERED))]
    data = np.frombuffer(source, np.uint8).copy()
    places = rng.integers(0, len(data), rng.integers(1, 20))
    data[places] = rng.integers(0, 256, len(places))
    answer = post(client, data.tobytes()[: rng.integers(len(data) // 2, len(data) + 1)])
    if answer.status_code != 200:
        assert answer.status_code in (413, 415)
        error(answer, answer.status_code, answer.json()["error"]["code"])


# What is too large: 413, before it is decoded

BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "150 megapixels": lambda: png(12_500, 12_000, deflated((12_500 // 8 + 1) * 12_000)),
    "150 megapixels by its header": lambda: png(15_000, 10_000, zlib.compress(b""), bits=8),
    "1.6 gigapixels": lambda: png(40_000, 40_000, deflated(5_001 * 40_000)),
    "1.6 gigapixels of a gif": lambda: b"GIF89a" + struct.pack("<HHBBB", 40_000, 40_000, 0, 0, 0),
    "the largest png": lambda: png(2**31 - 1, 2**31 - 1, zlib.compress(b"")),
    "a width that is negative to some": lambda: png(2**31, 28, zlib.compress(b"")),
    "one pixel high": lambda: png(2**31 - 1, 1, zlib.compress(b"")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(client: httpx.Client, name: str) -> None:
    answer = post(client, BOMBS[name]())
    assert answer.status_code in (413, 415), answer.text
    error(answer, answer.status_code, answer.json()["error"]["code"])
    assert answer.elapsed.total_seconds() < 5


# Memory


@contextmanager
def serving_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own process, and its address."""
    builders.checkpoint(folder / "tiny.onnx")
    command = [
        sys.executable,
        "-m",
        "inkstream",
        "serve",
        "--port",
        "0",
        "--models",
        "tiny",
    ]
    command += ["--weights", str(folder), "--log-format", "json"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = json.loads(process.stderr.readline())
            assert line["event"] == "serving", line
            yield process, line["url"]
        finally:
            process.terminate()
            process.stderr.read()


def memory(pid: int, name: str) -> int:
    """A line of /proc/PID/status, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def noise(mode: str, width: int, height: int) -> Image.Image:
    """Pixels that do not compress to nothing, in strips that repeat."""
    rng = np.random.default_rng(0)
    depth = len(Image.new(mode, (1, 1)).getbands())
    strip = Image.frombytes(mode, (width, 16), rng.bytes(width * 16 * depth))
    image = Image.new(mode, (width, height))
    for top in range(0, height, 16):
        image.paste(strip, (0, top))
    return image


HEAVY: Final[dict[str, Callable[[], bytes]]] = {
    "16 megapixels of grey": lambda: saved(noise("L", 4_000, 4_000), compress_level=1),
    "16 megapixels of colour": lambda: saved(
        Image.new("RGBA", (4_000, 4_000), (9, 9, 9, 255)), compress_level=1
    ),
    "16 megapixels of jpeg": lambda: saved(noise("RGB", 4_000, 4_000), "JPEG", quality=50),
    "12 megapixels of progressive jpeg": lambda: saved(
        noise("RGB", 4_000, 3_000), "JPEG", quality=30, progressive=True
    ),
    "16 megapixels of cmyk": lambda: saved(noise("CMYK", 4_000, 4_000), "JPEG", quality=30),
    "16 megapixels of 16 bits": lambda: saved(
        Image.fromarray(np.tile(np.arange(4_000, dtype=np.uint16) * 16, (4_000, 1)))
    ),
    "15 megapixels of webp": lambda: saved(Image.new("RGB", (5_000, 3_000), "white"), "WEBP"),
    "a large multipart": lambda: saved(noise("L", 3_900, 3_900), compress_level=0),
    "1.6 gigapixels": BOMBS["1.6 gigapixels"],
}


@pytest.mark.slow
def test_no_image_takes_more_than_100_mb(tmp_path: Path) -> None:
    with serving_process(tmp_path) as (process, url), httpx.Client(base_url=url) as client:
        client.post("/v1/recognize", content=WHOLE)
        for name, make in HEAVY.items():
            data = make()
            before = memory(process.pid, "VmRSS")
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forget the peak so far
            if name == "a large multipart":
                answer = client.post("/v1/recognize", files={"file": data}, timeout=60)
            else:
                answer = client.post("/v1/recognize", content=data, timeout=60)
            growth = memory(process.pid, "VmHWM") - before
            assert answer.status_code in (200, 413, 415), (name, answer.text)
            assert growth < MAX_GROWTH_BYTES, (name, growth)


@pytest.mark.slow
def test_many_large_images_at_once_are_decoded_a_few_at_a_time(tmp_path: Path) -> None:
    data = HEAVY["16 megapixels of colour"]()
    with serving_process(tmp_path) as (process, url), ThreadPoolExecutor() as pool:
        httpx.post(f"{url}/v1/recognize", content=WHOLE)
        before = memory(process.pid, "VmRSS")
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        asked = [
            pool.submit(httpx.post, f"{url}/v1/recognize", content=data, timeout=100)
            for _ in range(6)
        ]
        statuses = {answer.result().status_code for answer in asked}
        growth = memory(process.pid, "VmHWM") - before
    assert statuses <= {200, 413, 415}
    assert growth < 3 * MAX_GROWTH_BYTES
