"""How sessions end beside `end`: limits, failures, and the server's own reasons."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Error, Goaway
from inkstream.service.session import Close, Session
from tests.helpers.single_session import INK, Lone, error_in, kinds, message, only, results, stepped

# Bad messages in a row, and too many of any kind


def test_a_row_of_bad_messages_closes(net: Runtime) -> None:
    lone = Lone(net)
    said = lone.ask("{", message("sing", id=8), bytes(3), message("ping"))
    assert [(each.code, each.fatal) for each in said if isinstance(each, Error)] == [
        ("bad_json", False),
        ("unknown_type", False),
        ("bad_columns", True),
    ]
    assert [each.ref for each in said if isinstance(each, Error)] == [None, 8, None]
    assert lone.close == Close(4400, "bad_columns")


def test_a_good_message_ends_a_row_of_bad_ones(net: Runtime) -> None:
    lone = Lone(net)
    lone.ask("{", "{", INK, "{", "{", message("ping"), "{", "{")
    assert lone.close is None


def test_refused_values_count_as_bad_messages(net: Runtime) -> None:
    lone = Lone(net)
    lone.ask(*[message("rewind", column=1)] * 3)
    assert lone.close == Close(4400, "bad_value")


def test_too_many_control_messages_for_too_long_close(net: Runtime) -> None:
    lone = Lone(net)
    lone.send(*[message("ping", id=n) for n in range(51)], pace_s=0.0)
    assert kinds(lone.heard()).count("pong") == 50  # ten a second, for five seconds
    assert lone.close == Close(4429, "too_many_messages")


def test_too_many_control_messages_close_at_once_even_behind_columns(net: Runtime) -> None:
    lone = Lone(net)
    lone.heard()
    lone.send(INK, *["{"] * 51, pace_s=0.0)
    error = error_in(lone.heard())
    assert (error.code, error.fatal, error.index) == ("too_many_messages", True, 51)
    assert error.message == (
        "too many messages other than columns or too much ink, allowed: 10 a second"
    )
    assert lone.close == Close(4429, "too_many_messages")


def test_control_messages_at_the_allowed_pace_go_on_for_ever(net: Runtime) -> None:
    lone = Lone(net)
    lone.send(*[message("ping")] * 1000, pace_s=0.1)
    assert lone.close is None


def test_columns_are_never_too_fast(net: Runtime) -> None:
    lone = Lone(net)
    for _ in range(200):
        lone.send(INK, message("columns", columns=[[0] * 28]), pace_s=0.0)
    lone.drain()
    assert lone.close is None
    assert len(results(lone.heard())) == 400


# What the server does on its own


def test_a_failed_run_is_our_fault_and_fatal(net: Runtime) -> None:
    lone = Lone(net)
    lone.send(INK, message("ping"))
    lone.heard()
    lone.session.take(1)
    lone.apply(lone.session.fail("the net failed on these columns"))
    error = error_in(lone.heard())
    assert (error.code, error.message) == ("internal", "the net failed on these columns")
    assert (error.fatal, error.index) == (True, None)
    assert lone.close == Close(1011, "internal")


def test_goaway_leaves_the_session_open(net: Runtime) -> None:
    lone = Lone(net)
    lone.heard()
    lone.apply(lone.session.goaway(4.5))
    assert only(lone.heard()) == Goaway(reason="the server is about to stop", time_left_ms=4500)
    assert len(lone.ask(INK)) == 1


@pytest.mark.parametrize(
    ("call", "code", "words", "closing"),
    [
        (Session.idle, "idle", "no message for 60 s, the longest allowed", 4408),
        (
            Session.expire,
            "session_expired",
            "the session is 600 s old, the most that is allowed",
            4440,
        ),
        (Session.stop, "stopping", "the server has stopped", 1001),
    ],
)
def test_a_close_by_the_server_says_why(
    net: Runtime, call: Callable[[Session], list[Any]], code: str, words: str, closing: int
) -> None:
    lone = Lone(net)
    lone.heard()
    lone.apply(call(lone.session))
    error = error_in(lone.heard())
    assert (error.code, error.message, error.fatal) == (code, words, True)
    assert lone.close == Close(closing, code)
    assert call(lone.session) == []  # once is enough


def test_scores_that_come_after_the_close_are_dropped(net: Runtime) -> None:
    lone = Lone(net)
    lone.send(INK)
    lone.session.take(1)
    lone.apply(lone.session.idle())
    scores, state = net.run(np.frombuffer(INK, np.uint8).reshape(1, 1, 28), net.initial_state(1))
    assert stepped(lone.session, scores[:, 0], state[0]) == []
