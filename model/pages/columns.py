"""The lines of an upright page -> columns, as the picture of a line becomes columns.

Each line is straightened along its own course, and only its own ink is drawn. Needs the `scan`
extra.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inkstream.model.pages import PageLine, Points
from inkstream.model.pages.clean import PageInk, page_ink
from inkstream.model.pages.lines import FoundLine, Labels, find_lines
from inkstream.model.preprocess.columns import (
    FINE,
    LEAST_STROKE,
    LINE_MARGIN,
    MAX_LINE_COLUMNS,
    stroke_width,
)

Grey = NDArray[np.uint8]  # [h, w]

MOST_INK: Final = 0.22  # of the area around all ink; writing covers 0.17 at most, a cat's fur more
FEW_LINES: Final = 3  # so many may be cut out as tightly as one likes
USUAL_HEIGHT: Final = 0.7  # quantile of a page's lines: of one with tall letters and tails
LEAST_SHARE: Final = 1.0  # of that: a line's frame is as high at least
MOST_SHARE: Final = 1.8  # of that, at most: what is higher is a neighbour's tail
ROWS_SHARE: Final = 1.0  # of the rows that the frame fills
RIM: Final = 2  # pixels around a line's ink where its strokes fade
BLUR: Final = 1.0  # pixels over which a lens spreads ink, about
SHARPER: Final = 0.7  # how much of what it takes from a stroke's edge is given back
DARK_PERCENTILE: Final = 90.0  # of the tones of a line's ink: the body of a stroke
DARK_SHARES: Final = (0.15, 0.6)  # of that: paper up to there, the body of a stroke from there on


def page_lines(grey: Grey, column_height: int, scale: Points) -> list[PageLine]:
    """Return all lines of a page's image [h, w], as they are read.

    `scale` is [2], pixels of the whole image, in which they are placed, for each of `grey`.
    """
    ink = page_ink(grey)
    if ink is None:
        return []
    found, owners = find_lines(ink.mask)
    if len(found) > FEW_LINES and _covered(ink.mask) > MOST_INK:
        return []
    back = np.asarray(cv2.invertAffineTransform(ink.turn), np.float64)
    lines = []
    for line, (top, bottom) in zip(found, _frames(found, owners), strict=True):
        drawn = _drawn(ink, owners, line, (top, bottom), column_height)
        if drawn is not None:
            columns, left, per_pixel = drawn
            x = left + np.arange(len(columns) + 1) / per_pixel
            y = line.course.y(x)
            edges = (np.stack([x, y + end], 1) for end in (top, bottom))
            upper, lower = ((edge @ back[:, :2].T + back[:, 2]) * scale for edge in edges)
            lines.append(PageLine(columns, upper, lower, line.block))
    return lines


def _covered(mask: NDArray[np.bool_]) -> float:
    """Return the share of the area around all ink that is ink."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(mask.sum()) / float((np.ptp(rows) + 1) * (np.ptp(columns) + 1))


def _frames(lines: list[FoundLine], owners: Labels) -> list[tuple[float, float]]:
    """Return top and bottom of each line's frame, from its course, at a common height."""
    own = []
    for line in lines:  # how far its ink reaches
        left, top, right, bottom = line.bounds
        y, x = np.nonzero(owners[top:bottom, left:right] == line.number)
        away = y + top + 0.5 - line.course.y(x + left + 0.5)
        own.append((float(away.min()) - 0.5, float(away.max()) + 0.5))
    if not own:
        return []
    usual = float(np.quantile([below - above for above, below in own], USUAL_HEIGHT))
    frames = []
    for above, below in own:
        height = min(max(below - above, LEAST_SHARE * usual), MOST_SHARE * usual)
        middle = (above + below) / 2
        frames.append((middle - height / 2, middle + height / 2))
    return frames


def _drawn(
    ink: PageInk, owners: Labels, line: FoundLine, frame: tuple[float, float], height: int
) -> tuple[NDArray[np.uint8], float, float] | None:
    """Draw one line: its columns, where the first begins, and columns per pixel; None for dust."""
    top, bottom = frame
    scale = ROWS_SHARE * height / (bottom - top)
    left, _, right, _ = line.bounds
    n_columns = math.ceil((right - left) * scale) + 2 * LINE_MARGIN
    if n_columns > MAX_LINE_COLUMNS:
        return None
    begin = left - LINE_MARGIN / scale
    own, tone = _own(ink, owners, line)
    fine = FINE * scale
    x = begin + (np.arange(n_columns * FINE, dtype=np.float32) + 0.5) / fine
    y = line.course.y(x)
    margin = (height / scale - (bottom - top)) / 2
    rows = top - margin + (np.arange(height * FINE, dtype=np.float32) + 0.5) / fine
    places_x = np.broadcast_to((x - own[0] - 0.5).astype(np.float32), (len(rows), len(x)))
    places_y = (y[None] + rows[:, None] - own[1] - 0.5).astype(np.float32)
    places_x = np.ascontiguousarray(places_x)
    straight = np.asarray(cv2.remap(tone, places_x, places_y, cv2.INTER_CUBIC), np.float32)
    straight = straight.clip(0, 1)
    if not straight.any():
        return None
    return _in_rows(straight, height), begin, scale


def _own(
    ink: PageInk, owners: Labels, line: FoundLine
) -> tuple[tuple[int, int], NDArray[np.float32]]:
    """Return the place and the tones, 0..1, of the part of the page with a line's own ink."""
    h, w = ink.tone.shape
    left, top, right, bottom = line.bounds
    left, top = max(0, left - RIM), max(0, top - RIM)
    right, bottom = min(w, right + RIM), min(h, bottom + RIM)
    owners, tone = owners[top:bottom, left:right], ink.tone[top:bottom, left:right]
    own = (owners == line.number).astype(np.uint8)
    dark = float(np.percentile(tone[own > 0], DARK_PERCENTILE))
    soft = np.asarray(cv2.GaussianBlur(tone, (0, 0), BLUR), np.float32)
    tone = tone + np.float32(SHARPER) * (tone - soft)
    low, high = (share * dark for share in DARK_SHARES)
    grown = np.asarray(cv2.dilate(own, np.ones((3, 3), np.uint8), iterations=RIM)) > 0
    grown &= (owners == line.number) | (owners == 0)
    body = ((tone - low) / (high - low)).clip(0, 1)
    return (left, top), np.where(grown, body, 0).astype(np.float32)


def _in_rows(fine: NDArray[np.float32], height: int) -> NDArray[np.uint8]:
    """Return columns [T, H] of a line drawn so many times finer, none of its strokes too thin."""
    missing = FINE * LEAST_STROKE - stroke_width(fine)
    margin = max(0, round(missing / 2))
    if margin:
        square = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
        fine = np.asarray(cv2.dilate(fine, square))
    size = (fine.shape[1] // FINE, height)
    drawn = np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA))
    columns: Grey = np.rint(drawn * (255 / drawn.max())).astype(np.uint8).T
    return np.ascontiguousarray(columns)
