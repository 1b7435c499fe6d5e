"""Ink is a union of capsules, whatever the order and the portions in which it comes."""

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
    flatten,
    rasterise,
)

Point = tuple[float, float]
Stroke = list[Point]

HEIGHT = 20
# Places on a grid of 1/64 pixel, so that to move them by whole columns rounds nothing.
fine = st.integers(0, 40 * 64).map(lambda place: place / 64)
any_point = st.tuples(fine, st.integers(-10 * 64, 30 * 64).map(lambda place: place / 64))
any_stroke = st.lists(any_point, min_size=1, max_size=6)
any_strokes = st.lists(any_stroke, max_size=5)
pen_widths = st.sampled_from([0.5, 1.3, 2.0, 3.2])


def drawn(strokes: list[Stroke], pen_width: float = 2.0) -> NDArray[np.uint8]:
    return rasterise(*flatten(strokes), HEIGHT, pen_width)


def plainly(strokes: list[Stroke], pen_width: float, n_columns: int) -> NDArray[np.float64]:
    """Every pixel against every segment, in double precision."""
    pixels = np.indices((n_columns, HEIGHT)).transpose(1, 2, 0) + 0.5  # [T, H, x and y]
    nearest = np.full((n_columns, HEIGHT), np.inf)
    for stroke in strokes:
        for start, end in zip(stroke, stroke[1:] or stroke, strict=False):
            way = np.subtract(end, start)
            share = ((pixels - start) @ way) / max(way @ way, 1e-30)
            foot = start + share.clip(0, 1)[:, :, None] * way
            nearest = np.minimum(nearest, np.linalg.norm(pixels - foot, axis=2))
    return 255 * (pen_width / 2 + 0.5 - nearest).clip(0, 1)


# What ink is


@given(any_strokes, pen_widths)
def test_a_pixel_tells_how_far_the_nearest_segment_is(
    strokes: list[Stroke], pen_width: float
) -> None:
    columns = drawn(strokes, pen_width)
    wide = plainly(strokes, pen_width, len(columns) + 3)
    assert columns.shape == (len(columns), HEIGHT)
    assert abs(columns - wide[: len(columns)]).max(initial=0) < 0.51
    assert wide[len(columns) :].max(initial=0) < 0.01


def test_a_point_is_a_dot() -> None:
    dot = drawn([[(2.5, 3.5)]])
    half = round(255 * (1.5 - 2**0.5))
    assert dot.shape == (4, HEIGHT)
    assert dot[1:, 2:5].tolist() == [[half, 128, half], [128, 255, 128], [half, 128, half]]
    assert dot.astype(int).sum() == 255 + 4 * 128 + 4 * half


def test_ink_beyond_the_rows_and_left_of_the_first_column_is_cut_off() -> None:
    whole = rasterise(*flatten([[(9.5, 4), (9.5, 30)], [(3, 10), (3, 10)]]), 40, 6)
    cut = rasterise(*flatten([[(6.5, -6), (6.5, 20)], [(0, 0), (0, 0)]]), 12, 6)
    assert np.array_equal(cut, whole[3:, 10:22])


def test_columns_end_at_the_given_column() -> None:
    strokes = flatten([[(3, 3), (30, 9)]])
    whole = rasterise(*strokes, HEIGHT)
    assert np.array_equal(rasterise(*strokes, HEIGHT, n_columns=10), whole[:10])
    wide = rasterise(*strokes, HEIGHT, n_columns=50)
    assert np.array_equal(wide[: len(whole)], whole)
    assert not wide[len(whole) :].any()


@pytest.mark.parametrize("n_columns", [0, 1, 20])
def test_ink_that_begins_after_the_last_column_leaves_them_blank(n_columns: int) -> None:
    columns = rasterise(*flatten([[(30, 3), (40, 3)]]), HEIGHT, n_columns=n_columns)
    assert columns.shape == (n_columns, HEIGHT)
    assert not columns.any()


def test_a_pen_may_be_wider_than_the_rows() -> None:
    assert drawn([[(500, 7)]], 900)[60:940].min() == 255


# What changes nothing


@given(any_strokes, st.integers(1, 20_000))
@pytest.mark.slow
def test_ink_that_moves_by_whole_columns_moves_columns(strokes: list[Stroke], by: int) -> None:
    moved = drawn([[(x + 20 + by, y) for x, y in stroke] for stroke in strokes])
    columns = drawn([[(x + 20, y) for x, y in stroke] for stroke in strokes])
    assert not moved[:by].any()
    assert np.array_equal(moved[by:], columns)


