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


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", {"the", "don't", "hydroponic"}),
        ("fr", {"été", "cœur", "ça", "où", "aujourd'hui", "l'homme", "d'accord", "c'est", "j'ai"}),
        ("de", {"für", "groß", "über", "Zeitung", "Straße", "schön"}),
        ("es", {"niño", "qué", "corazón", "pingüino"}),
        ("it", {"è", "città", "perché", "l'uomo", "un'altra", "dell'anno", "c'è"}),
        ("pt", {"não", "coração", "você", "também"}),
        ("nl", {"één", "ideeën", "tijd", "zo'n"}),
        ("da", {"på", "være", "også", "gør"}),
        ("nb", {"på", "være", "også", "år"}),
        ("sv", {"är", "hör", "så", "människor"}),
        ("fi", {"että", "hän", "myös"}),
    ],
)
def test_a_language_has_its_words(code: str, expected: set[str]) -> None:
    assert expected <= words_of(code).keys()


def test_parts_before_an_apostrophe_are_no_words_by_themselves() -> None:
    assert not {"l", "d", "qu", "c", "j", "n", "s"} & words_of("fr").keys()
    assert not {"l", "dell", "all"} & words_of("it").keys()
    assert not {"l'et", "c'avoir", "l'haut", "d'est"} & words_of("fr").keys()
    assert "un" in words_of("it")


def test_german_nouns_have_a_capital_and_other_words_have_none() -> None:
    german = words_of("de")

    always = {"Zeitung", "Haus", "Menschen", "Straße", "Kunsthalle", "Freundlichkeit"}
    assert always <= german.keys()
    assert not {word.lower() for word in always} & german.keys()
    assert {"und", "schönen", "wurde"} <= german.keys()
    assert not {"Und", "Schönen", "Wurde"} & german.keys()
    assert german["leben"] > german["Leben"] > 0.2 * german["leben"]


def test_german_has_sharp_s_where_a_vowel_is_long() -> None:
    german = words_of("de")

    right = {"außerdem", "aussehen", "ausschließen", "größte", "Fußball", "müssen", "weiß", "dass"}
    assert right <= german.keys()
    assert not {"außehen", "grösste", "weiss", "müßen", "daß", "Fussball"} & german.keys()


def test_a_further_language_has_its_own_letters() -> None:
    assert {"się", "że", "już"} <= words_of("pl", n_words=2000).keys()
    assert words_of("cs", n_words=100).keys() - words_of("pl", n_words=100).keys()


@pytest.mark.parametrize("code", ["ga", "ru", "", "english" * 100])
def test_an_unknown_language_is_refused_with_the_known_ones(code: str) -> None:
    with pytest.raises(DataError, match=r"de german.*pl polish") as refused:
        code_of(code)
    assert len(str(refused.value)) < 600
    assert code_of("fr") == code_of("french") == "fr"
