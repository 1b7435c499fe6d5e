"""Whole strokes of a pen -> columns, with or without a known frame."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkstream.model.config import ModelConfig
from inkstream.model.errors import InputError
from inkstream.model.preprocess.columns import BOX_SHARE, LINE_SHARE, digit_columns
from inkstream.model.preprocess.ink import PEN_WIDTH, flatten, rasterise

Points = NDArray[np.float64]  # [P, 2], x to the right, y downwards

FURTHEST: Final = 1e9  # units of the points
MARGIN: Final = 2  # blank columns before ink whose frame is its own bounds
# Ink whose pen went no further than so many times its width is a dash or a dot: how high it is says
# nothing of the frame, which is taken to be so many times as high as the dash is wide.
FLAT_WAY: Final = 1.3
FLAT_FRAME: Final = 0.7
# Ink is read worse that fills less of its rows than this share of what it should, or of which more
# than such a part of the rows lies beyond them. A word may have small letters alone, and fill no
# more by right; ink so many times as wide as high has others too. From `python -m tools.frames`.
LEAST_FILLED: Final = 2 / 3
LEAST_FILLED_LONG: Final = 0.9
LONG: Final = 8
MOST_BEYOND: Final = 0.05
LEAST_HEIGHT: Final = 0.1  # of the rows: what is flatter is a dot
FINE: Final = 8  # a digit's ink is drawn so many times finer before it goes the way of images


def stroke_columns(
    strokes: Sequence[ArrayLike], config: ModelConfig, height: float | None = None
) -> NDArray[np.uint8]:
    """Return columns of strokes that are all there.

    Args:
        strokes: each [n, 2], x to the right and y downwards; a stroke of one point is a dot.
        config: of the net that will read them.
        height: of the writing's frame, in the units of the points: its top is y = 0, its left end
            x = 0. None takes the ink's own bounds.

    Returns:
        [T, H], 0 = paper, 255 = ink.

    Raises:
        InputError: no row of points, none at all, numbers that cannot be drawn, or no height.
    """
    points, starts = _drawable(strokes, height)
    rows = config.column_height
    if height is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # `rasterise` says what is too far
            return rasterise(points * (rows / height), starts, rows)
    if config.kind == "classifier":
        fine = _fitted(points, starts, FINE * rows, FINE * PEN_WIDTH)
        return digit_columns(rasterise(fine, starts, FINE * rows, FINE * PEN_WIDTH).T, rows)
    return rasterise(_fitted(points, starts, rows, PEN_WIDTH), starts, rows)


def framed(strokes: Sequence[ArrayLike], rows: int, height: float | None = None) -> list[Points]:
    """Return strokes of a line that are all there, in pixels of a frame of so many rows.

    For arguments and errors see `stroke_columns`; a stroke without points is left out.
    """
    points, starts = _drawable(strokes, height)
    in_pixels = (
        _fitted(points, starts, rows, PEN_WIDTH) if height is None else points * (rows / height)
    )
    return np.split(in_pixels, starts[1:-1])


def _drawable(
    strokes: Sequence[ArrayLike], height: float | None
) -> tuple[Points, NDArray[np.int64]]:
    """Return points and starts like `flatten`; raise the errors of `stroke_columns`."""
    if height is not None and not 0 < height < math.inf:
        raise InputError(f"height is {height}, allowed: a number above 0, or None")
    rows = [_points(stroke, number) for number, stroke in enumerate(strokes)]
    points, starts = flatten([row for row in rows if len(row)])
    if not len(points):
        raise InputError("there is no ink: no stroke has a point")
    if not (abs(points) <= FURTHEST).all():  # not a number is not, either
        raise InputError(f"points lie beyond what can be drawn, allowed: up to {FURTHEST:g}")
    return points, starts


def _points(stroke: ArrayLike, number: int) -> Points:
    """Return the `number`-th stroke as points [n, 2]; raise `InputError` if it has none."""
    try:
        points = np.asarray(stroke, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"stroke {number} is no row of points: {error}") from error
    if points.shape == (0,):
        return points.reshape(0, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"stroke {number} has shape {points.shape}, expected [points, 2]")
    return points


def misfit(
    points: NDArray[Any], starts: NDArray[np.int64], rows: int, *, transcribes: bool
) -> tuple[float, float] | None:
    """Return the better placement of ink that fills too few rows or exceeds them; None if it fits.

    Args:
        points: [P, 2], at least one, in pixels of the rows.
        starts: of the strokes, as `flatten` gives them.
        rows: H.
        transcribes: whether a transcriber reads it, or a classifier, in whose rows a character is
            smaller.

    Returns:
        By how much it should be enlarged, and at which height its middle is now; None where it lies
        well, or where it is a dash or a dot, whose height says nothing.
    """
    low, high = points.min(0), points.max(0)
    width, height = (high - low).tolist()
    if height < LEAST_HEIGHT * rows or _is_flat(points, starts):
        return None
    share = LINE_SHARE if transcribes else BOX_SHARE
    zoom = (share * rows - PEN_WIDTH) / height
    if transcribes and width < height:  # a small letter, or a comma, by itself
        zoom = min(zoom, 1.0)
    small = zoom * (LEAST_FILLED_LONG if width >= LONG * height else LEAST_FILLED) > 1
    beyond = max(-low[1], high[1] - rows) > MOST_BEYOND * rows
    return (zoom, float(low[1] + high[1]) / 2) if small or beyond else None


def _is_flat(points: NDArray[Any], starts: NDArray[np.int64]) -> bool:
    """Tell whether strokes are dashes and dots, or together form one."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    steps[starts[1:-1] - 1] = 0  # the pen was in the air
    x, first = points[:, 0], starts[:-1]
    widths = np.maximum.reduceat(x, first) - np.minimum.reduceat(x, first)
    return bool(steps.sum() <= FLAT_WAY * min(widths.sum(), x.max() - x.min()))


def _fitted(points: Points, starts: NDArray[np.int64], rows: int, pen_width: float) -> Points:
    """Scale points to pixels so that their ink fills the rows like a line."""
    low, high = points.min(0), points.max(0)
    width, height = (high - low).tolist()
    if _is_flat(points, starts):
        height = max(height, FLAT_FRAME * width)
    scale = (LINE_SHARE * rows - pen_width) / (height or 1.0)
    origin = np.array([low[0], (low[1] + high[1]) / 2])  # the left end, half way up
    fitted: Points = (points - origin) * scale + np.array([MARGIN + pen_width / 2, rows / 2])
    return fitted