def test_ink_of_any_fractions_is_drawn_the_same_far_from_the_first_column() -> None:
    random = np.random.default_rng(0)
    for by in random.integers(40_000, 65_000, 30):
        points, starts = random.uniform(0, 40, (12, 2)), np.array([0, 6, 12])
        near = rasterise(points, starts, HEIGHT)
        assert np.array_equal(rasterise(points + np.array([by, 0]), starts, HEIGHT)[by:], near)


@given(any_strokes, st.randoms())
@pytest.mark.slow
def test_the_order_and_direction_of_strokes_change_nothing(
    strokes: list[Stroke], random: Random
) -> None:
    others = [stroke[::-1] for stroke in strokes]
    random.shuffle(others)
    assert np.array_equal(drawn(others), drawn(strokes))


@given(st.lists(any_point, min_size=2, max_size=9), st.data())
def test_to_split_a_stroke_at_a_point_changes_nothing(stroke: Stroke, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(stroke) - 1))
    assert np.array_equal(drawn([stroke[: at + 1], stroke[at:]]), drawn([stroke]))


@given(any_strokes)
@example([[(1.5, 1.5), (0.0, 0.0)]])  # the end of the segment and a dot there round differently
def test_repeated_points_and_strokes_without_points_change_nothing(strokes: list[Stroke]) -> None:
    repeated = [[point for point in stroke for _ in range(3)] for stroke in strokes]
    between = [part for stroke in repeated for part in ([], stroke, [])]
    assert np.array_equal(drawn(between), drawn(strokes))


# What cannot be drawn


def test_no_points_give_no_columns() -> None:
    assert rasterise(*flatten([]), HEIGHT).shape == (0, HEIGHT)
    assert rasterise(*flatten([[], []]), HEIGHT).shape == (0, HEIGHT)
    assert rasterise(*flatten([]), HEIGHT, n_columns=3).tolist() == [[0] * HEIGHT] * 3


