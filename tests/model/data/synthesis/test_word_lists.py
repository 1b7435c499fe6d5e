"""Words of languages come with their letters, capitals and frequencies."""

import pytest

from inkstream.model.alphabet import LETTERS, plain
from inkstream.model.data.synthesis.word_lists import LANGUAGES, code_of, sources, words_of
from inkstream.model.errors import DataError


@pytest.mark.parametrize("code", LANGUAGES)
def test_words_of_a_western_language_are_spelt_by_western_letters_alone(code: str) -> None:
    words = words_of(code)

    assert len(words) == (60_000 if code != "da" else 28_803)
    letters = set("abcdefghijklmnopqrstuvwxyz")
    if code != "en":
        letters |= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ") | set(LETTERS)
    assert set("".join(words)) <= letters | {"'", "-"}
    assert all(plain(word) == word and len(word) <= 14 for word in words)
    frequencies = list(words.values())
    assert frequencies == sorted(frequencies, reverse=True)
    assert LANGUAGES[code].title() in sources(code)[0]
    assert all("CC BY-SA 4.0" in source for source in sources(code))


HAS = {
    "en": "the don't hydroponic",
    "fr": "été cœur ça où aujourd'hui l'homme d'accord c'est j'ai",
    "de": "für groß über schön und schönen wurde",
    "es": "niño qué corazón pingüino",
    "it": "è città perché l'uomo un'altra dell'anno c'è un",
    "pt": "não coração você também",
    "nl": "één ideeën tijd zo'n",
    "da": "på være også gør",
    "nb": "på være også år",
    "sv": "är hör så människor",
    "fi": "että hän myös",
}
GERMAN_NOUNS = "Zeitung Haus Menschen Straße Kunsthalle Freundlichkeit"
LONG_VOWELS = "außerdem aussehen ausschließen größte Fußball müssen weiß dass"
HAS_NOT = {
    "fr": "l d qu c j n s l'et c'avoir l'haut d'est",  # parts before an apostrophe are no words
    "it": "l dell all",
    "de": f"{GERMAN_NOUNS.lower()} Und Schönen Wurde außehen grösste weiss müßen daß Fussball",
}


@pytest.mark.parametrize("code", HAS)
def test_a_language_has_its_words_with_their_capitals_and_elisions(code: str) -> None:
    words = words_of(code).keys()
    assert {*HAS[code].split()} <= words
    assert not {*HAS_NOT.get(code, "").split()} & words


def test_german_has_capitals_of_nouns_and_sharp_s_where_a_vowel_is_long() -> None:
    german = words_of("de")
    assert {*GERMAN_NOUNS.split(), *LONG_VOWELS.split()} <= german.keys()
    assert german["leben"] > german["Leben"] > 0.2 * german["leben"]


def test_a_further_language_has_its_own_letters() -> None:
    assert {"się", "że", "już"} <= words_of("pl", n_words=2000).keys()
    assert words_of("cs", n_words=100).keys() - words_of("pl", n_words=100).keys()


@pytest.mark.parametrize("code", ["ga", "ru", "", "english" * 100])
def test_an_unknown_language_is_refused_with_the_known_ones(code: str) -> None:
    with pytest.raises(DataError, match=r"de german.*pl polish") as refused:
        code_of(code)
    assert len(str(refused.value)) < 600
    assert code_of("fr") == code_of("french") == "fr"
