"""Ends of a session other than `end`: limits, failures, and the server's own reasons."""

import numpy as np

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.errors import StoppingError
from inkstream.service.protocol.server_messages import Error, Goaway
from inkstream.service.session import Close
from tests.helpers.single_session import (
    INK,
    SessionClient,
    error_in,
    message,
    only,
    results,
    step_alone,
    types_of,
)

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
    client.ask("{", "{", INK, "{", "{", message("ping"), "{", "{")
    assert client.close is None


def test_refused_values_count_as_bad_messages(net: Runtime) -> None:
    client = SessionClient(net)
    client.ask(*[message("rewind", column=1)] * 3)
    assert client.close == Close(4400, "bad_value")


def test_too_many_control_messages_for_too_long_close(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(*[message("ping", id=n) for n in range(51)], interval_s=0.0)
    assert types_of(client.new_messages()).count("pong") == 50  # ten a second, for five seconds
    assert client.close == Close(4429, "too_many_messages")


def test_too_many_control_messages_close_at_once_even_while_columns_wait(net: Runtime) -> None:
    client = SessionClient(net)
    client.new_messages()
    client.send(INK, *["{"] * 51, interval_s=0.0)
    error = error_in(client.new_messages())
    assert (error.code, error.fatal, error.index) == ("too_many_messages", True, 51)
    assert error.message == (
        "too many messages other than columns or too much ink, allowed: 10 a second"
    )
    assert client.close == Close(4429, "too_many_messages")


def test_control_messages_at_the_allowed_rate_never_close(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(*[message("ping")] * 1000, interval_s=0.1)
    assert client.close is None


def test_columns_have_no_rate_limit(net: Runtime) -> None:
    client = SessionClient(net)
    for _ in range(200):
        client.send(INK, message("columns", columns=[[0] * 28]), interval_s=0.0)
    client.drain()
    assert client.close is None
    assert len(results(client.new_messages())) == 400


# Ends by the server


def test_a_failed_run_is_a_fatal_internal_error(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK, message("ping"))
    client.new_messages()
    client.session.take(1)
    client.apply(client.session.fail(InkstreamError("the net failed on these columns")))
    error = error_in(client.new_messages())
    assert (error.code, error.message) == ("internal", "the net failed on these columns")
    assert (error.fatal, error.index) == (True, None)
    assert client.close == Close(1011, "internal")


def test_goaway_leaves_the_session_open(net: Runtime) -> None:
    client = SessionClient(net)
    client.new_messages()
    client.apply(client.session.goaway(4.5))
    assert only(client.new_messages()) == Goaway(
        reason="the server is about to stop", time_left_ms=4500
    )
    assert len(client.ask(INK)) == 1


def test_a_close_by_the_server_gives_the_reason(net: Runtime) -> None:
    client = SessionClient(net)
    client.new_messages()
    client.apply(client.session.fail(STOPPING))
    error = error_in(client.new_messages())
    assert (error.code, error.message, error.fatal) == ("stopping", "no more time", True)
    assert client.close == Close(1001, "stopping")
    assert client.session.fail(STOPPING) == []  # a closed session stays closed


def test_scores_that_come_after_the_close_are_dropped(net: Runtime) -> None:
    client = SessionClient(net)
    client.send(INK)
    client.session.take(1)
    client.apply(client.session.fail(STOPPING))
    scores, state = net.run(np.frombuffer(INK, np.uint8).reshape(1, 1, 28), net.initial_state(1))
    assert step_alone(client.session, scores[:, 0], state[0]) == []
