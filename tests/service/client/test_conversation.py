"""The conversation by itself, and with servers of another kind or with faults."""

import json
import re
import threading
from contextlib import suppress
from typing import Any, Final

import numpy as np
import pytest
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from inkstream.model.errors import InkstreamError
from inkstream.service.client import connect_sync
from inkstream.service.client.conversation import (
    Conversation,
    NoConnectionError,
    error_of_closing,
    stream_url,
)
from inkstream.service.protocol.columns import python_columns
from inkstream.service.protocol.errors import (
    ColumnsError,
    MessageError,
    OverLimitError,
    ServerFullError,
    ServiceError,
    StoppingError,
    UnauthorizedError,
    ValueRefusedError,
    error_of,
)
from inkstream.service.protocol.server_messages import Ready, ServedModel, encode
from inkstream.service.settings import Settings


@pytest.mark.parametrize(
    ("columns", "says"),
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
def test_columns_that_do_not_fit_are_refused_before_they_are_sent(columns: Any, says: str) -> None:
    with pytest.raises(ColumnsError, match=says):
        python_columns(columns, 28)


@pytest.mark.parametrize(
    ("strokes", "height", "says"),
    [
        (5, 32, "strokes is 5, expected an array of strokes"),
        ([[(1, 2)], 5], 32, "stroke 1 is 5, expected an array of points"),
        ([{"id": "a"}], 32, "stroke 0 has no points"),
        ([[(1, 2), (1, 2, 3)]], 32, "point 1 of stroke 0 is (1, 2, 3), expected [x, y]"),
        ([[(1, "left")]], 32, "point 0 of stroke 0 is (1, 'left'), expected [x, y]"),
        ([{"points": [None]}], 32, "point 0 of stroke 0 is None, expected [x, y]"),
        ([[(1, 2)]], "high", "height is 'high', allowed: a number above 0"),
    ],
)
def test_values_that_are_no_ink_are_refused_before_they_are_sent(
    strokes: Any, height: Any, says: str
) -> None:
    with pytest.raises(MessageError, match=re.escape(says)):
        next(Conversation(READY).ink(strokes, height))


def test_an_unknown_option_is_refused_before_it_is_sent() -> None:
    said = Conversation(READY)
    with pytest.raises(ValueRefusedError, match="language came, allowed: every, top_k, polarity"):
        said.ask("configure", language="english")
    assert json.loads(said.ask("configure", top_k=3)) == {"type": "configure", "id": 1, "top_k": 3}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "ws://",
        "ws://host:port",
        "ws://host:99999",
        "ws://[::1",
    ],
)
def test_a_url_that_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueRefusedError, match="expected one such as"):
        stream_url(url, None)


@pytest.mark.parametrize(
    ("url", "model", "full"),
    [
        ("ws://h:1", None, "ws://h:1/v1/stream"),
        ("http://h:1/", "digits", "ws://h:1/v1/stream?model=digits"),
        ("https://h/below", None, "wss://h/below/v1/stream"),
        ("wss://h/v1/stream?model=a", "b c", "wss://h/v1/stream?model=b+c"),
    ],
)
def test_an_address_may_be_short(url: str, model: str | None, full: str) -> None:
    assert stream_url(url, model) == full


def test_every_code_has_its_class_and_an_unknown_one_is_kept() -> None:
    assert type(error_of("server_full", "x")) is ServerFullError
    assert type(error_of("internal", "x")) is ServiceError
    assert str(error_of("new_in_2030", "x")) == "new_in_2030: x"


@pytest.mark.parametrize(
    ("closing", "kind"),
    [
        (1001, StoppingError),
        (1013, ServerFullError),
        (4401, UnauthorizedError),
        (4413, OverLimitError),
        (1000, NoConnectionError),
        (4999, NoConnectionError),
    ],
)
def test_a_close_without_an_error_message_is_a_typed_error(
    closing: int, kind: type[InkstreamError]
) -> None:
    assert type(error_of_closing(closing, "")) is kind


