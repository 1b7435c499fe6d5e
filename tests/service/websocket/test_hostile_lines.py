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
from inkstream.service.protocol.server_messages import Answer, Configured, Limits
from inkstream.service.session import Restore
from inkstream.service.session.inbox import CONTROL_WEIGHT
from tests.helpers import builders
from tests.helpers.engine_sessions import DEADLINE_S, PausableEngine
from tests.helpers.raw_websocket import CLOSE, TEXT, RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import (
    LANGUAGES,
    LIMITS,
    SessionClient,
    error_in,
    line,
    message,
    only,
    types_of,
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


def test_ink_that_takes_long_to_draw_counts_as_many_messages(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.send(ink(TALL), interval_s=0.0)
    assert client.paused_s == 0
    client.send(ink(TALL), interval_s=0.0)
    assert client.paused_s > 0


def test_a_ping_after_ink_does_not_count_towards_the_rate_limit(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    frames = [ink([[3, 8]]), message("ping")]
    client.send(*frames * 25, interval_s=0.0)
    client.send(*frames * 20, interval_s=0.055)  # of ink alone 9 a second
    assert client.paused_s == 0
    client.send(*[message("ping")] * 60, interval_s=0.0)
    assert client.paused_s > 0


def test_strokes_without_points_are_counted_too(line_net: Runtime) -> None:
    limits = LIMITS.model_copy(update={"max_ink_strokes": 2000})
    error = error_in(SessionClient(line_net, limits).ask(ink(*[[]] * 1001)))
    assert error.message == "1001 points in one message, allowed: up to 1000"


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


def read_messages(client: RawClient) -> list[dict[str, Any]]:
    """Return the messages until the server closes."""
    messages = []
    while client.kind != CLOSE:
        payload = client.read()
        if client.kind == TEXT:  # not a ping, which a slow server may send
            messages.append(json.loads(payload))
    return messages


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


def test_a_connection_lost_during_a_flush_affects_no_other_session(
    running: Running, engines: list[PausableEngine], reader: Recognizer
) -> None:
    def vanish() -> None:
        with RawClient(running.port, LINES) as client:
            client.send(frame(line(20)))
            while json.loads(client.read()).get("column") != 19:
                pass
            engines[0].pause()
            client.send(text_frame(message("flush")) + frame(line(20)) + text_frame(message("end")))
            assert engines[0].has_work.wait(DEADLINE_S)
            client.reset()
            engines[0].resume()

    assert text_beside(running, vanish) == reader.read(COLUMNS).text
    running.wait_until_empty()


def test_a_client_that_sends_all_and_then_reads_gets_every_answer_in_order(
    running: Running, line_net: Runtime
) -> None:
    frames: list[str | bytes] = []
    column = 0
    for number in range(60):
        frames += [line(3, number), message("flush", id=number)]
        column += 3
        if number % 3 == 2:
            column -= 3 + number % 2  # to an earlier flush, or before it
            frames += [message("rewind", column=column), message("configure", top_k=2)]
        if number % 20 == 19:
            frames += [message("reset")]
            column = 0
    frames += [message("end"), message("flush"), b"too late"]
    expected = SessionClient(line_net).ask(*frames)
    with RawClient(running.port, LINES, receive_buffer_bytes=4096) as client:
        client.read()
        client.send(
            b"".join(text_frame(each) if isinstance(each, str) else frame(each) for each in frames)
        )
        messages = read_messages(client)
    assert [each["type"] for each in messages if each["type"] != "result"] == [
        kind for kind in types_of(expected) if kind != "result"
    ]
    texts = [each["text"] for each in messages if each["type"] in ("rewound", "flushed", "done")]
    assert texts == [each.text for each in expected if isinstance(each, Answer)]


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
