"""A scanned or photographed page -> its lines as columns; and what was read of it, in all formats.

A small net finds the lines (`detector.py`, `lines.py`); each is straightened and gives columns
(`columns.py`), which are read like those of the image of one line. `answers.py` and
`transcription.py` have what was read, with its place on the page.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from inkstream.model.errors import ImageSizeError
from inkstream.model.pages.columns import (
    MAP_PIXELS,
    Grey,
    PageLine,
    Points,
    framed_strips,
    map_page,
    page_columns,
    page_lines,
)
from inkstream.model.pages.detector import THREADS
from inkstream.model.pages.lines import marked_lines, runs_down
from inkstream.model.preprocess.image import MAX_PIXELS, ImageSource, read_image, upright_size

__all__ = [
    "UPRIGHT_CONFIDENCE",
    "Page",
    "PageLine",
    "bounded",
    "cut_lines",
    "find_page",
    "page_columns",
    "read_page",
]

# The letters of 25 validation pages on ruled paper have a mean confidence of 0.74 and more upright,
# of 0.70 and less upside down.
UPRIGHT_CONFIDENCE: Final = 0.78
MAX_LINES: Final = 256  # of a page: A4 holds 40, or two columns of as many
MAX_COLUMNS: Final = 3 << 14  # of all lines together: 50 of A4 in very small writing


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """What was found on one page."""

    width: int  # pixels of the image, upright
    height: int
    lines: Sequence[PageLine]  # as they are read
    turned: int = 0  # degrees, clockwise, by which the image was turned for its writing to stand

    def upside_down(self) -> "Page":
        """Return the page turned by half."""
        last = max((line.block for line in self.lines), default=0)
        lines = [line.upside_down(last - line.block) for line in reversed(self.lines)]
        return replace(self, lines=lines, turned=(self.turned + 180) % 360)

    def sample(self) -> "Page":
        """Return the page with few of its lines, which show whether it is upright."""
        return replace(self, lines=self.lines[:: 1 + len(self.lines) // 6])


def find_page(
    image: ImageSource, column_height: int, max_pixels: int = MAX_PIXELS, threads: int = THREADS
) -> Page:
    """Return the lines of a page, dark on light or light on dark, which may be none.

    They come as they are read: block after block, each from the top down. Where lines run down the
    image, it is turned by 270 degrees; only reading tells whether it is upside down. The net that
    finds them uses so many `threads`. For `max_pixels` and errors see `read_image`.
    """
    grey = read_page(image, max_pixels)
    width, height = upright_size(image, max_pixels)
    shares = np.array([width / grey.shape[1], height / grey.shape[0]])
    mapped = map_page(grey, threads)
    if not runs_down(mapped.text):
        return Page(width, height, page_lines(grey, mapped, column_height, shares))
    grey = np.ascontiguousarray(np.rot90(grey))  # against the clock
    lines = page_lines(grey, map_page(grey, threads), column_height, shares[::-1])
    return Page(width, height, [line.turned_back(width) for line in lines], turned=270)


def cut_lines(image: ImageSource, outlines: Sequence[Points] | None = None) -> list[Grey | None]:
    """Return the straightened strip [h, w] of each line of a page, for `page_columns`.

    The lines are those that `find_page` finds or, in their order, those with known `outlines`,
    corners [n, 2] as shares of the image's width and height; None is one without ink. For errors
    see `read_image`.
    """
    grey = read_page(image, MAX_PIXELS)
    if outlines is None:
        text, layout, scale = map_page(grey, THREADS)
    else:
        scale = min(1.0, math.sqrt(MAP_PIXELS / grey.size))
        height, width = (max(1, round(length * scale)) for length in grey.shape)
        corners = [outline * (width, height) for outline in outlines]
        text, layout = marked_lines(corners, (height, width))
    strips = dict(framed_strips(grey, text, layout, scale))
    return [strips[line].cut if line in strips else None for line in layout.lines]


def read_page(image: ImageSource, max_pixels: int) -> Grey:
    """Return grey pixels; larger images are reduced: 1 << 22 are A4 at 170 dots an inch.

    For `max_pixels` and errors see `read_image`.
    """
    return read_image(image, max_pixels, max_side=1 << 13, max_kept=1 << 22)


def bounded(page: Page) -> Page:
    """Return a page that does not take too long to read; raise `ImageSizeError` for another one."""
    n_lines, n_columns = len(page.lines), sum(len(line.columns) for line in page.lines)
    if n_lines > MAX_LINES:
        raise ImageSizeError(f"the page has {n_lines} lines, allowed: up to {MAX_LINES}")
    if n_columns > MAX_COLUMNS:
        text = f"{n_columns} columns in all lines, allowed: up to {MAX_COLUMNS}"
        raise ImageSizeError(f"the page has {text}")
    return page
