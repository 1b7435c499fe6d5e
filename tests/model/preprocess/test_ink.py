"""Rasterised ink is a union of capsules, in any order and in portions."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkstream.model.errors import InputError
from inkstream.model.preprocess.ink import (
    MAX_COLUMNS,
    MAX_LENGTH,
    MAX_POINTS,
    Canvas,
    draw_apart,
    flatten,
    rasterise,
)

Point = tuple[float, float]
Stroke = list[Point]

HEIGHT = 20
# Coordinates on a grid of 1/64 pixel, so that moving them by whole columns is exact.
fine = st.integers(0, 40 * 64).map(lambda number: number / 64)
any_point = st.tuples(fine, st.integers(-10 * 64, 30 * 64).map(lambda number: number / 64))
any_stroke = st.lists(any_point, min_size=1, max_size=6)
any_strokes = st.lists(any_stroke, max_size=5)
pen_widths = st.sampled_from([0.5, 1.3, 2.0, 3.2])


def rasterised(
    strokes: list[Stroke], pen_width: float = 2.0, directions: bool = False
) -> NDArray[np.uint8]:
    return rasterise(*flatten(strokes), HEIGHT, pen_width, directions=directions)


def by_definition(strokes: list[Stroke], pen_width: float, n_columns: int) -> NDArray[np.float64]:
    """Return the ink of every pixel by its distance to every segment, in double precision."""
    pixels = np.indices((n_columns, HEIGHT)).transpose(1, 2, 0) + 0.5  # [T, H, x and y]
    nearest = np.full((n_columns, HEIGHT), np.inf)
    for stroke in strokes:
        for start, end in zip(stroke, stroke[1:] or stroke, strict=False):
            direction = np.subtract(end, start)
            t = ((pixels - start) @ direction) / max(direction @ direction, 1e-30)
            nearest_point = start + t.clip(0, 1)[:, :, None] * direction
            nearest = np.minimum(nearest, np.linalg.norm(pixels - nearest_point, axis=2))
    return 255 * (pen_width / 2 + 0.5 - nearest).clip(0, 1)


# Pixels


@given(any_strokes, pen_widths)
def test_a_pixel_depends_on_the_distance_of_the_nearest_segment(
    strokes: list[Stroke], pen_width: float
) -> None:
    columns = rasterised(strokes, pen_width)
    longer = by_definition(strokes, pen_width, len(columns) + 3)
    assert columns.shape == (len(columns), HEIGHT)
    assert abs(columns - longer[: len(columns)]).max(initial=0) < 0.51
    assert longer[len(columns) :].max(initial=0) < 0.01


# Invariants


@given(any_strokes, st.integers(1, 65_000))
@pytest.mark.slow
def test_ink_that_moves_by_whole_columns_moves_columns(
    strokes: list[Stroke], n_columns_moved: int
) -> None:
    moved = rasterised([[(x + 20 + n_columns_moved, y) for x, y in stroke] for stroke in strokes])
    columns = rasterised([[(x + 20, y) for x, y in stroke] for stroke in strokes])
    assert not moved[:n_columns_moved].any()
    assert np.array_equal(moved[n_columns_moved:], columns)


@pytest.mark.parametrize("directions", [False, True])
@given(strokes=any_strokes, random=st.randoms())
def test_the_order_of_strokes_changes_nothing(
    directions: bool, strokes: list[Stroke], random: Random
) -> None:
    shuffled = random.sample(strokes, len(strokes))
    expected = rasterised(strokes, directions=directions)
    assert np.array_equal(rasterised(shuffled, directions=directions), expected)
    reversed_strokes = [stroke[::-1] for stroke in strokes]
    assert np.array_equal(rasterised(reversed_strokes), expected[:, :HEIGHT])


@pytest.mark.parametrize("directions", [False, True])
@given(stroke=st.lists(any_point, min_size=1, max_size=9), data=st.data())
def test_splitting_a_stroke_at_a_point_changes_nothing(
    directions: bool, stroke: Stroke, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(stroke) - 1))
    split = rasterised([stroke[: index + 1], stroke[index:]], directions=directions)
    assert np.array_equal(split, rasterised([stroke], directions=directions))


@given(any_strokes)
@example([[(1.5, 1.5), (0.0, 0.0)]])  # the end of the segment and a dot there round differently
def test_repeated_points_and_strokes_without_points_change_nothing(strokes: list[Stroke]) -> None:
    repeated = [[point for point in stroke for _ in range(3)] for stroke in strokes]
    between = [part for stroke in repeated for part in ([], stroke, [])]
    assert np.array_equal(rasterised(between), rasterised(strokes))


# Limits


@pytest.mark.parametrize(
    ("point", "text"),
    [
        ((-0.01, 5), "x is from -0.01 to 9, allowed: 0 to 65536"),
        ((float("nan"), 5), "x is from nan"),
        ((float("inf"), 5), "to inf"),
        ((1e300, 5), "x is from 3 to 1e\\+300"),
        ((5, float("nan")), "y is from nan"),
        ((5, float("-inf")), "y is from -inf"),
        ((5, 1e300), "y is from 2 to 1e\\+300, allowed: -65536 to 65536"),
    ],
)
def test_coordinates_out_of_range_are_refused(point: Point, text: str) -> None:
    for starts in ([0, 3], [0, 1, 2, 3]):
        with pytest.raises(InputError, match=text):
            rasterise(np.array([(3, 4), point, (9, 2)]), np.array(starts), HEIGHT)


def test_the_largest_coordinates_are_drawn() -> None:
    farthest = MAX_COLUMNS
    columns = rasterised([[(farthest, 5)], [(7, farthest), (7, -farthest)]])
    assert columns.shape == (farthest + 1, HEIGHT)
    assert np.flatnonzero(columns.any(1)).tolist() == [6, 7, farthest - 1, farthest]
    assert np.unique(columns[6:8]).tolist() == [255]


def test_too_long_ink_and_too_many_points_are_refused() -> None:
    to_and_fro = [(0.0, 5.0), (60_000.0, 5.0)] * 50
    with pytest.raises(InputError, match=f"the pen goes 5940000 pixels, at most {MAX_LENGTH}"):
        rasterised([to_and_fro])
    with pytest.raises(InputError, match=f"ink has {MAX_POINTS + 1} points, at most {MAX_POINTS}"):
        rasterise(np.zeros((MAX_POINTS + 1, 2)), np.array([0, MAX_POINTS + 1]), HEIGHT)


# Strokes apart


@pytest.mark.parametrize("directions", [False, True])
@given(strokes=any_strokes)
def test_strokes_that_are_drawn_apart_have_the_pixels_of_each_alone(
    directions: bool, strokes: list[Stroke]
) -> None:
    arrays = [np.array(stroke, float) for stroke in strokes]
    canvas = Canvas(HEIGHT * (3 if directions else 1))
    for stroke, drawn in zip(
        strokes, draw_apart(arrays, HEIGHT, directions=directions), strict=True
    ):
        alone = rasterised([stroke], directions=directions)
        assert len(alone) == drawn.first + len(drawn.ink)
        assert not alone[: drawn.first].any()
        assert np.array_equal(alone[drawn.first :], drawn.ink)
        assert drawn.pen == np.floor(stroke[-1][0] - 1)
        canvas.draw(drawn)
    _, columns = canvas.take(everything=True)
    assert np.array_equal(columns, rasterised(strokes, directions=directions))


# Ink in portions


def draw(canvas: Canvas, *strokes: Stroke) -> None:
    """Draw strokes apart, and lay them on a canvas."""
    for drawn in draw_apart([np.array(stroke, float) for stroke in strokes], HEIGHT):
        canvas.draw(drawn)


def update(stream: list[list[int]], canvas: Canvas, everything: bool = False) -> int:
    """Update the stream from the canvas; return the first column that changed."""
    start, columns = canvas.take(everything)
    assert start <= len(stream)
    stream[start:] = columns.tolist()
    return start


def portions(strokes: list[Stroke], data: st.DataObject) -> list[Stroke]:
    """Return the strokes in pieces, each of which begins where the one before ended."""
    pieces = []
    for stroke in strokes:
        cuts = data.draw(st.sets(st.integers(0, len(stroke) - 1)))
        bounds = [0, *sorted(cuts), len(stroke) - 1]
        pieces += [stroke[start : end + 1] for start, end in pairwise(bounds)]
    return pieces


@given(any_strokes, st.data())
@pytest.mark.slow
def test_ink_in_portions_gives_the_columns_of_all_at_once(
    strokes: list[Stroke], data: st.DataObject
) -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    for portion in portions(strokes, data):
        draw(canvas, portion)
        if data.draw(st.booleans()):
            update(stream, canvas, everything=data.draw(st.booleans()))
    update(stream, canvas, everything=True)
    assert stream == rasterised(strokes).tolist()
    assert canvas.n_columns == len(stream)


@given(any_stroke)
def test_columns_behind_the_pen_are_final(stroke: Stroke) -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    for point in sorted(stroke):
        draw(canvas, [point])
        n_before = len(stream)
        assert update(stream, canvas) == n_before
        assert len(stream) == max(0, int(np.floor(point[0] - 1)))


def test_late_ink_rewinds_to_the_first_column_that_it_changes() -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    draw(canvas, [(12, 8), (12, 18)], [(30, 8), (40, 18)])
    update(stream, canvas)
    draw(canvas, [(12, 4)])
    assert update(stream, canvas) == 11
    assert len(stream) == 39
    update(stream, canvas, everything=True)
    draw(canvas, [(12, 2)])
    assert update(stream, canvas) == 11
    assert len(stream) == canvas.n_taken == 41


def test_cut_ink_leaves_no_trace() -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    draw(canvas, [(5, 8), (40, 18)])
    update(stream, canvas)
    canvas.cut(20)
    del stream[20:]
    assert canvas.n_columns == 20
    draw(canvas, [(25, 4), (30, 4)])
    assert update(stream, canvas, everything=True) == 20
    expected = rasterised([[(25, 4), (30, 4)]])
    expected[:20] = rasterised([[(5, 8), (40, 18)]])[:20]
    assert stream == expected.tolist()


def test_ink_over_ink_rewinds_nothing() -> None:
    canvas = Canvas(HEIGHT)
    draw(canvas, [(5, 8), (50, 8)])
    canvas.take(everything=True)
    draw(canvas, [(20, 8), (21, 8)])
    start, columns = canvas.take(everything=True)
    assert start == 51
    assert not len(columns)


def test_ink_that_is_taken_back_leaves_that_of_other_strokes() -> None:
    canvas, strokes = Canvas(HEIGHT), ([(5.0, 8.0), (50.0, 8.0)], [(40.0, 12.0), (60.0, 12.0)])
    draw(canvas, *strokes)
    canvas.take(everything=True)
    canvas.forget(30)
    alone = rasterised([strokes[0]])
    canvas.replace(39, np.concatenate([alone[39:], np.zeros((10, HEIGHT), np.uint8)]), len(alone))
    start, columns = canvas.take(everything=True)
    assert (start, canvas.n_columns) == (39, len(alone))
    assert np.array_equal(columns, alone[39:])


def test_a_canvas_forgets_the_columns_before_a_limit() -> None:
    canvas = Canvas(HEIGHT)
    draw(canvas, [(5, 8), (50, 8)])
    canvas.forget(30)  # no columns have been taken yet
    assert canvas.take()[1].shape == (49, HEIGHT)
    canvas.forget(30)
    with pytest.raises(InputError, match="ink reaches back to column 29, allowed: from 30 on"):
        draw(canvas, [(30, 3)])
    draw(canvas, [(31, 3)])
    start, columns = canvas.take(everything=True)
    complete = rasterised([[(5, 8), (50, 8)], [(31, 3)]])
    assert start == 30
    assert np.array_equal(columns, complete[30:])
