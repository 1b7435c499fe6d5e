"""Batches of lines: frames of pieces, numbers, lines on real paper, and parts of little padding."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.data.batches import (
    NO_ENDS,
    InkPieces,
    LineSample,
    draw_number,
    draw_piece,
    draw_scan,
    prefetched,
    split_by_width,
    width,
)
from inkstream.model.errors import DataError
from inkstream.model.preprocess.columns import strip_columns
from tests.helpers import builders
from tests.helpers.small_ink_set import Builder

# The frame of a piece is its own height, but at least a share of its writer's other pieces.


def pieces(*heights: float, category: str = "7", width: float = 200) -> InkPieces:
    """Return words of these heights by one writer, each one stroke from top to bottom."""
    builder = Builder()
    for height in heights:
        builder.add(
            np.array([(0, 0), (width, height)]), [2], np.array([0, 1], np.int16), (np.nan, np.nan),
            label="ao", category=category, writer="x/y", style="printed",
        )  # fmt: skip
    ink = builder.ink()
    return InkPieces(ink, np.arange(len(ink)), tuple("ao-"))


@pytest.mark.parametrize("category", ["7", "8"])
def test_a_small_word_stays_small_compared_with_its_writers_other_words(category: str) -> None:
    by_writer = pieces(100, 100, 100, 100, 40, category=category)
    assert by_writer.frame(0) == (0, 100)
    assert by_writer.frame(4) == pytest.approx((-25, 65))


def test_tight_ink_fills_the_rows() -> None:
    by_writer = pieces(100, 100, 100, 100, 40)
    assert by_writer.frame(4, tight=True) == (0, by_writer.extent[4, 1])
    rows = np.flatnonzero(draw_piece(by_writer, 4, 32, tight=True).columns.any(0))
    assert (rows[0], rows[-1]) == (0, 31)
    assert len(np.flatnonzero(draw_piece(by_writer, 4, 32).columns.any(0))) < 20


def test_the_width_of_a_dash_is_limited() -> None:
    by_writer = pieces(0, width=4000)
    top, bottom = by_writer.frame(0)
    assert (bottom - top) * 60 == pytest.approx(by_writer.extent[0, 0])
    assert len(draw_piece(by_writer, 0, 32).columns) < 33 * 60


# Numbers of images of digits


def test_a_number_fills_the_rows_and_has_the_ends_of_its_digits() -> None:
    digits, random = builders.excerpt(50), np.random.default_rng(0)
    numbers = [draw_number(digits, 24, random) for _ in range(60)]
    for line in numbers:
        assert line.columns.shape == (line.ends[-1] + 1, 24)
        assert line.label.isdecimal()
        assert len(line.ends) == len(line.label)
        for start, end in pairwise([0, *line.ends.astype(int) + 1]):
            assert line.columns[start:end].max() > 128
            assert line.columns[end - 1].any()
    assert {len(line.label) for line in numbers} == {1, 2, 3, 4, 5, 6}


# Lines on real paper


def draw_scans(seed: int, grey: NDArray[np.uint8]) -> list[LineSample]:
    random = np.random.default_rng(seed)
    return [
        draw_scan(grey, "llllllllll", 32, random, to_columns=strip_columns, widths=(0.75, 1.3))
        for _ in range(20)
    ]


@pytest.fixture
def scan() -> NDArray[np.uint8]:
    """Return a grey line [h, w] of eleven strokes on grainy paper."""
    grey = np.random.default_rng(0).normal(220, 3, (80, 300))
    for offset in range(3):
        grey[20:60, 40 + offset : 260 : 20] = 60
    return grey.clip(0, 255).astype(np.uint8)


def test_each_draw_is_another_one_of_the_same_line(scan: NDArray[np.uint8]) -> None:
    lines = draw_scans(0, scan)
    assert {line.label for line in lines} == {"llllllllll"}
    assert all(line.columns.shape[1] == 32 and line.columns.max() == 255 for line in lines)
    assert all(np.isnan(line.ends).all() for line in lines)
    widths, usual = {len(line.columns) for line in lines}, len(strip_columns(scan, 32))
    assert len(widths) > 10
    assert 0.5 * usual < min(widths) < usual < max(widths) < 1.7 * usual


def test_no_ink_is_lost_at_either_end(scan: NDArray[np.uint8]) -> None:
    for line in draw_scans(1, scan):
        dark = (line.columns.max(1) > 100).astype(int)
        assert (np.diff(dark, prepend=0) == 1).sum() == 11  # strokes


# Parts of about one width


def lines(widths: list[int]) -> list[LineSample]:
    """Return lines of these widths with different labels."""
    columns = [np.ones((n, 8), np.uint8) for n in widths]
    return [LineSample(line, chr(256 + index), NO_ENDS) for index, line in enumerate(columns)]


def of_all_widths(n_lines: int) -> list[LineSample]:
    return lines(np.random.default_rng(0).lognormal(4.5, 1, n_lines).astype(int).tolist())


def test_each_line_is_used_once_and_narrow_lines_come_first_with_little_padding() -> None:
    samples = of_all_widths(1000)
    parts = split_by_width(samples, 16)
    assert len(parts) == 16
    labels = sorted(label for part in parts for label in part.labels)
    assert labels == [sample.label for sample in samples]
    assert all(narrow.steps.max() <= wide.steps.min() for narrow, wide in pairwise(parts))
    sizes, columns = [part.columns[..., 0].size for part in parts], sum(map(width, samples))
    assert max(sizes) < 1.2 * columns / 16
    assert sum(sizes) < 1.15 * columns


def test_the_largest_part_is_as_small_as_possible() -> None:
    samples = lines([24, 34, 44, 104, 114])  # each is followed by 16 blank columns
    sizes = [part.columns[..., 0].size for part in split_by_width(samples, 2)]
    cuts = [(cut * width(samples[cut - 1]), (5 - cut) * width(samples[4])) for cut in range(1, 5)]
    assert max(sizes) == min(max(pair) for pair in cuts)


@pytest.mark.parametrize("n_lines", [1, 2, 3, 4])
def test_if_there_are_too_few_lines_some_are_used_twice(n_lines: int) -> None:
    samples = of_all_widths(n_lines)
    parts = split_by_width(samples, 4)
    assert {label for part in parts for label in part.labels} == {line.label for line in samples}
    assert [len(part.labels) for part in parts] == [1] * 4


def test_no_lines_are_refused() -> None:
    with pytest.raises(DataError, match="no lines to split"):
        split_by_width([], 4)


# The data of the next step are made during the current one.


def test_each_step_is_made_once_and_the_next_one_in_advance() -> None:
    steps_made: list[int] = []
    third = threading.Event()

    def make(step: int) -> int:
        steps_made.append(step)
        if step == 3:
            third.set()
        return 10 * step

    prefetch = prefetched(make)
    assert [prefetch(step) for step in (0, 0, 1, 1, 2)] == [0, 0, 10, 10, 20]
    assert third.wait(10)
    assert steps_made == [0, 1, 2, 3]
    assert [prefetch(step) for step in (7, 8, 3, 4)] == [70, 80, 30, 40]


def test_an_error_is_raised_at_the_step_that_failed() -> None:
    prefetch = prefetched(lambda step: 1 // (1 - step))
    assert prefetch(0) == 1
    with pytest.raises(ZeroDivisionError):
        prefetch(1)
