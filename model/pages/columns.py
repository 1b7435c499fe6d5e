"""The lines of a page -> columns: each is straightened along its course, nothing is taken away.

Rules stay, for letters stand on them; they only do not count where a line's ink is measured.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from inkstream.model.pages.detector import TextMap, text_map
from inkstream.model.pages.lines import FoundLine, Layout, find_lines
from inkstream.model.preprocess.columns import (
    LINE_SHARE,
    MAX_LINE_COLUMNS,
    components,
    strip_columns,
)

Grey = NDArray[np.uint8]  # [h, w]
Mask = NDArray[np.bool_]  # [h, w]
Points = NDArray[np.float64]  # [n, 2], x right, y down, in pixels of the image

MAP_PIXELS: Final = 3 << 18  # of a page's map at most
STRIP: Final = 1.5  # heights of the text that a strip is high
CELL: Final = 4  # pixels of the map: the paper's tone is that of the brightest in such a square
LEAST_INK: Final = 24  # of 255: less contrast to the paper is none

# Writing on paper is narrower than most that the net has learned from, and its strokes are paler at
# their edges: validation pages are read best when columns are so much wider and darker.
WIDTH: Final = 1.2  # times
DARKER: Final = np.rint(255 * np.linspace(0, 1, 256) ** 0.7).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class PageLine:
    """One line, straightened, and the band of the image that it was."""

    columns: NDArray[np.uint8]  # [T, H], 0 = paper, 255 = ink
    upper: Points  # [T + 1, 2], where the upper end of each column's left edge lies
    lower: Points  # [T + 1, 2], and the lower end
    block: int  # which block of text it stands in, from 0 as they are read

    @property
    def box(self) -> Points:
        """The corners of the line [4, 2], clockwise from the writing's upper left."""
        return self.box_of(0, len(self.columns))

    def box_of(self, start: int, end: int) -> Points:
        """Return the corners of columns `start` to `end`."""
        end = max(start + 1, min(end, len(self.columns)))
        return np.stack([self.upper[start], self.upper[end], self.lower[end], self.lower[start]])

    def upside_down(self, block: int) -> "PageLine":
        """Return the line as the page turned by half has it, where its block has that number."""
        columns = np.ascontiguousarray(self.columns[::-1, ::-1])
        return PageLine(columns, self.lower[::-1], self.upper[::-1], block)

    def turned_back(self, width: int) -> "PageLine":
        """Return the line where it was before the image, so wide, was turned against the clock."""
        upper, lower = (
            np.stack([width - edge[:, 1], edge[:, 0]], 1) for edge in (self.upper, self.lower)
        )
        return replace(self, upper=upper, lower=lower)


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """A line, straightened, with what lies above and below it."""

    grey: Grey  # [h, w], white paper
    left: float  # where its first column begins, in pixels of the upright map
    per_pixel: float  # pixels of the map
    bounds: tuple[int, int, int, int]  # top, bottom, left, right: of its ink, or of its frame

    @property
    def cut(self) -> Grey:
        """What lies within the bounds."""
        top, bottom, left, right = self.bounds
        return self.grey[top:bottom, left:right]


class MappedPage(NamedTuple):
    """A page's map, the lines on it, and the map's scale."""

    text: TextMap
    layout: Layout
    scale: float  # pixels of the map for one of the image


def page_lines(grey: Grey, mapped: MappedPage, column_height: int, scale: Points) -> list[PageLine]:
    """Return all lines of a page's image [h, w], as they are read.

    `scale` [2] is pixels of the whole image, in which they are placed, for each of `grey`.
    """
    text, layout, map_scale = mapped
    image_scale = scale * np.array(grey.shape[::-1]) / np.array(text.shape[::-1])
    lines = []
    for line, strip in framed_strips(grey, text, layout, map_scale):
        top, bottom, left, right = strip.bounds
        columns = page_columns(strip.cut, column_height)
        if len(columns) <= MAX_LINE_COLUMNS:
            x = strip.left + strip.per_pixel * np.linspace(left, right, len(columns) + 1)
            middle = line.course.y(x) - len(strip.grey) / 2 * strip.per_pixel
            upper = layout.on_map(x, middle + top * strip.per_pixel) * image_scale
            lower = layout.on_map(x, middle + bottom * strip.per_pixel) * image_scale
            lines.append(PageLine(columns, upper, lower, line.block))
    return lines


