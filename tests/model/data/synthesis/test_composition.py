"""Words and lines are made up of one writer's ink, and where each letter is in them is known."""

import string
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from inkstream.model.data.synthesis.composition import KINDS, Kind, LineComposer, Recipe
from inkstream.model.data.synthesis.glyphs import collect
from inkstream.model.data.synthesis.texts import english
from tests.helpers.small_writers import (
    CHARACTERS,
    INK,
    LETTERS,
    LINES,
    N_POINTS,
    TEXTS,
    USED,
    WORDS,
    Glyph,
    drawn,
    ink_of,
    ink_set,
    letter,
    line,
    only,
)

# Labels and where their letters are


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_of_printable_characters_with_single_spaces_between_words(kind: Kind) -> None:
    for made in drawn(200, kind):
        assert made.kind == kind
        assert {*made.label} <= {*string.printable[:95]}
        assert made.label == " ".join(made.label.split())


@pytest.mark.parametrize("kind", KINDS)
def test_each_letter_has_its_own_points_and_a_space_has_none(kind: Kind) -> None:
    for made in drawn(200, kind):
        counts = Counter(made.letter_of_point.tolist())
        unknown = counts.pop(-1, 0)
        assert set(counts.values()) <= {N_POINTS[made.writer]}
        if unknown:  # in words that are not cut: as many points as the rest of the text needs
            missing = len(made.label.replace(" ", "")) - len(counts)
            assert (made.writer, unknown) == (WORDS, missing * N_POINTS[WORDS])
        else:
            assert set(counts) == {at for at, one in enumerate(made.label) if one != " "}


def test_letters_end_in_the_order_of_the_text() -> None:
    for made in drawn(400):
        known = sorted({*made.letter_of_point.tolist()} - {-1})
        ends = [ink_of(made, place)[:, 0].max() for place in known]
        assert all(before < after for before, after in pairwise(ends))


def test_the_ink_is_in_whole_strokes_and_starts_at_the_left() -> None:
    for made in drawn(200):
        assert made.points.dtype == np.float32
        assert made.points.shape == (len(made.letter_of_point), 2)
        assert made.points[:, 0].min() == 0
        assert (made.stroke_starts[0], made.stroke_starts[-1]) == (0, len(made.points))
        assert (np.diff(made.stroke_starts) > 0).all()


def test_a_gap_between_words_is_wider_than_those_within() -> None:
    for made in drawn(200, "spelt") + drawn(200, "numbers"):
        boxes = {at: ink_of(made, at)[:, 0] for at, one in enumerate(made.label) if one != " "}
        gaps = [(boxes[b].min() - boxes[a].max(), b - a) for a, b in pairwise(boxes)]
        within = [gap for gap, step in gaps if step == 1]
        between = [gap for gap, step in gaps if step == 2]
        assert max(within, default=0) + 0.2 < min(between, default=9)


# Whose ink it is


def test_a_line_is_of_one_of_the_given_writers() -> None:
    seen = set()
    for made in drawn(400):
        seen.add(made.writer)
        lengths = {len(made.points[made.letter_of_point == at]) for at in {*made.letter_of_point}}
        assert all(length % N_POINTS[made.writer] == 0 for length in lengths)
    assert seen == {LETTERS, LINES, WORDS}


def test_only_the_given_pieces_are_used_for_ink_and_for_words() -> None:
    small = np.array([at for at in USED if INK.labels[at] == INK.labels[at].lower()])
    maker = only(small[INK.writers[small] != WORDS], spelt=1, random=1)
    labels = "".join(made.label for made in drawn(300, maker=maker))
    assert labels == labels.lower()
    assert not {*labels} & {*string.ascii_uppercase}


def test_ink_that_stands_in_two_categories_comes_once() -> None:
    pieces = [(LETTERS, "1c", letter("a", LETTERS)), (LETTERS, "3", letter("a", LETTERS))]
    style = collect(ink_set(pieces), np.arange(2)).styles[LETTERS]
    assert [len(style.letters[one]) for one in "a"] == [1]


def test_a_letter_that_is_much_too_large_is_left_out() -> None:
    slip = Glyph("e", letter("e", LETTERS).points * 9, np.zeros(6, np.int64), 6)
    pieces = [(LETTERS, "1c", letter(one, LETTERS)) for one in "abcde"] + [(LETTERS, "1c", slip)]
    assert collect(ink_set(pieces), np.arange(6)).styles[LETTERS].letters["e"] == [4]


