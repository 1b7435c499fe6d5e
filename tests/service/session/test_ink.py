"""Ink in a session: strokes become columns, and a late stroke causes a rewind."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Error, Flushed
from inkstream.service.session.inbox import CONTROL_WEIGHT
from tests.helpers.single_session import (
    LIMITS,
    LINE_INK,
    SessionClient,
    error_in,
    message,
    results,
    text_of,
)
from tests.service.session.strokes import DOT, FAR, HEIGHT, WAVE, H, Stroke, rasterised

DOWN: Stroke = [(60, 20), (62, 80), (65, 140)]


def ink(*strokes: Stroke, height: float = HEIGHT, **fields: Any) -> str:
    """Return a message with whole strokes without ids."""
    listed = [{"points": stroke} for stroke in strokes]
    return message("ink", strokes=listed, height=height, **fields)


# As columns


def test_columns_that_the_pen_still_touches_wait_until_it_has_left_them(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    messages = client.ask(ink(DOWN))
    assert [result.column for result in results(messages)] == list(range(5))
    messages = client.ask(ink(WAVE))
    assert [result.column for result in results(messages)] == list(range(5, 41))
    flushed = client.ask(message("flush"))[-1]
    assert isinstance(flushed, Flushed)
    assert flushed.columns == len(rasterised(DOWN, WAVE)) == 43


# Late strokes


def test_ink_too_far_back_is_refused_and_changes_nothing(line_net: Runtime) -> None:
    client = SessionClient(line_net, LIMITS.model_copy(update={"max_rewind_columns": 20}))
    client.ask(ink(WAVE))
    error = error_in(client.ask(ink(DOT, id="late")))
    assert (error.code, error.fatal, error.ref) == ("bad_ink", False, "late")
    assert error.message == "ink reaches back to column 14, allowed: from 21 on"
    at_once = SessionClient(line_net).ask(rasterised(WAVE).tobytes(), message("flush"))
    assert text_of(client.ask(message("flush"))) == text_of(at_once)


STROKES = st.lists(
    st.tuples(st.floats(0, 900, width=32), st.floats(-20, 180, width=32)), min_size=1, max_size=5
)


@given(
    strokes=st.lists(STROKES, min_size=1, max_size=6),
    wipes=st.dictionaries(st.integers(0, 4), st.floats(0, 1)),
    run=st.integers(1, 64),
    steps=st.integers(0, 6),
)
@pytest.mark.slow
def test_strokes_in_any_order_and_at_any_speed_are_read_as_if_written_at_once(
    line_net: Runtime, strokes: list[Stroke], wipes: dict[int, float], run: int, steps: int
) -> None:
    client, expected = SessionClient(line_net), np.zeros((0, H), np.uint8)
    for number, stroke in enumerate(strokes):
        client.send(ink(stroke))
        for _ in range(steps):
            client.step(run)
        columns = rasterised(stroke)
        longer = np.zeros((max(len(expected), len(columns)), H), np.uint8)
        longer[: len(expected)] = expected
        np.maximum(longer[: len(columns)], columns, out=longer[: len(columns)])
        expected = longer
        if number in wipes:
            client.drain()
            read = client.column
            column = read - int(wipes[number] * min(read, 50))
            client.send(message("rewind", column=column))
            expected = expected[:column]
    messages = client.ask(message("flush"))
    flushed = messages[-1]
    assert isinstance(flushed, Flushed)
    assert flushed.columns == len(expected)
    assert client.session.inbox.waiting_columns == 0
    if len(expected):
        assert flushed.text == text_of(
            SessionClient(line_net).ask(expected.tobytes(), message("flush"))
        )


# Rewind and reset


@pytest.mark.parametrize(
    ("first", "second"),
    [(ink(DOWN, WAVE, id=1), LINE_INK), (LINE_INK * 40, ink(DOWN, WAVE, height=99.0))],
    ids=["ink, then columns", "columns, then ink"],
)
@pytest.mark.parametrize("steps", [0, 9])
def test_after_a_rewind_to_column_0_a_line_of_either_kind_may_follow(
    line_net: Runtime, first: str | bytes, second: str | bytes, steps: int
) -> None:
    client, fresh = SessionClient(line_net), SessionClient(line_net)
    for frame in (first, message("rewind", column=0), second, message("flush")):
        client.send(frame)
        for _ in range(steps):
            client.step(8)
    client.drain()
    messages = client.new_messages()
    assert not any(isinstance(each, Error) for each in messages)
    expected = fresh.ask(second, message("flush"))
    assert text_of(messages) == text_of(expected)
    assert [each.probabilities for each in results(messages)][-len(results(expected)) :] == [
        each.probabilities for each in results(expected)
    ]


# What is refused


@pytest.mark.parametrize(
    ("strokes", "text"),
    [
        ([[(-1, 5)]], "x is from -0.1 to -0.1, allowed: 0 to"),
        ([[(1e300, 5)]], "x is from 1e+299 to 1e+299, allowed: 0 to"),
        ([[(5, 1e300)]], "y is from 1e+299 to 1e+299, allowed: "),
        ([[(5, 5), (20_000, 5)]], "ink reaches column 2000, allowed: 0..999"),
        ([[(0, 0), (9_000, 0)]], "ink brings 896 new columns, allowed: up to 300"),
        ([[(5, 5)] * 1001], "1001 points in one message, allowed: up to 1000"),
        ([[(5, 5), (6, 6)] * 501], "1002 points in one message, allowed: up to 1000"),
        ([[(0, 0), (2_000, 0)] * 400], "the pen goes 159800 pixels, allowed in one message: 65536"),
        ([[(0, 0), (1e300, 5)]], "the pen goes 1e+299 pixels, allowed in one message: 65536"),
        ([DOT] * 51, "51 strokes in one message, allowed: up to 50"),
    ],
)
def test_ink_that_cannot_be_drawn_is_refused_and_changes_nothing(
    line_net: Runtime, strokes: list[Stroke], text: str
) -> None:
    client = SessionClient(line_net)
    client.ask(ink(DOWN))
    error = error_in(client.ask(ink(*strokes, id=4)))
    assert (error.code, error.fatal, error.index, error.ref) == ("bad_ink", False, 1, 4)
    assert error.message.startswith(text)
    at_once = SessionClient(line_net).ask(rasterised(DOWN, FAR).tobytes(), message("flush"))
    assert text_of(client.ask(ink(FAR), message("flush"))) == text_of(at_once)


def test_strokes_without_points_are_counted_as_points(line_net: Runtime) -> None:
    limits = LIMITS.model_copy(update={"max_ink_strokes": 2000})
    error = error_in(SessionClient(line_net, limits).ask(ink(*[[]] * 1001)))
    assert error.message == "1001 points in one message, allowed: up to 1000"


def test_strokes_need_a_height_which_cannot_change_within_a_line(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    error = error_in(client.ask(message("ink", id=4, strokes=[{"points": DOWN}])))
    text = "ink with strokes has no height, expected a number above 0"
    assert (error.code, error.message, error.ref) == ("bad_ink", text, 4)
    client.ask(ink(DOWN))
    error = error_in(client.ask(ink(WAVE, height=100)))
    assert error.message == "height is 100, expected 160 as before in this line"


@pytest.mark.parametrize(
    ("first", "second", "got"),
    [
        (ink(DOWN), LINE_INK, "columns in a line of ink"),
        (LINE_INK, ink(DOWN), "ink in a line of columns"),
        (
            ink(DOWN),
            message("columns", columns=[[0] * H], id=3),
            "columns in a line of ink",
        ),
    ],
)
def test_ink_and_columns_do_not_mix_within_a_line(
    line_net: Runtime, first: str | bytes, second: str | bytes, got: str
) -> None:
    client = SessionClient(line_net)
    client.ask(first)
    error = error_in(client.ask(second))
    text = f"{got}, allowed: after a reset or a rewind to column 0"
    assert (error.message, error.fatal) == (text, False)
    for way in (message("reset"), message("rewind", column=0)):
        client.ask(message("reset"), first)
        messages = client.ask(way, second, message("flush"))
        assert not any(isinstance(each, Error) for each in messages)


@pytest.mark.parametrize("first", [ink([(-5, 3)]), message("ink"), ink(), message("ink", undo=1)])
def test_a_line_with_refused_or_empty_ink_may_hold_columns(line_net: Runtime, first: str) -> None:
    client = SessionClient(line_net)
    client.ask(first)
    messages = client.ask(LINE_INK, LINE_INK)
    assert [result.column for result in results(messages)] == [0, 1]
    assert error_in(client.ask(ink(DOWN))).message.startswith("ink in a line of columns")


def test_empty_ink_does_not_set_the_frame(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    assert client.ask(ink(height=32.0), ink([]), ink([], [])) == []
    assert client.ask(ink(DOWN)) == SessionClient(line_net).ask(ink(DOWN))


def test_columns_after_ink_do_not_count_towards_the_rate_limit(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.ask(ink([(-5, 3)]))
    client.send(*[LINE_INK] * 400, interval_s=0.0)
    client.drain()
    assert len(results(client.new_messages())) == 400


@pytest.mark.parametrize("height", [1e-5, 1e-300, 1e-320])
def test_a_frame_of_almost_no_height_is_refused(line_net: Runtime, height: float) -> None:
    error = error_in(SessionClient(line_net).ask(ink([(0, 0), (1e300, 2)], height=height)))
    assert (error.code, error.fatal) == ("bad_ink", False)


def test_strokes_count_as_waiting_columns_until_they_are_drawn(line_net: Runtime) -> None:
    client = SessionClient(line_net)
    client.send(ink(WAVE), ink(FAR * 100))
    assert client.session.inbox.waiting_columns == CONTROL_WEIGHT + 4 * len(FAR * 100)
    client.drain()
    assert client.session.inbox.waiting_columns == 0