def map_page(grey: Grey, threads: int) -> MappedPage:
    """Find the lines of a page."""
    for n_pixels in (MAP_PIXELS >> 2, MAP_PIXELS):
        text, map_scale = text_map(grey, n_pixels, threads)
        layout = find_lines(text)
        # Lower lines grow together on the map.
        if not layout.lines or layout.height >= 12.5 or map_scale == 1:
            break
    return MappedPage(text, layout, map_scale)


def framed_strips(
    grey: Grey, text: TextMap, layout: Layout, map_scale: float
) -> list[tuple[FoundLine, Strip]]:
    """Straighten the lines of a layout, each bounded by its frame; leave out those without ink."""
    if not layout.lines:
        return []
    height = layout.height
    # The page is reduced until its strips are not twice as high as 96 pixels.
    reduction = max(1, int(STRIP * height / map_scale / 96))
    page = _evened(Image.fromarray(grey).reduce(reduction), text, height)
    strips = [(line, _strip(page, layout, line, height)) for line in layout.lines]
    inked = [(line, strip) for line, strip in strips if strip]
    heights = [strip.bounds[1] - strip.bounds[0] for _, strip in inked]
    usual = float(np.quantile(heights, 0.7)) if inked else 0.0  # most have tall letters and tails
    return [
        (line, replace(strip, bounds=(*_frame(strip, usual), *strip.bounds[2:])))
        for line, strip in inked
    ]


def page_columns(cut: Grey, column_height: int) -> NDArray[np.uint8]:
    """Return the columns [T, H] of a page's line, cut out by `Strip.cut`."""
    return DARKER[strip_columns(cut, column_height, WIDTH)]


def _frame(strip: Strip, usual: float) -> tuple[int, int]:
    """Return first and last row of a line's frame: of its ink, but about as high as others."""
    top, bottom = strip.bounds[:2]
    height = min(max(bottom - top, usual), 1.6 * usual) / LINE_SHARE
    middle = (top + bottom) / 2
    first = max(0, round(middle - height / 2))
    return first, max(first + 1, min(len(strip.grey), round(middle + height / 2)))


def _evened(page: Image.Image, text: TextMap, height: float) -> Image.Image:
    """Return the page with its paper white and its writing darker.

    `height` is that of its lines in pixels of the map.
    """
    small = page.resize(text.shape[::-1], Image.Resampling.BOX)
    around = np.asarray(small.filter(ImageFilter.BoxBlur(height)), np.float32)
    tone = np.asarray(small, np.float32) - around
    if float((tone * text).sum()) > 0:  # chalk on a board
        small, page = (Image.eval(image, lambda tone: 255 - tone) for image in (small, page))
    reach = math.ceil(0.6 * height / CELL)  # around a pixel, in which paper is seen
    paper = Image.fromarray(_largest(np.asarray(small), CELL))
    for kind in [ImageFilter.MaxFilter] * reach + [ImageFilter.MinFilter] * reach:
        paper = paper.filter(kind(3))
    paper = paper.filter(ImageFilter.GaussianBlur(reach)).resize(page.size)
    tones, light = np.array(page), np.asarray(paper)
    for start in range(0, len(tones), 64):  # floats take four times as much memory
        rows = np.s_[start : start + 64]
        even = tones[rows] * (255 / np.maximum(light[rows], np.float32(1)))
        tones[rows] = np.minimum(even, 255)
    return Image.fromarray(tones)


