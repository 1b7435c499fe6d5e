"""Columns that tell where the pen goes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkstream.model.preprocess.ink import (
    flatten,
    rasterise,
    seen_by,
    stroke_columns,
    with_directions,
)
from tests.helpers import builders

Point = tuple[float, float]
Stroke = list[Point]

H = 16
CONFIG = builders.line_config(directions=True)
fine = st.integers(0, 40 * 64).map(lambda number: number / 64)
any_point = st.tuples(fine, st.integers(-5 * 64, 21 * 64).map(lambda number: number / 64))
any_stroke = st.lists(any_point, min_size=1, max_size=6)
any_strokes = st.lists(any_stroke, max_size=5)


def drawn(*strokes: Stroke) -> NDArray[np.uint8]:
    return rasterise(*flatten(strokes), H, directions=True)


def signed(columns: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how far the pen goes to the right and down, in 254ths, [T, 2 H]."""
    ways = columns[:, H:].astype(np.int64)
    return np.where(ways & 1, -(ways & 0xFE), ways)


@pytest.mark.parametrize(
    ("strokes", "expected"),
    [
        ([[(2, 8.5), (20, 8.5)]], (254, 0)),
        ([[(20, 8.5), (2, 8.5)]], (-254, 0)),
        ([[(10.5, 1), (10.5, 15)]], (0, 254)),
        ([[(10.5, 15), (10.5, 1)]], (0, -254)),
        ([[(5.5, 3.5), (15.5, 13.5)]], (2 * int(127 / 2**0.5),) * 2),
        # Where strokes cross, each part is that of the one that goes furthest that way.
        ([[(2, 8.5), (20, 8.5)], [(10.5, 15), (10.5, 1)]], (254, -254)),
    ],
)
def test_it_tells_right_left_down_and_up(strokes: list[Stroke], expected: tuple[int, int]) -> None:
    across, down = np.split(signed(drawn(*strokes))[10], 2)
    assert (across[8], down[8]) == expected


def test_a_dot_and_paper_have_no_direction() -> None:
    columns = drawn([(10.5, 8.5)], [(30, 2), (30, 2)])
    assert columns[:, :H].any()
    assert not columns[:, H:].any()


@given(any_strokes)
def test_ink_is_as_without_directions_which_lie_on_ink_alone(strokes: list[Stroke]) -> None:
    columns = drawn(*strokes)
    assert np.array_equal(columns[:, :H], rasterise(*flatten(strokes), H))
    ink = columns[:, :H].astype(int)
    assert (abs(signed(columns)) <= np.concatenate([ink, ink], 1)).all()


@given(any_stroke)
def test_back_is_the_opposite_of_there(stroke: Stroke) -> None:
    there, back = signed(drawn(stroke)), signed(drawn(stroke[::-1]))
    assert np.array_equal(abs(there), abs(back))
    if len(stroke) == 2:
        assert np.array_equal(there, -back)


def test_whole_strokes_have_directions_for_a_net_that_knows_them() -> None:
    strokes: list[Stroke] = [[(2, 5), (12, 5)]]
    assert np.array_equal(stroke_columns(strokes, CONFIG, height=H), drawn(*strokes))
    plain = stroke_columns(strokes, builders.line_config(), height=H)
    assert np.array_equal(plain, drawn(*strokes)[:, :H])


def test_a_net_sees_ink_both_ways_and_where_they_go_back() -> None:
    columns = drawn([(2, 8.5), (20, 8.5)], [(30.5, 15), (30.5, 1)])
    ink, across, along, left, up = np.split(seen_by(CONFIG, columns), 5, -1)
    assert (ink == columns[:, :H]).all()
    assert (across[10, 8], left[10, 8], along[10, 8], up[10, 8]) == (254, 0, 0, 0)
    assert (across[30, 8], left[30, 8], along[30, 8], up[30, 8]) == (0, 0, 254, 254)


def test_columns_of_an_image_are_seen_without_directions() -> None:
    image = builders.columns(30, 1, H)
    seen = seen_by(CONFIG, image)
    assert np.array_equal(seen, seen_by(CONFIG, with_directions(image)))
    assert np.array_equal(seen[:, :H], image)
    assert not seen[:, H:].any()
    assert np.array_equal(seen_by(builders.line_config(), with_directions(image)), image)
