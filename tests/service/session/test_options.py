"""The options of a transcriber's session: labels, and hints: a language model, words, a pattern."""

import re
from itertools import permutations
from typing import Any

import pytest

from inkstream.model.decoding.hints import Hints
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Configured
from tests.helpers.single_session import (
    LANGUAGES,
    LIMITS,
    LINE_INK,
    LITTLE,
    OTHER,
    SessionClient,
    error_in,
    language_of,
    line,
    message,
    only,
    read_by_decoder,
    results,
    text_of,
    texts,
    types_of,
    words_in,
)

OFFERED = "little, other, several with commas, or auto"
HINTED: list[tuple[dict[str, Any], Hints]] = [
    ({"language": "little"}, Hints((LITTLE,))),
    ({"language": "little", "context": "a cab"}, Hints((LITTLE,), "a cab")),
    ({"language": "little,other"}, Hints((LITTLE, OTHER))),
    ({"language": "auto", "context": "acca bac"}, Hints((LITTLE, OTHER), "acca bac")),
    ({"words": ["cab", "ab."]}, Hints(words=("cab", "ab."))),
    ({"pattern": "[ab]{3}( c+)?"}, Hints(pattern="[ab]{3}( c+)?")),
    ({"language": "little", "pattern": "(a|b| )*"}, Hints((LITTLE,), pattern="(a|b| )*")),
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
    ("asked", "configured"),
    [
        ("de", "german"),
        ("DEU, english", "german,english"),
        ("english,en,eng", "english"),
        ("auto", "auto"),
        ("de-AT", "german"),
        ("en,auto", "english,german"),
    ],
)
def test_languages_are_named_once_however_they_are_asked_for(
    line_net: Runtime, asked: str, configured: str
) -> None:
    languages = {name: language_of(name, ("ab", 1.0)) for name in ("german", "english")}
    client = SessionClient(line_net, languages=languages)
    answer = only(client.ask(message("configure", language=asked)))
    assert isinstance(answer, Configured)
    assert answer.language == configured


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"language": "latin"}, f"language is 'latin', allowed: {OFFERED}"),
        ({"language": "little,latin"}, f"language is 'little,latin', allowed: {OFFERED}"),
        ({"language": ""}, f"language is '', allowed: {OFFERED}"),
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


@pytest.mark.parametrize(
    ("hint", "allowed", "reason"),
    [
        (
            {"words": ["c", "cab"]},
            {"words": ["c"]},
            "word 'cab' cannot be read, it holds 'a', 'b', allowed: one or more of  c",
        ),
        *(
            ({"pattern": pattern}, {"pattern": f"{pattern}|c c"}, f"pattern {pattern!r} describes")
            for pattern in ("[ab]+", "c+b", "bc+", "a|b c")
        ),
    ],
)
def test_hints_that_the_characters_cannot_spell_are_refused_in_either_order(
    line_net: Runtime, hint: dict[str, Any], allowed: dict[str, Any], reason: str
) -> None:
    client = SessionClient(line_net)
    characters = {"characters": "c "}
    for first, second in permutations([characters, hint]):
        client.ask(message("configure", **first))
        error = error_in(client.ask(message("configure", **second)))
        assert (error.code, error.message[: len(reason)]) == ("bad_value", reason)
        client.ask(message("configure", characters=None, words=[], pattern=None))
    assert types_of(client.ask(message("configure", **characters, **allowed))) == ["configured"]


def test_a_transcriber_names_five_labels_by_default(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    assert only(client.ask(message("configure"))) == Configured(top_k=5, seq=1)
    client.ask(message("configure", top_k=2))
    assert len(results(client.ask(LINE_INK))[0].probabilities) == 2
    client.ask(message("configure", top_k=None))
    assert [*dict(results(client.ask(LINE_INK))[0].probabilities)] == list(" abc.")


def test_patterns_spend_more_of_the_rate_limit_than_other_messages(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    n_taken = 0
    while client.paused_s == 0:
        client.send(message("configure", pattern="a" * (1 + n_taken)), interval_s=0.0)
        n_taken += 1
    patient = SessionClient(line_net)
    for _ in range(5 * LIMITS.max_control_per_s):  # as many as of pings
        patient.send(message("configure", words=["ab"]), interval_s=0.0)
    assert patient.paused_s == 0