LIMITS = Settings.load().limits
LONG: Final = (-1.2345678901234567e-300, -1.2345678901234567e-300)  # no point is longer as JSON


@pytest.mark.parametrize("name", [None, "\U0001f58b" * 128])
@pytest.mark.parametrize(
    ("n_strokes", "n_points"), [(9_000, 0), (9_000, 1), (9_000, 3), (2, 9_000)]
)
def test_ink_is_split_into_messages_within_the_limits(
    name: str | None, n_strokes: int, n_points: int
) -> None:
    strokes = [{"id": name, "points": [LONG] * n_points}] * n_strokes
    said = Conversation(READY)
    exchange = said.ink(strokes, 0.1, undo="\U0001f58b" * 128)
    sent, answer = [], None
    with suppress(StopIteration):
        while True:
            message, answer = exchange.send(answer), None
            if message is None:
                answer = said.read(f'{{"type":"pong","id":{said.asked}}}')
            else:
                assert isinstance(message, str)
                sent.append(message)
    inks = sent[::2]  # a ping follows each
    pieces = [stroke for ink in inks for stroke in json.loads(ink)["strokes"]]
    for ink in inks:
        assert len(ink) <= LIMITS.max_frame_bytes
        points = [len(stroke["points"]) or 1 for stroke in json.loads(ink)["strokes"]]
        assert 0 < sum(points) <= LIMITS.max_message_points
    n_more = 0 if name else len(pieces) - n_strokes  # those without a name go on from a point
    assert sum(len(piece["points"]) for piece in pieces) == n_strokes * n_points + n_more


READY = encode(
    Ready(
        session="s",
        model=ServedModel(name="m", version="1", kind="classifier"),
        labels=("a", "b"),
        column_height=28,
        limits=LIMITS,
    )
)


def answering(handler: Any) -> tuple[Any, str]:
    """A WebSocket server that does what `handler` does; gives it and its address."""
    made = serve(handler, "127.0.0.1", 0, subprotocols=[Subprotocol("inkstream.v1")])
    threading.Thread(target=made.serve_forever).start()
    return made, f"ws://127.0.0.1:{made.socket.getsockname()[1]}"


def test_a_connection_that_breaks_off_is_a_typed_error() -> None:
    def vanish(socket: ServerConnection) -> None:
        socket.send(READY)
        socket.recv()
        socket.socket.close()

    made, url = answering(vanish)
    try:
        with pytest.raises(NoConnectionError, match="broke off"), connect_sync(url) as stream:
            list(stream.send(bytes(28)))
    finally:
        made.shutdown()


def test_an_error_before_the_close_is_raised() -> None:
    def refuse(socket: ServerConnection) -> None:
        socket.send(READY)
        socket.send('{"type":"error","code":"over_limit","message":"enough","fatal":true}')
        socket.close(4413)

    made, url = answering(refuse)
    try:
        with pytest.raises(OverLimitError, match="enough"), connect_sync(url) as stream:
            list(stream.send(bytes(28)))
    finally:
        made.shutdown()


def test_a_server_of_another_kind_is_a_typed_error() -> None:
    made, url = answering(lambda socket: socket.send('{"type":"pong"}'))
    try:
        with pytest.raises(ServiceError, match="expected ready"), connect_sync(url):
            pass
    finally:
        made.shutdown()


def test_goaway_can_be_seen() -> None:
    def leave(socket: ServerConnection) -> None:
        socket.send(READY)
        socket.send('{"type":"goaway","reason":"stopping","time_left_ms":5000}')
        socket.recv()
        socket.send('{"type":"pong","id":1}')

    made, url = answering(leave)
    try:
        with connect_sync(url) as stream:
            assert stream.going_away is None
            stream.ping()
            assert stream.going_away is not None
            assert stream.going_away.time_left_ms == 5_000
    finally:
        made.shutdown()
