"""Hostile and unlucky clients of a transcriber: what they cost, and that others go on.

A session alone tells what is counted and kept; real sockets tell what neighbours hear meanwhile.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from inkstream.model.recognizer import Recognizer
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Configured, Done, Flushed, Rewound
from inkstream.service.session import Close, Restore
from tests.helpers import builders
from tests.helpers.engine_sessions import DEADLINE_S, Net
from tests.helpers.raw_websocket import CLOSE, TEXT, RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import (
    LIMITS,
    SessionClient,
    error_in,
    line,
    message,
    only,
    types_of,
)

LINES = "?model=tiny_lines"
HEALTHY = builders.columns(60, 5, 16)
TALL = [[0, -30_000], [0, 30_000]]  # two points, and as much to draw as one message may bring


def ink(*strokes: Any) -> str:
    return message("ink", strokes=[{"points": points} for points in strokes], height=16)


def wire(text: str) -> bytes:
    """A text as a frame."""
    return frame(text.encode(), TEXT)


# What a session counts and keeps


def test_ink_that_takes_long_to_draw_counts_as_many_messages(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.send(*[ink(TALL)] * 3, interval_s=0.0)
    assert client.close is None
    client.send(ink(TALL), interval_s=0.0)
    assert client.close == Close(4429, "too_many_messages")


def test_ink_of_ordinary_writing_counts_as_one_message(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    strokes = [[[3 * i + j / 20, 8 + j % 7] for j in range(60)] for i in range(50)]
    client.send(*[ink(points) for points in strokes], interval_s=0.0)
    assert client.close is None


def test_a_ping_after_ink_is_free(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    written = [ink([[3, 8]]), message("ping")]
    client.send(*written * 25, interval_s=0.0)
    client.send(*written * 20, interval_s=0.055)  # of ink alone 9 a second
    assert client.close is None
    client.send(*[message("ping")] * 60, interval_s=0.0)
    assert client.close == Close(4429, "too_many_messages")


def test_the_largest_ink_message_is_allowed_at_the_rate_limit(line_net: Runtime) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update={"max_control_per_s": 1}))
    client.send(*[ink(TALL)] * 3, interval_s=5.0)
    assert client.close is None


def test_strokes_without_points_are_counted_too(line_net: Runtime) -> None:
    error = error_in(SessionClient(line_net).ask(ink(*[[]] * 1001)))
    assert error.message == "1001 points in one message, allowed: up to 1000"


@pytest.mark.parametrize(
    ("told", "weight"),
    [
        ({"characters": "ab" * 1000}, 2000),
        ({"words": ["abc"] * 10 + [""] * 5}, 35),
        ({"context": "a b c", "pattern": "(a|b)*"}, 11),
    ],
)
def test_long_options_count_as_waiting_until_they_are_applied(
    line_net: Runtime, told: dict[str, Any], weight: int
) -> None:
    client = SessionClient(line_net)
    client.send(line(20), message("configure", **told))
    assert client.session.waiting_columns == 20 + weight
    client.drain()
    assert client.session.waiting_columns == 0


def test_repeated_characters_are_kept_and_echoed_once(line_net: Runtime) -> None:
    answer = only(SessionClient(line_net).ask(message("configure", characters="ba" * 10_000)))
    assert isinstance(answer, Configured)
    assert answer.characters == "ba"


def test_resets_of_empty_lines_leave_nothing_behind(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    effects = client.session.receive(message("reset"), 0.0)
    client.ask(line(20))
    effects += client.session.receive(message("reset"), 0.0)
    effects += client.session.receive(message("reset"), 0.0)
    assert len([each for each in effects if isinstance(each, Restore)]) == 1


# What neighbours notice


@pytest.fixture
def place(nets: list[Net], line_weights: Path) -> Iterator[Running]:
    with server(line_weights, models="tiny_lines") as running:
        yield running


def text_beside(running: Running, trouble: Callable[[], None]) -> str:
    """The text that a session hears, one column a message, if there is `trouble` half way."""
    with connect(running.url + LINES) as healthy:
        for number, column in enumerate(HEALTHY):
            if number == len(HEALTHY) // 2:
                trouble()
            healthy.send(column.tobytes())
        healthy.send(message("end"))
        said = [json.loads(text) for text in healthy]
    assert [each["column"] for each in said if each["type"] == "result"] == list(range(60))
    return str(said[-1]["text"])


def all_of(client: RawClient) -> list[dict[str, Any]]:
    """What is said until the server closes."""
    said = []
    while client.kind != CLOSE:
        payload = client.read()
        if client.kind == TEXT:  # no ping of a server that had to wait for long
            said.append(json.loads(payload))
    return said


@pytest.mark.parametrize(
    "costly",
    [ink(TALL), message("configure", pattern="((((a?)*)*)*){250}")],
    ids=["ink", "pattern"],
)
def test_a_flood_is_closed_and_another_session_goes_on(
    line_weights: Path, reader: Recognizer, costly: str
) -> None:
    def flood() -> None:
        with RawClient(strict.port, LINES) as client:
            client.send(wire(costly) * 400)
            said = all_of(client)
        assert (said[-1]["code"], said[-1]["fatal"]) == ("too_many_messages", True)

    # At more than one a second a machine that is slow in answering would let the flood keep pace.
    with server(line_weights, models="tiny_lines", max_control_per_s=1) as strict:
        assert text_beside(strict, flood) == reader.read(HEALTHY).text


def test_a_connection_lost_during_a_flush_does_not_affect_other_sessions(
    place: Running, nets: list[Net], reader: Recognizer
) -> None:
    def vanish() -> None:
        with RawClient(place.port, LINES) as client:
            client.send(frame(line(20)))
            while json.loads(client.read()).get("column") != 19:
                pass
            nets[0].may_run.clear()
            client.send(wire(message("flush")) + frame(line(20)) + wire(message("end")))
            assert nets[0].entered.acquire(timeout=DEADLINE_S)
            client.reset()
            nets[0].may_run.set()

    assert text_beside(place, vanish) == reader.read(HEALTHY).text
    place.wait_until_empty()


def test_a_client_that_sends_all_and_then_reads_gets_every_answer_in_order(
    place: Running, line_net: Runtime
) -> None:
    moves: list[str | bytes] = []
    column = 0
    for number in range(60):
        moves += [line(3, number), message("flush", id=number)]
        column += 3
        if number % 3 == 2:
            column -= 3 + number % 2  # right at an earlier flush, or before it
            moves += [message("rewind", column=column), message("configure", top_k=2)]
        if number % 20 == 19:
            moves += [message("reset")]
            column = 0
    moves += [message("end"), message("flush"), b"too late"]
    due = SessionClient(line_net).ask(*moves)
    with RawClient(place.port, LINES, receive_buffer_bytes=4096) as client:
        client.read()
        client.send(b"".join(wire(m) if isinstance(m, str) else frame(m) for m in moves))
        said = all_of(client)
    assert [each["type"] for each in said if each["type"] != "result"] == [
        kind for kind in types_of(due) if kind != "result"
    ]
    texts = [each["text"] for each in said if each["type"] in ("rewound", "flushed", "done")]
    assert texts == [each.text for each in due if isinstance(each, Rewound | Flushed | Done)]
