"""A scanned or photographed page -> its lines as columns, and where these lie on the page.

A line of a page gives the columns that the picture of that line alone would give, so it is read
like one, in its own stream. Finding lines needs the `scan` extra, OpenCV, which is imported
only when a page is read.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import ConfigError
from inkstream.model.preprocess.image import MAX_PIXELS, ImageSource, read_image, upright_size

Points = NDArray[np.float64]  # [n, 2], x right, y down, in pixels of the image

PAGE_SIDE: Final = 1 << 13  # pixels: an image of a page that is longer is reduced
PAGE_KEPT: Final = 1 << 22  # pixels in all: A4 at 170 dots an inch
EXTRA: Final = "cv2 is not installed, which pages need: pip install opencv-python-headless"


@dataclass(frozen=True, slots=True, eq=False)
class PageLine:
    """One line, straightened, and the band of the image that it was."""

    columns: NDArray[np.uint8]  # [T, H], 0 = paper, 255 = ink
    upper: Points  # [T + 1, 2], where the upper end of each column's left edge lies
    lower: Points  # [T + 1, 2], and the lower end
    block: int  # which block of text it stands in, from 0 as they are read

    @property
    def box(self) -> Points:
        """The corners of its ink [4, 2], clockwise from the writing's upper left."""
        return self.box_of(0, len(self.columns))

    def box_of(self, start: int, end: int) -> Points:
        """Return the corners of the ink on columns `start` to `end`; without ink, of all rows."""
        end = max(start + 1, min(end, len(self.columns)))
        inked = self.columns[start:end] > 0
        rows = np.flatnonzero(inked.any(0))
        top, bottom, left, right = 0, self.columns.shape[1], start, end
        if len(rows):
            across = np.flatnonzero(inked.any(1))
            top, bottom = int(rows[0]), int(rows[-1]) + 1
            left, right = start + int(across[0]), start + int(across[-1]) + 1
        edges, rows = np.array([(left, right, right, left), (top, top, bottom, bottom)])
        share = (rows / self.columns.shape[1])[:, None]
        corners: Points = self.upper[edges] * (1 - share) + self.lower[edges] * share
        return corners


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """What was found on one page."""

    width: int  # pixels of the image, upright
    height: int
    lines: Sequence[PageLine]  # as they are read


def find_page(image: ImageSource, column_height: int, max_pixels: int = MAX_PIXELS) -> Page:
    """Return the lines of a page, as they are read: block after block, each from the top down.

    Args:
        image: anything that `read_image` reads, dark on light or light on dark.
        column_height: H, of the net that will read them.
        max_pixels: an image with more is refused before it is decoded.

    Returns:
        A page without lines where nothing stands out from the paper.

    Raises:
        ConfigError: the `scan` extra is not installed.
        ImageError: this is no image.
    """
    try:
        scan = importlib.import_module("inkstream.model.pages.columns")
    except ModuleNotFoundError as error:
        if error.name != "cv2":
            raise
        raise ConfigError(EXTRA) from None
    grey = read_image(image, max_pixels, PAGE_SIDE, PAGE_KEPT)
    width, height = upright_size(image)
    shares = np.array([width / grey.shape[1], height / grey.shape[0]])
    lines: list[PageLine] = scan.page_lines(grey, column_height, shares)
    return Page(width, height, lines)


def reads_pages() -> bool:
    """Tell whether the `scan` extra is installed."""
    return importlib.util.find_spec("cv2") is not None
