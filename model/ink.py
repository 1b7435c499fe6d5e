"""Pen points -> columns: what training, the server, whole files of ink and the writing pad see.

A stroke's ink is everything that is nearer than half the pen's width to one of its segments: a
union of capsules. The edge is a ramp one pixel wide around that, so a pixel is
`255 * clip(pen_width / 2 + 0.5 - distance, 0, 1)`, its centre's distance to the nearest segment.
As that is a maximum over segments, neither their order nor where a stroke is cut in two matters.

All numbers are in pixels: x grows to the right and column t covers t <= x < t + 1; y grows
downwards and row r covers r <= y < r + 1. Ink above and below the rows and left of column 0 is cut
off.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.errors import InputError

__all__ = ["MAX_COLUMNS", "PEN_WIDTH", "Canvas", "flatten", "rasterise"]

Floats = NDArray[np.float32]

PEN_WIDTH: Final = 2.0  # pixels

MAX_COLUMNS: Final = 1 << 16  # up to here a float32 still tells 128 places within one pixel
MAX_POINTS: Final = 1 << 20  # in one call
MAX_LENGTH: Final = 1 << 21  # pixels that the pen may go in one call
SHORTEST: Final = 1e-6  # pixels: what is shorter is a dot, since the square of its length is lost

# A segment is drawn in pieces no wider or higher than this, each in a box of pixels. Short pieces
# waste fewer pixels, long ones fewer boxes; 2 was fastest at words of 32 rows (1: 5 % slower).
PIECE: Final = 2.0
CHUNK: Final = 4096  # pieces that are drawn at once, so that all their pixels stay in the cache


def flatten(strokes: Sequence[ArrayLike]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Strokes, each [n, 2], as one array of points [P, 2] and where each stroke starts [S + 1].

    Raises `InputError` for a stroke that is no row of points; one without points is none.
    """
    arrays = [np.asarray(stroke, np.float64) for stroke in strokes]
    for index, array in enumerate(arrays):
        if array.size and (array.ndim != 2 or array.shape[1] != 2):
            raise InputError(f"stroke {index} has shape {array.shape}, expected [points, 2]")
    arrays = [array.reshape(-1, 2) for array in arrays]
    starts = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
    return np.concatenate([np.empty((0, 2)), *arrays]), starts


def rasterise(
    points: NDArray[Any],
    stroke_starts: NDArray[Any],
    column_height: int,
    pen_width: float = PEN_WIDTH,
    n_columns: int | None = None,
) -> NDArray[np.uint8]:
    """Draw strokes.

    Args:
        points: [P, 2], x and y of the pen, stroke after stroke.
        stroke_starts: [S + 1], where each stroke starts in `points`, and P. A stroke of one point
            is a dot.
        column_height: H, pixels.
        pen_width: pixels.
        n_columns: T; None is all that the pen touches. Ink beyond is cut off.

    Returns:
        Columns [T, H], 0 = paper, 255 = ink.

    Raises:
        InputError: a number is not finite, an x negative, or a place or the way to it too far.
    """
    first, ink = _draw(points, stroke_starts, column_height, pen_width)
    if n_columns is None:
        n_columns = first + len(ink)
    columns = np.zeros((n_columns, column_height), np.uint8)
    columns[first : first + len(ink)] = ink[: max(0, n_columns - first)]
    return columns


class Canvas:
    """Ink that is still being written, as a stream of columns.

    A column is final once the pen has left it behind; ink that comes back to it later, a dot or a
    crossbar, takes the stream back there. Whatever the portions in which ink comes, the columns
    are those of `rasterise` for all of it.
    """

    def __init__(self, column_height: int, pen_width: float = PEN_WIDTH) -> None:
        self._pen_width = pen_width
        self._first = 0  # columns before this one are forgotten
        self._columns = np.zeros((0, column_height), np.uint8)  # never written to: copies share it
        self._behind = 0  # columns that the pen has left behind
        self._taken = 0  # columns that the stream has, as they are now

    @property
    def n_columns(self) -> int:
        """One more than the last column that has been touched."""
        return self._first + len(self._columns)

    def draw(self, points: NDArray[Any], stroke_starts: NDArray[Any]) -> None:
        """Draw strokes, as `rasterise` takes them; to go on with one, start at its last point.

        Raises `InputError`, and changes nothing, where `rasterise` does, and when a column would
        change that is forgotten.
        """
        first, ink = _draw(points, stroke_starts, self._columns.shape[1], self._pen_width)
        if not len(ink):
            return
        if first < self._first:
            raise InputError(f"ink reaches back to column {first}, allowed: from {self._first} on")
        end = max(first + len(ink), self.n_columns)
        columns = np.zeros((end - self._first, ink.shape[1]), np.uint8)
        columns[: len(self._columns)] = self._columns
        here = columns[first - self._first :][: len(ink)]
        changed = np.flatnonzero((ink > here).any(1))
        np.maximum(here, ink, out=here)
        self._columns = columns
        if len(changed):
            self._taken = min(self._taken, first + int(changed[0]))
        self._behind = max(0, _touched(float(points[-1, 0]), self._pen_width)[0])

    def take(self, everything: bool = False) -> tuple[int, NDArray[np.uint8]]:
        """What the stream lacks: where it must go back to, and all columns [n, H] from there on.

        The first number is what the stream has had of columns that still stand. Columns that the
        pen still touches are kept back unless `everything` is asked for.
        """
        start = self._taken
        end = self.n_columns if everything else min(self._behind, self.n_columns)
        self._taken = max(start, end)
        return start, self._columns[start - self._first : self._taken - self._first]

    def forget(self, before: int) -> None:
        """Give up the memory of taken columns before this one; they can change no more."""
        before = min(before, self._taken)
        if before > self._first:
            self._columns = self._columns[before - self._first :].copy()
            self._first = before

    def copy(self) -> "Canvas":
        """An independent canvas with the same ink."""
        return copy.copy(self)


