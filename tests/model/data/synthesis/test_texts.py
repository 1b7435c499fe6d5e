"""Texts for composed lines: known words, new words, numbers and marks of allowed characters."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from inkstream.model.alphabet import ASCII, WESTERN
from inkstream.model.data.synthesis import texts
from inkstream.model.data.synthesis.texts import NUMBERS, WordSampler, marks, number
from inkstream.model.data.synthesis.word_lists import LANGUAGES
from inkstream.model.errors import DataError

LABELS = ("The canal's 14 well-known bananas.", "canals, and a bandana", "Alabama, Panama; PAN")
KNOWN = {"The", "canal's", "well-known", "bananas", "canals", "and", "a", "bandana"}
KNOWN |= {"Alabama", "Panama", "PAN"}
LISTS: Mapping[str, Mapping[str, float]] = {"en": {"the": 0.09, "canal": 0.01}}
ALL = set(map(chr, range(33, 127))) | set("€£°º§·")


def sampler(
    labels: Sequence[str], western: float = 0.0, lists: Mapping[str, Mapping[str, float]] = LISTS
) -> WordSampler:
    """Return a sampler of short lists of words; other languages have one word."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "words_of", lambda code, *_: lists.get(code, {"e": 1.0}))
        return WordSampler(labels, western)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_known_words_are_those_of_the_labels_without_their_marks() -> None:
    words, rng = sampler(LABELS), random()
    assert {words.known(rng.random()) for _ in range(2000)} == KNOWN


def test_words_have_the_root_of_their_frequency() -> None:
    words, rng = sampler(["one two two two two"] * 4), random()
    known = [words.known(rng.random()) for _ in range(3000)]
    assert known.count("two") / known.count("one") == pytest.approx(2, rel=0.15)
    english = [words.of_language["en"](rng.random()) for _ in range(3000)]
    assert english.count("the") / english.count("canal") == pytest.approx(3, rel=0.15)


def test_so_many_texts_are_in_other_languages_in_equal_parts() -> None:
    rng, words = random(), sampler(LABELS, 0.4)
    languages = Counter(words.language(rng) for _ in range(5000))
    assert languages.pop("en") == pytest.approx(3000, abs=120)
    assert set(languages) == set(LANGUAGES) - {"en"}
    assert max(languages.values()) < 1.5 * min(languages.values())
    english_alone = sampler(LABELS)
    assert {english_alone.language(rng) for _ in range(100)} == {"en"}


@pytest.mark.parametrize("char", sorted(set(WESTERN) - set(ASCII)))
def test_a_text_can_be_drawn_that_holds_any_character(char: str) -> None:
    rng = random()
    words_of = {"en": "canal", "nl": "canyeuisoz", "fr": "cœur", "da": "ære øre", "de": "Straße"}
    lists = {code: dict.fromkeys(words.split(), 1.0) for code, words in words_of.items()}
    words = sampler(LABELS, 0.4, lists)
    for text in (words.holding(char, rng) for _ in range(20)):
        assert char in text
        assert " " not in text


def test_words_and_their_frequencies_are_the_same_in_each_process() -> None:
    listed = "from inkstream.model.data.synthesis.word_lists import words_of\n"
    listed += "print(words_of('fr', 2000))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", listed],
            env={**os.environ, "PYTHONHASHSEED": seed},  # in which order sets are
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert "l'homme" in printed.pop()


def test_new_words_consist_of_the_trigrams_of_known_words() -> None:
    words, rng = sampler(LABELS), random()

    def triples(word: str) -> set[str]:
        return {word[start : start + 3] for start in range(len(word) - 2)}

    known = set().union(*(triples(f"  {word} ") for word in KNOWN))
    new = {words.new(rng) for _ in range(500)}
    assert len(new - KNOWN) > 20
    for word in new:
        assert 1 <= len(word) <= 14
        assert triples(f"  {word}") <= known


def test_text_without_words_is_refused() -> None:
    with pytest.raises(DataError, match="no label has a word"):
        sampler(["12", "?"])


def test_numbers_have_all_forms_and_only_available_characters() -> None:
    rng = random()
    assert {re.sub(r"\d", "0", number(ALL, rng)) for _ in range(5000)} == set(NUMBERS)
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
    for _ in range(500):
        for before, after, _ in marks(3, {",", "(", ")"}, rng):
            assert set(before + after) <= {",", "(", ")"}


def test_french_german_and_spanish_have_their_own_marks() -> None:
    rng, characters = random(), ALL | set("«»„¿¡")

    def drawn(language: str) -> list[str]:
        marked = (marks(3, characters, rng, language) for _ in range(1500))
        return [" ".join(before + "w" + after for before, after, _ in line) for line in marked]

    assert {mark for mark in "«»„¿¡" if any(mark in text for text in drawn("en"))} == set()
    assert any(text.startswith("« w") and " »" in text for text in drawn("fr"))
    assert any("„w" in text and 'w"' in text for text in drawn("de"))
    for text in drawn("es"):
        assert text.startswith("¿") == text.endswith("?")
        assert text.startswith("¡") == text.endswith("!")
    assert not any("'s" in text for text in drawn("fr"))
    plain = [marks(3, ALL, rng, "fr") for _ in range(500)]
    assert not any("«" in before for line in plain for before, _, _ in line)
