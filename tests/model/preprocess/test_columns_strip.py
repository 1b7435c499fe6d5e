"""A strip of a page becomes columns in greys: paper 0, ink 255, and nothing is erased."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.preprocess.columns import strip_columns


def strip(paper: float = 220, ink: float = 60, noise: float = 2) -> NDArray[np.uint8]:
    """Return a grey strip [64, 400] with strokes four pixels wide, and a rule at row 50."""
    grey = np.full((64, 400), float(paper))
    for left in range(20, 380, 30):
        grey[10:50, left : left + 4] = ink
    grey[50:52] = (paper + ink) / 2
    grey += np.random.default_rng(0).normal(0, noise, grey.shape)
    return grey.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (220, 60), (150, 80), (250, 180)])
def test_paper_is_0_and_the_body_of_strokes_255(paper: float, ink: float) -> None:
    columns = strip_columns(strip(paper, ink), 32)
    assert columns.shape == (200, 32)
    assert (columns[11:185:15, 10:20] >= 200).all()
    between = columns[16:190:15, 2:22]
    assert np.median(between) == 0
    assert np.percentile(between, 99) < 30


def test_a_rule_stays_and_is_paler_than_ink() -> None:
    rule = strip_columns(strip(), 32)[17:190:15, 25]
    assert 40 < np.median(rule) < 200


def test_light_that_fades_along_the_strip_leaves_paper_white() -> None:
    light = np.linspace(1, 0.5, 400)
    columns = strip_columns((strip() * light).astype(np.uint8), 32)
    assert (columns[11:185:15, 10:20] >= 180).all()
    assert np.median(columns[16:190:15, 2:22]) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (40, 40)])
def test_blank_strips_have_no_ink(shape: tuple[int, int]) -> None:
    for tone in (0, 128, 255):
        assert not strip_columns(np.full(shape, tone, np.uint8), 32).any()
