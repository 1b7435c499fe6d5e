"""Images of digits of any kind become columns like MNIST's."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inkstream.model.errors import ImageError
from inkstream.model.preprocess.columns import digit_columns, line_columns

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("[0-9].png"))
SEVEN = [(0.0, 0.0), (0.6, 0.0), (0.2, 1.0)]  # pen points, in heights of the digit


def seven(
    size: int = 200, margin: int = 40, pen_width: float = 0.1, offset: tuple[int, int] = (0, 0)
) -> NDArray[np.uint8]:
    """Return a seven of `size` pixels in black on white, drawn four times finer and averaged."""
    side = size + 2 * margin
    image = Image.new("L", (4 * side, 4 * side), 255)
    points = [
        (4 * (x * size + margin + offset[0]), 4 * (y * size + margin + offset[1])) for x, y in SEVEN
    ]
    ImageDraw.Draw(image).line(points, 0, round(4 * pen_width * size), "curve")
    return np.asarray(image.reduce(4))


def correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the correlation of two pictures, the best of shifts by up to one pixel."""
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    shifted = [np.roll(first, shift, (0, 1)) for shift in shifts]
    return max(float(np.corrcoef(each.ravel(), second.ravel())[0, 1]) for each in shifted)


def centre(columns: NDArray[np.uint8]) -> tuple[float, float]:
    weights = columns / columns.sum()
    across, down = np.indices(columns.shape)
    return float((weights * across).sum()), float((weights * down).sum())


# Images that are columns already


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_mnist_images_are_unchanged(path: Path) -> None:
    ink = np.asarray(Image.open(path))
    assert np.array_equal(digit_columns(path, 28), ink.T)
    assert np.array_equal(digit_columns(ink, 28), ink.T)
    assert np.array_equal(digit_columns(255 - ink, 28), ink.T)


# Other images


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_enlarged_and_moved_digit_is_normalised(path: Path) -> None:
    ink = np.asarray(Image.open(path))
    large = np.asarray(Image.fromarray(ink).resize((196, 196), Image.Resampling.BICUBIC))
    page = np.full((900, 700), 255, np.uint8)
    page[50:246, 400:596] -= large
    assert correlation(digit_columns(page, 28), ink.T) > 0.9


def test_ink_fills_the_box_and_its_centre_of_mass_is_in_the_middle() -> None:
    columns = digit_columns(seven(offset=(-30, 20)), 28)
    across, down = np.flatnonzero(columns.any(1)), np.flatnonzero(columns.any(0))
    assert down[-1] - down[0] + 1 == 20
    assert across[-1] - across[0] + 1 < 20
    assert all(abs(coordinate - 14) <= 0.5 for coordinate in centre(columns))
    assert columns.max() == 255


def photographed() -> NDArray[np.uint8]:
    """Return a seven in uneven light, with noise."""
    y, x = np.mgrid[-1:1:400j, -1:1:400j]
    light = 180 + 40 * x - 25 * y - 15 * (x * x + y * y)
    noise = np.random.default_rng(0).normal(0, 5, (400, 400))
    photo: NDArray[np.float64] = light * (1 - 0.5 * (1 - seven(margin=100) / 255)) + noise
    return photo.clip(0, 255).astype(np.uint8)


def with_specks() -> NDArray[np.uint8]:
    grey = seven(margin=100).copy()
    for row, column in [(3, 3), (390, 20), (200, 395), (30, 350)]:
        grey[row : row + 4, column : column + 4] = 0
    return grey


@pytest.mark.parametrize("light_on_dark", [False, True])
@pytest.mark.parametrize(
    ("grey", "least"),
    [
        *[(seven(size, margin=size // 3), 0.9) for size in (16, 60, 500, 1500)],
        *[(seven(margin=margin), 0.95) for margin in (10, 15, 400, 1500)],
        (photographed(), 0.95),
        (with_specks(), 0.9),
    ],
)
def test_size_margins_polarity_light_noise_and_specks_do_not_matter(
    grey: NDArray[np.uint8], least: float, light_on_dark: bool
) -> None:
    columns = digit_columns(255 - grey if light_on_dark else grey, 28)
    assert correlation(columns, digit_columns(seven(), 28)) > least


def test_a_dot_above_a_stroke_is_kept() -> None:
    grey = np.full((120, 60), 255, np.uint8)
    grey[40:110, 26:34] = 0
    grey[20:28, 26:34] = 0
    down: NDArray[np.bool_] = digit_columns(grey, 28).max(0) > 0
    assert np.count_nonzero(np.diff(down.astype(int)) == 1) == 2  # two runs of rows with ink


def test_thin_strokes_are_widened() -> None:
    thin, usual = digit_columns(seven(pen_width=0.01), 28), digit_columns(seven(pen_width=0.08), 28)
    assert thin.max() == 255
    assert correlation(thin, usual) > 0.85
    assert thin.sum() > 0.6 * usual.sum()


@pytest.mark.parametrize("height", [1, 8, 20, 40])
def test_other_column_heights_scale_the_box(height: int) -> None:
    columns = digit_columns(seven(), height)
    assert columns.shape == (height, height)
    assert columns.max() == 255


# Blank and odd images


def shadow() -> NDArray[np.uint8]:
    y, x = np.mgrid[-1:1:300j, -1:1:300j]
    noise = np.random.default_rng(0).normal(0, 4, (300, 300))
    light: NDArray[np.float64] = 170 + 50 * x + 20 * y * y + noise
    return light.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "grey",
    [
        *[
            np.full(shape, tone, np.uint8)
            for shape in [(1, 1), (28, 28), (1, 2000), (2000, 1), (300, 200)]
            for tone in (0, 128, 255)
        ],
        shadow(),
    ],
)
def test_a_blank_image_is_refused(grey: NDArray[np.uint8]) -> None:
    for to_columns in (digit_columns, line_columns):
        with pytest.raises(ImageError, match="blank"):
            to_columns(grey, 28)


@pytest.mark.parametrize("shape", [(1, 2000), (2000, 1), (2, 2), (3, 900)])
def test_odd_shapes_with_ink_give_columns(shape: tuple[int, int]) -> None:
    grey = np.full(shape, 255, np.uint8)
    grey[shape[0] // 2, shape[1] // 2] = 0
    columns = digit_columns(grey, 28)
    assert columns.shape == (28, 28)
    assert columns.any()


@given(
    arrays.arrays(
        np.uint8,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.one_of(st.sampled_from([0, 59, 60, 255]), st.integers(0, 255)),
    )
)
def test_any_pixels_give_columns_or_are_refused_as_blank(grey: NDArray[np.uint8]) -> None:
    try:
        columns = digit_columns(grey, 28)
    except ImageError:
        return
    assert columns.shape == (28, 28)
    assert columns.dtype == np.uint8
    assert columns.max() >= 192
