"""Words and lines are composed of one writer's ink, and the letter of each point is known."""

import string
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from inkstream.model.alphabet import ASCII, WESTERN
from inkstream.model.data.synthesis.composition import KINDS, LineComposer, Recipe
from inkstream.model.data.synthesis.glyphs import collect
from inkstream.model.data.synthesis.word_lists import words_of
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
    composed,
    ink_of,
    ink_set,
    letter_glyph,
    line_glyph,
    only,
)

# Labels and the points of their letters


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_of_printable_characters_with_single_spaces_between_words(kind: str) -> None:
    for line in composed(200, kind):
        assert {*line.label} <= {*string.printable[:95]}
        assert line.label == " ".join(line.label.split())


@pytest.mark.parametrize("kind", KINDS)
def test_each_letter_has_its_own_points_and_a_space_has_none(kind: str) -> None:
    for line in composed(200, kind):
        counts = Counter(line.letter_of_point.tolist())
        unknown = counts.pop(-1, 0)
        assert set(counts.values()) <= {N_POINTS[line.writer]}
        if unknown:  # words that are not segmented have the points of all other letters
            missing = len(line.label.replace(" ", "")) - len(counts)
            assert (line.writer, unknown) == (WORDS, missing * N_POINTS[WORDS])
        else:
            assert set(counts) == {
                index for index, character in enumerate(line.label) if character != " "
            }


def test_letters_end_in_the_order_of_the_text() -> None:
    for line in composed(400):
        known = sorted({*line.letter_of_point.tolist()} - {-1})
        ends = [ink_of(line, index)[:, 0].max() for index in known]
        assert all(before < after for before, after in pairwise(ends))


def test_the_ink_is_in_whole_strokes_and_starts_at_the_left() -> None:
    for line in composed(200):
        assert line.points.dtype == np.float32
        assert line.points.shape == (len(line.letter_of_point), 2)
        assert line.points[:, 0].min() == 0
        assert (line.stroke_starts[0], line.stroke_starts[-1]) == (0, len(line.points))
        assert (np.diff(line.stroke_starts) > 0).all()


def test_a_gap_between_words_is_wider_than_those_within() -> None:
    for line in composed(200, "spelt") + composed(200, "numbers"):
        boxes = {
            index: ink_of(line, index)[:, 0]
            for index, character in enumerate(line.label)
            if character != " "
        }
        gaps = [(boxes[b].min() - boxes[a].max(), b - a) for a, b in pairwise(boxes)]
        within = [gap for gap, step in gaps if step == 1]
        between = [gap for gap, step in gaps if step == 2]
        assert max(within, default=0) + 0.2 < min(between, default=9)


# The writers of the ink


def test_a_line_is_of_one_of_the_given_writers() -> None:
    seen = set()
    for line in composed(400):
        seen.add(line.writer)
        lengths = {
            len(line.points[line.letter_of_point == index]) for index in {*line.letter_of_point}
        }
        assert all(length % N_POINTS[line.writer] == 0 for length in lengths)
    assert seen == {LETTERS, LINES, WORDS}


def test_only_the_given_pieces_are_used_for_ink_and_for_words() -> None:
    small = np.array([index for index in USED if INK.labels[index] == INK.labels[index].lower()])
    composer = only(small[INK.writers[small] != WORDS], spelt=1, random=1)
    labels = "".join(line.label for line in composed(300, composer=composer))
    assert labels == labels.lower()
    assert not {*labels} & {*string.ascii_uppercase}


def test_ink_of_two_categories_is_used_once() -> None:
    pieces = [
        (LETTERS, "1c", letter_glyph("a", LETTERS)),
        (LETTERS, "3", letter_glyph("a", LETTERS)),
    ]
    style = collect(ink_set(pieces), np.arange(2)).styles[LETTERS]
    assert [len(style.letters[character]) for character in "a"] == [1]


def test_a_letter_that_is_much_too_large_is_not_used() -> None:
    too_large = Glyph("e", letter_glyph("e", LETTERS).points * 9, np.zeros(6, np.int64), 6)
    pieces = [(LETTERS, "1c", letter_glyph(character, LETTERS)) for character in "abcde"] + [
        (LETTERS, "1c", too_large)
    ]
    assert collect(ink_set(pieces), np.arange(6)).styles[LETTERS].letters["e"] == [4]


def test_a_word_with_a_large_gap_is_not_used() -> None:
    complete = line_glyph("ale", WORDS, cut=False)
    points = complete.points + np.repeat([[0, 0], [200, 0]], (16, 8), 0)
    torn = Glyph("ale", points, complete.letters, complete.stroke)
    pieces = [(WORDS, "7", complete), (WORDS, "7", torn)]
    words = collect(ink_set(pieces), np.arange(2)).styles[WORDS].words
    assert [(word.text, word.first) for word in words] == [("ale", 0)]


# Characters beyond ASCII


def western_labels(n_lines: int, western: float) -> list[str]:
    """Return labels of lines by a writer of all of ASCII, of whom no other character is known."""
    glyphs = [(LETTERS, "1c", letter_glyph(character, LETTERS)) for character in ASCII[1:]]
    ink = ink_set([*glyphs, (LETTERS, "8", line_glyph(TEXTS[0], LETTERS))])
    composer = LineComposer(ink, np.arange(len(ink)), Recipe(western=western))
    random = np.random.default_rng(0)
    return [composer.draw(random).label for _ in range(n_lines)]


