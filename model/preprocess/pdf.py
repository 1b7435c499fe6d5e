"""Pages of PDF files -> grey images, by PDFium.

It is imported when the first PDF comes: it takes 20 MB and an eighth of a second.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from PIL import Image

from inkstream.model.errors import ImageError, ImageSizeError

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

PdfSource = str | Path | bytes  # a path, or a file's bytes

MAX_DPI: Final = 300  # pixels an inch
PAGE_PIXELS: Final = 4_150_000  # A4 at 207 dpi: as many as of an image are kept to find its lines
MAX_SQUARE_POINTS: Final = 1 << 26  # of a page; photos often have a pixel a point
START: Final = b"%PDF-"
BLANKS: Final = b"\xef\xbb\xbf\0\t\r\n "  # that other programs let stand before it

_one_at_a_time = Lock()  # PDFium has no threads


def is_pdf(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a PDF."""
    return head.lstrip(BLANKS).startswith(START)


def page_count(source: PdfSource) -> int:
    """Return how many pages a PDF has; raise `ImageError` if it has none or cannot be read."""
    with _opened(source) as pdf:
        if not len(pdf):
            raise ImageError("the PDF is damaged, or has no pages")
        return len(pdf)


def drawn_page(source: PdfSource, index: int) -> Image.Image:
    """Return a page of a PDF, from 0, in grey: at 300 dots an inch, or with `PAGE_PIXELS` pixels.

    Its `info` has the page's width and height as `points`, 72 an inch. Raises `ImageError` if it
    cannot be read, `ImageSizeError` if it is larger than `MAX_SQUARE_POINTS`.
    """
    with _opened(source) as pdf:
        page = pdf[index]
        width, height = page.get_size()
        if width * height > MAX_SQUARE_POINTS:
            side = math.isqrt(MAX_SQUARE_POINTS)
            raise ImageSizeError(
                f"page {index + 1} of the PDF is {width:.0f} x {height:.0f} points, allowed: up to"
                f" {MAX_SQUARE_POINTS} square points, such as {side} x {side}"
            )
        scale = min(MAX_DPI / 72, math.sqrt(PAGE_PIXELS / (width * height)))
        drawn: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
        drawn = drawn.copy()  # for its pixels are PDFium's
        drawn.info["points"] = width, height
        return drawn


@contextmanager
def _opened(source: PdfSource) -> Iterator["PdfDocument"]:
    """Open a PDF; within the block, what PDFium cannot read is an `ImageError`."""
    from pypdfium2 import PdfDocument, PdfiumError  # noqa: PLC0415 - see above

    with _one_at_a_time:
        try:
            with PdfDocument(source) as pdf:
                yield pdf
        except PdfiumError as error:
            content = source if isinstance(source, bytes) else Path(source).read_bytes()
            # PDFium's own reason may be that of the file before.
            if "password" in str(error) and b"/Encrypt" in content:
                text = "the PDF is encrypted, expected one that opens without a password"
                raise ImageError(text) from error
            raise ImageError("the PDF is damaged, or has no pages") from error
