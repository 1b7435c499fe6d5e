"""How made-up lines are written: size, baseline, marks, joins, frame."""

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
    drawn,
    ink_of,
    only,
)


def test_who_writes_nothing_but_block_capitals_fills_the_frame_with_them() -> None:
    pen, random = AugmentedRenderer(32, strength=0.0), np.random.default_rng(0)
    maker = only(USED, spelt=1.0, block=0.5, single=1.0, english=0.0)
    lines = [render_composed(maker, pen, random) for _ in range(150)]

    def full(labels: str) -> list[bool]:
        """Whether words of these letters alone, of two or more, fill the rows."""
        own = [line for line in lines if {*line.label} <= {*labels} and len(line.label) > 1]
        return [bool(np.ptp(np.flatnonzero(line.columns.any(0))) > 28) for line in own]

    assert 0.25 < np.mean(full(string.ascii_uppercase)) < 0.75
    without_descenders = full("abcdefhiklmnorstuvwxz")
    assert len(without_descenders) > 10
    assert not any(without_descenders)


def test_every_hand_comes_in_one_size_and_on_the_baseline() -> None:
    tops: dict[str, list[float]] = {one: [] for one in "xlgA"}
    bottoms: dict[str, list[float]] = {one: [] for one in "xlgA"}
    for made in drawn(500, "spelt") + drawn(500, "words"):
        for place in {*made.letter_of_point.tolist()} - {-1}:
            if (one := made.label[place]) in tops:
                tops[one].append(float(ink_of(made, place)[:, 1].min()))
                bottoms[one].append(float(ink_of(made, place)[:, 1].max()))
    usual = {"x": (-1, 0), "l": (-1.75, 0), "g": (-1, 1.1), "A": (-1.75, 0)}
    for one, (top, bottom) in usual.items():
        assert tops[one] == pytest.approx([top] * len(tops[one]), abs=0.35)
        assert bottoms[one] == pytest.approx([bottom] * len(tops[one]), abs=0.35)


def test_words_that_are_not_cut_stand_on_the_baseline_too() -> None:
    maker = only(np.flatnonzero(INK.writers == WORDS), words=1.0)
    for made in drawn(200, maker=maker):
        words = made.points[made.letter_of_point < 0, 1]
        assert -0.4 < np.median(words[words > -0.5]) < 0.4


def test_marks_stand_where_they_belong() -> None:
    places: dict[str, list[float]] = {one: [] for one in ".,'-"}
    for made in drawn(500, "random"):
        for place in {*made.letter_of_point.tolist()}:
            if made.writer == LETTERS and made.label[place] in places:
                places[made.label[place]].append(float(ink_of(made, place)[:, 1].mean()))
    means = {one: np.mean(heights) for one, heights in places.items()}
    assert means["'"] < -1 < means["-"] < -0.3 < means["."] < means[","] < 0.5


def test_letters_that_were_written_as_one_are_used_as_one_with_their_joins() -> None:
    glyphs = collect(INK, USED)
    random = np.random.default_rng(0)
    runs = spell(glyphs.styles[LINES], "quickvexing", random, long_runs=1.0)
    assert [run.text for run in runs] == ["quick", "vexing"]
    made = next(m for m in drawn(500, "words") if "vexing" in m.label and m.writer == LINES)
    start = made.label.index("vexing")
    stroke = np.searchsorted(made.stroke_starts, np.arange(len(made.points)), "right")
    of_word = (made.letter_of_point >= start) & (made.letter_of_point < start + 6)
    assert len({*stroke[of_word]}) == 1


def test_a_letter_of_a_joined_word_is_a_stroke_of_its_own() -> None:
    maker = only(np.flatnonzero(INK.writers == LINES), random=1.0, most_random=1)
    for made in drawn(100, maker=maker):
        assert made.stroke_starts.tolist() == [0, N_POINTS[LINES]]


def test_a_seed_gives_the_same_lines_again_and_the_next_draw_another() -> None:
    first, second = drawn(50), drawn(50)
    for one, other in zip(first, second, strict=True):
        assert (one.label, one.writer, one.kind) == (other.label, other.writer, other.kind)
        assert np.array_equal(one.points, other.points)
    assert len({made.label for made in first}) > 40


def columns_of(made: ComposedLine, random: np.random.Generator) -> NDArray[np.uint8]:
    points, pen_width = InkAugmentation()(
        made.points, made.stroke_starts, frame_of(made.points, 1.9), 32, random
    )
    return rasterise(points, made.stroke_starts, 32, pen_width)


def test_a_hand_and_the_rasteriser_take_it_as_any_other_ink() -> None:
    random = np.random.default_rng(0)
    for made in drawn(50):
        assert columns_of(made, random).any()


# What is too little, and how long it takes


def test_a_kind_for_which_no_writer_has_enough_is_refused() -> None:
    words = np.flatnonzero(INK.writers == WORDS)
    with pytest.raises(DataError, match=r"enough ink to make up spelt, numbers$"):
        only(words, spelt=1.0, numbers=1.0)
    with pytest.raises(DataError, match="'numbers'"):
        only(words, words=1.0).draw(np.random.default_rng(0), "numbers")
    with pytest.raises(DataError, match="no label has a word"):
        LineComposer(INK, np.flatnonzero(INK.writers == LETTERS))


def test_kinds_for_which_no_writer_has_enough_are_left_out_beside_others() -> None:
    maker = LineComposer(INK, np.flatnonzero(INK.writers == WORDS))
    assert maker.missing == ("spelt", "numbers", "random")
    assert {made.kind for made in drawn(20, maker=maker)} == {"words"}


@pytest.mark.slow
def test_a_line_is_made_up_in_less_time_than_it_is_drawn_in() -> None:
    made, random = drawn(300, "words"), np.random.default_rng(0)
    drawn_s = least_s(lambda: [columns_of(one, random) for one in made])
    assert least_s(lambda: drawn(300, "words")) < drawn_s
