"""A small picture, and image files with it or with almost no content."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.preprocess.ink import rasterise


def picture(height: int = 30, width: int = 40) -> NDArray[np.uint8]:
    """Return dark ink in the upper left quarter of light paper: each rotation looks different."""
    grey = np.full((height, width), 240, np.uint8)
    grey[2 : height // 2, 3 : width // 4] = 16
    return grey


def drawn(
    points: NDArray[np.float64],
    stroke_starts: NDArray[np.int64],
    height: int,
    pen_width: float,
    width: int,
) -> NDArray[np.uint8]:
    """Return strokes [h, w], 0 = paper and 255 = ink, in a picture of this size."""
    columns = rasterise(points, stroke_starts, height, pen_width)[:width]
    return np.ascontiguousarray(np.pad(columns, ((0, width - len(columns)), (0, 0))).T)


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png_without_pixels(width: int, height: int) -> bytes:
    """Return a PNG file with a size but without pixels."""
    return png(b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT")


def png(*chunks: bytes) -> bytes:
    """Return a PNG file of chunks, each given as its type and content."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )
