"""Extreme images: their processing is limited, and errors are clear."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.errors import ImageError
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.preprocess.columns import line_columns

H = 32


def paper(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width), 255, np.uint8)


def long_stroke(width: int) -> NDArray[np.uint8]:
    """Return one thin stroke, up and down from the left end to the right."""
    picture = paper(H, width)
    picture[4:28, 4:-4:4] = 0
    for left in range(4, width - 12, 8):
        picture[27, left : left + 4] = picture[4, left + 4 : left + 8] = 0
    return picture


def dashed_line(width: int) -> NDArray[np.uint8]:
    """Return dashes on a line that does not reach both sides, so that it is no rule."""
    picture = paper(H, width)
    picture[25, width // 40 : -width // 40] = 0
    picture[5:22, ::9] = 0
    return picture


@pytest.mark.parametrize(("draw", "width"), [(long_stroke, 4_000), (dashed_line, 10_000)])
@pytest.mark.slow
def test_the_time_for_connected_ink_is_linear_in_its_columns(
    draw: Callable[[int], NDArray[np.uint8]], width: int
) -> None:
    short, long = draw(width // 4), draw(width)
    assert line_columns(long, H).max() == 255
    assert least_s(lambda: line_columns(long, H)) < 8 * least_s(lambda: line_columns(short, H))


@pytest.mark.parametrize(("height", "width"), [(2_000, 1_000), (16_384, 100)])
def test_distant_specks_that_vanish_in_the_rows_are_refused(height: int, width: int) -> None:
    picture = paper(height, width)
    picture[5, 5] = picture[-5, -5] = 0
    with pytest.raises(ImageError, match="too fine"):
        line_columns(picture, H)


def test_a_line_beyond_the_longest_is_refused() -> None:
    picture = paper(H, 20_000)
    picture[4:28, ::7] = 0
    with pytest.raises(ImageError, match="at most 16384"):
        line_columns(picture, H)
