"""Accents are drawn at letters that can have some, and change nothing else of a line."""

import numpy as np
import pytest

from inkstream.model.data.synthesis.accents import GAP, HEIGHT, LETTERS, accented
from inkstream.model.data.synthesis.composition import ComposedLine
from tests.helpers.small_writers import composed, ink_of

LINES = composed(60, "spelt")


def with_accents(line: ComposedLine, seed: int = 0) -> ComposedLine:
    return accented(line, np.random.default_rng(seed))


def test_labels_and_the_ink_of_letters_stay_as_they_are() -> None:
    for line in LINES:
        drawn = with_accents(line)
        assert drawn.label == line.label
        shift = drawn.points[0, 0] - line.points[0, 0]
        assert 0 <= shift < 1  # an accent may begin left of the first letter
        for place in range(len(line.label)):
            assert np.allclose(
                ink_of(drawn, place), ink_of(line, place) + np.array([shift, 0]), atol=1e-5
            )


def test_accents_belong_to_no_letter() -> None:
    counts = [len(with_accents(line).points) - len(line.points) for line in LINES]
    assert sum(count > 0 for count in counts) > len(LINES) / 4
    for line, count in zip(LINES, counts, strict=True):
        assert (with_accents(line).letter_of_point[len(line.points) :] == -1).all()
        assert count >= 0


def test_strokes_of_accents_follow_those_of_letters() -> None:
    for line in LINES:
        drawn = with_accents(line)
        n_strokes = len(line.stroke_starts)
        assert np.array_equal(drawn.stroke_starts[:n_strokes], line.stroke_starts)
        assert (np.diff(drawn.stroke_starts) > 0).all()
        assert drawn.stroke_starts[-1] == len(drawn.points) == len(drawn.letter_of_point)


def test_a_line_without_vowels_stays_as_it_is() -> None:
    lines = [line for line in composed(400) if not set(line.label.lower()) & set(LETTERS)]
    assert lines
    for line in lines:
        assert with_accents(line) is line


@pytest.mark.parametrize("seed", range(5))
def test_accents_stand_close_to_the_ink(seed: int) -> None:
    far = GAP[1] + HEIGHT[1] + 0.5
    for line in LINES:
        drawn = with_accents(line, seed).points
        assert drawn[:, 1].min() > line.points[:, 1].min() - far
        assert drawn[:, 1].max() < line.points[:, 1].max() + far


def test_the_same_random_numbers_give_the_same_accents() -> None:
    one, other = (with_accents(LINES[0], 3).points for _ in "ab")
    assert np.array_equal(one, other)
