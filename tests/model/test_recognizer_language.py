"""The library with hints: a language model, a lexicon, a pattern, allowed characters."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkstream import load
from inkstream.model.errors import DataError, InputError
from inkstream.model.preprocess.columns import line_columns
from inkstream.model.recognizer import Recognizer, State

HELLO = Path(__file__).parents[2] / "examples" / "hello.png"


@pytest.fixture(scope="module", params=["english", "de,eng", "auto"])
def reader(request: pytest.FixtureRequest) -> Recognizer:
    return load("lines", language=request.param)


def test_a_line_is_read_with_the_shipped_language(reader: Recognizer) -> None:
    recognizer, plain = reader.recognize(HELLO), load("lines").recognize(HELLO)
    assert recognizer.text == plain.text == "hello, world!"
    assert [letter.char for letter in recognizer.letters] == [*"hello,world!"]
    assert [word.text for word in recognizer.words] == ["hello,", "world!"]


def test_a_stream_gives_the_events_of_the_whole_line(reader: Recognizer, tmp_path: Path) -> None:
    columns = line_columns(HELLO, reader.column_height)
    whole = reader.read(columns)
    stream = reader.stream(columns[:70])
    events = [event for result in stream for event in result.events]
    stream.state.save(tmp_path / "state")
    again = reader.stream(columns[70:], State.load(tmp_path / "state"))
    events += [event for result in again for event in result.events]
    events += again.flush()
    assert again.text == whole.text
    assert [event for event in events if hasattr(event, "char")] == list(whole.letters)


def test_a_state_of_another_decoder_is_refused(reader: Recognizer) -> None:
    columns = line_columns(HELLO, reader.column_height)
    lines = load("lines")
    plain, guided = lines.stream(columns[:70]), reader.stream(columns[:70])
    list(plain), list(guided)
    with pytest.raises(InputError, match="of a stream without a language model or other hints"):
        reader.stream(columns[70:], plain.state)
    with pytest.raises(InputError, match=r"stream with hints: it holds \['alternatives', 'beam'"):
        lines.stream(columns[70:], guided.state)


@pytest.mark.parametrize(("before", "after"), [("en,de", "en"), ("de", "en,de"), ("auto", "en,de")])
def test_a_state_of_other_languages_is_refused(before: str, after: str) -> None:
    columns = line_columns(HELLO, 32)
    stream = load("lines", language=before).stream(columns[:70])
    list(stream)
    with pytest.raises(InputError, match="a decoder cannot go on from this state"):
        load("lines", language=after).stream(columns[70:], stream.state)


@pytest.mark.parametrize(
    ("model", "hints", "text"),
    [
        ("digits", {"language": "english"}, "`language` needs a model that reads lines; this one"),
        ("lines", {"language": "klingon"}, "no language klingon, allowed: a file, danish, .*auto"),
        ("lines", {"language": "en,klingon"}, "no language klingon"),
        ("lines", {"language": 3}, "language is 3, allowed: danish, "),
        (3, {}, "3 came, expected the name or the path of a model"),
        ("lines", {"words": "Zschage"}, "words is 'Zschage', expected a list of words"),
        ("lines", {"lexicon": "Zschage"}, "lexicon is 'Zschage', expected a list of words"),
        *[
            ("lines", {"lexicon": ["hello"], "pattern": pattern}, "no text of the pattern is made")
            for pattern in ("[0-9]+", "[0-9]+[a-z]+", "[a-z]+[A-Z]")
        ],
    ],
)
def test_hints_that_cannot_be_followed_are_refused(
    model: Any, hints: dict[str, Any], text: str
) -> None:
    with pytest.raises((InputError, DataError), match=text):
        load(model, **hints)
    assert load("lines", lexicon=["hello"], pattern="[0-9]*[a-z]+")
    unknown: dict[str, Any] = {"lang": "de"}
    with pytest.raises(TypeError, match=r"load\(\) got an unexpected keyword argument 'lang'"):
        load("lines", **unknown)


@pytest.mark.parametrize("language", [None, "english"])
@pytest.mark.slow
def test_a_flush_between_two_letters_adds_and_removes_no_space(
    language: str | None,
) -> None:
    lines = load("lines", language=language)
    columns = line_columns(HELLO, lines.column_height)
    blank = [k for k in range(1, len(columns)) if not columns[k].any() and columns[:k].any()]
    assert len(blank) > 10
    for index in blank[::3]:
        stream = lines.stream()
        for part in (columns[:index], columns[index:]):
            for column in part:
                stream.push(column)
            stream.flush()
        words = stream.text.lower().split(" ")
        assert len(words) == 2, index
        assert language or words[0] == "hello,", index


@pytest.mark.parametrize("n_blank", [100, 1_200])
def test_blank_columns_before_a_line_are_read_as_nothing(n_blank: int) -> None:
    lines = load("lines")
    columns = line_columns(HELLO, lines.column_height)
    stream = lines.stream(np.zeros((n_blank, lines.column_height), np.uint8))
    assert all(not result.events for result in stream)
    for column in columns:
        stream.push(column)
    stream.flush()
    assert stream.text.lower() == "hello, world!"


# Characters


def test_images_and_streams_answer_with_allowed_characters_only() -> None:
    capitals = load("lines", characters="HELOWRD ")
    columns = line_columns(HELLO, capitals.column_height)
    reading, stream = capitals.read(columns), capitals.stream(columns)
    assert reading.text
    assert set(reading.text) <= set("HELOWRD ")
    assert {*reading.probabilities} == {*capitals.labels}
    assert sum(reading.probabilities[label] for label in "HELOWRD ") == pytest.approx(1)
    for _ in stream:
        pass
    stream.flush()
    assert stream.text == reading.text


def test_characters_restrict_a_classifier_too() -> None:
    recognizer = load("digits", characters="13")
    assert recognizer.recognize(HELLO.parent / "7.png").label in ("1", "3")


def test_characters_apply_together_with_hints() -> None:
    recognizer = load("lines", characters="helowrd ,", language="english", pattern="[a-z, !]+")
    text = recognizer.recognize(HELLO).text
    assert text.startswith("hel")
    assert set(text) <= set("helowrd ,")


@pytest.mark.parametrize(
    ("net", "hints", "text"),
    [
        ("digits", {"characters": "7a"}, "characters holds 'a', allowed"),
        ("digits", {"characters": ""}, "spells no label"),
        ("lines", {"characters": "abc", "pattern": "[0-9]+"}, "no text of the pattern or lexicon"),
        ("lines", {"characters": "0123", "pattern": r"[0-9]\.[0-9]"}, "of the characters 0123"),
        ("lines", {"characters": "abc", "lexicon": ("xyz",)}, "no text of the pattern or lexicon"),
        ("lines", {"characters": "ab", "lexicon": ("cab", "bad")}, "no text of the pattern or"),
    ],
)
def test_unusable_characters_are_refused(net: str, hints: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        load(net, **hints)


def test_confidence_under_a_pattern_says_how_well_it_fits() -> None:
    plain = load("lines").recognize(HELLO)
    assert plain.text == "hello, world!"
    fitting = load("lines", pattern="[a-z]+, [a-z]+!").recognize(HELLO)
    assert fitting.text == plain.text
    for letter, own in zip(fitting.letters, plain.letters, strict=True):
        assert letter.confidence == pytest.approx(own.confidence, abs=0.2)
    digits = load("lines", pattern=r"\d+, \d+!").recognize(HELLO)
    drawn = [letter for letter in digits.letters if letter.char.isdigit()]
    assert len(drawn) > 4
    assert sum(letter.confidence for letter in drawn) < 0.3 * len(drawn)
    for word in digits.words:
        assert word.confidence < 0.2
    for letter in [*fitting.letters, *drawn]:
        total = letter.confidence + sum(p for _, p in letter.alternatives)
        assert total <= 1 + 1e-5
    assert all(char.isdigit() for letter in drawn for char, _ in letter.alternatives)
