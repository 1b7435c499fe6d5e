"""Files of one page or of many -> their pages, each made when it is asked for.

A PDF has pages, and so have TIFF, GIF, WebP, AVIF and HEIC that hold several images.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from inkstream.model.errors import ImageError
from inkstream.model.preprocess import pdf
from inkstream.model.preprocess.image import (
    DECODING_ERRORS,
    MAX_PIXELS,
    ImageSource,
    file_bytes,
    opened,
)
from inkstream.model.preprocess.metadata import tiff_page, tiff_pages

OF_FRAMES: Final = ("GIF", "WEBP", "AVIF", "HEIF", "TIFF")


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a file: `read_image` and `find_page` take each of them.

    None is kept, so that memory does not grow with their number.
    """

    count: int
    page: Callable[[int], ImageSource]  # by its index, from 0; raises `ImageError`
    is_document: bool  # a PDF, or several images; the names of its pages have numbers

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[ImageSource]:
        return map(self.page, range(self.count))


def pages_of(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Pages:
    """Return the pages of a file or an image.

    What is no document is its only page, as it came: reading it raises the error that explains it.
    Raises `ImageError` if a PDF is encrypted, damaged or empty.
    """
    pages = None
    if isinstance(source, Image.Image):
        pages = _frames(source)
    elif not isinstance(source, np.ndarray):
        head = source[:64] if isinstance(source, bytes) else b""
        with suppress(OSError, ValueError):  # a file that is missing: reading it raises the error
            if not isinstance(source, bytes):
                with Path(source).open("rb") as file:
                    head = file.read(64)
        if pdf.is_pdf(head):
            return Pages(pdf.page_count(source), partial(pdf.drawn_page, source), is_document=True)
        with suppress(ImageError, *DECODING_ERRORS):  # too
            if head.startswith((b"II", b"MM")):
                pages = _of_tiff(file_bytes(source))
            elif head.startswith((b"GIF", b"RIFF")) or needs_library(head):
                pages = _frames(opened(source, max_pixels)[0])
    return pages or Pages(1, lambda _: source, is_document=False)


def needs_library(head: bytes) -> bool:
    """Return whether a file that begins with `head` is read by a library that is loaded for it."""
    return pdf.is_pdf(head) or head[4:8] == b"ftyp"


def _of_tiff(tiff: bytes) -> Pages | None:
    starts = tiff_pages(tiff)
    pages = Pages(len(starts), lambda index: tiff_page(tiff, starts[index]), is_document=True)
    return pages if len(starts) > 1 else None


def _frames(image: Image.Image) -> Pages | None:
    """Return the images of a file that Pillow has opened, or None if there is one."""
    count = getattr(image, "n_frames", 1) if image.format in OF_FRAMES else 1
    return Pages(count, partial(_frame, image), is_document=True) if count > 1 else None


def _frame(image: Image.Image, index: int) -> Image.Image:
    try:
        image.seek(index)
        return image.copy()
    except DECODING_ERRORS as error:
        raise ImageError(f"image {index + 1} of the file is damaged: {error}") from error
