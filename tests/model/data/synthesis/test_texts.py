"""Texts for composed lines: known words, new words, numbers and marks of allowed characters."""

import numpy as np
import pytest

from inkstream.model.data.synthesis.texts import (
    NUMBERS,
    WordSampler,
    english,
    french,
    marks,
    number,
)
from inkstream.model.errors import DataError

LABELS = ("The canal's 14 well-known bananas.", "canals, and a bandana", "Alabama, Panama; PAN")
KNOWN = {"The", "canal's", "well-known", "bananas", "canals", "and", "a", "bandana"}
KNOWN |= {"Alabama", "Panama", "PAN"}
ENGLISH = {"the": 0.09, "canal": 0.01}
ALL = set(map(chr, range(33, 127)))


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_known_words_are_those_of_the_labels_without_their_marks() -> None:
    words, rng = WordSampler(LABELS, ENGLISH), random()
    assert {words.known(rng.random()) for _ in range(2000)} == KNOWN


def test_the_frequency_of_a_word_is_the_root_of_its_count() -> None:
    words, rng = WordSampler(["one two two two two"] * 4, ENGLISH), random()
    words_drawn = [words.known(rng.random()) for _ in range(3000)]
    assert words_drawn.count("two") / words_drawn.count("one") == pytest.approx(2, rel=0.15)


def test_words_of_the_language_have_the_root_of_their_frequency() -> None:
    words, rng = WordSampler(LABELS, ENGLISH), random()
    words_drawn = [words.of_language(rng.random()) for _ in range(3000)]
    assert words_drawn.count("the") / words_drawn.count("canal") == pytest.approx(3, rel=0.15)


def test_french_words_have_no_accents_and_some_are_elided() -> None:
    words = french()
    assert all(word.isascii() for word in words)
    assert {"etait", "francais", "soeur", "l'ecole", "qu'il"} <= words.keys()
    assert words["l'ecole"] < words["ecole"]


def test_english_words_are_sorted_by_frequency() -> None:
    words = english()
    assert len(words) == 60_000
    assert list(words.values()) == sorted(words.values(), reverse=True)
    assert {"the", "don't", "hydroponic", "well-known"} - words.keys() <= {"well-known"}
    assert not {word for word in words if not word.isascii() or word != word.lower()}


def test_new_words_consist_of_the_trigrams_of_known_words() -> None:
    words, rng = WordSampler(LABELS, ENGLISH), random()
    triples = {
        f"  {word} "[start : start + 3] for word in KNOWN for start in range(len(word) + 1)
    }  # fmt: skip
    new = {words.new(rng) for _ in range(500)}
    assert len(new - KNOWN) > 20
    for word in new:
        assert 1 <= len(word) <= 14
        assert {f"  {word}"[start : start + 3] for start in range(len(word))} <= triples


def test_text_without_words_is_refused() -> None:
    with pytest.raises(DataError, match="no label has a word"):
        WordSampler(["12", "?"], ENGLISH)


def test_numbers_have_all_forms_and_only_available_characters() -> None:
    rng = random()
    forms = {
        "".join("0" if character.isdigit() else character for character in number(ALL, rng))
        for _ in range(5000)
    }
    assert forms == set(NUMBERS)
    assert {*"".join(number({"3", "7", ":", "x"}, rng) for _ in range(500))} == {*"37:"}


def test_marks_are_available_characters_and_brackets_are_closed() -> None:
    rng, seen = random(), ""
    for _ in range(2000):
        marked = marks(4, ALL, rng)
        text = " ".join(before + "w" + after for before, after, _ in marked)
        seen += text
        for opening, closing in ("()", "[]"):
            assert text.count(opening) == text.count(closing) <= 1
            assert text.find(opening) <= text.find(closing)
        assert text.count('"') in (0, 2)
        assert marked[-1][2]
    assert set(seen) == {*" w.,;:!?\"'()[]-s"}
    assert all(
        set(before + after) <= {",", "(", ")"}
        for _ in range(500)
        for before, after, _ in marks(3, {",", "(", ")"}, rng)
    )