def test_each_letter_and_mark_of_western_europe_is_in_many_made_up_lines() -> None:
    n_lines = 2000
    counts = Counter(character for label in western_labels(n_lines, 0.5) for character in {*label})
    beyond = {character: counts[character] for character in set(WESTERN) - set(ASCII)}
    assert len(beyond) == 75
    # About 25 of the rarest: the bound leaves room for another draw.
    assert min(beyond.values()) >= n_lines / 200, sorted(beyond.items(), key=lambda own: own[1])[:5]
    assert max(beyond.values()) < counts["e"]
    assert set(counts) == set(WESTERN)


def test_whole_words_keep_the_accents_that_were_written() -> None:
    words = [
        "élan", "père", "forêt", "garçon", "naïf", "maître",
        "hôtel", "sœur", "été", "mère", "bébé", "tête",
    ]  # fmt: skip
    pieces = [(LETTERS, "1c", letter_glyph(character, LETTERS)) for character in ASCII[1:]]
    pieces += [(LETTERS, "7", line_glyph(word, LETTERS, cut=False)) for word in words]
    ink = ink_set(pieces)
    recipe = Recipe(spelt=0, numbers=0, random=0, western=1)
    for line in composed(100, composer=LineComposer(ink, np.arange(len(ink)), recipe)):
        n_letters = sum(len(word) for word in words for _ in range(line.label.count(word)))
        assert (line.letter_of_point == -1).sum() == N_POINTS[LETTERS] * n_letters


def test_without_other_languages_lines_are_of_ascii() -> None:
    assert {*"".join(western_labels(100, 0.0))} <= set(ASCII)


# Kinds


def test_kinds_have_the_shares_of_the_recipe() -> None:
    words = [line.writer == WORDS for line in composed(2000, composer=only(USED, words=3, spelt=1))]
    of_words = [line.writer == WORDS for line in composed(2000, "words")]
    assert np.mean(words) == pytest.approx(0.75 * np.mean(of_words), abs=0.03)


def test_spelt_words_are_those_of_the_labels_or_new_ones_by_their_share() -> None:
    known = {*" ".join(TEXTS).lower().split(), "vexing"}

    def words(**shares: float) -> set[str]:
        lines = composed(
            200, composer=only(USED, spelt=1.0, **({"new": 0.0, "of_language": 0.0} | shares))
        )
        found = "".join(
            character if character.isalpha() else " "
            for line in lines
            for character in line.label + " "
        )
        return {*found.lower().split()} - {"s"}

    assert words() == known
    assert words(new=1.0) - known >= {"withe", "fiver"}
    of_language = words(of_language=1.0)
    assert len(of_language - known) > 30
    assert {word for word in of_language if len(word) > 1} <= words_of("en").keys()


def test_lines_of_words_hold_the_writers_words_and_marks() -> None:
    known_words = {*" ".join(TEXTS).split(), "vexing"}
    for line in composed(200, "words"):
        assert line.writer in {LINES, WORDS}
        words = line.label.split()
        assert 2 <= len(words) <= 8
        assert {word.rstrip(".,") for word in words} <= known_words
    assert {*".,"} < {*"".join(line.label for line in composed(200, "words"))}


def test_half_of_the_lines_begin_with_a_capital() -> None:
    capitals = [line.label[0].isupper() for line in composed(400, "words")]
    assert 0.45 < np.mean(capitals) < 0.65


def test_texts_in_block_capitals_have_no_other_letters_if_the_writer_has_capitals() -> None:
    lines = composed(200, composer=only(USED, spelt=1.0, block=1.0))
    block = [line.label == line.label.upper() for line in lines if line.writer == LETTERS]
    assert len(block) > 50
    assert all(block)
    small = [line.label for line in lines if line.writer == LINES]
    assert any(label == label.lower() for label in small)


def test_some_lines_of_words_are_of_words_in_block_capitals() -> None:
    words = [*{*" ".join(TEXTS).lower().split()} - {"a"}]
    capitals_only = [(WORDS, "7", line_glyph(word.upper(), WORDS, cut=False)) for word in words]
    usual = [*words, *map(str.capitalize, words)]
    ink = ink_set(
        [*capitals_only, *((WORDS, "7", line_glyph(word, WORDS, cut=False)) for word in usual)]
    )

    def share(block: float) -> float:
        recipe = Recipe(spelt=0, numbers=0, random=0, block=block)
        lines = composed(200, composer=LineComposer(ink, np.arange(len(ink)), recipe))
        return float(np.mean([line.label.isupper() for line in lines]))

    assert len(words) >= 12
    assert share(0.0) < 0.2
    assert share(1.0) == 1.0


def test_numbers_have_no_letters() -> None:
    labels = [line.label for line in composed(200, "numbers")]
    assert not {*"".join(labels)} & {*string.ascii_letters}
    assert sum(any(character.isdigit() for character in label) for label in labels) == 200
    assert {*"".join(labels)} >= {*string.digits, *"/$.,:-%"}


@pytest.mark.slow
def test_random_texts_have_all_characters_of_a_writer_equally_often() -> None:
    counts = Counter(
        "".join(line.label for line in composed(1500, "random") if line.writer == LETTERS)
    )
    spaces = counts.pop(" ")
    assert set(counts) == set(CHARACTERS)
    assert max(counts.values()) < 2 * min(counts.values())
    assert spaces > 0
