"""Character n-grams: probabilities sum to 1, seen texts are more probable, files keep the model."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from inkstream.model.alphabet import WESTERN
from inkstream.model.decoding import ngrams as languages
from inkstream.model.decoding.base import Guide
from inkstream.model.decoding.beam import BeamDecoder
from inkstream.model.decoding.ngrams import (
    ACCENT_BONUS,
    BONUS,
    FORMAT,
    LEAST,
    NODE,
    ROOT,
    WEIGHT,
    About,
    Language,
    LanguageFile,
    LanguageGuide,
    LanguagesGuide,
)
from inkstream.model.errors import DataError, InputError
from inkstream.model.training.ngrams import build
from tests.helpers.languages import log_p, sealed

ALPHABET = " abcd"
TEXTS = [("abc", 5.0), ("abd", 1.0), ("cab", 2.0), ("dad", 1.0), ("a bad cab", 1.0)]


def build_language(
    texts: list[tuple[str, float]] = TEXTS, order: int = 4, most: int = 10_000
) -> Language:
    about = About("little", ALPHABET, order, ("ours",))
    return Language(about, build(texts, ALPHABET, order, most))


@pytest.fixture(scope="module")
def language() -> Language:
    return build_language()


# Probabilities


@given(text=st.text(ALPHABET, max_size=12), most=st.integers(5, 200))
def test_probabilities_of_the_next_character_sum_to_1_after_pruning(text: str, most: int) -> None:
    language = build_language(most=most)
    log_p_next = language.rows(language.after(text))[0]
    assert np.exp(log_p_next).sum() == pytest.approx(1, abs=5e-3)  # 16-bit floats


def test_probabilities_are_those_of_witten_and_bell() -> None:
    language = build_language([("ab", 1.0)], order=2)
    # "a", "b" and the space after them occur once each: three of five characters.
    unigram = dict.fromkeys("ab ", (1 + 3 / 5) / 6) | {"c": (3 / 5) / 6}
    for character, p in unigram.items():
        found = np.exp(language.rows(ROOT)[0][ALPHABET.index(character)])
        assert found == pytest.approx(p, rel=2e-3)
    after_a = np.exp(language.rows(language.after("a"))[0])
    assert after_a[ALPHABET.index("b")] == pytest.approx((1 + unigram["b"]) / 2, rel=2e-3)
    assert after_a[ALPHABET.index("c")] == pytest.approx(unigram["c"] / 2, rel=1e-2)


def test_the_n_grams_that_predict_best_are_kept() -> None:
    texts = [("abab", 50.0), ("cd", 50.0), ("dd", 1.0)]
    language = build_language(texts, most=9)
    unpruned = build_language(texts)
    assert (
        log_p(language, "b", language.after("a")) > log_p(unpruned, "b", unpruned.after("a")) - 0.2
    )
    assert log_p(language, "d", language.after("d")) < log_p(language, "d", language.after("c")) - 1


def test_a_text_with_a_weight_counts_that_often() -> None:
    weighted, repeated = (
        build_language([("ab", 3.0), ("cd", 1.0)]),
        build_language([("ab", 1.0)] * 3 + [("cd", 1.0)]),
    )
    assert log_p(weighted, "ab") == log_p(repeated, "ab")


def test_unknown_characters_are_impossible_and_lead_to_the_root(language: Language) -> None:
    assert log_p(language, "aéb") == -np.inf
    assert language.after("abé") == ROOT
    assert language.after("éab") == language.after("ab")


def test_an_unknown_character_splits_a_text() -> None:
    with_unknown, separate = (
        build_language([("abécd", 1.0)]),
        build_language([("ab", 1.0), ("cd", 1.0)]),
    )
    assert log_p(with_unknown, "bc") < log_p(build_language([("abcd", 1.0)]), "bc")
    # the character after the unknown one is not taken for the beginning of a word
    assert log_p(with_unknown, "c", with_unknown.after(" ")) < log_p(
        separate, "c", separate.after(" ")
    )


@pytest.mark.parametrize("most", [1, 20, 40, 10_000])
def test_no_more_n_grams_are_kept_than_the_limit(most: int) -> None:
    assert len(ALPHABET) <= len(build_language(most=most)) <= max(most, len(ALPHABET))


@pytest.mark.parametrize(
    ("texts", "alphabet", "order", "text"),
    [
        (TEXTS, "abc", 3, "expected 2..127 with the space"),
        (TEXTS, "".join(map(chr, range(32, 300))), 3, "268 characters, expected 2..127"),
        (TEXTS, ALPHABET, 1, "order is 1, allowed: 2..9"),
        (TEXTS, ALPHABET, 10, "order is 10, allowed: 2..9"),
        ([("abc", 0.0)], ALPHABET, 3, "no text"),
    ],
)
def test_an_alphabet_an_order_or_texts_that_cannot_be_counted_are_refused(
    texts: list[tuple[str, float]], alphabet: str, order: int, text: str
) -> None:
    with pytest.raises(DataError, match=text):
        build(texts, alphabet, order, 100)


# Files


def test_a_saved_model_is_loaded_unchanged(language: Language, tmp_path: Path) -> None:
    language.save(tmp_path / "little.ngrams")
    found = Language.load(tmp_path / "little.ngrams")
    assert found.about == language.about
    assert len(found) == len(language)
    for text in ("abc", "dab c", "a"):
        assert log_p(found, text) == log_p(language, text)


def of_parts(about: bytes, nodes: bytes) -> bytes:
    return sealed(about + b"\n" + nodes)


def with_nodes(data: bytes, name: str, index: int, value: float) -> bytes:
    """Return the file with another value in one of its nodes."""
    _, _, about, stored = data.split(b"\n", 3)
    nodes = np.frombuffer(stored, NODE).copy()
    nodes[name][index] = value
    return of_parts(about, nodes.tobytes())


def with_about(data: bytes, old: bytes, new: bytes) -> bytes:
    """Return the file with another text in its description."""
    _, _, about, nodes = data.split(b"\n", 3)
    assert old in about
    return of_parts(about.replace(old, new), nodes)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: b"", "starts with b''"),
        (lambda data: b"text\n" + data, "starts with b'text"),
        (lambda data: data.replace(b"language 2", b"language 9"), "starts with b'inkstream langu"),
        (lambda data: data[: len(data) // 2], "it is damaged"),
        (lambda data: data[: len(FORMAT)], "it is damaged"),
        (lambda data: of_parts(b"", b""), "truncated"),
        (lambda data: of_parts(b" " * 70_000, b""), "description has more than 65536"),
        (lambda data: of_parts(b'{"x":' + b"[" * 60_000, b""), "recursion"),
        (lambda data: of_parts(b"[1]", b""), "Expected `object`"),
        (lambda data: of_parts(data.split(b"\n")[2], b""), "not in their order"),
        (lambda data: of_parts(data.split(b"\n")[2], bytes(NODE.itemsize)), "not in their order"),
        (lambda data: of_parts(data.split(b"\n")[2], bytes(5)), "multiple of element size"),
        (lambda data: with_about(data, b'"order":4', b'"order":"4"'), "Expected `int`"),
        (lambda data: with_about(data, b'"order":4', b'"order":1000'), "order is 1000, allowed: "),
        (lambda data: with_about(data, b'"order":4', b'"order":3'), "more than 3 characters"),
        (lambda data: with_about(data, b'"name"', b'"nam"'), "missing required field `name`"),
        (lambda data: with_about(data, b'["ours"]', b"[1]"), "Expected `str`"),
        (lambda data: with_about(data, b" abcd", b" abca"), "characters are not distinct"),
        (lambda data: with_nodes(data, "suffix", 7, 7), "one character shorter"),  # a circle
        (lambda data: with_nodes(data, "suffix", -2, 1), "one character shorter"),
        (lambda data: with_nodes(data, "children", 5, 1), "not in their order"),
        (lambda data: with_nodes(data, "children", -1, 1 << 31), "not in their order"),
        (lambda data: with_nodes(data, "character", 3, 200), "the alphabet lacks"),
        (lambda data: with_nodes(data, "log_p", 3, np.nan), "no finite number"),
        (lambda data: with_nodes(data, "back_off", 3, np.inf), "no finite number"),
    ],
)
def test_a_file_that_is_no_language_model_is_refused(
    language: Language, tmp_path: Path, damage: Callable[[bytes], bytes], text: str
) -> None:
    path = tmp_path / "bad.ngrams"
    language.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=f"bad.ngrams is no language model of ours: .*({text})"):
        Language.load(path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_found(language: Language, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "flipped.ngrams"
    language.save(path)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no language model of ours"):
        Language.load(path)


def test_a_missing_file_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read language model"):
        Language.load(tmp_path / "nosuch")
    with pytest.raises(DataError, match=r"no language nosuch, allowed: a file, .*english"):
        languages.load("nosuch")


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("french", "été ", "ete "),
        ("german", "für ", "fur "),
        ("german", "Zeit ", "zeit "),
        ("spanish", "también ", "tambien "),
        ("italian", "perché ", "perche "),
        ("portuguese", "não ", "nao "),
        ("dutch", "zijn ", "zign "),
        ("danish", "være ", "vaere "),
        ("norwegian", "også ", "ogsa "),
        ("swedish", "människor ", "manniskor "),
        ("finnish", "että ", "etta "),
    ],
)
def test_a_shipped_language_prefers_its_own_spelling(name: str, right: str, wrong: str) -> None:
    language = languages.load(name)
    at_start = language.after(" ")
    assert log_p(language, right, at_start) > log_p(language, wrong, at_start)
    assert not language.about.lacking(WESTERN)
    assert language.about.lacking(map(chr, range(127)))
    assert "CC BY-SA 4.0" in language.about.sources[0]
    assert f"{name}.txt.xz, sha256 " in language.about.sources[-2]
    assert "Tatoeba (CC BY 2.0)" in language.about.sources[-1]


def test_all_shipped_languages_together_are_small() -> None:
    sizes = [languages.find(name).stat().st_size for name in languages.shipped()]
    assert len(sizes) == 11
    assert sum(sizes) < 40_000_000


def test_english_needs_no_letter_beyond_ascii_and_knows_all_of_it() -> None:
    english = languages.load("english")
    at_start = english.after(" ")
    assert log_p(english, "the ", at_start) > log_p(english, "hte ", at_start) + 5
    assert english.about.letters == ""
    assert set(map(chr, range(32, 127))) <= set(english.about.characters)
    assert "CC BY-SA" in english.about.sources[0]


# Letters that a net lacks


LATIN_LETTERS = tuple(" abcdefghijklmnopqrstuvwxyz")


def french(folder: Path) -> Path:
    """Return the file of a small model of French, whose name is `french`."""
    texts = [("été", 5.0), ("ça et là", 3.0)]
    alphabet = " " + "".join(sorted(set("étéçaetlàw")))
    path = folder / "french.ngrams"
    about = About("french", alphabet, 3, ("ours",), "àçé")
    Language(about, build(texts, alphabet, 3, 1000)).save(path)
    return path


def test_a_net_reads_in_a_language_if_it_has_the_letters_that_it_needs(tmp_path: Path) -> None:
    language = Language.load(french(tmp_path))
    for labels, lacking in ((WESTERN, ""), (LATIN_LETTERS, "àçé"), (("é", "à", " "), "ç")):
        assert language.about.lacking(labels) == lacking
    LanguageGuide(language, WESTERN)
    with pytest.raises(InputError, match="french needs à ç é, which the net cannot read"):
        LanguageGuide(language, LATIN_LETTERS)


def test_letters_that_the_language_lacks_are_never_impossible(tmp_path: Path) -> None:
    guide = LanguageGuide(Language.load(french(tmp_path)), WESTERN)
    row = guide.row(guide.begin("ç"))
    assert row.shape == (len(WESTERN),)
    assert np.isfinite(row).all()
    assert row[WESTERN.index("ñ")] == pytest.approx(WEIGHT * LEAST + BONUS)
    assert row[WESTERN.index("é")] > row[WESTERN.index("ñ")]
    assert guide.follow(guide.begin("ç"), WESTERN.index("ñ")) == ROOT


def test_letters_with_accents_that_the_language_needs_get_a_bonus_more(tmp_path: Path) -> None:
    language = Language.load(french(tmp_path))
    node = language.after(" l")
    log_p = {each: language.rows(node)[0][language.index[each]] for each in "aàé"}
    row = LanguageGuide(language, WESTERN).row(node)
    for letter, bonus in ("a", BONUS), ("à", BONUS + ACCENT_BONUS), ("é", BONUS + ACCENT_BONUS):
        expected = WEIGHT * max(log_p[letter], LEAST) + bonus
        assert row[WESTERN.index(letter)] == pytest.approx(expected, abs=1e-3)


def test_the_context_may_be_decomposed_or_typographic(tmp_path: Path) -> None:
    language = Language.load(french(tmp_path))
    plain, other = (LanguageGuide(language, WESTERN, text) for text in ("ça", "c\u0327a"))
    assert plain.begin("") == other.begin("")


# Several languages


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("french", ("french",)),
        ("fr", ("french",)),
        ("FRA,fre, french", ("french",)),
        ("no,mine", ("norwegian", "mine")),
        ("auto", ("french", "norwegian", "mine")),
    ],
)
def test_languages_are_chosen_by_names_and_codes(asked: str, names: tuple[str, ...]) -> None:
    assert languages.choose(asked, ["french", "norwegian", "mine"]) == names


@pytest.mark.parametrize(
    "asked", ["", ",", "klingon", "french,klingon", "auto,klingon", "de", "de-DE"]
)
def test_a_language_that_is_not_offered_is_refused_with_those_that_are(asked: str) -> None:
    with pytest.raises(InputError, match=r"allowed: french, several with commas, or auto"):
        languages.choose(asked, ["french"])
    with pytest.raises(InputError, match=r"allowed: none"):
        languages.choose(asked, [])


def test_each_shipped_language_has_a_code_and_is_opened_once(tmp_path: Path) -> None:
    for name in languages.shipped():
        for code in languages.CODES[name].split():
            assert languages.find(code) == languages.find(name)
    files = languages.open_all(["de", "german", french(tmp_path)], WESTERN)
    assert [file.about.name for file in files] == ["german", "french"]
    names = {file.about.name for file in languages.open_all("auto", WESTERN)}
    assert names == set(languages.shipped())
    assert {file.about.name for file in languages.open_all("auto", LATIN_LETTERS)} == {"english"}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("de-DE", {"german"}),
        (["fr_CA", "de-AT-1996,"], {"french", "german"}),
        (("pt-BR",), {"portuguese"}),
        (["auto"], {*languages.shipped()}),
        ("de,auto", {*languages.shipped()}),
    ],
)
def test_languages_are_opened_and_chosen_by_tags_lists_and_all(asked: Any, names: set[str]) -> None:
    files = languages.open_all(asked, WESTERN)
    assert {file.about.name for file in files} == names
    assert len(files) == len(names)
    assert {*languages.choose(asked, languages.shipped())} == names


@pytest.mark.parametrize("asked", [3, "", " , ", [], [3], b"de", ["de", None]])
def test_what_names_no_language_is_refused_by_name(asked: Any) -> None:
    message = rf"language is {re.escape(repr(asked))}, allowed: danish, .*or auto"
    with pytest.raises(InputError, match=message):
        languages.open_all(asked, WESTERN)


@pytest.fixture(scope="module")
def guides() -> tuple[LanguagesGuide, dict[str, LanguageGuide]]:
    """Return a guide of three languages, and that of each alone."""
    names = ("english", "german", "french")
    opened = {name: languages.load(name) for name in names}
    alone = {name: LanguageGuide(language, WESTERN) for name, language in opened.items()}
    return LanguagesGuide(tuple(opened.values()), WESTERN), alone


def followed(guide: Guide, text: str) -> tuple[Any, float]:
    """Return the state behind a text, and what was added to its weight."""
    state, weight = guide.begin(""), 0.0
    for character in text:
        weight += float(guide.row(state)[WESTERN.index(character)])
        state = guide.follow(state, WESTERN.index(character))
    return state, weight


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("english", "the weather is nice today "),
        ("german", "das Wetter ist heute schön "),
        ("french", "il fait beau à la campagne "),
    ],
)
def test_of_several_languages_a_text_follows_the_likeliest(
    guides: tuple[LanguagesGuide, dict[str, LanguageGuide]], name: str, text: str
) -> None:
    together, alone = guides
    state, weight = followed(together, text)
    node, weight_alone = followed(alone[name], text)
    assert weight == pytest.approx(weight_alone, abs=1e-3)
    assert together.row(state) == pytest.approx(alone[name].row(node))
    assert together.end(state) == pytest.approx(alone[name].end(node))
    # So it is when the text was read before the line.
    row = together.row(together.begin(text.strip()))
    assert row == pytest.approx(alone[name].row(alone[name].begin(text.strip())))


@given(text=st.text(st.sampled_from(WESTERN), max_size=30))
def test_a_state_of_several_languages_is_plain_and_no_language_adds_more(
    guides: tuple[LanguagesGuide, dict[str, LanguageGuide]], text: str
) -> None:
    together, alone = guides
    state, weight = followed(together, text)
    plain = msgpack.decode(msgpack.encode(state))
    assert together.follow(tuple(map(tuple, plain)), 7) == together.follow(state, 7)
    most = max(followed(guide, text)[1] for guide in alone.values())
    assert weight < most + 1e-2


def test_a_turn_of_the_engine_takes_fewer_columns_with_many_languages(
    guides: tuple[LanguagesGuide, dict[str, LanguageGuide]],
) -> None:
    together, alone = guides
    costs = [BeamDecoder(WESTERN, 4, guide).column_cost for guide in (together, alone["english"])]
    assert costs == [32, 16]


# Files that are read when they are first used


@pytest.mark.parametrize("keep", [True, False])
def test_a_model_is_read_once(tmp_path: Path, keep: bool) -> None:
    path = french(tmp_path)
    file = LanguageFile(path, keep=keep)
    assert (file.about.name, len(file.digest)) == ("french", 64)
    language = None if keep else file.language  # one that is not kept is read when it is used
    os.truncate(path, 0)
    assert language in (None, file.language)
    assert log_p(file.language, "été") > log_p(file.language, "éàé")


def test_a_model_whose_file_has_changed_since_it_was_checked_is_refused(tmp_path: Path) -> None:
    path = french(tmp_path)
    file = LanguageFile(path, keep=False)
    build_language().save(path)
    with pytest.raises(DataError, match=r"french.ngrams .* another one than at the start"):
        _ = file.language
    path.unlink()
    with pytest.raises(DataError, match="cannot read language model"):
        _ = file.language
