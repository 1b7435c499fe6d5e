"""Line clean-up: frames, edges of a scan and rules are removed, writing at the border is kept."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inkstream.model.preprocess.columns import line_columns, without_borders, without_rule
from inkstream.model.recognizer import Recognizer, load

Pixels = NDArray[np.uint8]

HELLO: Pixels = np.asarray(
    Image.open(Path(__file__).parents[3] / "examples" / "hello.png").convert("L")
)


@pytest.fixture(scope="module")
def lines() -> Recognizer:
    return load("lines")


def framed(width: int, tone: int = 0) -> Pixels:
    return np.pad(np.pad(HELLO, 20, constant_values=255), width, constant_values=tone)


def beside(top: int, bottom: int, left: int, right: int, tone: int = 0) -> Pixels:
    return np.pad(HELLO, ((top, bottom), (left, right)), constant_values=tone)


def ruled(tone: int, above: int, below: int) -> Pixels:
    """Return the line with a rule of two pixels below it, with these distances."""
    paper = np.pad(HELLO, ((0, above + 2 + below), (0, 0)), constant_values=255)
    paper[len(HELLO) + above :][:2] = tone
    return paper


def with_wedge() -> Pixels:
    """Return the line with a dark wedge at the right, as in a crooked scan."""
    image = Image.fromarray(np.pad(HELLO, ((0, 0), (0, 10)), constant_values=255))
    width, height = image.size
    wedge = [(width, 0), (width - 2, 0), (width - 7, height), (width, height)]
    ImageDraw.Draw(image).polygon(wedge, fill=0)
    return np.asarray(image)


@pytest.mark.parametrize(
    "picture",
    [
        *(framed(3), framed(10), framed(3, tone=100), 255 - framed(3)),
        *(beside(0, 0, 0, 4), beside(0, 0, 4, 0), beside(4, 0, 0, 0), beside(0, 0, 0, 10, 120)),
        *(ruled(tone, above, 0) for tone in (0, 120) for above in (0, 30)),
        *(ruled(60, 10, below) for below in (1, 10)),
        with_wedge(),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_frames_edges_and_rules_around_a_line_are_not_read(
    lines: Recognizer, picture: Pixels, kind: str
) -> None:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    assert lines.recognize(file.getvalue()).text == "hello, world!"


def test_a_rule_that_writing_crosses_is_removed(lines: Recognizer) -> None:
    paper = HELLO.copy()
    paper[60:62] = np.minimum(paper[60:62], 150)
    assert lines.recognize(paper).text == "hello, world!"


def test_writing_that_touches_the_border_is_kept() -> None:
    rows, columns = (np.flatnonzero((HELLO < 200).any(axis)) for axis in (1, 0))
    cropped = HELLO[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert np.array_equal(without_borders(cropped), cropped)
    ink = (255 - cropped).astype(np.float32)
    assert np.array_equal(without_rule(ink, 24), ink)


@pytest.mark.parametrize("region", [np.s_[:, :6], np.s_[:6]], ids=["stem", "bar"])
def test_a_stem_or_a_bar_of_a_letter_at_the_border_is_kept(region: tuple[slice, ...]) -> None:
    letter = np.full((60, 40), 255, np.uint8)
    letter[region] = letter[:, 10:16] = 0
    assert np.array_equal(without_borders(letter), letter)


def test_a_single_dash_is_kept() -> None:
    dash = np.full((60, 200), 255, np.uint8)
    dash[28:34] = 0
    assert line_columns(dash, 32).max() == 255


def test_a_shadow_at_a_side_changes_nothing() -> None:
    shade = np.minimum(1, 0.5 + np.arange(len(HELLO)) / 60)[:, None]
    shaded = (HELLO * shade).astype(np.uint8)
    assert np.array_equal(without_borders(shaded), shaded)
