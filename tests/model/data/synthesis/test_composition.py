"""Words and lines are composed of one writer's ink, and the letter of each point is known."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from inkstream.model.alphabet import ASCII, WESTERN
from inkstream.model.data.batches import AugmentedRenderer, render_composed
from inkstream.model.data.synthesis.composition import KINDS, LineComposer, Recipe, spell
from inkstream.model.data.synthesis.glyphs import collect
from inkstream.model.data.synthesis.word_lists import words_of
from inkstream.model.errors import DataError
from tests.model.data.small_writers import (
    CHARACTERS,
    INK,
    LETTERS,
    LINES,
    N_POINTS,
    TEXTS,
    USED,
    WORDS,
    Glyph,
    composed,
    ink_of,
    ink_set,
    letter_glyph,
    line_glyph,
    only,
)

KNOWN = {*" ".join(TEXTS).split(), "vexing"}


def by_writer_of_words(labels: Sequence[str]) -> LineComposer:
    """Return what makes up lines of these words as a writer has written them."""
    ink = ink_set([(WORDS, "7", line_glyph(label, WORDS, cut=False)) for label in labels])
    return LineComposer(ink, np.arange(len(ink)), Recipe(spelt=0, numbers=0, random=0))


# Labels and the points of their letters


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_is_of_printable_characters_and_each_letter_has_its_points(kind: str) -> None:
    for line in composed(200, kind):
        assert {*line.label} <= {*string.printable[:95]}
        assert line.label == " ".join(line.label.split())
        counts = Counter(line.letter_of_point.tolist())
        unknown = counts.pop(-1, 0)
        assert set(counts.values()) <= {N_POINTS[line.writer]}
        if unknown:  # words that are not segmented have the points of all other letters
            missing = len(line.label.replace(" ", "")) - len(counts)
            assert (line.writer, unknown) == (WORDS, missing * N_POINTS[WORDS])
        else:
            assert set(counts) == {index for index, char in enumerate(line.label) if char != " "}


def test_letters_end_in_the_order_of_the_text_in_whole_strokes_from_the_left() -> None:
    lines = composed(400)
    assert {line.writer for line in lines} == {LETTERS, LINES, WORDS}  # not those left out
    for line in lines:
        indices = sorted({*line.letter_of_point.tolist()} - {-1})
        ends = [ink_of(line, index)[:, 0].max() for index in indices]
        assert all(before < after for before, after in pairwise(ends))
        assert line.points.dtype == np.float32
        assert len(line.points) == len(line.letter_of_point)
        assert line.points[:, 0].min() == 0
        assert (line.stroke_starts[0], line.stroke_starts[-1]) == (0, len(line.points))
        assert (np.diff(line.stroke_starts) > 0).all()


def test_a_gap_between_words_is_wider_than_those_within() -> None:
    for line in composed(200, "spelt") + composed(200, "numbers"):
        indices = [index for index, char in enumerate(line.label) if char != " "]
        boxes = {index: ink_of(line, index)[:, 0] for index in indices}
        gaps = [(boxes[b].min() - boxes[a].max(), b - a) for a, b in pairwise(boxes)]
        within = [gap for gap, step in gaps if step == 1]
        between = [gap for gap, step in gaps if step == 2]
        assert max(within, default=0) + 0.2 < min(between, default=9)


# The writers of the ink


def test_ink_of_two_categories_is_used_once_and_a_letter_that_is_much_too_large_never() -> None:
    too_large = Glyph("e", letter_glyph("e", LETTERS).points * 9, np.zeros(6, np.int64), 6)
    pieces = [(LETTERS, "1c", letter_glyph(char, LETTERS)) for char in "abcde"]
    pieces += [(LETTERS, "3", letter_glyph("a", LETTERS)), (LETTERS, "1c", too_large)]
    letters = collect(ink_set(pieces), np.arange(7)).styles[LETTERS].letters
    assert (letters["a"], letters["e"]) == ([0], [4])


def test_a_word_with_a_large_gap_is_not_used() -> None:
    complete = line_glyph("ale", WORDS, cut=False)
    points = complete.points + np.repeat([[0, 0], [200, 0]], (16, 8), 0)
    torn = Glyph("ale", points, complete.letters, complete.stroke)
    pieces = [(WORDS, "7", complete), (WORDS, "7", torn)]
    words = collect(ink_set(pieces), np.arange(2)).styles[0].words
    assert [(word.text, word.first) for word in words] == [("ale", 0)]


# Size, baseline and joins


def test_the_letters_and_marks_of_all_writers_have_one_size_and_baseline() -> None:
    expected = {"x": (-1, 0), "l": (-1.75, 0), "g": (-1, 1.1), "A": (-1.75, 0)}
    for line in composed(500, "spelt") + composed(500, "words"):
        for index in {*line.letter_of_point.tolist()} - {-1}:
            if (char := line.label[index]) in expected:
                y = ink_of(line, index)[:, 1]
                assert (y.min(), y.max()) == pytest.approx(expected[char], abs=0.35)
    heights: dict[str, list[float]] = {char: [] for char in ".,'-"}
    for line in composed(500, "random"):
        for index in {*line.letter_of_point.tolist()}:
            if line.writer == LETTERS and line.label[index] in heights:
                heights[line.label[index]].append(float(ink_of(line, index)[:, 1].mean()))
    means = {char: np.mean(of_char) for char, of_char in heights.items()}
    assert means["'"] < -1 < means["-"] < -0.3 < means["."] < means[","] < 0.5


def test_words_that_are_not_segmented_are_on_the_baseline_too() -> None:
    composer = only(np.flatnonzero(INK.writers == WORDS), words=1.0)
    for line in composed(200, composer=composer):
        words = line.points[line.letter_of_point < 0, 1]
        assert -0.4 < np.median(words[words > -0.5]) < 0.4


def test_joined_letters_are_used_together_with_their_joins() -> None:
    style, random = collect(INK, USED).styles[LINES], np.random.default_rng(0)
    runs = spell(style, "quickvexing", random, long_runs=1.0)
    assert [run.text for run in runs] == ["quick", "vexing"]
    lines = [line for line in composed(500, "words") if "vexing" in line.label]
    line = next(line for line in lines if line.writer == LINES)
    start = line.label.index("vexing")
    stroke = np.searchsorted(line.stroke_starts, np.arange(len(line.points)), "right")
    of_word = (line.letter_of_point >= start) & (line.letter_of_point < start + 6)
    assert len({*stroke[of_word]}) == 1


def test_a_letter_cut_from_a_joined_word_is_one_stroke() -> None:
    lines = composed(300, composer=only(np.flatnonzero(INK.writers == LINES), random=1.0))
    single = [line.stroke_starts.tolist() for line in lines if len(line.label) == 1]
    assert len(single) > 10
    assert single == [[0, N_POINTS[LINES]]] * len(single)


def test_half_of_the_block_capitals_fill_the_frame_and_small_letters_do_not() -> None:
    renderer, random = AugmentedRenderer(32, strength=0.0), np.random.default_rng(0)
    composer = only(USED, spelt=1.0)
    lines = [render_composed(composer, renderer, random) for _ in range(400)]

    def fill_rows(labels: str) -> list[bool]:
        """Return for each text of at least two of these letters whether it fills the rows."""
        columns = [line.columns for line in lines if {*line.label} <= {*labels, " "}]
        rows = [np.flatnonzero(of_line[:, :32].any(0)) for of_line in columns if len(of_line) > 32]
        return [bool(np.ptp(of_line) > 28) for of_line in rows]

    assert 0.25 < np.mean(fill_rows(string.ascii_uppercase)) < 0.75
    without_descenders = fill_rows("abcdefhiklmnorstuvwxz")
    assert len(without_descenders) > 10
    assert not any(without_descenders)


# Characters beyond ASCII


def western_labels(n_lines: int, western: float) -> list[str]:
    """Return labels of lines by a writer of all of ASCII, of whom no other character is known."""
    glyphs = [(LETTERS, "1c", letter_glyph(char, LETTERS)) for char in ASCII[1:]]
    ink = ink_set([*glyphs, (LETTERS, "8", line_glyph(TEXTS[0], LETTERS))])
    composer = LineComposer(ink, np.arange(len(ink)), Recipe(western=western))
    return [line.label for line in composed(n_lines, composer=composer)]


@pytest.mark.slow
def test_each_letter_and_mark_of_western_europe_is_in_many_made_up_lines() -> None:
    n_lines = 2000
    counts = Counter(char for label in western_labels(n_lines, 0.5) for char in {*label})
    beyond = {char: counts[char] for char in set(WESTERN) - set(ASCII)}
    assert len(beyond) == 75
    # About 25 of the rarest: the bound leaves room for another draw.
    assert min(beyond.values()) >= n_lines / 200, sorted(beyond, key=beyond.__getitem__)[:5]
    assert max(beyond.values()) < counts["e"]
    assert set(counts) == set(WESTERN)


@pytest.mark.slow
def test_whole_words_keep_the_accents_that_were_written() -> None:
    words = [
        "élan", "père", "forêt", "garçon", "naïf", "maître",
        "hôtel", "sœur", "été", "mère", "bébé", "tête",
    ]  # fmt: skip
    pieces = [(LETTERS, "1c", letter_glyph(char, LETTERS)) for char in ASCII[1:]]
    pieces += [(LETTERS, "7", line_glyph(word, LETTERS, cut=False)) for word in words]
    ink = ink_set(pieces)
    recipe = Recipe(spelt=0, numbers=0, random=0, western=1)
    for line in composed(100, composer=LineComposer(ink, np.arange(len(ink)), recipe)):
        n_letters = sum(len(word) * line.label.count(word) for word in words)
        assert (line.letter_of_point == -1).sum() == N_POINTS[LETTERS] * n_letters


# Kinds


def test_kinds_have_the_shares_of_the_recipe() -> None:
    words = [line.writer == WORDS for line in composed(2000, composer=only(USED, words=3, spelt=1))]
    of_words = [line.writer == WORDS for line in composed(2000, "words")]
    assert np.mean(words) == pytest.approx(0.75 * np.mean(of_words), abs=0.03)


def test_spelt_words_are_those_of_the_labels_those_of_english_and_new_ones() -> None:
    labels = " ".join(line.label for line in composed(400, "spelt"))
    words = {word for word in re.findall("[a-z]+", labels.lower()) if len(word) > 1}
    english = set().union(*(word.replace("-", "'").split("'") for word in words_of("en")))
    assert words >= {"quick", "vexing"}
    assert len(words & english - KNOWN) > 30
    assert words - english - KNOWN


def test_lines_of_words_hold_the_writers_words_and_marks_and_half_begin_with_a_capital() -> None:
    lines = composed(400, "words")
    for line in lines:
        assert line.writer in {LINES, WORDS}
        words = line.label.split()
        assert 2 <= len(words) <= 8
        assert {word.rstrip(".,") for word in words} <= KNOWN
    assert {*".,"} < {*"".join(line.label for line in lines)}
    assert 0.45 < np.mean([line.label[0].isupper() for line in lines]) < 0.65


def test_texts_in_block_capitals_are_by_writers_who_have_capitals() -> None:
    lines = composed(600, "spelt")
    block = [line for line in lines if len(line.label) > 8 and line.label.isupper()]
    assert {line.writer for line in block} == {LETTERS}
    by_letters = [line for line in lines if len(line.label) > 8 and line.writer == LETTERS]
    assert len(block) / len(by_letters) == pytest.approx(0.2, abs=0.06)


def test_some_lines_of_words_are_of_words_in_block_capitals() -> None:
    words = [*{*" ".join(TEXTS).lower().split()} - {"a"}]
    usual = [*words, *map(str.capitalize, words)]

    def share(labels: Sequence[str]) -> float:
        lines = composed(400, composer=by_writer_of_words(labels))
        return float(np.mean([line.label.isupper() for line in lines]))

    assert len(words) >= 12
    assert share(usual) == 0
    assert share([*map(str.upper, words), *usual]) == pytest.approx(0.24, abs=0.05)


@pytest.mark.slow
def test_random_texts_have_all_characters_of_a_writer_equally_often() -> None:
    lines = composed(1500, "random")
    counts = Counter("".join(line.label for line in lines if line.writer == LETTERS))
    assert counts.pop(" ") > 0
    assert set(counts) == set(CHARACTERS)
    assert max(counts.values()) < 2 * min(counts.values())


# Missing ink


def test_a_kind_without_enough_ink_by_any_writer_is_refused() -> None:
    words = np.flatnonzero(INK.writers == WORDS)
    with pytest.raises(DataError, match=r"enough ink to make up spelt, numbers$"):
        only(words, spelt=1.0, numbers=1.0)
    with pytest.raises(DataError, match="no label has a word"):
        LineComposer(INK, np.flatnonzero(INK.writers == LETTERS))
