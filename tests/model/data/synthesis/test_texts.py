"""Texts for made-up lines hold what they may, and more than the labels that they come from."""

import numpy as np
import pytest

from inkstream.model.data.synthesis.texts import NUMBERS, WordSampler, english, marks, number
from inkstream.model.errors import DataError

LABELS = ("The canal's 14 well-known bananas.", "canals, and a bandana", "Alabama, Panama; PAN")
KNOWN = {"The", "canal's", "well-known", "bananas", "canals", "and", "a", "bandana"}
KNOWN |= {"Alabama", "Panama", "PAN"}
ENGLISH = {"the": 0.09, "canal": 0.01}
ALL = set(map(chr, range(33, 127)))


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_known_words_are_those_of_the_labels_without_their_marks() -> None:
    words, chance = WordSampler(LABELS, ENGLISH), random()
    assert {words.known(chance.random()) for _ in range(2000)} == KNOWN


def test_a_word_comes_as_often_as_the_root_of_its_count() -> None:
    words, chance = WordSampler(["one two two two two"] * 4, ENGLISH), random()
    drawn = [words.known(chance.random()) for _ in range(3000)]
    assert drawn.count("two") / drawn.count("one") == pytest.approx(2, rel=0.15)


def test_words_of_the_language_come_as_often_as_the_root_of_their_frequency() -> None:
    words, chance = WordSampler(LABELS, ENGLISH), random()
    drawn = [words.of_language(chance.random()) for _ in range(3000)]
    assert drawn.count("the") / drawn.count("canal") == pytest.approx(3, rel=0.15)


def test_english_has_its_words_the_most_frequent_first() -> None:
    words = english()
    assert len(words) == 60_000
    assert list(words.values()) == sorted(words.values(), reverse=True)
    assert {"the", "don't", "hydroponic", "well-known"} - words.keys() <= {"well-known"}
    assert not {word for word in words if not word.isascii() or word != word.lower()}


def test_new_words_are_made_of_what_follows_what_in_known_ones() -> None:
    words, chance = WordSampler(LABELS, ENGLISH), random()
    triples = {
        f"  {word} "[at : at + 3] for word in KNOWN for at in range(len(word) + 1)
    }  # fmt: skip
    new = {words.new(chance) for _ in range(500)}
    assert len(new - KNOWN) > 20
    for word in new:
        assert 1 <= len(word) <= 14
        assert {f"  {word}"[at : at + 3] for at in range(len(word))} <= triples


def test_text_without_words_is_refused() -> None:
    with pytest.raises(DataError, match="no label has a word"):
        WordSampler(["12", "?"], ENGLISH)


def test_numbers_come_in_all_forms_and_with_the_characters_that_there_are() -> None:
    chance = random()
    forms = {
        "".join("0" if character.isdigit() else character for character in number(ALL, chance))
        for _ in range(5000)
    }
    assert forms == set(NUMBERS)
    assert {*"".join(number({"3", "7", ":", "x"}, chance) for _ in range(500))} == {*"37:"}


def test_marks_are_of_the_given_characters_and_what_opens_is_closed() -> None:
    chance, seen = random(), ""
    for _ in range(2000):
        around = marks(4, ALL, chance)
        text = " ".join(before + "w" + after for before, after, _ in around)
        seen += text
        for opening, closing in ("()", "[]"):
            assert text.count(opening) == text.count(closing) <= 1
            assert text.find(opening) <= text.find(closing)
        assert text.count('"') in (0, 2)
        assert around[-1][2]
    assert set(seen) == {*" w.,;:!?\"'()[]-s"}
    assert all(
        set(before + after) <= {",", "(", ")"}
        for _ in range(500)
        for before, after, _ in marks(3, {",", "(", ")"}, chance)
    )
