"""Building a language: texts of English, and files of one's own."""

from collections import defaultdict
from pathlib import Path

import pytest

from inkstream.model.data.synthesis.texts import texts
from inkstream.model.decoding.ngrams import Language
from inkstream.model.errors import ConfigError, DataError
from inkstream.model.training.ngrams import train_language
from tests.helpers.languages import log_p

WORDS = {"the": 0.05, "canal": 1e-5, "panama": 1e-9}


def test_words_count_as_often_as_they_are_used_and_rare_ones_a_little() -> None:
    counts = defaultdict[str, float](float)
    for text, weight in texts(WORDS, 0):
        counts[text] += weight
    assert counts["the"] == pytest.approx(0.8 * 50_000)
    assert counts["Canal"] == pytest.approx(0.15 * 10)
    assert counts["PANAMA"] == pytest.approx(0.05 * 0.3)


def test_sentences_have_capitals_marks_and_numbers_and_are_the_same_for_one_seed() -> None:
    made = [text for text, _ in texts(WORDS, 300)][3 * len(WORDS) :]
    assert made == [text for text, _ in texts(WORDS, 300)][3 * len(WORDS) :]
    assert len(made) == 300
    together = " ".join(made)
    assert {*"T,.?!0"} <= {*together}
    assert together.count("the") > together.count("canal") > 0
    assert all(text == " ".join(text.split()) for text in made)


def train(folder: Path, *lines: str, english: bool = False, order: int = 4) -> Language:
    (folder / "text.txt").write_text("\n".join(lines), "utf-8")
    out = folder / "made" / "mine.ngrams"
    told = train_language(
        [folder / "text.txt"], 10.0, english=english, order=order, most=5000, out=out
    )
    assert str(out) in told
    assert "text.txt, sha256 " in told
    return Language.load(out)


def test_ones_own_text_is_learnt_with_its_characters(tmp_path: Path) -> None:
    language = train(tmp_path, "Grüße aus  Köln", "", "Grüße aus Bonn")
    assert language.about.name == "mine"
    assert {*"üßö~"} <= {*language.about.characters}
    begin = language.after(" ")
    assert log_p(language, "Grüße ", begin) > log_p(language, "Gruse ", begin) + 5
    assert log_p(language, "aus K", begin) > -6


def test_the_mark_that_windows_begins_a_text_with_is_no_character(tmp_path: Path) -> None:
    assert "\ufeff" not in train(tmp_path, "\ufeffhello, world!").about.characters


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(tmp_path: Path, weight: float) -> None:
    (tmp_path / "text.txt").write_text("hello, world!")
    files, out = [tmp_path / "text.txt"], tmp_path / "x"
    with pytest.raises(ConfigError, match=f"text weight is {weight}, allowed: above 0"):
        train_language(files, weight, english=False, order=3, most=100, out=out)


def test_what_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, words in (("nosuch", "cannot read text"), ("binary", "is not UTF-8")):
        with pytest.raises(DataError, match=words):
            train_language(
                [tmp_path / name], 1.0, english=False, order=3, most=100, out=tmp_path / "x"
            )
    with pytest.raises(DataError, match="no text"):
        train_language([], 1.0, english=False, order=3, most=100, out=tmp_path / "x")
