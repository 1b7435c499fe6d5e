"""Attacks by images: small files that take much time or memory to decode."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.helpers import hard_metadata
from tests.helpers.documents import ENCRYPTED, blank_pdf
from tests.helpers.http import error
from tests.hostile.conftest import Unnoticed, post_all

pytestmark = pytest.mark.slow


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, chunks: bytes = b"") -> bytes:
    """Return a white PNG of one byte a pixel, with other chunks after its header."""

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress((b"\0" + b"\xff" * width) * height))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + rows + chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def text_chunks(count: int) -> bytes:
    """Return text chunks of a PNG that are a megabyte each once they are inflated."""
    return chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9)) * count


def noise(height: int, width: int) -> Image.Image:
    dark = np.random.default_rng(0).random((height, width)) < 0.1
    return Image.fromarray(np.where(dark, 0, 255).astype(np.uint8))


IMAGES = {
    "a PPM with a comment of 15 MB": lambda: b"P5\n#" + b"a" * 15_000_000 + b"\n1 1\n255\n\0",
    "a PNG of 1 x 16 million": lambda: png(1, 16_000_000),
    "a PNG of 1 x 6 million": lambda: png(1, 6_000_000),
    "a PNG with 60 MB of text": lambda: png(28, 28, text_chunks(60)),
    "plain text as a PPM": lambda: b"P2\n1000 1000\n255\n" + b"#a\n" * 5_000_000,
    "a white PNG of 16 megapixels": lambda: png(4000, 4000),
    "a GIF of noise": lambda: encoded(noise(2000, 2000), "GIF"),
    "a TIFF with two million values in a tag": lambda: hard_metadata.tiff(1_900_000),
    "a PNG with 65,000 orientations": lambda: hard_metadata.png(65_000),
    "a JPEG with 5,000 oversized tags": lambda: hard_metadata.jpeg(5_000),
    "a white PNG of 132 megapixels": lambda: png(12_000, 11_000),
    "a PDF of 5,000 pages": lambda: blank_pdf(*[(595, 842)] * 5000),
    "a PDF of 10,000 x 10,000 points": lambda: blank_pdf((10_000, 10_000)),
    "a PDF that is encrypted": lambda: ENCRYPTED,
    "a PDF that is damaged": lambda: blank_pdf((595, 842))[:300] + bytes(1_000_000),
    "a line of noise": lambda: encoded(noise(128, 16_000), "PNG"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_nobody_notices_images_that_are_dear_to_decode(unnoticed: Unnoticed, name: str) -> None:
    content = IMAGES[name]()
    with unnoticed.attack(settle_s=12) as target:
        answers = post_all(target, "model=lines", 8, 4, content=content)
    for answer in answers:
        if answer.status_code != 200:
            assert answer.status_code in (413, 415, 503), answer.text
            error(answer, answer.status_code, answer.json()["error"]["code"])


def test_nobody_notices_a_flood_of_small_images(unnoticed: Unnoticed) -> None:
    content = encoded(noise(64, 250), "PNG")
    with unnoticed.attack(settle_s=12) as target:
        answers = post_all(target, "model=lines", 200, 16, content=content)
        assert {answer.status_code for answer in answers} <= {200, 503}
