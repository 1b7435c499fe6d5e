"""The ink of composed lines: size, baseline, marks, joins, frame."""

import string

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model.data.augmentation import InkAugmentation, frame_of
from inkstream.model.data.batches import AugmentedRenderer, render_composed
from inkstream.model.data.synthesis.composition import ComposedLine, LineComposer, spell
from inkstream.model.data.synthesis.glyphs import collect
from inkstream.model.errors import DataError
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.preprocess.ink import rasterise
from tests.helpers.small_writers import (
    INK,
    LETTERS,
    LINES,
    N_POINTS,
    USED,
    WORDS,
    composed,
    ink_of,
    only,
)


def test_block_capitals_without_small_letters_fill_the_frame() -> None:
    renderer, random = AugmentedRenderer(32, strength=0.0), np.random.default_rng(0)
    composer = only(USED, spelt=1.0, block=0.5, single=1.0, of_language=0.0)
    lines = [render_composed(composer, renderer, random) for _ in range(150)]

    def fill_rows(labels: str) -> list[bool]:
        """Return for each word of at least two of these letters whether it fills the rows."""
        of_letters = [line for line in lines if {*line.label} <= {*labels} and len(line.label) > 1]
        return [
            bool(np.ptp(np.flatnonzero(line.columns[:, :32].any(0))) > 28) for line in of_letters
        ]

    assert 0.25 < np.mean(fill_rows(string.ascii_uppercase)) < 0.75
    without_descenders = fill_rows("abcdefhiklmnorstuvwxz")
    assert len(without_descenders) > 10
    assert not any(without_descenders)


def test_the_letters_of_all_writers_have_one_size_and_baseline() -> None:
    tops: dict[str, list[float]] = {character: [] for character in "xlgA"}
    bottoms: dict[str, list[float]] = {character: [] for character in "xlgA"}
    for line in composed(500, "spelt") + composed(500, "words"):
        for index in {*line.letter_of_point.tolist()} - {-1}:
            if (character := line.label[index]) in tops:
                tops[character].append(float(ink_of(line, index)[:, 1].min()))
                bottoms[character].append(float(ink_of(line, index)[:, 1].max()))
    expected = {"x": (-1, 0), "l": (-1.75, 0), "g": (-1, 1.1), "A": (-1.75, 0)}
    for character, (top, bottom) in expected.items():
        assert tops[character] == pytest.approx([top] * len(tops[character]), abs=0.35)
        assert bottoms[character] == pytest.approx([bottom] * len(tops[character]), abs=0.35)


def test_words_that_are_not_segmented_are_on_the_baseline_too() -> None:
    composer = only(np.flatnonzero(INK.writers == WORDS), words=1.0)
    for line in composed(200, composer=composer):
        words = line.points[line.letter_of_point < 0, 1]
        assert -0.4 < np.median(words[words > -0.5]) < 0.4


def test_marks_have_their_usual_height() -> None:
    heights_of: dict[str, list[float]] = {character: [] for character in ".,'-"}
    for line in composed(500, "random"):
        for index in {*line.letter_of_point.tolist()}:
            if line.writer == LETTERS and line.label[index] in heights_of:
                heights_of[line.label[index]].append(float(ink_of(line, index)[:, 1].mean()))
    means = {character: np.mean(heights) for character, heights in heights_of.items()}
    assert means["'"] < -1 < means["-"] < -0.3 < means["."] < means[","] < 0.5


def test_joined_letters_are_used_together_with_their_joins() -> None:
    glyphs = collect(INK, USED)
    random = np.random.default_rng(0)
    runs = spell(glyphs.styles[LINES], "quickvexing", random, long_runs=1.0)
    assert [run.text for run in runs] == ["quick", "vexing"]
    line = next(
        line for line in composed(500, "words") if "vexing" in line.label and line.writer == LINES
    )
    start = line.label.index("vexing")
    stroke = np.searchsorted(line.stroke_starts, np.arange(len(line.points)), "right")
    of_word = (line.letter_of_point >= start) & (line.letter_of_point < start + 6)
    assert len({*stroke[of_word]}) == 1


def test_a_letter_cut_from_a_joined_word_is_one_stroke() -> None:
    composer = only(np.flatnonzero(INK.writers == LINES), random=1.0, most_random=1)
    for line in composed(100, composer=composer):
        assert line.stroke_starts.tolist() == [0, N_POINTS[LINES]]


def test_a_seed_gives_the_same_lines_again_and_the_next_draw_another() -> None:
    first, second = composed(50), composed(50)
    for one, other in zip(first, second, strict=True):
        assert (one.label, one.writer) == (other.label, other.writer)
        assert np.array_equal(one.points, other.points)
    assert len({line.label for line in first}) > 40


def columns_of(line: ComposedLine, random: np.random.Generator) -> NDArray[np.uint8]:
    points, pen_width = InkAugmentation()(
        line.points, line.stroke_starts, frame_of(line.points, 1.9), 32, random
    )
    return rasterise(points, line.stroke_starts, 32, pen_width)


def test_composed_ink_can_be_augmented_and_rasterised() -> None:
    random = np.random.default_rng(0)
    for line in composed(50):
        assert columns_of(line, random).any()


# Missing ink, and time


def test_a_kind_without_enough_ink_by_any_writer_is_refused() -> None:
    words = np.flatnonzero(INK.writers == WORDS)
    with pytest.raises(DataError, match=r"enough ink to make up spelt, numbers$"):
        only(words, spelt=1.0, numbers=1.0)
    with pytest.raises(DataError, match="no label has a word"):
        LineComposer(INK, np.flatnonzero(INK.writers == LETTERS))


def test_kinds_without_enough_ink_are_left_out_if_others_remain() -> None:
    composer = LineComposer(INK, np.flatnonzero(INK.writers == WORDS))
    assert composer.missing == ("spelt", "numbers", "random")
    assert all((line.letter_of_point == -1).any() for line in composed(20, composer=composer))


@pytest.mark.slow
def test_composing_a_line_takes_less_time_than_rasterising_it() -> None:
    composer, random = only(USED, words=1.0), np.random.default_rng(0)
    lines = composed(300, composer=composer)
    rasterise_s = least_s(lambda: [columns_of(line, random) for line in lines])
    assert least_s(lambda: composed(300, composer=composer)) < rasterise_s
