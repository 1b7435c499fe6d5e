"""Length bucketing: lines are split by width, none is lost, and there is little padding."""

from itertools import pairwise

import numpy as np
import pytest

from inkstream.model.data.batches import LineBatch, LineSample, split_by_width, width


def lines(widths: list[int]) -> list[LineSample]:
    """Return lines of these widths, each with its own label."""
    ends = np.zeros(1, np.float32)
    return [
        LineSample(np.ones((n, 8), np.uint8), chr(256 + index), ends)
        for index, n in enumerate(widths)
    ]


def of_all_widths(n_lines: int) -> list[LineSample]:
    return lines(np.random.default_rng(0).lognormal(4.5, 1, n_lines).astype(int).tolist())


def padded(part: LineBatch) -> int:
    return part.columns[..., 0].size


def test_each_line_is_used_once_and_narrow_lines_come_first() -> None:
    samples = of_all_widths(300)
    parts = split_by_width(samples, 16)
    assert len(parts) == 16
    assert sorted(label for part in parts for label in part.labels) == [
        sample.label for sample in samples
    ]
    for narrow, wide in pairwise(parts):
        assert narrow.steps.max() <= wide.steps.min()


def test_parts_have_about_the_same_size_and_little_padding() -> None:
    samples = of_all_widths(1000)
    sizes = [padded(part) for part in split_by_width(samples, 16)]
    columns = sum(map(width, samples))
    assert max(sizes) < 1.2 * columns / 16
    assert sum(sizes) < 1.15 * columns


def test_the_largest_part_is_as_small_as_possible() -> None:
    samples = lines([24, 34, 44, 104, 114])  # each is followed by 16 blank columns
    sizes = [padded(part) for part in split_by_width(samples, 2)]
    cuts = [(cut * width(samples[cut - 1]), (5 - cut) * width(samples[4])) for cut in range(1, 5)]
    assert max(sizes) == min(max(pair) for pair in cuts)


@pytest.mark.parametrize("n_lines", [1, 2, 3, 4])
def test_if_there_are_too_few_lines_some_are_used_twice(n_lines: int) -> None:
    samples = of_all_widths(n_lines)
    parts = split_by_width(samples, 4)
    assert len(parts) == 4
    assert {label for part in parts for label in part.labels} == {line.label for line in samples}
    assert [len(part.labels) for part in parts] == [1] * 4


def test_splitting_no_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="no lines to split"):
        split_by_width([], 2)
