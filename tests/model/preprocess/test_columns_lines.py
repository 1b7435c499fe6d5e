"""Images of lines of any size, tone and dirt become columns."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.errors import ImageError
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.preprocess.columns import LINE_MARGIN, MAX_LINE_COLUMNS, line_columns
from inkstream.model.preprocess.image import MAX_KEPT, read_image
from inkstream.model.preprocess.ink import flatten, rasterise
from tests.helpers.image_files import drawn, encoded

H = 32
Pixels = NDArray[np.uint8]


def wave(x: float, width: float, height: float) -> list[tuple[float, float]]:
    """Return a stroke of loops in a box whose upper left corner is (x, 20)."""
    share = np.linspace(0, 1, 60)
    return [
        (x + width * (s + 0.1 * np.sin(40 * s)), 20 + height * (0.5 + 0.5 * np.sin(31 * s)))
        for s in share
    ]


Stroke = list[tuple[float, float]]
STROKES: list[Stroke] = [wave(30, 300, 100), wave(380, 200, 100), [(500, 4)]]  # words and a dot


def picture(scale: float = 1.0, pen_width: float = 8.0) -> Pixels:
    """Return ink [h, w], 0 = paper and 255 = ink, with a margin."""
    points, starts = flatten(STROKES)
    rows, width = round(150 * scale), round(640 * scale)
    return drawn(points * scale, starts, rows, pen_width * scale, width)


def correlation(first: Pixels, second: Pixels) -> float:
    """Return the correlation of two pictures, whose widths may differ by a few columns."""
    length = min(len(first), len(second))
    assert abs(len(first) - len(second)) <= 4
    return float(np.corrcoef(first[:length].ravel(), second[:length].ravel())[0, 1])


EXPECTED = line_columns(picture(), H)


def test_the_ink_fills_the_rows_and_has_blank_columns_around_it() -> None:
    rows = np.flatnonzero(EXPECTED.max(0))
    assert rows[-1] - rows[0] == 28
    assert 1 <= rows[0] <= 2
    inked = np.flatnonzero(EXPECTED.max(1))
    assert (inked[0], inked[-1]) == (LINE_MARGIN, len(EXPECTED) - LINE_MARGIN - 1)
    assert EXPECTED.max() == 255
    assert EXPECTED[:, :4].max() > 200  # the dot over a word


def toned(paper: int, ink: int) -> Pixels:
    return np.asarray(paper + (ink - paper) * (picture() / 255), np.uint8)


def photographed() -> Pixels:
    """Return the line in uneven light, with noise and dust."""
    light, noise = 200 - 60 * np.linspace(0, 1, 640), np.random.default_rng(0)
    photo = light - picture() * 0.45 + noise.normal(0, 4, (150, 640))
    photo[5:7, 5:7] = 20  # smaller than a dot of this pen
    return photo.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "least"),
    [
        *[(picture(scale), 0.88) for scale in (0.5, 2.0, 4.0)],
        *[(toned(*tones), 0.97) for tones in ((255, 0), (200, 90), (40, 180), (230, 140))],
        *[(encoded(Image.fromarray(toned(255, 0)), kind), 0.95) for kind in ("JPEG", "GIF")],
        (photographed(), 0.9),
    ],
)
def test_size_tones_kind_light_noise_and_dust_make_no_difference(
    image: Pixels | bytes, least: float
) -> None:
    assert correlation(line_columns(image, H), EXPECTED) > least


def test_a_thin_pen_is_widened() -> None:
    thin = line_columns(picture(4.0, pen_width=2.0), H)
    assert thin.max() == 255
    assert thin.mean() > 0.6 * EXPECTED.mean()


def test_an_image_that_is_columns_already_is_unchanged() -> None:
    points, starts = flatten(STROKES)
    columns = rasterise((points - (30, 4)) * (H - 3) / 116 + (4, 1.5), starts, H)
    assert np.array_equal(line_columns(columns.T, H), columns)


def test_a_dash_keeps_its_shape_and_is_in_the_middle() -> None:
    image = np.zeros((60, 200), np.uint8)
    image[28:34, 40:160] = 255
    columns = line_columns(image, H)
    rows = np.flatnonzero(columns.max(0))
    assert len(rows) < 10
    assert abs(rows.mean() - (H - 1) / 2) <= 1


def test_one_pixel_of_ink_is_ink() -> None:
    image = np.full((40, 40), 255, np.uint8)
    image[20, 20] = 0
    assert line_columns(image, H).max() == 255


def test_a_long_scan_keeps_its_rows() -> None:
    image = Image.new("L", (9000, 200), 255)
    image.paste(Image.fromarray(255 - picture()), (100, 20))
    image.paste(Image.fromarray(255 - picture()), (8200, 20))
    part = line_columns(image, H)[: len(EXPECTED) - LINE_MARGIN]
    assert correlation(part, EXPECTED[:-LINE_MARGIN]) > 0.9
    assert read_image(image, max_side=16384).size <= MAX_KEPT


@pytest.mark.parametrize("darker", [1.0, 6.0])
def test_a_piece_of_a_rule_at_the_foot_does_not_hide_the_writing(darker: float) -> None:
    writing = np.full((150, 640), 250, np.uint8)
    writing -= np.rint(picture() / 255 * 240 / darker).astype(np.uint8)
    ruled = writing.copy()
    ruled[140:144, 100:400] = 5
    assert correlation(line_columns(ruled, H), line_columns(writing, H)) > 0.99


def test_a_stroke_that_reaches_the_foot_and_a_dash_by_itself_are_kept() -> None:
    writing = 255 - picture()
    writing[100:144, 200:206] = 0
    writing[138:144, 200:300] = 0  # a tail that goes on along the foot
    assert (line_columns(writing, H)[40:52, -6:] > 100).any(1).all()
    dash = np.full((150, 640), 250, np.uint8)
    dash[138:144, 200:300] = 0
    assert line_columns(dash, H).any()


# Extreme images


def paper(height: int, width: int) -> Pixels:
    return np.full((height, width), 255, np.uint8)


def long_stroke(width: int) -> Pixels:
    """Return one thin stroke, up and down from the left end to the right."""
    picture = paper(H, width)
    picture[4:28, 4:-4:4] = 0
    for left in range(4, width - 12, 8):
        picture[27, left : left + 4] = picture[4, left + 4 : left + 8] = 0
    return picture


def dashed_line(width: int) -> Pixels:
    """Return dashes on a line that does not reach both sides, so that it is no rule."""
    picture = paper(H, width)
    picture[25, width // 40 : -width // 40] = 0
    picture[5:22, ::9] = 0
    return picture


@pytest.mark.parametrize(("draw", "width"), [(long_stroke, 4_000), (dashed_line, 10_000)])
@pytest.mark.slow
def test_the_time_for_connected_ink_is_linear_in_its_columns(
    draw: Callable[[int], Pixels], width: int
) -> None:
    short, long = draw(width // 4), draw(width)
    assert line_columns(long, H).max() == 255
    assert least_s(lambda: line_columns(long, H)) < 8 * least_s(lambda: line_columns(short, H))


@pytest.mark.parametrize(
    ("height", "width", "inked", "text"),
    [
        (2_000, 1_000, ([5, -5], [5, -5]), "too fine"),
        (16_384, 100, ([5, -5], [5, -5]), "too fine"),
        (2, 8_000, (0, slice(None, None, 2)), f"at most {MAX_LINE_COLUMNS}"),
    ],
)
def test_specks_that_vanish_in_the_rows_and_lines_of_extreme_length_are_refused(
    height: int, width: int, inked: Any, text: str
) -> None:
    picture = paper(height, width)
    picture[inked] = 0
    with pytest.raises(ImageError, match=text):
        line_columns(picture, H)
