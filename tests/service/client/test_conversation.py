"""The client's conversation without a server."""

import json
import re
from contextlib import suppress
from typing import Any, Final

import numpy as np
import pytest

from inkstream.model.errors import InkstreamError
from inkstream.service.client.conversation import (
    CHUNK_COLUMNS,
    Conversation,
    Exchange,
    Io,
    stream_url,
)
from inkstream.service.protocol.columns import python_columns
from inkstream.service.protocol.errors import (
    ColumnsError,
    MessageError,
    NoConnectionError,
    OverLimitError,
    ServerFullError,
    ServiceError,
    StoppingError,
    StreamEndedError,
    UnauthorizedError,
    ValueRefusedError,
    error_of,
    error_of_closing,
)
from inkstream.service.protocol.server_messages import (
    Configured,
    Error,
    Flushed,
    Pong,
    Ready,
    Result,
    Rewound,
    ServedModel,
    ServerMessage,
    encode,
)
from inkstream.service.settings import Settings

LIMITS = Settings.load().limits
READY = Ready(
    session="s",
    model=ServedModel(name="m", version="1", kind="classifier", digest="d"),
    labels=("a", "b"),
    column_height=28,
    limits=LIMITS,
)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (bytes(27), "27 bytes, expected a multiple of 28"),
        (np.zeros((2, 27), np.uint8), r"shape \(2, 27\), expected \(n, 28\)"),
        (np.zeros((2, 28), np.float32), "expected bytes"),
        (np.zeros((1, 2, 28), np.uint8), "shape"),
        ([[0] * 28, [0] * 27], "column 1 has 27 pixels, expected 28"),
        ([[0] * 27 + [300]], "pixel 27 of column 0 is 300, allowed: whole numbers 0..255"),
        ([[0] * 27 + [-1]], "is -1"),
        ([[0] * 27 + [0.5]], "is 0.5"),
        ([[0] * 27 + [True]], "is True"),
        ([[0] * 27 + [None]], "is None"),
        ([0] * 28, "column 0 is 0, expected an array of pixels"),
        ("text", "columns are str"),
        (None, "columns are NoneType"),
    ],
)
def test_invalid_columns_are_refused_before_they_are_sent(columns: Any, text: str) -> None:
    with pytest.raises(ColumnsError, match=text):
        python_columns(columns, 28)


@pytest.mark.parametrize(
    ("strokes", "height", "text"),
    [
        (5, 32, "strokes is 5, expected an array of strokes"),
        ([[(1, 2)], 5], 32, "stroke 1 is 5, expected an array of points"),
        ([{"id": "a"}], 32, "stroke 0 has no points"),
        ([[(1, 2, 3), (1,)]], 32, "point 1 of stroke 0 is (1,), expected [x, y]"),
        ([[(1, "left")]], 32, "point 0 of stroke 0 is (1, 'left'), expected [x, y]"),
        ([{"points": [None]}], 32, "point 0 of stroke 0 is None, expected [x, y]"),
        ([[(1, 2)]], "high", "height is 'high', allowed: a number above 0"),
    ],
)
def test_invalid_ink_is_refused_before_it_is_sent(strokes: Any, height: Any, text: str) -> None:
    with pytest.raises(MessageError, match=re.escape(text)):
        next(opened()._ink(strokes, height))


def test_what_a_point_has_beside_x_and_y_is_not_sent() -> None:
    frame = next(opened()._ink([[(1, 2, 0.5), (3, 4)], np.array([[5, 6, 0.1, 7]])], 32))
    points = [stroke["points"] for stroke in json.loads(str(frame))["strokes"]]
    assert points == [[[1, 2], [3, 4]], [[5, 6]]]


def test_an_unknown_option_is_refused_before_it_is_sent() -> None:
    conversation = opened()
    with pytest.raises(ValueRefusedError, match="every came, allowed: results, top_k, characters"):
        next(conversation._ask(Configured, "configure", every="day"))
    frame = next(conversation._ask(Configured, "configure", top_k=3))
    assert json.loads(str(frame)) == {"type": "configure", "id": 1, "top_k": 3}


def test_an_invalid_url_is_refused() -> None:
    hosts = "ws://", "ws://host:port", "ws://host:99999", "ws://[::1"
    for url in ("", "127.0.0.1:8000", "ftp://127.0.0.1", *hosts):
        with pytest.raises(ValueRefusedError, match="expected one such as"):
            stream_url(url, None)


@pytest.mark.parametrize(
    ("url", "model", "stream_address"),
    [
        ("ws://h:1", None, "ws://h:1/v1/stream"),
        ("http://h:1/", "digits", "ws://h:1/v1/stream?model=digits"),
        ("https://h/below", None, "wss://h/below/v1/stream"),
        ("wss://h/v1/stream?model=a", "b c", "wss://h/v1/stream?model=b+c"),
    ],
)
def test_a_short_address_is_completed(url: str, model: str | None, stream_address: str) -> None:
    assert stream_url(url, model) == stream_address


def test_every_code_has_its_class_and_an_unknown_code_is_kept() -> None:
    assert type(error_of("server_full", "x")) is ServerFullError
    assert type(error_of("internal", "x")) is ServiceError
    assert str(error_of("new_in_2030", "x")) == "new_in_2030: x"


