"""Pen points -> columns: what training, the server, whole files of ink and the writing pad see.

`rasterise` draws points in pixels, `draw_apart` and `Canvas` do so while a line is being written,
and `stroke_columns` also places whole strokes in the rows, with or without a known frame.

A stroke's ink is everything that is nearer than half the pen's width to one of its segments: a
union of capsules. The edge is a ramp one pixel wide around that, so a pixel is
`255 * clip(pen_width / 2 + 0.5 - distance, 0, 1)`, its centre's distance to the nearest segment.
As that is a maximum over segments, neither their order nor where a stroke is cut in two matters.

For nets that know where a pen goes, a column has its H bytes of ink and then twice as many of the
direction: H of how far the pen goes to the right or left at a pixel, H of how far down or up. Such
a byte is 2 * int(127 * tone * share), plus 1 for left or up; `share` is that part of the direction,
0 to 1. Where segments overlap, the greatest byte stays. Dots have no direction. (After the
directional maps of Bai and Huo, ICDAR 2005.)

All numbers are in pixels: x grows to the right and column t covers t <= x < t + 1; y grows
downwards and row r covers r <= y < r + 1. Ink above and below the rows and left of column 0 is cut
off.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkstream.model.config import DRAWN_PLANES, ModelConfig
from inkstream.model.errors import InkSizeError, InputError
from inkstream.model.preprocess.columns import BOX_SHARE, LINE_SHARE, digit_columns

Point = tuple[float, float]  # x to the right, y downwards
Points = NDArray[np.float64]  # [P, 2]
Floats = NDArray[np.float32]
Places = NDArray[np.floating[Any]]  # float64 where points are: float32 would round far ones
Boxes = tuple[Places, NDArray[np.uint8]]  # lowest column and row [2, n], ink [box, box, n]

PEN_WIDTH: Final = 2.0  # pixels
SIZES: Final = 127  # of a part of a direction, beside 0

MAX_COLUMNS: Final = 1 << 16  # up to here a float32 still tells 128 places within one pixel
MAX_POINTS: Final = 1 << 20  # in one call
MAX_LENGTH: Final = 1 << 21  # pixels that the pen may go in one call

# Ink is drawn as dots at all points and, between them, bodies: segments cut into parts no wider or
# higher than `PART`, each in a box of pixels. Short parts waste fewer pixels, long ones fewer
# boxes: from 1 to 4 the speed is the same within 5 %.
PART: Final = 2.0  # pixels
FURTHEST: Final = 1e9  # units of the points
MARGIN: Final = 2  # blank columns before ink whose frame is its own bounds
FINE: Final = 8  # a digit's ink is drawn so many times finer before it goes the way of images


def points_of(stroke: Any, number: int = 0) -> Points:
    """Return the points [n, 2] of a stroke; what else they have, such as pressure, is left out.

    A stroke is a list of points (x, y, ...), an array [n, 2 or more], or a mapping with `points`.
    Raises `InputError`, which calls the stroke by its number, for the first point that is none.
    """
    given = stroke.get("points") if isinstance(stroke, Mapping) else stroke
    try:
        array = np.asarray(given)
    except ValueError:  # points of several lengths
        array = np.empty(0)
    if array.dtype.kind in "iuf" and array.ndim == 2 and array.shape[1] >= 2:
        points = array[:, :2].astype(np.float64)
        if np.isfinite(points).all():
            return points
    listed = given.tolist() if isinstance(given, np.ndarray) else given
    if isinstance(listed, str | bytes) or not isinstance(listed, Iterable):
        raise InputError(f"stroke {number} is {stroke!r:.40}, expected an array of points")
    pairs = []
    for index, point in enumerate(listed):
        try:
            x, y, *_ = point
            if not (math.isfinite(x) and math.isfinite(y)):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            got = f"point {index} of stroke {number} is {point!r:.40}"
            raise InputError(f"{got}, expected [x, y], two finite numbers") from None
        pairs.append((x, y))
    return np.array(pairs, np.float64).reshape(-1, 2)


def strokes_of(strokes: Any) -> list[Points]:
    """Return the points [n, 2] of each stroke, as `points_of` does, which also says the errors."""
    if isinstance(strokes, str | bytes | Mapping) or not isinstance(strokes, Iterable):
        raise InputError(f"strokes is {strokes!r:.40}, expected an array of strokes")
    return [points_of(stroke, number) for number, stroke in enumerate(strokes)]


def check_height(height: Any) -> None:
    """Raise `InputError` for what is neither the height of a frame nor None."""
    if height is not None and not (isinstance(height, Real) and 0 < float(height) < math.inf):
        raise InputError(f"height is {height!r:.40}, allowed: a number above 0, or None")


def flatten(strokes: Sequence[ArrayLike]) -> tuple[Points, NDArray[np.int64]]:
    """Return strokes, each [n, 2], as points [P, 2] and where each stroke starts [S + 1].

    A stroke without points is left out.
    """
    arrays = [array for stroke in strokes if len(array := np.asarray(stroke, np.float64))]
    starts = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
    return np.concatenate([np.empty((0, 2)), *arrays]), starts


def rasterise(
    points: NDArray[Any],
    stroke_starts: NDArray[Any],
    column_height: int,
    pen_width: float = PEN_WIDTH,
    *,
    directions: bool = False,
) -> NDArray[np.uint8]:
    """Draw strokes whose points [P, 2] begin at `stroke_starts` [S + 1]; one point alone is a dot.

    All sizes are in pixels. Returns all columns up to the last that the pen touches, [T, H] or,
    with directions, [T, 3 H]; 0 = paper, 255 = ink. Raises `InputError` if a number is not finite,
    an x is negative, or points or paths are too far.
    """
    if not len(points):
        return np.zeros((0, column_height * (DRAWN_PLANES if directions else 1)), np.uint8)
    places = np.ascontiguousarray(points.T)  # [2, P]
    left, right = _checked(places)
    first, end = touched(left, right, pen_width)
    if places.dtype != np.float64:
        places = places.astype(np.float32)
    reach = (pen_width + 1) / 2
    margin = _margin(reach)
    shift, n_columns = np.full(len(points), margin - first), max(0, end - first) + 2 * margin
    shape = n_columns, column_height
    ink = _lay(places, stroke_starts, shift, shape, reach, directions=directions)[margin:-margin]
    columns = np.zeros((first + len(ink), ink.shape[1]), np.uint8)  # quicker than `np.pad`
    columns[first:] = ink
    return columns


def with_directions(columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return columns [..., H] with the bytes of directions, all 0: [..., 3 H]."""
    n_bytes = (DRAWN_PLANES - 1) * columns.shape[-1]
    return np.concatenate([columns, np.zeros((*columns.shape[:-1], n_bytes), np.uint8)], -1)


