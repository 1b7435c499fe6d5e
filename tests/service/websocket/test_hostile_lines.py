"""Hostile and unlucky clients of a transcriber: their cost is limited, and others go on.

A session alone shows what is counted and kept; real sockets show what other clients get meanwhile.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from inkstream.model.decoding.lexicon import WordsGuide
from inkstream.model.decoding.regex import PatternGuide
from inkstream.model.recognizer import Recognizer
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Configured, Limits
from inkstream.service.session import Restore
from inkstream.service.session.inbox import CONTROL_WEIGHT
from tests.helpers import builders
from tests.helpers.engine_sessions import DEADLINE_S, PausableEngine
from tests.helpers.raw_websocket import TEXT, RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import (
    LANGUAGES,
    SessionClient,
    line,
    message,
    only,
)

LINES = "?model=tiny_lines"
COLUMNS = builders.columns(60, 5, 16)
TALL = [[0, -30_000], [0, 30_000]]  # two points with the longest distance that one message may have


def ink(*strokes: Any) -> str:
    return message("ink", strokes=[{"points": points} for points in strokes], height=16)


def text_frame(text: str) -> bytes:
    """Return a frame with a text."""
    return frame(text.encode(), TEXT)


# Counts and memory of a session


def test_a_ping_after_ink_does_not_count_towards_the_rate_limit(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    frames = [ink([[3, 8]]), message("ping")]
    client.send(*frames * 25, interval_s=0.0)
    client.send(*frames * 20, interval_s=0.055)  # of ink alone 9 a second
    assert client.paused_s == 0
    client.send(*[message("ping")] * 60, interval_s=0.0)
    assert client.paused_s > 0


@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({"characters": "ab" * 30}, 60),
        ({"words": ["abc"] * 10 + [""] * 5}, 35),
        ({"context": "a b c", "pattern": "(a|b)*"}, 11),
    ],
)
def test_long_options_count_as_waiting_until_they_are_applied(
    line_net: Runtime, options: dict[str, Any], weight: int
) -> None:
    client = SessionClient(line_net)
    client.send(line(20), message("configure", **options))
    assert client.session.inbox.waiting_columns == 20 + CONTROL_WEIGHT + weight
    client.drain()
    assert client.session.inbox.waiting_columns == 0


def test_few_messages_wait_behind_columns(line_net: Runtime) -> None:
    limits = Limits()
    client = SessionClient(line_net, limits)
    client.send(line(1), *64 * ['{"type":"reset"}'])  # all are answered in one turn of the loop
    assert client.session.inbox.waiting_columns >= limits.max_waiting_columns


def test_a_hint_that_stays_is_not_prepared_again(
    line_net: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = SessionClient(line_net, languages=LANGUAGES)
    client.send(message("configure", pattern="[abc. ]*", words=["abba", "cab"]))

    def refuse(*_: object) -> None:
        raise AssertionError("a hint is prepared again")

    for kind in (PatternGuide, WordsGuide):
        monkeypatch.setattr(kind, "__init__", refuse)
    for language in ("little", None):
        answer = only(client.ask(message("configure", language=language)))
        assert isinstance(answer, Configured)
        assert answer.language == language


def test_repeated_characters_are_kept_and_echoed_once(line_net: Runtime) -> None:
    answer = only(SessionClient(line_net).ask(message("configure", characters="ba" * 30)))
    assert isinstance(answer, Configured)
    assert answer.characters == "ba"


def test_resets_of_empty_lines_restore_no_state(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    effects = client.session.receive(message("reset"), 0.0)
    client.ask(line(20))
    effects += client.session.receive(message("reset"), 0.0)
    effects += client.session.receive(message("reset"), 0.0)
    assert len([each for each in effects if isinstance(each, Restore)]) == 1


# Other clients meanwhile


@pytest.fixture
def running(engines: list[PausableEngine], line_weights: Path) -> Iterator[Running]:
    with server(line_weights, models="tiny_lines") as running:
        yield running


def text_beside(running: Running, disturb: Callable[[], None]) -> str:
    """Return the text of a session with one column a message; call `disturb` in its middle."""
    with connect(running.url + LINES) as healthy:
        for number, column in enumerate(COLUMNS):
            if number == len(COLUMNS) // 2:
                disturb()
            healthy.send(column.tobytes())
        healthy.send(message("end"))
        messages = [json.loads(text) for text in healthy]
    assert [each["column"] for each in messages if each["type"] == "result"] == list(range(60))
    return str(messages[-1]["text"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "costly",
    [ink(TALL), message("configure", pattern="((((a?)*)*)*){250}")],
    ids=["ink", "pattern"],
)
def test_a_flood_costs_the_flooder_alone(
    line_weights: Path, reader: Recognizer, costly: str
) -> None:
    with (
        server(line_weights, models="tiny_lines", max_control_per_s=1) as limited,
        RawClient(limited.port, LINES) as client,
    ):
        flood = text_frame(message("ping")) + text_frame(costly) * 400
        assert text_beside(limited, lambda: client.send(flood)) == reader.read(COLUMNS).text
        types = [json.loads(client.read())["type"] for _ in range(2)]
        assert types == ["ready", "pong"]
        while len(limited.service.sessions) > 1:  # the other one ends
            time.sleep(0.01)
        assert len(limited.service.sessions) == 1  # it is still there, and waits


@pytest.mark.parametrize(
    ("kind", "fields"), [("configure", {"results": "none"}), ("resume", {"heard": 100_000})]
)
def test_a_client_that_is_paused_without_results_goes_on(
    running: Running, engines: list[PausableEngine], kind: str, fields: dict[str, Any]
) -> None:
    with RawClient(running.port, LINES) as client:
        digest = json.loads(client.read())["model"]["digest"]
        client.send(text_frame(message(kind, digest=digest, **fields)))
        engines[0].pause()
        client.send(4 * frame(bytes(2048 * 16)) + text_frame(message("ping", id="read")))
        assert engines[0].has_work.wait(DEADLINE_S)
        engines[0].resume()
        types = [json.loads(client.read())["type"]]
        while types[-1] != "pong":
            types.append(json.loads(client.read())["type"])
        assert "result" not in types
