"""Ink is scaled into rows exactly and augmented at random, images of digits are distorted."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inkstream.model.data.augmentation import (
    affine,
    augmented,
    blank_columns,
    distorted,
    fit,
    frame_of,
    rounded,
    strayed,
)
from inkstream.model.preprocess.ink import PEN_WIDTH, rasterise
from tests.helpers.builders import excerpt

HEIGHT = 32
# Six letters of ten points and one stroke each, 100 units high.
STARTS = np.arange(0, 61, 10)
WORD = np.array(
    [
        (60 * letter + 20 + 20 * np.cos(turn), 400 + 50 * np.sin(turn))
        for letter in range(6)
        for turn in np.linspace(0, 2 * np.pi, 10)
    ]
)
FRAME = frame_of(WORD, 1.0)


def drawn(n: int, strength: float = 1.0, left: int = 0) -> list[tuple[NDArray[np.float32], float]]:
    """Return augmented points of the word, and the pen's width for them."""
    random = np.random.default_rng(0)
    return [
        augmented(WORD, STARTS, FRAME, HEIGHT, random, strength=strength, left=left)
        for _ in range(n)
    ]


# Exact scaling


@pytest.mark.parametrize("pen_width", [1.3, 2.0, 3.2])
@pytest.mark.parametrize(
    ("size", "position", "rows"),
    [(1, 0.5, (0, 32)), (0.5, 0.5, (8, 24)), (0.5, 0, (0, 16)), (0.75, 1, (8, 32))],
)
def test_ink_fills_the_rows_that_it_is_given(
    size: float, position: float, rows: tuple[int, int], pen_width: float
) -> None:
    points = fit(WORD, FRAME, HEIGHT, size=size, position=position, pen_width=pen_width, left=7)
    columns = rasterise(points, STARTS, HEIGHT, pen_width)
    inked = np.flatnonzero(columns.any(0))
    assert (inked[0], inked[-1] + 1) == rows
    assert np.flatnonzero(columns.any(1))[0] == 7


def test_a_dash_is_in_the_middle_of_a_frame_of_usual_height() -> None:
    dash = np.array([[10, 200], [50, 200]])
    assert frame_of(dash, 80) == (160, 240)
    assert frame_of(WORD, 80) == (WORD[:, 1].min(), WORD[:, 1].max())
    points = fit(dash, frame_of(dash, 80), HEIGHT)
    assert points.tolist() == [[1, 16], [16, 16]]


# Random augmentation


@pytest.mark.parametrize("seed", range(3))
def test_strength_0_only_scales_the_ink(seed: int) -> None:
    random = np.random.default_rng(seed)
    points, pen_width = augmented(WORD, STARTS, FRAME, HEIGHT, random, strength=0, left=5)
    assert np.array_equal(points, fit(WORD, FRAME, HEIGHT, left=5))
    assert pen_width == PEN_WIDTH


def test_a_seed_repeats_its_augmentations_and_each_draw_differs() -> None:
    (first, _), (second, _) = drawn(2)
    assert np.array_equal(first, drawn(1)[0][0])
    assert abs(first - second).max() > 1


def test_ink_stays_within_the_rows_and_begins_at_the_given_column() -> None:
    for points, pen_width in drawn(300, left=4):
        assert points.shape == WORD.shape
        assert points[:, 1].min() > pen_width / 2 - 1e-3
        assert points[:, 1].max() < HEIGHT - pen_width / 2 + 1e-3
        assert points[:, 0].min() == pytest.approx(4 + pen_width / 2)
        assert 1.3 <= pen_width <= 3.2


def test_most_pieces_are_large_and_none_is_below_the_smallest_size() -> None:
    sizes = [(np.ptp(points[:, 1]) + pen_width) / HEIGHT for points, pen_width in drawn(1000)]
    assert min(sizes) == pytest.approx(0.5, abs=0.02)
    assert max(sizes) == pytest.approx(1, abs=0.02)
    assert 0.55 < np.mean(np.array(sizes) > 0.85) < 0.7


def test_width_slant_and_slope_fill_their_ranges_and_a_long_line_slopes_less() -> None:
    random = np.random.default_rng(0)
    matrices = np.array([affine(1, random, 1) for _ in range(500)])
    widening, shears, slopes = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0]
    assert (min(widening), max(widening)) == pytest.approx((-0.25, 0.35), abs=0.01)
    assert np.degrees(np.arctan([min(shears), max(shears)])) == pytest.approx([-25, 25], abs=0.5)
    assert np.degrees(np.arctan([min(slopes), max(slopes)])) == pytest.approx([-4, 4], abs=0.1)
    rises = [60 * affine(60, random, 1)[1, 0] for _ in range(500)]
    assert (min(rises), max(rises)) == pytest.approx((-0.3, 0.3), abs=0.01)


def test_corners_are_smoothed_away_or_enlarged_and_ends_stay() -> None:
    zigzag = np.array([(0.1 * k, k % 2) for k in range(41)], np.float32).T
    random = np.random.default_rng(0)
    samples = [zigzag + rounded(zigzag, np.array([0, 41]), random, 1) for _ in range(40)]
    heights = [float(np.abs(np.diff(points[1, 1:-1])).mean()) for points in samples]
    assert min(heights) < 0.3
    assert 1.4 < max(heights) < 2.3
    assert all(np.array_equal(points[:, [0, -1]], zigzag[:, [0, -1]]) for points in samples)


def test_a_dot_is_moved_further_than_a_letter() -> None:
    points = (np.concatenate([WORD, [(400, 340), (401, 341)]]).T / 100).astype(np.float32)
    starts, random = np.append(STARTS, len(points.T)), np.random.default_rng(0)
    moves = abs(np.array([strayed(points, starts, random, 1) for _ in range(300)])).max((0, 1))
    assert moves[-1] == pytest.approx(0.12, abs=0.01)
    assert moves[:60] == pytest.approx(0.03 * np.ones(60), abs=0.01)


# Images


def digits(n: int) -> torch.Tensor:
    return torch.from_numpy(excerpt(n).columns).float() / 255


@pytest.mark.slow
def test_strength_0_does_not_change_images() -> None:
    columns = digits(8)
    same = distorted(columns, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same, columns, atol=1e-4, rtol=0)


def test_each_image_is_distorted_in_its_own_way_and_repeatably() -> None:
    columns = digits(1).expand(4, -1, -1)
    first, second = (distorted(columns, 1.0, torch.Generator().manual_seed(7)) for _ in range(2))
    torch.testing.assert_close(first, second)
    assert all(not torch.allclose(first[0], other, atol=0.1) for other in first[1:])


def test_distorted_pixels_stay_in_range() -> None:
    moved = distorted(digits(64), 2.0, torch.Generator().manual_seed(1))
    assert 0 <= moved.min() <= moved.max() <= 1 + 1e-6


def test_blank_columns_occur_in_their_share_of_batches() -> None:
    random = torch.Generator().manual_seed(0)
    batches_drawn = [blank_columns(12, 0.25, random) for _ in range(4000)]
    assert set(batches_drawn) == set(range(13))
    assert abs(sum(map(bool, batches_drawn)) / 4000 - 0.25) < 0.03
