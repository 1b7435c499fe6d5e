"""Whole strokes become columns, in a frame that is given or in the one that their ink gives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from inkstream.model.errors import InkSizeError, InputError
from inkstream.model.preprocess.ink import (
    PEN_WIDTH,
    flatten,
    framed,
    misfit,
    rasterise,
    stroke_columns,
)
from inkstream.model.preprocess.strokes import PORTION_PATH, cut_in_runs, refit
from tests.helpers import builders

LINES = builders.line_config(column_height=32)
DIGITS = builders.config()
WAVE = [(float(x), 50 + 40 * float(np.sin(x / 7))) for x in range(100, 300, 3)]
BAR = [(190.0, 0.0), (200.0, 110.0)]

Stroke = list[tuple[float, float]]


def test_in_a_given_frame_ink_keeps_its_position() -> None:
    points, starts = flatten([WAVE, BAR])
    columns = stroke_columns([WAVE, BAR], LINES, height=128.0)
    assert np.array_equal(columns, rasterise(points / 4, starts, 32))


def test_without_a_frame_the_ink_fills_the_rows() -> None:
    columns = stroke_columns([WAVE, BAR], LINES)
    rows, inked = np.flatnonzero(columns.max(0)), np.flatnonzero(columns.max(1))
    assert 28 <= len(rows) <= 30
    assert abs(rows.mean() - 15.5) <= 1
    assert 1 <= inked[0] <= 3


@given(
    scale=st.floats(0.01, 100),
    x=st.floats(-1000, 1000),
    y=st.floats(-1000, 1000),
)
def test_without_a_frame_size_and_position_make_no_difference(
    scale: float, x: float, y: float
) -> None:
    moved = [[(scale * px + x, scale * py + y) for px, py in stroke] for stroke in (WAVE, BAR)]
    columns_found = stroke_columns(moved, LINES).astype(int)
    assert np.abs(columns_found - stroke_columns([WAVE, BAR], LINES)).max() <= 3


@pytest.mark.parametrize(
    "stroke", [[(3.0, 4.0)], [(0.0, 5.0), (40.0, 5.0)], [(0.0, 5.0), (20.0, 7.0), (40.0, 5.5)]]
)
def test_a_dot_or_a_dash_keeps_its_shape(stroke: Stroke) -> None:
    columns = stroke_columns([stroke], LINES)
    rows = np.flatnonzero(columns.max(0))
    assert len(rows) <= 8
    assert abs(rows.mean() - 15.5) <= 1.5
    assert len(columns) < 60


def test_a_classifier_gets_an_image_as_it_was_trained_on() -> None:
    columns = stroke_columns([WAVE, BAR], DIGITS)
    assert columns.shape == (28, 28)
    assert columns.max() == 255


def test_a_classifier_gets_digits_of_a_pens_width() -> None:
    columns = stroke_columns([[(0.0, 0.0), (0.0, 100.0)]], DIGITS)
    assert columns[:, 14].sum() / 255 == pytest.approx(PEN_WIDTH, abs=0.5)


@pytest.mark.parametrize(
    ("strokes", "text"),
    [
        ([], "no stroke has a point"),
        ([[], []], "no stroke has a point"),
        ([[(1, float("nan"))]], r"point 0 of stroke 0 is \(1, nan\), expected \[x, y\]"),
        ([[(1, float("inf"))]], r"point 0 of stroke 0 is \(1, inf\)"),
        ([[(-1e300, 0), (1e300, 1)]], "beyond what can be drawn"),
        ([[(0, 0), (1e8, 0), (1e8, 1)], [(0, 1)] * 9 + [(0, 0), (1e8, 0)]], "columns, allowed"),
    ],
)
def test_the_error_of_invalid_strokes_gives_the_reason(strokes: list[Stroke], text: str) -> None:
    with pytest.raises(InputError, match=text):
        stroke_columns(strokes, LINES)


@pytest.mark.parametrize(
    ("strokes", "text"),
    [
        ([[], [1, 2, 3]], "point 0 of stroke 1 is 1, expected .x, y., two finite numbers"),
        ([WAVE, [(1, 2), (3,)]], r"point 1 of stroke 1 is \(3,\)"),
        ([[("a", "b")]], "point 0 of stroke 0 is .'a', 'b'.,"),
        ([[(1, 2j)]], r"point 0 of stroke 0 is \(1, 2j\)"),
        (["ink"], "stroke 0 is 'ink', expected an array of points"),
        ([5], "stroke 0 is 5, expected an array of points"),
    ],
)
def test_the_error_names_the_stroke_that_is_no_list_of_points(
    strokes: list[Any], text: str
) -> None:
    for read in (lambda: stroke_columns(strokes, LINES), lambda: framed(strokes, 32)):
        with pytest.raises(InputError, match=text):
            read()


@pytest.mark.parametrize("height", [0, -1.0, float("nan"), float("inf")])
def test_a_frame_without_height_is_refused(height: float) -> None:
    for read in (
        lambda: stroke_columns([WAVE], LINES, height),
        lambda: framed([WAVE], 32, height),
    ):
        with pytest.raises(InputError, match=f"height is {height}, allowed: a number above 0"):
            read()


@pytest.mark.parametrize(
    ("point", "height", "text"),
    [
        ((-1, 3), 32, "x is from -1 to -1"),
        ((0, 3), 1e-320, "is from"),
        ((9, 9), 1e-320, "inf columns"),
    ],
)
def test_ink_outside_of_its_frame_is_refused(
    point: tuple[float, float], height: float, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        stroke_columns([[point]], LINES, height=height)


def test_the_way_of_a_pen_in_the_air_costs_nothing() -> None:
    strokes = [[(0.0, 5.0), (10.0, 5.0)], [(500.0, 5.0), (510.0, 5.0)]]
    assert len(stroke_columns(strokes, LINES, 32, max_path=20)) == 511
    with pytest.raises(InkSizeError, match="the pen goes 20 pixels, allowed: up to 19"):
        stroke_columns(strokes, LINES, 32, max_path=19)


@pytest.mark.parametrize("height", [None, 128.0])
def test_strokes_in_pixels_are_drawn_like_columns(height: float | None) -> None:
    strokes = framed([WAVE, [], BAR], 32, height)
    assert [len(stroke) for stroke in strokes] == [len(WAVE), len(BAR)]
    expected = stroke_columns([WAVE, BAR], LINES, height)
    assert np.array_equal(rasterise(*flatten(strokes), 32), expected)


def test_a_long_way_is_drawn_in_runs_of_about_a_portion() -> None:
    points = np.array([(3.0, 5.0), (30_000.0, 15.0), (29_990.0, 15.0)])
    runs = cut_in_runs(points)
    assert max(abs(np.diff(run, axis=0)).max(1).sum() for run in runs) <= 2 * PORTION_PATH
    in_runs = rasterise(*flatten(runs), 20).astype(int)
    assert abs(in_runs - rasterise(*flatten([points]), 20)).max() <= 1


# Ink that does not fit its rows


@pytest.mark.parametrize("transcribes", [True, False])
@given(scale=st.floats(0.05, 0.3), y=st.floats(-50, 50))
def test_fitted_ink_has_the_columns_of_ink_without_a_frame(
    transcribes: bool, scale: float, y: float
) -> None:
    points, starts = flatten([WAVE, BAR])
    small = points * (2 * scale, scale) + (0, y)
    found = misfit(small, starts, 32, transcribes=transcribes)
    height = 110 * scale
    assume(height >= 3.2)  # else it is a dot
    fills = height >= ((29 if transcribes else 32 * 20 / 28) - 2) * 2 / 3
    assert (found is None) == (fills and y >= -1.6 and y + height <= 33.6)
    if found is not None:
        zoom, middle = found
        fitted = (small - (0, middle)) * zoom + (0, 16)
        assert misfit(fitted, starts, 32, transcribes=transcribes) is None
        low, high = fitted[:, 1].min() - 1, fitted[:, 1].max() + 1  # with the pen
        assert (low + high) / 2 == pytest.approx(16)
        assert high - low == pytest.approx(29 if transcribes else 32 * 20 / 28)


def test_a_small_letter_by_itself_is_not_enlarged() -> None:
    points, starts = flatten([[(0, 0), (3, 10), (8, 0), (5, 3)]])
    assert misfit(points, starts, 32, transcribes=True) is None
    assert misfit(points, starts, 32, transcribes=False) is not None
    assert misfit(points * (2, 1), starts, 32, transcribes=True) is not None
    below = misfit(points + np.array([0, 29]), starts, 32, transcribes=True)
    assert below == (1.0, 34.0)  # it is brought into the rows


def test_letters_of_straight_strokes_are_not_taken_for_a_dash() -> None:
    ones = [[(12.0 * n, 10.0), (12.0 * n, 18.0)] for n in range(6)]
    assert misfit(*flatten(ones), 32, transcribes=True) is not None


@pytest.mark.parametrize(("x", "is_fitted"), [(600.0, True), (60_000.0, False)])
def test_ink_keeps_its_frame_where_it_cannot_be_drawn_in_the_one_that_suits_it(
    x: float, is_fitted: bool
) -> None:
    points, starts = flatten([[(0.0, 10.0), (x, 16.0), (0.0, 12.0)]])
    fitted = refit(points, starts, (0.0, 32.0), 32.0, 32, transcribes=True)
    assert (fitted is not None) == is_fitted
