"""Training of language models: English texts, and a user's own files."""

import lzma
import re
from collections import defaultdict
from pathlib import Path

import pytest

from inkstream.model.alphabet import LETTERS
from inkstream.model.data.synthesis.texts import texts
from inkstream.model.decoding.ngrams import Language
from inkstream.model.errors import DataError
from inkstream.model.training.ngrams import train_language
from tests.helpers.languages import log_p

WORDS = {"the": 0.05, "canal": 1e-5, "panama": 1e-9}


def test_words_count_by_their_frequency_with_a_minimum() -> None:
    counts = defaultdict[str, float](float)
    for text, weight in texts(WORDS, 0):
        counts[text] += weight
    assert counts["the"] == pytest.approx(0.8 * 50_000)
    assert counts["Canal"] == pytest.approx(0.15 * 10)
    assert counts["PANAMA"] == pytest.approx(0.05 * 0.3)


def test_sentences_have_capitals_marks_and_numbers_and_are_repeatable() -> None:
    sentences = [text for text, _ in texts(WORDS, 300)][3 * len(WORDS) :]
    assert sentences == [text for text, _ in texts(WORDS, 300)][3 * len(WORDS) :]
    assert len(sentences) == 300
    all_text = " ".join(sentences)
    assert {*"T,.?!0"} <= {*all_text}
    assert all_text.count("the") > all_text.count("canal") > 0
    assert all(text == " ".join(text.split()) for text in sentences)


def test_french_sentences_have_the_marks_of_french() -> None:
    text = " ".join(text for text, _ in texts({"été": 0.05, "là": 0.01}, 600, "fr"))
    assert {"«", "»", "€", "É"} <= {*text}
    assert re.search(r"\w [;:!?]", text)
    assert "'s" not in text
    english = " ".join(text for text, _ in texts(WORDS, 600))
    assert not re.search(r"\w [;:!?]|[^ -~]", english)


def test_a_dutch_ij_has_two_capitals() -> None:
    forms = {text for text, _ in texts({"ijs": 0.1}, 0, "nl")}
    assert forms == {"ijs", "IJs", "IJS"}


def train(folder: Path, *lines: str) -> Language:
    (folder / "text.txt").write_text("\n".join(lines), "utf-8")
    out = folder / "mine.ngrams"
    files, source = [folder / "text.txt"], "my letters, CC0"
    report = train_language(files, 10.0, code=None, order=4, most=5000, out=out, source=source)
    assert str(out) in report
    assert "text.txt, sha256 " in report
    assert Language.load(out).about.sources[-1] == source
    return Language.load(out)


def test_a_users_own_text_is_learnt_with_its_characters(tmp_path: Path) -> None:
    language = train(tmp_path, "Grüße aus  Köln", "", "Grüße aus Bonn")
    assert language.about.name == "mine"
    assert {*"üßö~"} <= {*language.about.characters}
    assert language.about.letters == "ßöü"
    at_start = language.after(" ")
    assert log_p(language, "Grüße ", at_start) > log_p(language, "Gruse ", at_start) + 5
    assert log_p(language, "aus K", at_start) > -6


def test_a_line_is_followed_by_another_one(tmp_path: Path) -> None:
    language = train(tmp_path, *["To the town to the toys.", "To the tea to the ties."] * 4)
    log_p, _ = language.rows(language.after("s. "))
    assert log_p[language.index["T"]] > log_p[language.index["t"]]


def test_a_text_is_counted_in_plain_spelling(tmp_path: Path) -> None:
    language = train(tmp_path, "\ufeffl\u2019e\u0301te\u0301 \u2013 l\u2019e\u0301te\u0301")
    assert not {*"\ufeff\u2019\u2013\u0301"} & {*language.about.characters}
    assert log_p(language, "l'été - l", language.after(" ")) > -12


@pytest.mark.slow
def test_a_model_of_a_language_holds_its_words_marks_and_sources(tmp_path: Path) -> None:
    report = train_language([], 1.0, code="fr", order=4, most=20_000, out=tmp_path / "fr.ngrams")
    french = Language.load(tmp_path / "fr.ngrams")
    assert set("àâçèéêîôùû") <= set(french.about.letters) < set(LETTERS)
    assert {*"«»éÉœ~"} <= {*french.about.characters}
    at_start = french.after(" ")
    assert log_p(french, "français ", at_start) > log_p(french, "francais ", at_start) + 2
    assert "large French list" in french.about.sources[0]
    assert french.about.sources[0] in report


def test_a_packed_text_is_read_and_one_line_in_fifty_measures_the_model(tmp_path: Path) -> None:
    lines = [f"{first}{second} walks along the canal" for first in "abcdefgh" for second in WORDS]
    lines += [f"{line}, {number}" for line in lines for number in range(20)]
    report = {}
    for order in (2, 6):
        with lzma.open(tmp_path / "text.txt.xz", "wt") as file:
            file.write("\n".join(lines))
        out = tmp_path / f"{order}.ngrams"
        report[order] = train_language(
            [tmp_path / "text.txt.xz"], 10.0, code=None, order=order, most=5000, out=out
        )
        assert "text.txt.xz, sha256 " in report[order]
    (bits_2, n_2), (bits_6, n_6) = (
        map(float, re.findall(r"[\d.]+", text.splitlines()[-1])) for text in report.values()
    )
    assert bits_6 < bits_2 / 2
    assert 0 < n_2 == n_6 < len(lines) / 10


@pytest.mark.slow
def test_a_language_with_too_many_characters_keeps_the_most_frequent(tmp_path: Path) -> None:
    train_language([], 1.0, code="ca", order=3, most=5000, out=tmp_path / "ca.ngrams")
    catalan = Language.load(tmp_path / "ca.ngrams")
    assert len(catalan.about.characters) == 127
    assert set("àçèéíòóúü·Ç~") <= {*catalan.about.characters}


def test_the_error_of_an_unreadable_text_names_the_reason(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, text in (("nosuch", "No such file"), ("binary", "utf-8")):
        with pytest.raises(DataError, match=f"cannot read .*{name}: .*{text}"):
            train_language([tmp_path / name], 1.0, code=None, order=3, most=100, out=tmp_path / "x")
    with pytest.raises(DataError, match="no text"):
        train_language([], 1.0, code=None, order=3, most=100, out=tmp_path / "x")
