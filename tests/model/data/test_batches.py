"""Lines of several batches in parts: none is lost, and little of them is padding."""

from itertools import pairwise

import numpy as np
import pytest

from inkstream.model.data.batches import LineBatch, LineSample, split_by_width, width


def lines(widths: list[int]) -> list[LineSample]:
    """Lines of so many columns, each with a label of its own."""
    ends = np.zeros(1, np.float32)
    return [
        LineSample(np.ones((n, 8), np.uint8), chr(256 + at), ends) for at, n in enumerate(widths)
    ]


def of_all_widths(n_lines: int) -> list[LineSample]:
    return lines(np.random.default_rng(0).lognormal(4.5, 1, n_lines).astype(int).tolist())


def padded(part: LineBatch) -> int:
    return part.columns[..., 0].size


def test_each_line_is_dealt_once_and_narrow_ones_first() -> None:
    drawn = of_all_widths(300)
    parts = split_by_width(drawn, 16)
    assert len(parts) == 16
    assert sorted(label for part in parts for label in part.labels) == [x.label for x in drawn]
    for narrow, wide in pairwise(parts):
        assert narrow.steps.max() <= wide.steps.min()


def test_parts_are_about_as_large_and_hold_little_padding() -> None:
    drawn = of_all_widths(1000)
    sizes = [padded(part) for part in split_by_width(drawn, 16)]
    columns = sum(map(width, drawn))
    assert max(sizes) < 1.2 * columns / 16
    assert sum(sizes) < 1.15 * columns


def test_the_largest_part_is_as_small_as_cuts_can_make_it() -> None:
    drawn = lines([24, 34, 44, 104, 114])  # and 16 blank columns behind each
    sizes = [padded(part) for part in split_by_width(drawn, 2)]
    cuts = [(cut * width(drawn[cut - 1]), (5 - cut) * width(drawn[4])) for cut in range(1, 5)]
    assert max(sizes) == min(max(pair) for pair in cuts)


@pytest.mark.parametrize("n_lines", [1, 2, 3, 4])
def test_of_too_few_lines_some_are_dealt_twice(n_lines: int) -> None:
    drawn = of_all_widths(n_lines)
    parts = split_by_width(drawn, 4)
    assert len(parts) == 4
    assert {label for part in parts for label in part.labels} == {line.label for line in drawn}
    assert [len(part.labels) for part in parts] == [1] * 4


def test_no_lines_are_no_batch() -> None:
    with pytest.raises(ValueError, match="no lines to split"):
        split_by_width([], 2)