def taken_by(config: ModelConfig, columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return columns [..., H or 3 H] as a net takes them: those without directions get zeros."""
    return columns if columns.shape[-1] == config.column_size else with_directions(columns)


def seen_by(config: ModelConfig, columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return columns [..., H or 3 H] as a net sees them: [..., H], or [..., 5 H] with directions.

    Its planes are then ink, how far the pen goes across and how far down or up, and both once more
    where it goes left or up.
    """
    if not config.directions:
        return columns[..., : config.column_height]
    ink, ways = np.split(taken_by(config, columns), [config.column_height], -1)
    sizes = ways & 0xFE
    return np.concatenate([ink, sizes, np.where(ways & 1, sizes, 0)], -1, dtype=np.uint8)


@dataclass(slots=True, eq=False)
class Drawn:
    """The ink of a stroke by itself."""

    first: int  # the first column that the pen touches
    ink: NDArray[np.uint8]  # [n, H or 3 H], of this column and all after it that are touched
    pen: int  # the first column that the pen still touches at the stroke's end


def draw_apart(
    strokes: Sequence[Points], column_height: int, *, directions: bool = False
) -> list[Drawn]:
    """Draw strokes of at least one point, each by itself: all at once is far cheaper than in turn.

    Strokes are points [n, 2] each, pixels. Raises `InputError` where `rasterise` does.
    """
    if not strokes:
        return []
    lengths = [len(stroke) for stroke in strokes]
    starts = np.array([0, *itertools.accumulate(lengths)])
    places = np.concatenate(strokes).T.copy()  # [2, P]
    _checked(places)
    reach = (PEN_WIDTH + 1) / 2
    margin = _margin(reach)
    x = places[0]
    left = np.minimum.reduceat(x, starts[:-1])
    right = np.maximum.reduceat(x, starts[:-1])
    edges = np.floor(np.stack([left, x[starts[1:] - 1], -right]) - PEN_WIDTH / 2).astype(np.intp)
    first, pen, end = np.maximum(edges[0], 0), edges[1], -edges[2]
    sizes = end - first
    starts_in = np.cumsum(sizes + margin) - sizes  # in a field where they lie side by side
    shift = np.repeat(starts_in - first, lengths)
    shape = int(starts_in[-1]) + int(sizes[-1]) + margin, column_height
    ink = _lay(places, starts, shift, shape, reach, directions=directions)
    parts = zip(first.tolist(), starts_in.tolist(), sizes.tolist(), pen.tolist(), strict=True)
    return [Drawn(column, ink[start : start + size], last) for column, start, size, last in parts]


def touched(left: float, right: float, pen_width: float = PEN_WIDTH) -> tuple[int, int]:
    """Return the first column that a pen between two x touches, and the last, plus 1."""
    return max(0, math.floor(left - pen_width / 2)), math.ceil(right + pen_width / 2)


class Canvas:
    """Ink that is still being written, as a stream of columns.

    A column is final once the pen has left it behind; ink that comes back to it later, a dot or a
    crossbar, takes the stream back there. Whatever the portions in which ink comes, the columns
    are those of `rasterise` for all of it.
    """

    def __init__(self, column_size: int, margin: int = 0) -> None:
        """Begin blank; columns of `column_size` bytes are given once the pen is `margin` beyond."""
        self._margin = margin
        self._first = 0  # columns before this one are forgotten
        self._columns = np.zeros((0, column_size), np.uint8)
        self._behind = 0  # columns that the pen has left behind
        self.n_taken = 0  # columns that the stream has, as they are now

    @property
    def n_columns(self) -> int:
        """One more than the last column that has been touched."""
        return self._first + len(self._columns)

    def draw(self, drawn: Drawn) -> None:
        """Lay the ink of a stroke, or of a piece of one that begins where the pen was, on the rest.

        Raises `InputError`, and changes nothing, when a column would change that is forgotten.
        """
        first, ink = drawn.first, drawn.ink
        self.check_known(first)
        missing = first + len(ink) - self.n_columns
        if missing > 0:
            more = np.zeros((missing, ink.shape[1]), np.uint8)
            self._columns = np.concatenate([self._columns, more])
        here = self._columns[first - self._first :][: len(ink)]
        if first < self.n_taken:
            changed = (ink > here).any(1)
            if changed.any():
                self.n_taken = min(self.n_taken, first + int(changed.argmax()))
        np.maximum(here, ink, out=here)
        self._behind = max(self._behind, drawn.pen - self._margin)

    def replace(self, first: int, ink: NDArray[np.uint8], n_columns: int) -> None:
        """Put other ink [n, H] on the columns from `first` on, for a stroke that was taken back.

        None of them may be forgotten. `n_columns` is how many columns are touched from now on.
        """
        n_columns = max(n_columns, self._first)  # what is forgotten stands
        columns = self._columns.copy()
        here = columns[first - self._first :][: len(ink)]
        changed = np.flatnonzero((ink[: len(here)] != here).any(1))
        here[:] = ink[: len(here)]
        self._columns = columns[: n_columns - self._first]
        if len(changed):
            self.n_taken = min(self.n_taken, first + int(changed[0]))
        self._behind, self.n_taken = min(self._behind, n_columns), min(self.n_taken, n_columns)

    def check_known(self, first: int) -> None:
        """Raise `InputError` if this column is forgotten."""
        if first < self._first:
            raise InputError(f"ink reaches back to column {first}, allowed: from {self._first} on")

    def take(self, everything: bool = False) -> tuple[int, NDArray[np.uint8]]:
        """Take what the stream lacks: the column to rewind to, and all columns [n, H] from there.

        The first number is what the stream has had of columns that still stand. Columns that the
        pen still touches are kept back unless `everything` is asked for. The columns are a view,
        which the next stroke may change.
        """
        if everything:
            self._behind = self.n_columns
        start, end = self.n_taken, min(self._behind, self.n_columns)
        self.n_taken = max(start, end)
        return start, self._columns[start - self._first : self.n_taken - self._first]

    def forget(self, before: int) -> None:
        """Give up the memory of taken columns before this one; they can change no more."""
        before = min(before, self.n_taken)
        if before > self._first:
            self._columns = self._columns[before - self._first :].copy()
            self._first = before

    @property
    def waiting(self) -> NDArray[np.uint8]:
        """The columns [n, H] that the stream lacks, as they are now."""
        return self._columns[self.n_taken - self._first :]

    def saved(self) -> tuple[int, int, int]:
        """Return what `resume` takes before the columns."""
        return self._first, self._behind, self.n_taken

    def resume(self, first: int, behind: int, n_taken: int, columns: NDArray[np.uint8]) -> None:
        """Go on where another canvas was, whose `columns` [n, H] begin at `first`."""
        self._first, self._behind = first, behind
        self._columns, self.n_taken = columns, n_taken

    def cut(self, column: int) -> None:
        """Erase the ink on this column and all after it; columns before it must still be held."""
        self._columns = self._columns[: max(0, column - self._first)]
        self._behind, self.n_taken = min(self._behind, column), min(self.n_taken, column)


def stroke_columns(
    strokes: Sequence[ArrayLike],
    config: ModelConfig,
    height: float | None = None,
    max_columns: int = MAX_COLUMNS,
    max_path: int = MAX_LENGTH,
) -> NDArray[np.uint8]:
    """Return the columns that a net reads of complete strokes [n, 2]; one point alone is a dot.

    `height` is that of the writing's frame, whose top is y = 0 and whose left end is x = 0; None
    takes the ink's own bounds. Returns [T, H] or, for a net that knows directions, [T, 3 H];
    0 = paper, 255 = ink.

    Raises:
        InputError: not arrays of points, no point at all, numbers that cannot be drawn, or a height
            that is not above 0.
        InkSizeError: more columns or pixels of the pen's way than allowed, before ink is drawn.
    """
    points, starts = _drawable(strokes, height)
    rows = config.column_height
    if height is None and config.kind == "classifier":
        fine = _in_rows(points, starts, FINE * rows, FINE * PEN_WIDTH)
        # A pixel of the way costs six times as much with so wide a pen.
        _check_price(fine, starts, FINE * max_columns, max_path // 6)
        return digit_columns(rasterise(fine, starts, FINE * rows, FINE * PEN_WIDTH).T, rows)
    pixels = _in_frame(points, starts, rows, height)
    _check_price(pixels, starts, max_columns, max_path)
    return rasterise(pixels, starts, rows, directions=config.directions)


def _check_price(
    pixels: Points, starts: NDArray[np.int64], max_columns: int, max_path: int
) -> None:
    """Raise `InkSizeError` for strokes that take too much memory or time to draw."""
    if (n_columns := float(pixels[:, 0].max()) + PEN_WIDTH / 2) > max_columns:
        raise InkSizeError(f"the ink has {n_columns:.0f} columns, allowed: up to {max_columns}")
    with np.errstate(invalid="ignore"):  # `rasterise` says what is too far
        steps = abs(np.diff(pixels, axis=0)).max(1)
    steps[starts[1:-1] - 1] = 0  # the pen was in the air
    if (path := float(steps.sum())) > max_path:
        raise InkSizeError(f"the pen goes {path:.0f} pixels, allowed: up to {max_path}")


def framed(strokes: Sequence[ArrayLike], rows: int, height: float | None = None) -> list[Points]:
    """Return strokes of a line that are all there, in pixels of a frame of so many rows.

    For arguments and errors see `stroke_columns`; a stroke without points is left out.
    """
    points, starts = _drawable(strokes, height)
    return np.split(_in_frame(points, starts, rows, height), starts[1:-1])


def _drawable(
    strokes: Sequence[ArrayLike], height: float | None
) -> tuple[Points, NDArray[np.int64]]:
    """Return points and starts like `flatten`; raise the errors of `stroke_columns`."""
    check_height(height)
    points, starts = flatten(strokes_of(strokes))
    if not len(points):
        raise InputError("there is no ink: no stroke has a point")
    if not (abs(points) <= FURTHEST).all():
        raise InputError(f"points lie beyond what can be drawn, allowed: up to {FURTHEST:g}")
    return points, starts


def _in_frame(points: Points, starts: NDArray[np.int64], rows: int, height: float | None) -> Points:
    """Scale points to pixels of a frame of this height, or so that their ink fills the rows."""
    if height is None:
        return _in_rows(points, starts, rows, PEN_WIDTH)
    with np.errstate(over="ignore", invalid="ignore"):  # `rasterise` says what is too far
        return points * (rows / height)


def _in_rows(points: Points, starts: NDArray[np.int64], rows: int, pen_width: float) -> Points:
    """Scale points to pixels so that their ink fills the rows like a line."""
    low, high = points.min(0), points.max(0)
    width, height = (high - low).tolist()
    if _is_flat(points, starts):
        height = max(height, 0.7 * width)
    scale = (LINE_SHARE * rows - pen_width) / (height or 1.0)
    origin = np.array([low[0], (low[1] + high[1]) / 2])  # the left end, half way up
    fitted: Points = (points - origin) * scale + np.array([MARGIN + pen_width / 2, rows / 2])
    return fitted


def misfit(
    points: NDArray[Any], starts: NDArray[np.int64], rows: int, *, transcribes: bool
) -> tuple[float, float] | None:
    """Return (enlargement, height of the middle now) for ink that fills its rows badly, else None.

    It is also None for a dash or a dot, whose height says nothing. `points` [P, 2], at least one,
    are in pixels of the rows; in those of a classifier, a character is smaller.
    """
    low, high = points.min(0), points.max(0)
    width, height = (high - low).tolist()
    if height < 0.1 * rows or _is_flat(points, starts):
        return None
    share = LINE_SHARE if transcribes else BOX_SHARE
    zoom = (share * rows - PEN_WIDTH) / height
    if transcribes and width < height:  # a small letter, or a comma, by itself
        zoom = min(zoom, 1.0)
    # Ink is read worse that fills less of its rows than two thirds of what it should. A word may
    # have small letters alone, and fill no more by right; long ink has others too, and should fill
    # nine tenths: docs/experiments.md.
    small = zoom * (0.9 if width >= 8 * height else 2 / 3) > 1
    beyond = max(-low[1], high[1] - rows) > 0.05 * rows
    return (zoom, float(low[1] + high[1]) / 2) if small or beyond else None


def _is_flat(points: NDArray[Any], starts: NDArray[np.int64]) -> bool:
    """Return whether strokes are dashes and dots, or together form one.

    Their pen goes hardly further than they are wide. How high they are says nothing of the frame.
    """
    steps = np.hypot(*np.diff(points, axis=0).T)
    steps[starts[1:-1] - 1] = 0  # the pen was in the air
    x, first = points[:, 0], starts[:-1]
    widths = np.maximum.reduceat(x, first) - np.minimum.reduceat(x, first)
    return bool(steps.sum() <= 1.3 * min(widths.sum(), x.max() - x.min()))


def _margin(reach: float) -> int:
    """Return how wide a field's margin is, for what is cut off: as wide as a box."""
    return math.ceil(PART + 2 * reach)


def _lay(
    places: Places,
    stroke_starts: NDArray[Any],
    shift: NDArray[np.intp],
    shape: tuple[int, int],
    reach: float,
    *,
    directions: bool,
) -> NDArray[np.uint8]:
    """Return columns of `shape` (n, H or 3 H) with points [2, P], `shift` [P] further right."""
    margin = _margin(reach)
    n_columns, column_height = shape
    n_planes = DRAWN_PLANES if directions else 1
    field = np.zeros((n_planes, n_columns, column_height + 2 * margin), np.uint8)
    at_once = max(1, (1 << 16) // margin**2)  # pixels, which bounds the memory; more is no faster
    for start in range(0, places.shape[1], at_once):
        part = slice(start, start + at_once)
        _stamp(field[0], margin, shift[part], *_dots(places[:, part], reach))
    of, cell, middle, half = _cut_segments(places, stroke_starts)
    for start in range(0, len(of), at_once):
        part = slice(start, start + at_once)
        way = half[:, part]
        corner, ink = _bodies(cell[:, part], middle[:, part], way, reach)
        _stamp(field[0], margin, shift[of[part]], corner, ink)
        if directions:  # how much of a way is horizontal and how much vertical, 0 to 1, [2, n]
            shares = abs(way) / np.sqrt(way[0] * way[0] + way[1] * way[1])
            for plane, along, share in zip(field[1:], way, shares, strict=True):
                sizes = (ink * (share * np.float32(SIZES / 255))).astype(np.uint8)
                directed = 2 * sizes + ((along < 0) & (sizes > 0))
                _stamp(plane, margin, shift[of[part]], corner, directed)
    rows = field[:, :, margin:-margin]
    return rows[0] if len(rows) == 1 else np.concatenate(list(rows), 1)


def _checked(places: NDArray[Any]) -> tuple[float, float]:
    """Return the least and greatest x of [2, P]; raise `InputError` for what cannot be drawn."""
    if places.shape[1] > MAX_POINTS:
        raise InputError(f"ink has {places.shape[1]} points, at most {MAX_POINTS}")
    (left, top), (right, bottom) = places.min(1).tolist(), places.max(1).tolist()
    check_bounds(left, top, right, bottom)
    return left, right


def check_bounds(left: float, top: float, right: float, bottom: float) -> None:
    """Raise `InputError` if points between these cannot be drawn."""
    if not (left >= 0 and right <= MAX_COLUMNS):
        raise InputError(f"x is from {left:g} to {right:g}, allowed: 0 to {MAX_COLUMNS} columns")
    if not (top >= -MAX_COLUMNS and bottom <= MAX_COLUMNS):
        raise InputError(
            f"y is from {top:g} to {bottom:g}, allowed: {-MAX_COLUMNS} to {MAX_COLUMNS} rows"
        )


def _cut_segments(
    start: Places, stroke_starts: NDArray[Any]
) -> tuple[NDArray[np.intp], Places, Floats, Floats]:
    """Return the segments that start at [2, P], cut into n parts: of which segment each is, [n].

    Then follow, each [2, n]: the corner of the pixel that the middle of the segment lies in, the
    middle of the part from there, and half of the vector from its start to its end.
    """
    ends = np.asarray(stroke_starts)[1:]
    following = np.arange(1, start.shape[1] + 1)
    following[ends - 1] = ends - 1  # a stroke's last point goes nowhere
    end = start.take(following, 1)
    way = end - start
    size = np.maximum(*abs(way))
    if (length := float(size.sum())) > MAX_LENGTH:
        raise InputError(f"the pen goes {length:.0f} pixels, at most {MAX_LENGTH}")
    cell = np.floor((start + end) / 2)
    middle = ((start - cell) + (end - cell)) / 2
    counts = np.ceil((size - np.float32(1e-6)) / PART).astype(np.intp)  # 0: hidden by the dots
    of = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(of)) - (np.cumsum(counts) - counts)[of]  # of the part in its segment
    half = way.take(of, 1) / (2 * counts[of]).astype(np.float32)
    halves = (2 * number + 1 - counts[of]).astype(np.float32)  # from the segment's middle
    middles = middle.take(of, 1) + halves * half
    return of, cell.take(of, 1), middles.astype(np.float32), half.astype(np.float32)


def _dots(places: Places, reach: float) -> Boxes:
    """Return the ink of a dot around each place."""
    cell = np.floor(places)
    low, x, y = _centres((places - cell).astype(np.float32), np.float32(reach), reach)
    return cell + low, _ink(np.sqrt((x * x)[:, None] + y * y), reach)


def _bodies(cell: Places, middle: Floats, half: Floats, reach: float) -> Boxes:
    """Return the ink beside each part of a segment; at its ends a dot or another part follows."""
    low, x, y = _centres(middle, abs(half) + np.float32(reach), PART / 2 + reach)
    length = np.sqrt(half[0] * half[0] + half[1] * half[1])
    unit_x, unit_y = half / length
    along = abs((x * unit_x)[:, None] + y * unit_y)  # [box, box, n]
    across = abs((x * unit_y)[:, None] - y * unit_x)
    is_beyond = along > length + np.float32(1e-4)  # parts overlap, so that rounding leaves no gap
    return cell + low, _ink(np.where(is_beyond, np.float32(reach), across), reach)


def _centres(middle: Floats, extent: Floats | np.float32, limit: float) -> tuple[Floats, ...]:
    """Return boxes of the pixels whose centres are within `extent`, `limit` at most, of `middle`.

    They are the lowest column and row of each box, [2, n], and the way from the middle to the
    centres of its pixels along x and along y, [box, n] each.
    """
    low = np.floor(middle - extent + np.float32(0.5))
    centres = np.arange(math.ceil(2 * limit), dtype=np.float32) + np.float32(0.5)
    x, y = (low - middle)[:, None] + centres[:, None]
    return low, x, y


def _ink(distance: Floats, reach: float) -> NDArray[np.uint8]:
    ink = distance * -255
    ink += np.float32(255 * reach + 0.5)
    return np.clip(ink, 0, 255, out=ink).astype(np.uint8)


def _stamp(
    field: NDArray[np.uint8],
    margin: int,
    shift: NDArray[np.intp],
    corner: Places,
    ink: NDArray[np.uint8],
) -> None:
    """Lay boxes of ink on the field, `shift` [n] to the right and `margin` down."""
    corners = corner.astype(np.intp)
    corners[0] += shift
    corners[1] += margin
    highest = np.array(field.shape)[:, None] - margin
    column, row = np.minimum(np.maximum(corners, 0), highest)  # quicker than `clip`
    box = np.arange(len(ink))
    inside = (box * field.shape[1])[:, None] + box
    pixels = inside[:, :, None] + (column * field.shape[1] + row)  # [box, box, n]
    np.maximum.at(field.reshape(-1), pixels.ravel(), ink.ravel())
