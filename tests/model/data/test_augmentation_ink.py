"""Ink is scaled into rows exactly, and augmented at random."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.data.augmentation import InkAugmentation, fit, frame_of
from inkstream.model.preprocess.ink import PEN_WIDTH, rasterise

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
SHAPES_STAY = {"elastic": 0.0, "zones": 0.0, "roundest": 0.0, "sharpest": 0.0, "stray_dot": 0.0}


def augmented(
    n: int, strength: float, points: NDArray[np.float64] = WORD
) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    frame = frame_of(points, 1.0)
    return [
        InkAugmentation()(points, STARTS, frame, HEIGHT, random, strength=strength)[0]
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


def test_proportions_are_kept() -> None:
    points = fit(WORD, FRAME, HEIGHT)
    assert np.ptp(points, 0) / np.ptp(points[:, 1]) == pytest.approx(
        np.ptp(WORD, 0) / np.ptp(WORD[:, 1]), rel=1e-5
    )


def test_a_position_in_the_frame_is_the_same_position_in_the_rows() -> None:
    points = fit(np.array([[3, 75], [9, 100]]), (0.0, 100.0), HEIGHT)
    assert points.tolist() == [[1, 23.5], [pytest.approx(2.8), 31]]


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
    points, pen_width = InkAugmentation()(WORD, STARTS, FRAME, HEIGHT, random, strength=0, left=5)
    assert np.array_equal(points, fit(WORD, FRAME, HEIGHT, left=5))
    assert pen_width == PEN_WIDTH


def test_an_augmentation_with_empty_ranges_only_scales_the_ink() -> None:
    plain = InkAugmentation(
        shear_deg=0, slope_deg=0, narrowest=1, widest=1, stretch=0, drift=0, stray=0,
        smallest=1, usual_size=1, thinnest=PEN_WIDTH, thickest=PEN_WIDTH, **SHAPES_STAY,
    )  # fmt: skip
    points, pen_width = plain(WORD, STARTS, FRAME, HEIGHT, np.random.default_rng(0))
    assert np.array_equal(points, fit(WORD, FRAME, HEIGHT))
    assert pen_width == PEN_WIDTH


def test_a_seed_repeats_its_augmentations_and_each_draw_differs() -> None:
    first, second = augmented(2, 1.0), augmented(2, 1.0)
    assert np.array_equal(first, second)
    assert abs(first[0] - first[1]).max() > 1


def test_ink_stays_within_the_rows_and_begins_at_the_given_column() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        points, pen_width = InkAugmentation()(WORD, STARTS, FRAME, HEIGHT, random, left=4)
        assert points.shape == WORD.shape
        assert points[:, 1].min() > pen_width / 2 - 1e-3
        assert points[:, 1].max() < HEIGHT - pen_width / 2 + 1e-3
        assert points[:, 0].min() == pytest.approx(4 + pen_width / 2)
        assert 1.3 <= pen_width <= 3.2


def test_most_pieces_are_large_and_none_is_below_the_smallest_size() -> None:
    random = np.random.default_rng(0)
    samples = [InkAugmentation()(WORD, STARTS, FRAME, HEIGHT, random) for _ in range(1000)]
    sizes = [(np.ptp(points[:, 1]) + pen_width) / HEIGHT for points, pen_width in samples]
    assert min(sizes) == pytest.approx(0.5, abs=0.02)
    assert max(sizes) == pytest.approx(1, abs=0.02)
    assert 0.55 < np.mean(np.array(sizes) > 0.85) < 0.7


def test_width_and_slant_of_letters_fill_their_ranges() -> None:
    stem = np.array([(0, 0), (0, 50), (0, 100), (200, 50), (400, 50)])
    shears, widths = [], []
    for seed in range(500):
        augmentation = InkAugmentation(slope_deg=0, stretch=0, drift=0, stray=0, **SHAPES_STAY)
        random = np.random.default_rng(seed)
        points, _ = augmentation(stem, np.array([0, 3, 5]), (0.0, 100.0), HEIGHT, random)
        height = np.ptp(points[:3, 1])
        shears.append(np.degrees(np.arctan2(points[2, 0] - points[0, 0], height)))
        widths.append((points[4, 0] - points[1, 0]) / height / 4)
    assert (min(shears), max(shears)) == pytest.approx((-25, 25), abs=0.5)
    assert (min(widths), max(widths)) == pytest.approx((0.75, 1.35), abs=0.01)


def test_moderate_strength_keeps_letters_in_order() -> None:
    for points in augmented(300, 0.5):
        centres = points[:, 0].reshape(6, 10).mean(1)
        assert (np.diff(centres) > 0).all()


def test_round_augmentation_smooths_corners_and_sharp_augmentation_enlarges_them() -> None:
    zigzag = np.array([(10 * k, 100 * (k % 2)) for k in range(41)], float)
    off = SHAPES_STAY | {"shear_deg": 0, "slope_deg": 0, "stretch": 0, "drift": 0, "stray": 0}
    full_size = {"smallest": 1, "usual_size": 1, "thinnest": PEN_WIDTH, "thickest": PEN_WIDTH}
    lengths = []
    for options in ({"roundest": 1}, {"sharpest": 0.6}):
        augmentation, random = (
            InkAugmentation(**(off | full_size | options)),
            np.random.default_rng(0),
        )
        samples = [
            augmentation(zigzag, np.array([0, 41]), (0, 100), 32, random)[0] for _ in range(40)
        ]
        heights = [float(np.abs(np.diff(points[1:-1, 1])).mean()) for points in samples]
        lengths.append((min(heights), max(heights)))
    plain = float(np.abs(np.diff(fit(zigzag, (0, 100), 32)[1:-1, 1])).mean())
    (roundest, _), (_, sharpest) = lengths
    assert roundest < 0.3 * plain
    assert sharpest == pytest.approx(plain)  # its frame grows as well


def test_a_dot_is_moved_further_than_a_letter() -> None:
    points = np.concatenate([WORD, [(400, 340), (401, 341)]])
    starts = np.append(STARTS, len(points))
    off = SHAPES_STAY | {"shear_deg": 0, "slope_deg": 0, "stretch": 0, "drift": 0}
    full_size = {"smallest": 1, "usual_size": 1, "narrowest": 1, "widest": 1}
    augmentation, random = (
        InkAugmentation(**(off | full_size | {"stray_dot": 0.2})),
        np.random.default_rng(0),
    )
    samples = [augmentation(points, starts, FRAME, HEIGHT, random)[0] for _ in range(100)]
    deviation = np.std(np.array(samples) - np.mean(samples, 0), 0)[:, 0]
    assert deviation[-1] > 1.5 * deviation[10:60].mean()


def test_the_slope_of_a_long_line_is_limited() -> None:
    line = np.stack([np.linspace(0, 6000, 60), 50 + 50 * np.cos(np.arange(60))], 1)
    augmentation = InkAugmentation(smallest=1, usual_size=1, narrowest=1, widest=1, **SHAPES_STAY)
    plain = np.ptp(fit(line, (0, 100), HEIGHT)[:, 0])
    random = np.random.default_rng(0)
    for _ in range(300):
        points, _ = augmentation(line, np.array([0, 60]), (0, 100), HEIGHT, random)
        assert np.ptp(points[:, 0]) > plain / 1.6  # it shrinks so that its slope fits the rows