def _largest(image: Grey, side: int) -> Grey:
    """Return the largest value of each square of `side` pixels a side."""
    padded = np.pad(image, [(0, -length % side) for length in image.shape], mode="edge")
    largest: Grey = padded.reshape(len(padded) // side, side, -1, side).max((1, 3))
    return largest


def _strip(page: Image.Image, layout: Layout, line: FoundLine, height: float) -> Strip | None:
    """Straighten a line; return None if it has no ink. `height` is that of the page's lines."""
    ratio = np.array(page.size) / np.array(layout.map_shape[::-1])  # its pixels for one of the map
    # The ink of a line goes on beyond the ends of its course.
    left, right = line.course.left - 0.65 * height, line.course.right + 0.65 * height
    n_pieces = math.ceil((right - left) / (0.5 * height))
    width = max(1, round((right - left) / n_pieces * float(ratio[0])))
    per_pixel = (right - left) / (n_pieces * width)
    n_rows = max(1, round(STRIP * height / per_pixel))
    x = np.linspace(left, right, n_pieces + 1)
    y, reach = line.course.y(x), n_rows * per_pixel / 2
    upper, lower = layout.on_map(x, y - reach) * ratio, layout.on_map(x, y + reach) * ratio
    corners = np.concatenate([upper[:-1], lower[:-1], lower[1:], upper[1:]], 1)  # [n_pieces, 8]
    boxes = [(width * piece, 0, width * (piece + 1), n_rows) for piece in range(n_pieces)]
    mesh, size = list(zip(boxes, corners.tolist(), strict=True)), (width * n_pieces, n_rows)
    bilinear = Image.Resampling.BILINEAR
    drawn = page.transform(size, Image.Transform.MESH, mesh, bilinear, fillcolor=255)
    strip = np.asarray(drawn)
    coarse = max(1, n_rows // 40)  # about as many rows are enough to measure ink
    small = np.asarray(drawn.reduce(coarse))
    # What lies beyond 0.6 of the way to the next line is not looked at.
    room = np.array([-line.above, line.below]) * 0.6 / (coarse * per_pixel) + len(small) / 2
    bounds = _ink_bounds(small, *np.rint(room.clip(0, len(small))).astype(int).tolist())
    if bounds is None:
        return None
    top, bottom, first, last = (np.array(bounds) * coarse).tolist()
    ink = top, min(bottom, n_rows), first, min(last, strip.shape[1])
    return Strip(strip, left, per_pixel, ink)


def _ink_bounds(strip: Grey, first: int, last: int) -> tuple[int, int, int, int] | None:
    """Return top, bottom, left and right of a strip's ink, which rules are none of.

    Only rows from `first` to before `last` count.
    """
    ink = 255 - strip
    if not (ink > LEAST_INK).any():
        return None
    body = float(np.percentile(ink[ink > LEAST_INK], 90))  # of a stroke
    pale = ink > max(LEAST_INK, 0.25 * body)  # as a rule is at least
    rules = _rules(pale, len(strip)) | _rules(pale.T, len(strip)).T
    mask = (ink > max(LEAST_INK, 0.5 * body)) & ~rules
    mask &= ~_foreign(mask)
    counts = mask.sum(1)
    in_each = np.percentile(counts, 20)  # pixels of upright rules
    counts = np.maximum(counts - in_each, 0)
    counts[:first], counts[last:] = 0, 0
    rows = np.cumsum(counts)
    if not rows[-1]:
        return None
    # Six thousandths of a line's ink may lie above its frame, and as much below.
    top, bottom = np.searchsorted(rows, np.array([0.006, 0.994]) * rows[-1])
    columns = np.flatnonzero(mask[top : bottom + 1].any(0))
    margin = round(0.05 * len(strip))
    left, right = max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin
    return int(top), int(bottom) + 1, left, min(strip.shape[1], right)


def _foreign(mask: Mask) -> Mask:
    """Mark the ink that comes in from above or below and ends before the strip's middle."""
    side = max(1, len(mask) // 24)
    cells = _largest(mask.astype(np.uint8), side) > 0
    numbers = components(cells)
    rows, columns = cells.nonzero()  # from the top down: of each component the last one stays
    of_cell = numbers[rows, columns]
    first, last = np.full(numbers.size + 1, len(cells)), np.zeros(numbers.size + 1, np.int64)
    last[of_cell] = rows
    first[of_cell[::-1]] = rows[::-1]
    middle, end = len(cells) / 2, len(cells) - 1
    foreign = ((first == 0) & (last < middle)) | ((last == end) & (first > middle))
    pixels = np.kron(foreign[numbers], np.ones((side, side), bool))
    return pixels[: mask.shape[0], : mask.shape[1]]


def _rules(dark: Mask, length: int) -> Mask:
    """Mark what belongs to a nearly level run of at least `length` dark pixels."""
    thick = np.pad(dark, ((1, 1), (0, 0)))
    thick = thick[:-2] | thick[1:-1] | thick[2:]
    walked = np.cumsum(np.pad(thick, ((0, 0), (length, 0))), 1, dtype=np.int32)
    runs = walked[:, length:] - walked[:, :-length] >= 0.75 * length  # ending there
    grown = np.cumsum(np.pad(runs, ((0, 0), (0, length))), 1, dtype=np.int32)
    before = np.pad(grown, ((0, 0), (1, 0)))
    marked: Mask = grown[:, length - 1 : -1] > before[:, : dark.shape[1]]
    return marked
