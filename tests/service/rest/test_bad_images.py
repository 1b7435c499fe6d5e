"""Images of every kind, valid and damaged, over REST beside a stream.

Each gets the correct answer or a 4xx error; none disturbs the stream or the server.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.runtime import Runtime
from inkstream.service.client.stream import connect_sync
from tests.helpers import builders
from tests.helpers.http import PNG, client_of, error
from tests.helpers.running_server import Running, server
from tests.helpers.serving_process import serving_process
from tests.helpers.single_session import uninterrupted

DIGIT: Final = np.asarray(Image.open(PNG))  # [28, 28], ink is light
MAX_GROWTH_BYTES: Final = 100_000_000  # of the server, for one request


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights")) as running:
        yield running


@pytest.fixture
def client(running: Running, net: Runtime) -> Iterator[httpx.Client]:
    """Yield a client; the test runs in the middle of a stream, whose results are checked."""
    columns = builders.columns(40)
    with connect_sync(running.url) as stream, client_of(running) as client:
        results = list(stream.send(columns[:20]))
        yield client
        results += stream.send(columns[20:])
        probabilities = [list(result.probabilities.values()) for result in results]
        expected = uninterrupted(net, columns.tobytes())
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
        assert client.get("/readyz").status_code == 200


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def post(client: httpx.Client, data: bytes) -> httpx.Response:
    return client.post("/v1/recognize", content=data, headers={"content-type": "image/png"})


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, rows: bytes | None = None, bits: int = 1) -> bytes:
    """Return a grey PNG with any header; without `rows` it ends after the header."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    if rows is None:
        return data
    return data + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def deflated(n_bytes: int) -> bytes:
    """Return `n_bytes` zero bytes, deflated without holding them in memory."""
    compressor = zlib.compressobj(1)
    block = bytes(1 << 20)
    parts = [compressor.compress(block) for _ in range(n_bytes >> 20)]
    parts.append(compressor.compress(bytes(n_bytes & (1 << 20) - 1)))
    return b"".join([*parts, compressor.flush()])


# The same digit in another file format: the same answer


def grey() -> Image.Image:
    return Image.fromarray(DIGIT)


def coloured(alpha: int = 255) -> NDArray[np.uint8]:
    layers = [DIGIT, DIGIT, DIGIT, np.full_like(DIGIT, alpha)]
    return np.stack(layers, -1)


def with_orientation(orientation: int, transpose: Callable[[Image.Image], Image.Image]) -> bytes:
    """Return a file of the rotated digit with the EXIF tag that undoes the rotation."""
    exif = Image.Exif()
    exif[274] = orientation
    return encode(transpose(grey()), exif=exif)


def animated(kind: str) -> bytes:
    later = Image.fromarray(np.zeros_like(DIGIT))
    return encode(grey(), kind, save_all=True, append_images=[later, later], duration=50)