@pytest.mark.parametrize(
    ("closing_code", "kind"),
    [
        (1001, StoppingError),
        (1013, ServerFullError),
        (4401, UnauthorizedError),
        (4413, OverLimitError),
        (1000, StreamEndedError),
        (1007, MessageError),
        (1009, OverLimitError),
        (1011, ServiceError),
        (1012, StoppingError),
        (1014, NoConnectionError),
        (4999, NoConnectionError),
    ],
)
def test_a_close_without_an_error_message_is_a_typed_error(
    closing_code: int, kind: type[InkstreamError]
) -> None:
    assert type(error_of_closing(closing_code, "")) is kind


def test_the_text_of_results_is_put_together() -> None:
    results, _ = run(
        opened()._columns(bytes(3 * 28)),
        Result(0, [], 0.0, 0, "l\U0001f58b", 1),
        Result(1, [], 0.0, 2, "p", 2),
        Flushed(seq=3, columns=2, text="l\U0001f58bd"),
        Result(2, [], 0.0, 3, "e", 4),
    )
    assert [result.text for result in results] == ["l\U0001f58b", "l\U0001f58bp", "l\U0001f58bde"]


def test_columns_after_a_rewind_that_was_not_waited_for_get_their_results() -> None:
    conversation = opened()
    run(conversation._columns(bytes(3 * 28)), *(Result(column, [], seq=1) for column in range(3)))
    rewind = conversation._ask(Rewound, "rewind", column=1)
    next(rewind)
    rewind.close()
    received = Rewound(id=1, seq=4, column=1, text=""), Pong(id=2), Result(1, [], seq=5)
    results, _ = run(conversation._columns(bytes(28)), *received)
    assert [result.column for result in results] == [1]
    assert conversation.revised is not None
    assert conversation.revised.column == 1


def test_columns_after_refused_ones_get_their_results_although_several_messages_were_refused() -> (
    None
):
    conversation = opened()
    refused = [Error(seq=n, code="bad_order", message="", fatal=False, index=n) for n in (1, 2)]
    with pytest.raises(InkstreamError, match="bad_order"):
        run(conversation._columns(bytes(CHUNK_COLUMNS * 2 * 28)), *refused)
    received = refused[1], Pong(id=1), Result(0, [], seq=3)
    results, sent = run(conversation._columns(bytes(28)), *received)
    assert [result.column for result in results] == [0]
    assert len(sent) == 2


def test_columns_that_were_refused_in_a_loop_that_was_left_are_not_waited_for() -> None:
    conversation = opened()
    first = conversation._columns(bytes(CHUNK_COLUMNS * 3 * 28))
    for _ in range(2):
        next(first)
    assert first.send(None) is Io.RECEIVE
    first.send(encode(Result(0, [], seq=1)))
    first.close()
    received = (
        Result(CHUNK_COLUMNS - 1, [], seq=2),
        Error(seq=3, code="bad_order", message="", fatal=False, index=1),
        Pong(id=1),
        Result(CHUNK_COLUMNS, [], seq=4),
    )
    results, _ = run(conversation._columns(bytes(28)), *received)
    assert [result.column for result in results] == [CHUNK_COLUMNS]


LONG: Final = (-1.2345678901234567e-300, -1.2345678901234567e-300)  # the longest point as JSON


@pytest.mark.parametrize("name", [None, "\U0001f58b" * 128])
@pytest.mark.parametrize(
    ("n_strokes", "n_points"), [(9_000, 0), (9_000, 1), (9_000, 3), (2, 9_000)]
)
def test_ink_is_split_into_messages_within_the_limits(
    name: str | None, n_strokes: int, n_points: int
) -> None:
    strokes = [{"id": name, "points": [LONG] * n_points}] * n_strokes
    ink = opened()._ink(strokes, 0.1, "\U0001f58b" * 128)
    _, sent = run(ink, *(Pong(id=number) for number in range(2, 100, 2)))
    ink_messages = sent[::2]  # a ping follows each
    parts = [stroke for ink in ink_messages for stroke in json.loads(ink)["strokes"]]
    for ink in ink_messages:
        assert len(ink) <= LIMITS.max_frame_bytes
        points = [len(stroke["points"]) or 1 for stroke in json.loads(ink)["strokes"]]
        assert 0 < sum(points) <= LIMITS.max_message_points
        assert len(points) <= LIMITS.max_ink_strokes
    n_repeated = 0 if name else len(parts) - n_strokes  # without an id a part repeats a point
    assert sum(len(part["points"]) for part in parts) == n_strokes * n_points + n_repeated


def opened(*, reconnect: bool = False) -> Conversation:
    """Return a conversation whose connection is open."""
    conversation = Conversation(reconnect=reconnect)
    run(conversation._begin(), READY)
    return conversation


def run(exchange: Exchange[Any], *received: ServerMessage) -> tuple[list[Any], list[Any]]:
    """Return what an exchange gives and what it sends, where it receives these messages."""
    given: list[Any] = []
    sent: list[Any] = []
    incoming, reply = iter(received), None
    with suppress(StopIteration):
        while True:
            step, reply = exchange.send(reply), None
            if step is Io.OPEN:
                continue
            if isinstance(step, Io):
                reply = encode(next(incoming))
            else:
                (sent if isinstance(step, str | bytes) else given).append(step)
    return given, sent