def test_a_word_that_is_torn_apart_is_left_out() -> None:
    whole = line("ale", WORDS, cut=False)
    points = whole.points + np.repeat([[0, 0], [200, 0]], (16, 8), 0)
    torn = Glyph("ale", points, whole.letters, whole.stroke)
    pieces = [(WORDS, "7", whole), (WORDS, "7", torn)]
    words = collect(ink_set(pieces), np.arange(2)).styles[WORDS].words
    assert [(word.text, word.first) for word in words] == [("ale", 0)]


# Kinds


@pytest.mark.slow
def test_kinds_come_as_often_as_the_recipe_says() -> None:
    counts = Counter(made.kind for made in drawn(2000))
    shares = {"spelt": 0.4, "words": 0.3, "numbers": 0.1, "random": 0.2}
    assert {kind: counts[kind] / 2000 for kind in KINDS} == pytest.approx(shares, abs=0.03)
    assert {made.kind for made in drawn(50, maker=only(USED, numbers=1.0))} == {"numbers"}


def test_spelt_words_are_those_of_the_labels_unless_new_ones_are_asked_for() -> None:
    known = {*" ".join(TEXTS).lower().split(), "vexing"}

    def words(**shares: float) -> set[str]:
        made = drawn(200, maker=only(USED, spelt=1.0, **({"new": 0.0, "english": 0.0} | shares)))
        found = "".join(one if one.isalpha() else " " for line in made for one in line.label + " ")
        return {*found.lower().split()} - {"s"}

    assert words() == known
    assert words(new=1.0) - known >= {"withe", "fiver"}
    of_language = words(english=1.0)
    assert len(of_language - known) > 30
    assert {word for word in of_language if len(word) > 1} <= english().keys()


def test_lines_of_words_hold_the_writers_own_with_marks_between() -> None:
    own = {*" ".join(TEXTS).split(), "vexing"}
    for made in drawn(200, "words"):
        assert made.writer in {LINES, WORDS}
        words = made.label.split()
        assert 2 <= len(words) <= 8
        assert {word.rstrip(".,") for word in words} <= own
    assert {*".,"} < {*"".join(made.label for made in drawn(200, "words"))}


def test_half_of_the_lines_begin_with_a_capital() -> None:
    capitals = [made.label[0].isupper() for made in drawn(400, "words")]
    assert 0.45 < np.mean(capitals) < 0.65


def test_texts_in_block_capitals_are_so_throughout_if_the_writer_has_them() -> None:
    made = drawn(200, maker=only(USED, spelt=1.0, block=1.0))
    block = [line.label == line.label.upper() for line in made if line.writer == LETTERS]
    assert len(block) > 50
    assert all(block)
    small = [line.label for line in made if line.writer == LINES]
    assert any(label == label.lower() for label in small)


def test_some_lines_of_words_are_of_words_in_block_capitals() -> None:
    words = [*{*" ".join(TEXTS).lower().split()} - {"a"}]
    shout = [(WORDS, "7", line(word.upper(), WORDS, cut=False)) for word in words]
    usual = [*words, *map(str.capitalize, words)]
    ink = ink_set([*shout, *((WORDS, "7", line(word, WORDS, cut=False)) for word in usual)])

    def share(block: float) -> float:
        recipe = Recipe(spelt=0, numbers=0, random=0, block=block)
        made = drawn(200, "words", LineComposer(ink, np.arange(len(ink)), recipe))
        return float(np.mean([line.label.isupper() for line in made]))

    assert len(words) >= 12
    assert share(0.0) < 0.2
    assert share(1.0) == 1.0


def test_numbers_have_no_letters() -> None:
    labels = [made.label for made in drawn(200, "numbers")]
    assert not {*"".join(labels)} & {*string.ascii_letters}
    assert sum(any(one.isdigit() for one in label) for label in labels) == 200
    assert {*"".join(labels)} >= {*string.digits, *"/$.,:-%"}


@pytest.mark.slow
def test_random_texts_show_all_characters_that_a_writer_has_alike() -> None:
    counts = Counter("".join(m.label for m in drawn(1500, "random") if m.writer == LETTERS))
    spaces = counts.pop(" ")
    assert set(counts) == set(CHARACTERS)
    assert max(counts.values()) < 2 * min(counts.values())
    assert spaces > 0