@pytest.mark.parametrize(
    ("point", "words"),
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
def test_places_where_no_column_can_be_are_refused(point: Point, words: str) -> None:
    for starts in ([0, 3], [0, 1, 2, 3]):
        with pytest.raises(InputError, match=words):
            rasterise(np.array([(3, 4), point, (9, 2)]), np.array(starts), HEIGHT)


def test_the_furthest_places_are_drawn() -> None:
    far = MAX_COLUMNS
    columns = drawn([[(far, 5)], [(7, far), (7, -far)]])
    assert columns.shape == (far + 1, HEIGHT)
    assert np.flatnonzero(columns.any(1)).tolist() == [6, 7, far - 1, far]
    assert np.unique(columns[6:8]).tolist() == [255]


def test_a_hundred_thousand_points_are_drawn() -> None:
    x = np.linspace(3, 9_000, 100_000)
    points = np.stack([x, 10 + 8 * np.sin(x / 7)], 1)
    columns = rasterise(points, np.array([0, len(points)]), HEIGHT)
    assert len(columns) == 9_001
    assert columns[2:].any(1).all()


def test_more_ink_than_a_hand_can_write_is_refused() -> None:
    to_and_fro = [(0.0, 5.0), (60_000.0, 5.0)] * 50
    with pytest.raises(InputError, match=f"the pen goes 5940000 pixels, at most {MAX_LENGTH}"):
        drawn([to_and_fro])
    with pytest.raises(InputError, match=f"ink has {MAX_POINTS + 1} points, at most {MAX_POINTS}"):
        rasterise(np.zeros((MAX_POINTS + 1, 2)), np.array([0, MAX_POINTS + 1]), HEIGHT)


@pytest.mark.parametrize("stroke", [[1, 2], [[1, 2, 3]], [[[1, 2]]], 7])
def test_strokes_that_are_no_rows_of_points_are_refused(stroke: object) -> None:
    with pytest.raises(InputError, match=r"stroke 1 has shape \(.*\), expected \[points, 2\]"):
        flatten([[(0, 0)], stroke])  # type: ignore[list-item]


# Ink that is still being written


def pour(stream: list[list[int]], canvas: Canvas, everything: bool = False) -> int:
    """Bring the stream to where the canvas is; gives the column that it had to go back to."""
    start, columns = canvas.take(everything)
    assert start <= len(stream)
    stream[start:] = columns.tolist()
    return start


def portions(strokes: list[Stroke], data: st.DataObject) -> list[Stroke]:
    """The strokes in pieces, each of which goes on where the one before ended."""
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
        canvas.draw(*flatten([portion]))
        if data.draw(st.booleans()):
            pour(stream, canvas, everything=data.draw(st.booleans()))
    pour(stream, canvas, everything=True)
    assert stream == drawn(strokes).tolist()
    assert canvas.n_columns == len(stream)


@given(any_stroke)
def test_points_one_at_a_time_give_the_columns_of_all_at_once(stroke: Stroke) -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    for before, point in zip([stroke[0], *stroke], stroke, strict=False):
        canvas.draw(*flatten([[before, point]]))
        pour(stream, canvas)
    pour(stream, canvas, everything=True)
    assert stream == drawn([stroke]).tolist()


@given(any_stroke)
def test_columns_that_the_pen_has_left_behind_are_final(stroke: Stroke) -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    for point in sorted(stroke):
        canvas.draw(*flatten([[point]]))
        had = len(stream)
        assert pour(stream, canvas) == had
        assert len(stream) == max(0, int(np.floor(point[0] - 1)))


def test_a_late_dot_takes_the_stream_back_to_the_first_column_that_it_changes() -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    canvas.draw(*flatten([[(5, 8), (5, 18)], [(12, 8), (12, 18)], [(30, 8), (40, 18)]]))
    pour(stream, canvas)
    assert len(stream) == 39
    canvas.draw(*flatten([[(12, 4)]]))
    assert pour(stream, canvas, everything=True) == 11
    assert len(stream) == 41


def test_a_pen_that_goes_back_keeps_nothing_from_the_stream_that_this_had() -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    canvas.draw(*flatten([[(12, 8), (12, 18)], [(30, 8), (40, 18)]]))
    pour(stream, canvas)
    canvas.draw(*flatten([[(12, 4)]]))
    assert pour(stream, canvas) == 11
    assert len(stream) == 39
    pour(stream, canvas, everything=True)
    canvas.draw(*flatten([[(12, 2)]]))
    assert pour(stream, canvas) == 11
    assert len(stream) == canvas.n_taken == 41


def test_ink_that_is_wiped_out_leaves_no_trace() -> None:
    canvas, stream = Canvas(HEIGHT), list[list[int]]()
    canvas.draw(*flatten([[(5, 8), (40, 18)]]))
    pour(stream, canvas)
    canvas.cut(20)
    del stream[20:]
    assert canvas.n_columns == 20
    canvas.draw(*flatten([[(25, 4), (30, 4)]]))
    assert pour(stream, canvas, everything=True) == 20
    expected = drawn([[(25, 4), (30, 4)]])
    expected[:20] = drawn([[(5, 8), (40, 18)]])[:20]
    assert stream == expected.tolist()


def test_ink_on_ink_takes_nothing_back() -> None:
    canvas = Canvas(HEIGHT)
    canvas.draw(*flatten([[(5, 8), (50, 8)]]))
    canvas.take(everything=True)
    canvas.draw(*flatten([[(20, 8), (21, 8)]]))
    start, columns = canvas.take(everything=True)
    assert start == 51
    assert not len(columns)


def test_a_canvas_forgets_what_the_stream_has() -> None:
    canvas = Canvas(HEIGHT)
    canvas.draw(*flatten([[(5, 8), (50, 8)]]))
    canvas.forget(30)  # nothing of it has been taken
    assert canvas.take()[1].shape == (49, HEIGHT)
    canvas.forget(30)
    with pytest.raises(InputError, match="ink reaches back to column 29, allowed: from 30 on"):
        canvas.draw(*flatten([[(30, 3)]]))
    canvas.draw(*flatten([[(31, 3)]]))
    start, columns = canvas.take(everything=True)
    whole = drawn([[(5, 8), (50, 8)], [(31, 3)]])
    assert start == 30
    assert np.array_equal(columns, whole[30:])


def test_a_copy_lives_a_life_of_its_own() -> None:
    canvas = Canvas(HEIGHT)
    canvas.draw(*flatten([[(5, 8), (9, 8)]]))
    other = canvas.copy()
    other.draw(*flatten([[(5, 12), (30, 8)]]))
    other.take()
    other.forget(5)
    assert canvas.n_columns == 10
    start, columns = canvas.take(everything=True)
    assert start == 0
    assert np.array_equal(columns, drawn([[(5, 8), (9, 8)]]))
