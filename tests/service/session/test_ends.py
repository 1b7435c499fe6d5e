"""Ends of a session other than `end`: limits, failures, and the server's own reasons."""

import math
import os

import pytest

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.errors import StoppingError
from inkstream.service.protocol.server_messages import Error, Goaway, Limits
from inkstream.service.session import Close
from tests.helpers.single_session import (
    INK,
    SessionClient,
    error_in,
    message,
    only,
    step_alone,
    types_of,
)

PEN_MINUTES = int(os.environ.get("PEN_MINUTES", "1"))  # ten take two minutes
STOPPING = StoppingError("no more time")

# Consecutive bad messages, and too many messages of any kind


def test_three_consecutive_bad_messages_close_the_session(net: Runtime) -> None:
    client = SessionClient(net)
    messages = client.ask("{", message("sing", id=8), bytes(3), message("ping"))
    assert [(each.code, each.fatal) for each in messages if isinstance(each, Error)] == [
        ("bad_json", False),
        ("unknown_type", False),
        ("bad_columns", True),
    ]
    assert [each.ref for each in messages if isinstance(each, Error)] == [None, 8, None]
    assert client.close == Close(4400, "bad_columns")


def test_a_good_message_resets_the_count_of_bad_ones(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask("{", "{", INK, "{", "{", message("flush"), "{", "{")
    assert client.close is None
    client.ask(message("ping"), "{")  # a ping is none of the line's messages
    assert client.close == Close(4400, "bad_json")


def test_a_client_that_sends_too_many_control_messages_is_paused_and_loses_nothing(
    net: Runtime,
) -> None:
    client = SessionClient(net)
    client.send(*[message("ping", id=n) for n in range(50)], interval_s=0.0)
    assert client.paused_s == 0  # ten a second, for five seconds
    client.send(message("ping"), "{", interval_s=0.0)
    assert client.paused_s == pytest.approx(0.2)
    client.send(INK, interval_s=0.2)
    assert client.paused_s == 0
    client.drain()
    assert types_of(client.new_messages()) == ["ready", *["pong"] * 51, "error", "result"]
    assert client.close is None


def test_a_client_that_was_silent_may_send_those_of_five_seconds_again(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(*[message("ping")] * 60, interval_s=0.0)
    client.send(message("ping"), interval_s=1000.0)
    client.send(*[message("ping")] * 48, interval_s=0.0)
    assert client.paused_s == 0
    client.send(*[message("ping")] * 2, interval_s=0.0)
    assert client.paused_s == pytest.approx(0.1)


@pytest.mark.slow
def test_a_pen_that_sends_a_point_a_message_200_times_a_second_is_never_paused(
    line_net: Runtime,
) -> None:
    client = SessionClient(line_net, Limits())
    errors = 0
    for n_points in range(PEN_MINUTES * 60 * 200):
        if n_points % 4000 == 0:  # a line in 20 s, in strokes of a quarter of a second
            client.send(message("reset"), interval_s=0.0)
        x, y = n_points % 4000 / 4, 8 + 6 * math.sin(n_points / 9)
        stroke = {"id": n_points // 50, "points": [[x, y]], "last": n_points % 50 == 49}
        client.send(message("ink", strokes=[stroke], height=16), interval_s=1 / 200)
        client.drain()
        assert client.paused_s == 0
        errors += sum(isinstance(each, Error) for each in client.new_messages())
    assert errors == 0
    assert client.column > 900
    assert client.close is None


# Ends by the server


def test_goaway_leaves_the_session_open(net: Runtime) -> None:
    client = SessionClient(net)
    client.new_messages()
    client.apply(client.session.goaway(4.5))
    assert only(client.new_messages()) == Goaway(
        reason="the server is about to stop", time_left_ms=4500
    )
    assert len(client.ask(INK)) == 1


@pytest.mark.parametrize(
    ("error", "closing"), [(InkstreamError("the net failed"), 1011), (STOPPING, 1001)]
)
def test_a_close_by_the_server_gives_the_reason_even_while_columns_are_run(
    net: Runtime, error: InkstreamError, closing: int
) -> None:
    client = SessionClient(net)
    client.send(INK, message("ping"))
    client.new_messages()
    client.session.take(1)
    client.apply(client.session.fail(error))
    sent = error_in(client.new_messages())
    assert (sent.code, sent.message, sent.fatal) == (error.code, str(error), True)
    assert (sent.index, sent.seq) == (None, None)
    assert client.close == Close(closing, error.code)
    assert client.session.fail(error) == []  # a closed session stays closed


def test_scores_that_come_after_the_close_are_dropped(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK)
    portion = client.session.take(1)
    assert portion is not None
    client.apply(client.session.fail(STOPPING))
    scores, state = net.run(portion.columns[:, None], net.initial_state(1))
    assert step_alone(client.session, portion, scores[:, 0], state[0]) == []
