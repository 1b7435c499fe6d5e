"""Degraded columns look like those of scanners and cameras, and stay columns of their line."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.data.batches import LineSample, degraded
from inkstream.model.data.degradation import Degradation

OF_RULES = {"broken", "sharp"}
CHANCES = sorted({field.name for field in fields(Degradation)} - OF_RULES)
NOTHING = Degradation(**dict.fromkeys(CHANCES, 0.0))


def strokes(n_columns: int = 60) -> NDArray[np.uint8]:
    """Return columns [T, 32] with a stroke every ten columns, soft at its right edge."""
    columns = np.zeros((n_columns, 32), np.uint8)
    columns[5::10, 8:26] = 255
    columns[6::10, 8:26] = 130
    return columns


def only(
    change: str, seed: int, columns: NDArray[np.uint8] | None = None, **chances: float
) -> NDArray[np.uint8]:
    """Return columns, or strokes, with one change."""
    look = replace(NOTHING, **{change: 1.0}, **chances)
    columns = strokes() if columns is None else columns
    return look(columns, np.random.default_rng(seed), [strokes(200)])


def test_without_changes_columns_stay_equal() -> None:
    columns = strokes()
    assert np.array_equal(NOTHING(columns, np.random.default_rng(0), []), columns)


@pytest.mark.parametrize("change", CHANCES)
def test_a_change_alone_changes_some_lines_and_keeps_their_ink_darker(change: str) -> None:
    looks = [only(change, seed) for seed in range(8)]
    assert all(look.shape == (60, 32) and look.dtype == np.uint8 for look in looks)
    assert any(not np.array_equal(look, strokes()) for look in looks)
    ink = strokes() > 0
    assert all(look[ink].mean() > look[~ink].mean() for look in looks)


def test_two_tones_keep_the_ink_of_pale_and_thin_strokes() -> None:
    changes = {"two_tones": 1.0, "paler": 1.0, "thinner": 1.0, "uneven": 1.0, "blur": 1.0}
    look = replace(NOTHING, **changes)
    for seed in range(40):
        seen = look(strokes(), np.random.default_rng(seed), [])
        assert (seen[strokes() == 255] > 0).mean() > 0.3


def test_sharp_rules_cover_whole_rows() -> None:
    darkest = []
    for seed in range(30):
        rows = only("rule", seed, np.zeros((40, 32), np.uint8), sharp=1.0, broken=0.0).T
        assert all(len(set(row.tolist())) == 1 for row in rows)
        darkest.append(rows.max())
    assert min(darkest) > 0
    assert 3 < darkest.count(255) < 20  # a third is as dark as ink


@pytest.mark.parametrize("n_columns", [1, 2, 3, 17])
def test_lines_of_few_columns_are_degraded(n_columns: int) -> None:
    for seed in range(50):
        look = Degradation()(strokes(n_columns), np.random.default_rng(seed), [strokes(1)])
        assert look.shape == (n_columns, 32)


def test_only_a_share_of_the_lines_is_degraded_and_labels_stay() -> None:
    ends = np.array([5.0], np.float32)
    lines = [LineSample(strokes(), str(number), ends) for number in range(300)]
    drawn = degraded(lines, 0.5, np.random.default_rng(0), 32)
    assert [line.label for line in drawn] == [line.label for line in lines]
    assert all(np.array_equal(line.ends, ends) for line in drawn)
    same = sum(np.array_equal(line.columns, strokes()) for line in drawn)
    assert 120 < same < 200  # half of them, and those of the others to which nothing happened
    assert degraded(lines, 0, np.random.default_rng(0), 32)[0].columns is lines[0].columns