def _draw(
    points: NDArray[Any], stroke_starts: NDArray[Any], column_height: int, pen_width: float
) -> tuple[int, NDArray[np.uint8]]:
    """The columns that strokes touch: index of the first, and their pixels [n, H]."""
    if not len(points):
        return 0, np.zeros((0, column_height), np.uint8)
    left, right = _checked(points)
    first, end = max(0, _touched(left, pen_width)[0]), _touched(right, pen_width)[1]
    cell, middle, half = _pieces(points, stroke_starts)
    cell[0] -= first
    size = (max(0, end - first), column_height)
    reach = (pen_width + 1) / 2
    box = math.ceil(PIECE + 2 * reach)
    # A margin of one box on all sides takes what is cut off.
    field = np.zeros([length + 2 * box for length in size], np.uint8)
    for start in range(0, cell.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        corner, ink = _boxes(cell[:, part], middle[:, part], half[:, part], reach, box)
        column, row = np.clip(corner, -box, np.array(size)[:, None]).astype(np.intp) + box
        within = np.add.outer(np.arange(box) * field.shape[1], np.arange(box))
        places = (column * field.shape[1] + row)[:, None, None] + within  # [n, box, box]
        np.maximum.at(field.reshape(-1), places.ravel(), ink.ravel())
    return first, field[box:-box, box:-box]


def _touched(x: float, pen_width: float) -> tuple[int, int]:
    """The first column whose centre a pen at `x` is near enough to touch, and the last, plus 1."""
    reach = (pen_width + 1) / 2
    return math.floor(x - reach + 0.5), math.ceil(x + reach - 0.5)


def _checked(points: NDArray[Any]) -> tuple[float, float]:
    """The least and the greatest x; raises `InputError` unless all points can be drawn."""
    if len(points) > MAX_POINTS:
        raise InputError(f"ink has {len(points)} points, at most {MAX_POINTS}")
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    if not (left >= 0 and right <= MAX_COLUMNS):
        raise InputError(f"x is from {left:g} to {right:g}, allowed: 0 to {MAX_COLUMNS} columns")
    if not (top >= -MAX_COLUMNS and bottom <= MAX_COLUMNS):
        raise InputError(
            f"y is from {top:g} to {bottom:g}, allowed: {-MAX_COLUMNS} to {MAX_COLUMNS} rows"
        )
    return left, right


def _pieces(points: NDArray[Any], stroke_starts: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """All segments, cut into n pieces.

    Returns:
        Each [2, n], x and y: the corner of the pixel that the middle of the segment lies in, the
        middle of the piece from there, and half of the way from its start to its end.
        As nothing but the first depends on whole columns, ink can be moved by whole columns without
        any change of rounding.
    """
    ends = np.asarray(stroke_starts)[1:]
    following = np.arange(1, len(points) + 1)
    following[ends - 1] = ends - 1  # the last point goes nowhere: a dot
    start = np.ascontiguousarray(points.T, np.float32)
    end = start[:, following]
    way = end - start
    size = abs(way).max(0)
    if (length := float(size.sum())) > MAX_LENGTH:
        raise InputError(f"the pen goes {length:.0f} pixels, at most {MAX_LENGTH}")
    counts = np.maximum(np.ceil(size / np.float32(PIECE)), 1)
    cell = np.floor((start + end) / 2)
    middle = ((start - cell) + (end - cell)) / 2
    half = way / (2 * counts)
    n = counts.astype(np.intp)
    of = np.repeat(np.arange(len(n)), n)
    number = np.arange(len(of)) - (np.cumsum(n) - n)[of]  # of the piece in its segment
    halves = (2 * number + 1 - n[of]).astype(np.float32)  # from the segment's middle to the piece's
    half = half[:, of]
    return cell[:, of], middle[:, of] + halves * half, half


def _boxes(
    cell: Floats, middle: Floats, half: Floats, reach: float, box: int
) -> tuple[Floats, NDArray[np.uint8]]:
    """Draw each piece in a box of its own: corners [2, n] and pixels [n, box, box]."""
    low = np.floor(middle - abs(half) - np.float32(reach - 0.5))
    # From the piece's middle to the centres of the box's pixels, x and y: [2, n, box]
    x, y = (low - middle + np.float32(0.5))[:, :, None] + np.arange(box, dtype=np.float32)
    length = np.sqrt(half[0] * half[0] + half[1] * half[1])
    unit = np.zeros_like(half)
    unit[0] = 1  # a dot has no direction: any will do
    np.divide(half, length, out=unit, where=length > SHORTEST)
    unit_x, unit_y = unit[:, :, None]
    along = (x * unit_x)[:, :, None] + (y * unit_y)[:, None, :]  # [n, box, box]
    across = (x * unit_y)[:, :, None] - (y * unit_x)[:, None, :]
    np.abs(along, out=along)
    along -= length[:, None, None]
    np.maximum(along, 0, out=along)  # beyond the piece's ends
    along *= along
    across *= across
    along += across
    ink = np.sqrt(along, out=along)
    ink *= -255
    ink += np.float32(255 * reach + 0.5)
    return low + cell, np.clip(ink, 0, 255, out=ink).astype(np.uint8)