SAME_DIGIT: Final = {
    "bmp": encode(grey(), "BMP"),
    "gif": encode(grey(), "GIF"),
    "tiff": encode(grey(), "TIFF"),
    "pgm": encode(grey(), "PPM"),
    "webp": encode(grey().convert("RGB"), "WEBP", lossless=True),
    "colours": encode(grey().convert("RGB")),
    "alpha": encode(Image.fromarray(coloured())),
    "grey with alpha": encode(grey().convert("LA")),
    "palette": encode(grey().convert("P")),
    "palette of ten tones": encode(grey().quantize(256)),
    "16 bits": encode(Image.fromarray(DIGIT.astype(np.uint16) * 257)),
    "turned to the left": with_orientation(
        6, lambda image: image.transpose(Image.Transpose.ROTATE_90)
    ),
    "upside down": with_orientation(3, lambda image: image.transpose(Image.Transpose.ROTATE_180)),
    "mirrored": with_orientation(2, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "animated gif": animated("GIF"),
    "animated png": animated("PNG"),
    "two pages": animated("TIFF"),
}


@pytest.mark.parametrize("name", SAME_DIGIT)
def test_a_digit_in_another_file_format_gets_the_same_answer(
    client: httpx.Client, name: str
) -> None:
    expected = post(client, encode(grey()))
    answer = post(client, SAME_DIGIT[name])
    assert answer.status_code == 200, answer.text
    probabilities, wanted = (dict(each.json()["probabilities"]) for each in (answer, expected))
    assert probabilities == pytest.approx(wanted, abs=0.02)


LARGE: Final = grey().resize((280, 280), Image.Resampling.BICUBIC)
ANSWERED: Final = {
    "a jpeg": encode(LARGE, "JPEG", quality=90),
    "cmyk": encode(LARGE.convert("CMYK"), "JPEG"),
    "one bit": encode(LARGE.convert("1")),
    "dark on light": encode(Image.fromarray(255 - np.asarray(LARGE))),
    "a progressive jpeg": encode(LARGE, "JPEG", progressive=True),
    "an interlaced gif": encode(LARGE, "GIF", interlace=1),
    "half transparent": encode(Image.fromarray(coloured(128)).resize((100, 100))),
    "floats": encode(Image.fromarray(DIGIT.astype(np.float32) / 255), "TIFF"),
    "32 bits": encode(Image.fromarray(DIGIT.astype(np.int32) * 65_537), "TIFF"),
    "very wide": encode(LARGE.resize((3_000, 40))),
    "very tall": encode(LARGE.resize((40, 3_000))),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_other_images_of_a_digit_are_answered(client: httpx.Client, name: str) -> None:
    answer = post(client, ANSWERED[name])
    assert answer.status_code == 200, answer.text
    assert sum(p for _, p in answer.json()["probabilities"]) == pytest.approx(1, abs=1e-5)


# Files that are no image, and damaged images: 415

PDF: Final = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
SVG: Final = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
PNG_FILE: Final = encode(LARGE)

UNREADABLE: Final = {
    "one byte": b"\x89",
    "text": b"not an image at all, but long enough for a header" * 9,
    "the signature alone": PNG_FILE[:8],
    "a header alone": png(28, 28),
    "a header and an empty body": png(28, 28, b""),
    "a body that is not deflated": png(28, 28, b"garbage"),
    "a body that is too short": png(280, 280, zlib.compress(bytes(100))),
    "cut in the middle": PNG_FILE[: len(PNG_FILE) // 2],
    "cut after the header": PNG_FILE[:40],
    "a jpeg cut in the middle": encode(LARGE, "JPEG")[:1_500],
    "a changed byte": PNG_FILE[:60] + bytes([PNG_FILE[60] ^ 255]) + PNG_FILE[61:],
    "no width": png(0, 28, zlib.compress(b"")),
    "no height": png(28, 0, zlib.compress(b"")),
    "no pixels": png(0, 0, zlib.compress(b"")),
    "a pdf": PDF,
    "an svg": SVG,
    "html": b"<!doctype html><title>404</title>",
    "a zip": b"PK\x03\x04" + bytes(100),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "zeros": bytes(1000),
    "an icon": encode(LARGE, "ICO"),
    "blank paper": encode(Image.new("L", (28, 28), 255)),
    "blank night": encode(Image.new("L", (280, 280), 0)),
    "one pixel": encode(Image.new("L", (1, 1), 0)),
    "nothing but transparent": encode(Image.new("RGBA", (50, 50), (0, 0, 0, 0))),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_readable_image_is_a_415(client: httpx.Client, name: str) -> None:
    message = error(post(client, UNREADABLE[name]), 415, "bad_image")
    assert len(message) < 300


@pytest.mark.parametrize("size", [(1, 2_000), (2_000, 1), (1, 2), (2, 2), (3, 1)])
@pytest.mark.parametrize("striped", [True, False])
def test_thin_images_get_an_answer_or_a_415(
    client: httpx.Client, size: tuple[int, int], striped: bool
) -> None:
    pixels = np.full(size[::-1], 255, np.uint8)
    if striped:
        pixels.flat[: pixels.size // 2] = 0
    answer = post(client, encode(Image.fromarray(pixels)))
    if answer.status_code != 200:
        error(answer, 415, "bad_image")


@pytest.mark.parametrize("seed", range(60))
def test_a_file_with_random_damage_gets_an_answer_or_a_415(client: httpx.Client, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = list({**SAME_DIGIT, **ANSWERED}.values())[seed % (len(SAME_DIGIT) + len(ANSWERED))]
    data = np.frombuffer(source, np.uint8).copy()
    positions = rng.integers(0, len(data), rng.integers(1, 20))
    data[positions] = rng.integers(0, 256, len(positions))
    answer = post(client, data.tobytes()[: rng.integers(len(data) // 2, len(data) + 1)])
    if answer.status_code != 200:
        assert answer.status_code in (413, 415)
        error(answer, answer.status_code, answer.json()["error"]["code"])


# Too large images: 413, before they are decoded

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
def test_a_decompression_bomb_is_refused_by_its_header(client: httpx.Client, name: str) -> None:
    answer = post(client, BOMBS[name]())
    assert answer.status_code in (413, 415), answer.text
    error(answer, answer.status_code, answer.json()["error"]["code"])
    assert answer.elapsed.total_seconds() < 5


# Memory


def noise(mode: str, width: int, height: int) -> Image.Image:
    """Return an image of random strips that repeat: it compresses badly."""
    rng = np.random.default_rng(0)
    depth = len(Image.new(mode, (1, 1)).getbands())
    strip = Image.frombytes(mode, (width, 16), rng.bytes(width * 16 * depth))
    image = Image.new(mode, (width, height))
    for top in range(0, height, 16):
        image.paste(strip, (0, top))
    return image


ON_A_PAGE_WORKER: Final = encode(LARGE.resize((500, 500)))  # too large for the server's threads

HEAVY: Final[dict[str, Callable[[], bytes]]] = {
    "16 megapixels of grey": lambda: encode(noise("L", 4_000, 4_000), compress_level=1),
    "16 megapixels of colour": lambda: encode(
        Image.new("RGBA", (4_000, 4_000), (9, 9, 9, 255)), compress_level=1
    ),
    "16 megapixels of jpeg": lambda: encode(noise("RGB", 4_000, 4_000), "JPEG", quality=50),
    "12 megapixels of progressive jpeg": lambda: encode(
        noise("RGB", 4_000, 3_000), "JPEG", quality=30, progressive=True
    ),
    "16 megapixels of cmyk": lambda: encode(noise("CMYK", 4_000, 4_000), "JPEG", quality=30),
    "16 megapixels of 16 bits": lambda: encode(
        Image.fromarray(np.tile(np.arange(4_000, dtype=np.uint16) * 16, (4_000, 1)))
    ),
    "15 megapixels of webp": lambda: encode(Image.new("RGB", (5_000, 3_000), "white"), "WEBP"),
    "a large multipart": lambda: encode(noise("L", 3_900, 3_900), compress_level=0),
    "1.6 gigapixels": BOMBS["1.6 gigapixels"],
}


@pytest.mark.slow
def test_no_image_takes_more_than_100_mb(tmp_path: Path) -> None:
    builders.checkpoint(tmp_path / "tiny.onnx")
    with (
        serving_process("tiny", tmp_path) as serving,
        httpx.Client(base_url=serving.url) as client,
    ):
        for name, make in HEAVY.items():
            data = make()
            client.post("/v1/recognize", content=ON_A_PAGE_WORKER)
            before = serving.own_bytes
            serving.reset_peak()
            if name == "a large multipart":
                answer = client.post("/v1/recognize", files={"file": data}, timeout=60)
            else:
                answer = client.post("/v1/recognize", content=data, timeout=60)
            growth = serving.peak_bytes - before
            assert answer.status_code in (200, 413, 415), (name, answer.text)
            assert growth < MAX_GROWTH_BYTES, (name, growth)


@pytest.mark.slow
def test_many_large_images_at_once_are_decoded_a_few_at_a_time(tmp_path: Path) -> None:
    data = HEAVY["16 megapixels of colour"]()
    builders.checkpoint(tmp_path / "tiny.onnx")
    with serving_process("tiny", tmp_path) as serving, ThreadPoolExecutor() as pool:
        url = f"{serving.url}/v1/recognize"
        httpx.post(url, content=ON_A_PAGE_WORKER)
        before = serving.own_bytes
        serving.reset_peak()
        requests = [pool.submit(httpx.post, url, content=data, timeout=100) for _ in range(6)]
        statuses = {answer.result().status_code for answer in requests}
        growth = serving.peak_bytes - before
    assert statuses <= {200, 413, 415}
    assert growth < 3 * MAX_GROWTH_BYTES
