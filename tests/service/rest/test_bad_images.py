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
from PIL import Image

from inkstream.model.runtime import Runtime
from inkstream.service.client.stream import connect_sync
from tests.helpers import builders
from tests.helpers.http import PNG, client_of, error
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import uninterrupted
from tests.helpers.target import Target

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


# The tests of `read_image` have all formats, modes and orientations.
SAME_DIGIT: Final = {
    "webp": encode(grey().convert("RGB"), "WEBP", lossless=True),
    "palette of ten tones": encode(grey().quantize(256)),
    "16 bits": encode(Image.fromarray(DIGIT.astype(np.uint16) * 257)),
    "an animation": encode(grey(), "GIF", save_all=True, append_images=[Image.new("L", (28, 28))]),
}


@pytest.mark.parametrize("name", SAME_DIGIT)
def test_another_file_format_gets_the_same_answer(client: httpx.Client, name: str) -> None:
    expected = post(client, encode(grey()))
    answer = post(client, SAME_DIGIT[name])
    assert answer.status_code == 200, answer.text
    probabilities, wanted = (dict(each.json()["probabilities"]) for each in (answer, expected))
    assert probabilities == pytest.approx(wanted, abs=0.02)


# Files that are no image, and damaged images: 415

LARGE: Final = grey().resize((280, 280), Image.Resampling.BICUBIC)
PNG_FILE: Final = encode(LARGE)
UNREADABLE: Final = {
    "text": b"not an image at all, but long enough for a header" * 9,
    "a header alone": png(28, 28),
    "a body that is too short": png(280, 280, zlib.compress(bytes(100))),
    "cut in the middle": PNG_FILE[: len(PNG_FILE) // 2],
    "a changed byte": PNG_FILE[:60] + bytes([PNG_FILE[60] ^ 255]) + PNG_FILE[61:],
    "no pixels": png(0, 0, zlib.compress(b"")),
    "an icon": encode(LARGE, "ICO"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_readable_image_is_a_415(client: httpx.Client, name: str) -> None:
    message = error(post(client, UNREADABLE[name]), 415, "bad_image")
    assert len(message) < 300


# Too large images: 413, before they are decoded

BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "150 megapixels by its header": lambda: png(15_000, 10_000, zlib.compress(b""), bits=8),
    "1.6 gigapixels": lambda: png(40_000, 40_000, deflated(5_001 * 40_000)),
    "1.6 gigapixels of a gif": lambda: b"GIF89a" + struct.pack("<HHBBB", 40_000, 40_000, 0, 0, 0),
    "the largest png": lambda: png(2**31 - 1, 2**31 - 1, zlib.compress(b"")),
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
    "16 megapixels of colour": lambda: encode(
        Image.new("RGBA", (4_000, 4_000), (9, 9, 9, 255)), compress_level=1
    ),
    "12 megapixels of progressive jpeg": lambda: encode(
        noise("RGB", 4_000, 3_000), "JPEG", quality=30, progressive=True
    ),
    "16 megapixels of cmyk": lambda: encode(noise("CMYK", 4_000, 4_000), "JPEG", quality=30),
    "16 megapixels of 16 bits": lambda: encode(
        Image.fromarray(np.tile(np.arange(4_000, dtype=np.uint16) * 16, (4_000, 1)))
    ),
    "a large multipart": lambda: encode(noise("L", 3_900, 3_900), compress_level=0),
    "1.6 gigapixels": BOMBS["1.6 gigapixels"],
}


@pytest.mark.slow
def test_no_image_takes_more_than_100_mb(tmp_path: Path) -> None:
    builders.checkpoint(tmp_path / "tiny.onnx")
    with (
        Target("--models", "tiny", "--weights", str(tmp_path)) as target,
        httpx.Client(base_url=target.http, timeout=60) as client,
    ):
        for name, make in HEAVY.items():
            data = make()
            client.post("/v1/recognize", content=ON_A_PAGE_WORKER)
            before = target.memory.reset_peak()
            if name == "a large multipart":
                answer = client.post("/v1/recognize", files={"file": data})
            else:
                answer = client.post("/v1/recognize", content=data)
            growth = target.memory.peak_bytes - before
            assert answer.status_code in (200, 413, 415), (name, answer.text)
            assert growth < MAX_GROWTH_BYTES, (name, growth)


@pytest.mark.slow
def test_many_large_images_at_once_are_decoded_a_few_at_a_time(tmp_path: Path) -> None:
    data = HEAVY["16 megapixels of colour"]()
    builders.checkpoint(tmp_path / "tiny.onnx")
    flags = "--models", "tiny", "--weights", str(tmp_path)
    with Target(*flags) as target, ThreadPoolExecutor() as pool:
        url = f"{target.http}/v1/recognize"
        httpx.post(url, content=ON_A_PAGE_WORKER)
        before = target.memory.reset_peak()
        requests = [pool.submit(httpx.post, url, content=data, timeout=100) for _ in range(6)]
        statuses = {answer.result().status_code for answer in requests}
        growth = target.memory.peak_bytes - before
    assert statuses <= {200, 413, 415}
    assert growth < 3 * MAX_GROWTH_BYTES
