"""The way of a pen: what it costs to draw, which columns it touches, which frame suits it.

A piece of a stroke has few points, so numbers of Python are faster here than arrays.
"""

import math
from array import array
from collections.abc import Sequence
from itertools import pairwise
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.preprocess.ink import MAX_COLUMNS, Point, misfit, touched

# So many pixels are drawn at once: 2 ms.
PORTION_PATH: Final = 8192
# Pixels as which a point counts: drawing takes 0.1 us a pixel and 0.4 to 0.9 us a point.
POINT_PATH: Final = 8
POINT: Final = Struct("2f")  # x and y
SAME_FRAME: Final = 1e-3  # of a frame's height: frames that differ by less are the same

Points = NDArray[np.float64]  # [n, 2], pixels
Band = tuple[float, float]  # top and height of a frame, in the units of the points


class Piece:
    """New points of a stroke, and the way to them from where its pen stood, in pixels."""

    def __init__(self, before: bytes, more: Sequence[Point]) -> None:
        """Measure the way through at least one point, behind the `coordinates` that came before."""
        self.n_points = len(more)
        values = [value for point in more for value in point]
        self.coordinates = array("f", values).tobytes()  # x and y of each point, in 32 bits
        if last := before[-POINT.size :]:
            values = [*POINT.unpack(last), *values]
        # While they wait to be drawn numbers of Python would take seven times the memory.
        self._points = array("d", values)
        x, y = values[::2], values[1::2]
        self.bounds = min(x), min(y), max(x), max(y)
        steps = zip(x, x[1:], y, y[1:], strict=False)
        lengths = [max(abs(x2 - x1), abs(y2 - y1)) for x1, x2, y1, y2 in steps]
        self.path: float = sum(lengths)
        self.cost = self.path + POINT_PATH * len(x)  # what it costs to draw, pixels

    def runs(self) -> list[Points]:
        """Return its points in runs: see `cut_in_runs`."""
        points = np.frombuffer(self._points).reshape(-1, 2)
        return [points] if self.cost <= PORTION_PATH else cut_in_runs(points)

    @property
    def columns(self) -> tuple[int, int]:
        """The first column that the ink touches, and the one after the last; 0, 0 if too far."""
        left, _, right, _ = self.bounds
        return touched(left, right) if left >= 0 and right <= MAX_COLUMNS else (0, 0)


def cut_in_runs(points: NDArray[Any]) -> list[NDArray[Any]]:
    """Return runs of points [n, 2], each of which costs about a portion at most.

    The last point of a run is the first one of the next. A way that costs more than a portion is
    cut in equal parts.
    """
    n_parts = np.ceil(abs(np.diff(points, axis=0)).max(1) / PORTION_PATH).astype(int)
    if n_parts.max(initial=1) > 1:
        ways = zip(points, points[1:], np.maximum(n_parts, 1), strict=False)
        cut = [np.linspace(start, end, n, endpoint=False) for start, end, n in ways]
        points = np.concatenate([*cut, points[-1:]])
    costs = abs(np.diff(points, axis=0, append=points[-1:])).max(1) + POINT_PATH
    cuts = np.flatnonzero(np.diff(costs.cumsum() // PORTION_PATH)) + 1
    edges = [0, *cuts.tolist(), len(points)]
    return [points[i : j + 1] for i, j in pairwise(edges)]


def refit(
    points: Points,
    starts: NDArray[np.int64],
    old: Band,
    height: float,
    rows: int,
    *,
    transcribes: bool,
) -> tuple[Points, Band] | None:
    """Return strokes in the frame that suits them, and that frame; None where `old` does.

    `points` [P, 2] are in pixels of `old`. The frame that the client names has its top at 0 and
    this height; it is taken where it suits.
    """
    if not _is_drawable(points):
        return None
    new = named = 0.0, height
    if len(points):
        # Rounding errors of a change of frames, far below a thousandth, must not decide.
        there = np.round(_moved(points, old, named, rows), 3)
        placement = misfit(there, starts, rows, transcribes=transcribes)
        if placement is not None:
            zoom, middle = placement
            new = height * (middle / rows - 0.5 / zoom), height / zoom
            if not all(map(math.isfinite, new)):
                return None
    if abs(new[1] - old[1]) + abs(new[0] - old[0]) < SAME_FRAME * old[1]:
        return None
    moved = _moved(points, old, new, rows)
    return (moved, new) if _is_drawable(moved) else None


def _moved(points: Points, old: Band, new: Band, rows: int) -> Points:
    """Return points [n, 2] in the pixels of another frame of so many rows."""
    return points * (old[1] / new[1]) + (0, rows * ((old[0] - new[0]) / new[1]))


def _is_drawable(points: NDArray[Any]) -> bool:
    """Return whether a canvas takes points [n, 2]; it takes no "not a number"."""
    return bool((abs(points) <= MAX_COLUMNS).all() and (points[:, 0] >= 0).all())
