"""Hints among the options of a session: a language model, words, the text before, a pattern."""

import re
from typing import Any

import pytest

from inkstream.model.decoding.hints import Hints
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Configured
from tests.helpers.single_session import (
    LANGUAGES,
    LITTLE,
    SessionClient,
    error_in,
    line,
    message,
    only,
    read_by_decoder,
    text_of,
    texts,
    words_in,
)

HINTED: list[tuple[dict[str, Any], Hints]] = [
    ({"language": "little"}, Hints(LITTLE)),
    ({"language": "little", "context": "a cab"}, Hints(LITTLE, "a cab")),
    ({"words": ["cab", "ab."]}, Hints(words=("cab", "ab."))),
    ({"pattern": "[ab]{3}( c+)?"}, Hints(pattern="[ab]{3}( c+)?")),
    ({"language": "little", "pattern": "(a|b| )*"}, Hints(LITTLE, pattern="(a|b| )*")),
]


@pytest.mark.parametrize(("options", "hints"), HINTED)
def test_a_line_is_read_with_the_options_set_before_it(
    line_net: Runtime, options: dict[str, Any], hints: Hints
) -> None:
    client = SessionClient(line_net, languages=LANGUAGES)
    configured = only(client.ask(message("configure", id=3, **options)))
    assert isinstance(configured, Configured)
    assert configured.id == 3
    assert configured.model_dump(mode="json").items() >= options.items()
    messages = client.ask(line(150), message("flush"))
    expected, final = read_by_decoder(line_net, line(150), hints)
    assert texts(messages) == expected
    assert text_of(messages) == final
    assert " ".join(word.text for word in words_in(messages)) == final.strip()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"language": "latin"}, "language is 'latin', allowed: null, little"),
        (
            {"words": ["né"]},
            "word 'né' cannot be read, it holds 'n', 'é', allowed: one or more of .abc",
        ),
        ({"words": ["a b"]}, "word 'a b' cannot be read"),
        ({"words": [""]}, "word '' cannot be read"),
        ({"words": "ab"}, "words"),
        ({"words": [3]}, "word 0 is 3, allowed: a text"),
        ({"pattern": "["}, "pattern '[' cannot be understood"),
        ({"pattern": "x+"}, "pattern 'x+' describes no text of the characters  abc.; it holds x"),
        ({"pattern": ""}, "pattern has 0 characters, allowed: 1..256"),
        ({"pattern": 3}, "pattern"),
        ({"context": "a" * 59}, "words, context, pattern and characters have 61 characters"),
        ({"words": ["ab"] * 31}, "have 64 characters, allowed: up to 60"),
    ],
)
def test_invalid_options_are_refused_and_change_nothing(
    line_net: Runtime, options: dict[str, Any], reason: str
) -> None:
    client = SessionClient(line_net, languages=LANGUAGES)
    client.ask(message("configure", words=["cab"], top_k=3))
    error = error_in(client.ask(message("configure", id="h", top_k=2, characters="ab", **options)))
    assert (error.code, error.fatal, error.ref) == ("bad_value", False, "h")
    assert re.search(re.escape(reason), error.message)
    assert only(client.ask(message("configure"))) == Configured(top_k=3, words=("cab",), seq=3)
    hints = Hints(words=("cab",))
    assert texts(client.ask(line(60))) == read_by_decoder(line_net, line(60), hints)[0]


def test_words_that_the_characters_cannot_spell_are_refused(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    for first, second in (("characters", "words"), ("words", "characters")):
        options = {"characters": "ac ", "words": ["ca", "cab"]}
        client.ask(message("configure", **{first: options[first]}))
        error = error_in(client.ask(message("configure", **{second: options[second]})))
        assert (error.code, error.message) == (
            "bad_value",
            "word 'cab' cannot be read, it holds 'b', allowed: one or more of  ac",
        )
        client.ask(message("configure", characters=None, words=[]))
    assert only(client.ask(message("configure", characters="bac", words=["cab"]))) == Configured(
        top_k=5, characters="bac", words=("cab",), seq=7
    )


@pytest.mark.parametrize("pattern", ["[ab]+", "c+b", "bc+", "a|b c"])
def test_a_pattern_that_no_text_of_the_characters_fulfils_is_refused(
    line_net: Runtime, pattern: str
) -> None:
    client = SessionClient(line_net)
    for first, second in (("characters", "pattern"), ("pattern", "characters")):
        options = {"characters": "c ", "pattern": pattern}
        client.ask(message("configure", **{first: options[first]}))
        error = error_in(client.ask(message("configure", **{second: options[second]})))
        assert error.code == "bad_value"
        assert f"pattern {pattern!r} describes no text of the characters c " in error.message
        client.ask(message("configure", characters=None, pattern=None))
    either = f"{pattern}|c c"
    done = only(client.ask(message("configure", characters="c ", pattern=either)))
    assert done == Configured(top_k=5, characters="c ", pattern=either, seq=7)


def test_patterns_spend_more_of_the_rate_limit_than_other_messages(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    n_taken = 0
    while client.paused_s == 0:
        client.send(message("configure", pattern="a" * (1 + n_taken)), interval_s=0.0)
        n_taken += 1
    patient = SessionClient(line_net)
    for _ in range(3 * n_taken):
        patient.send(message("configure", words=["ab"]), interval_s=0.0)
    assert patient.paused_s == 0
