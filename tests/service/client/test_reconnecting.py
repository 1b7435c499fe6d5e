"""The Python clients when connections break and servers refuse: when they try again, how long."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from inkstream.model.errors import InkstreamError
from inkstream.service.client import stream as client
from inkstream.service.client.conversation import Conversation
from inkstream.service.client.stream import connect, connect_sync, retry_after_s
from inkstream.service.protocol.errors import (
    MEANINGS,
    NoConnectionError,
    NotResumableError,
    OverLimitError,
    StoppingError,
    UnauthorizedError,
    error_of,
)
from inkstream.service.protocol.server_messages import (
    Configured,
    Done,
    Error,
    Flushed,
    Goaway,
    Pong,
    Ready,
    Result,
    Resumed,
    Revised,
    Rewound,
    ServerMessage,
    encode,
)
from tests.helpers.engine_sessions import DEADLINE_S
from tests.service.client.test_conversation import READY

Script = Callable[[ServerConnection], object]
GOAWAY = Goaway(reason="a deploy", time_left_ms=5000)
ENOUGH = Error(code="over_limit", message="enough", fatal=True)

DOCUMENT = (Path(__file__).parents[3] / "docs" / "errors.md").read_text("utf-8")
(listed,) = re.findall(r"After ([\d,\s]+), a code\s+that\s+is not", DOCUMENT)
LISTED = {int(code) for code in re.findall(r"\d{4}", listed)}
DOCUMENTED = {1000, 1002, 1007, 1008, 1009, 1012, *(each.closing for each in MEANINGS.values())}
CLOSINGS = DOCUMENTED | {1014, 4999}


def say(socket: ServerConnection, *sent: ServerMessage) -> None:
    for message in sent:
        socket.send(encode(message), text=True)


def answer(
    socket: ServerConnection, n_messages: int = 1000, ready: Ready = READY
) -> list[dict[str, Any]]:
    """Say `ready`, and answer so many messages as a session without ink; return them.

    Columns are `{"type": "columns"}` among them.
    """
    say(socket, ready)
    heard: list[dict[str, Any]] = []
    for frame in socket:
        message = json.loads(frame) if isinstance(frame, str) else {"type": "columns"}
        heard.append(message)
        match message["type"]:
            case "ping":
                say(socket, Pong(id=message["id"]))
            case "resume":
                say(socket, Resumed(id=message["id"], messages=0))
            case "configure":
                say(socket, Configured(id=message["id"], seq=1))
        if len(heard) == n_messages:
            break
    return heard


def vanish(socket: ServerConnection) -> None:
    """Answer the first two messages, then close the connection without a word."""
    answer(socket, 2)
    socket.socket.close()


@contextmanager
def scripted(*scripts: Script | Response) -> Iterator[str]:
    """Serve one script, or refusal of the handshake, to each connection; yield the address.

    The last is for all connections that follow.
    """
    left = list(scripts)

    def begin(_socket: ServerConnection, _request: Request) -> Response | None:
        if not isinstance(left[0], Response):
            return None
        return cast(Response, left.pop(0))

    def run(socket: ServerConnection) -> None:
        script = left.pop(0) if len(left) > 1 else left[0]
        assert not isinstance(script, Response)
        script(socket)

    protocols = [Subprotocol("inkstream.v1")]
    server = serve(run, "127.0.0.1", 0, subprotocols=protocols, process_request=begin)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def falling_silent() -> Iterator[str]:
    """Serve a connection that takes and says nothing more after `ready`, and stays open."""
    is_over = threading.Event()

    def run(listener: socket.socket) -> None:
        with listener.accept()[0] as accepted:
            server = ServerProtocol(subprotocols=[Subprotocol("inkstream.v1")])
            server.receive_data(accepted.recv(65_536))
            (request,) = server.events_received()
            server.send_response(server.accept(cast(Request, request)))
            server.send_text(encode(READY))
            accepted.sendall(b"".join(server.data_to_send()))
            is_over.wait(DEADLINE_S)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, args=[listener])
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        is_over.set()
        thread.join()


def refusal(status: int, **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, "", Headers(**names, connection="close"), b"")


def test_a_broken_connection_is_replaced_and_the_call_answered() -> None:
    with scripted(vanish, answer) as url, connect_sync(url) as stream:
        stream.ping()
        assert stream.reconnected is None
        stream.ping()
        assert stream.reconnected is not None
        assert isinstance(stream.reconnected.reason, NoConnectionError)
        assert stream.reconnected.attempts == 1


def test_nothing_is_answered_after_done() -> None:
    resumed: list[str] = []

    def follow(socket: ServerConnection) -> None:
        resumed.extend(message["type"] for message in answer(socket, 3))
        say(socket, Done(id=3, seq=2, columns=0))
        socket.close(1000)

    with scripted(vanish, follow) as url, connect_sync(url) as stream:
        stream.ping()
        assert stream.end().columns == 0
        assert stream.reconnected is not None
    assert resumed == ["resume", "configure", "end"]


@pytest.mark.parametrize("closing", sorted(CLOSINGS))
def test_a_close_is_followed_by_another_connection_as_the_document_says(closing: int) -> None:
    def close(socket: ServerConnection) -> None:
        answer(socket, 2)
        socket.close(closing)

    with scripted(close, answer) as url, connect_sync(url) as stream:
        stream.ping()
        if closing in LISTED or closing not in DOCUMENTED:
            stream.ping()
            assert stream.reconnected is not None
        else:
            with pytest.raises(InkstreamError):
                stream.ping()


@pytest.mark.parametrize("code", MEANINGS)
def test_an_error_is_followed_by_another_connection_like_its_close(code: str) -> None:
    talk = Conversation(reconnect=True)
    assert talk.can_resume(error_of(code, "x")) == (MEANINGS[code].closing in LISTED)


def fail_with(*sent: ServerMessage) -> Script:
    """Return a script that says this, and is over when the client has sent something."""

    def script(socket: ServerConnection) -> None:
        say(socket, *sent)
        socket.recv()

    return script


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        (vanish, NoConnectionError, "broke off"),
        (fail_with(READY, ENOUGH), OverLimitError, "enough"),
        (fail_with(Pong(id=1)), NoConnectionError, "began with pong, expected ready"),
    ],
)
def test_without_reconnect_the_error_is_raised(
    script: Script, kind: type[InkstreamError], text: str
) -> None:
    def ping(url: str) -> None:
        with connect_sync(url, reconnect=False) as stream:
            for _ in range(3):
                stream.ping()

    with scripted(script, answer) as url, pytest.raises(kind, match=text):
        ping(url)


def test_without_reconnect_goaway_is_available_to_the_program() -> None:
    leave = fail_with(READY, GOAWAY, Pong(id=1))
    with scripted(leave) as url, connect_sync(url, reconnect=False) as stream:
        assert stream.going_away is None
        stream.ping()
        assert stream.going_away == GOAWAY


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    busy = refusal(503, retry_after="1"), refusal(502)
    with scripted(vanish, *busy, answer) as url, connect_sync(url) as stream:
        stream.ping()
        stream.ping()
        assert stream.reconnected is not None
        assert stream.reconnected.attempts == 3
        assert 1 <= stream.reconnected.seconds < 5


def test_after_the_longest_gap_the_error_says_what_was_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "GAP_S", 0.3)
    with scripted(vanish, *[refusal(503)] * 99) as url, connect_sync(url) as stream:
        stream.ping()
        said = r"broke off; tried \d+ times in 0\.3 s to go on elsewhere, at last: .* status 503"
        with pytest.raises(NoConnectionError, match=said):
            stream.ping()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Error(code="unauthorized", message="no key", fatal=True), UnauthorizedError),
        (READY.model_copy(update={"column_height": 32}), NotResumableError),  # of another model
    ],
)
def test_what_would_come_again_is_raised_at_once(
    said: ServerMessage, kind: type[InkstreamError]
) -> None:
    with scripted(vanish, fail_with(said)) as url, connect_sync(url) as stream:
        stream.ping()
        with pytest.raises(kind):
            stream.ping()


def test_a_server_that_is_about_to_stop_is_left_at_once() -> None:
    closed: list[int | None] = []
    resumed: list[str] = []

    def leave(socket: ServerConnection) -> None:
        answer(socket, 2)
        say(socket, GOAWAY)
        for _ in socket:
            pass
        closed.append(socket.close_code)

    def follow(socket: ServerConnection) -> None:
        resumed.extend(message["type"] for message in answer(socket))

    with scripted(leave, follow) as url, connect_sync(url) as stream:
        stream.ping()
        stream.ping()
        assert stream.reconnected is not None
        assert isinstance(stream.reconnected.reason, StoppingError)
        assert stream.going_away is None
    assert closed == [1000]
    assert [kind for kind in resumed if kind != "ping"] == ["resume", "configure"]


async def test_a_cancelled_move_to_another_server_begins_again() -> None:
    has_moved = threading.Event()

    def leave(socket: ServerConnection) -> None:
        answer(socket, 2)
        say(socket, GOAWAY)
        for frame in socket:
            say(socket, Pong(id=json.loads(frame)["id"]))

    def hang(socket: ServerConnection) -> None:
        say(socket, READY)
        for _ in socket:
            has_moved.set()

    with scripted(leave, hang, answer) as url:
        async with connect(url) as stream:
            await stream.ping()
            moving = asyncio.create_task(stream.ping())
            assert await asyncio.to_thread(has_moved.wait, DEADLINE_S)
            moving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await moving
            assert stream.reconnected is None
            async with asyncio.timeout(DEADLINE_S):
                await stream.ping()
            assert stream.reconnected is not None
            assert isinstance(stream.reconnected.reason, StoppingError)


async def test_results_of_a_cancelled_resume_count_once_other_weights_have_read_the_line() -> None:
    other = READY.model_copy(update={"model": READY.model.model_copy(update={"digest": "e"})})
    has_resumed = threading.Event()

    def result(column: int, seq: int) -> Result:
        return Result(column, [("a", 1.0)], seq=seq)

    def leave(socket: ServerConnection) -> None:
        answer(socket, 2)  # configure, columns
        say(socket, result(0, 1), result(1, 2))
        rewind = json.loads(socket.recv())
        say(socket, Rewound(id=rewind["id"], column=0, seq=3))
        socket.recv()  # flush
        say(socket, GOAWAY)

    def hang(socket: ServerConnection) -> None:
        say(socket, other)
        resume = json.loads(socket.recv())
        say(socket, Resumed(id=resume["id"], messages=0), Revised(column=0, seq=0))
        say(socket, result(0, 1), result(1, 2))
        for frame in socket:
            if isinstance(frame, str) and json.loads(frame)["type"] == "ping":
                has_resumed.set()

    def follow(socket: ServerConnection) -> None:
        say(socket, other)
        n_columns = 0
        for frame in socket:
            message = {"type": "columns"} if isinstance(frame, bytes) else json.loads(frame)
            match message["type"]:
                case "resume":
                    say(socket, Resumed(id=message["id"], messages=0))
                case "rewind":
                    say(socket, Rewound(id=message["id"], column=0, seq=3))
                case "flush":
                    say(socket, Flushed(id=message["id"], columns=0, seq=4))
                case "ping":
                    say(socket, Pong(id=message["id"]))
                case "columns":
                    n_columns += 1
                    if n_columns > 1:  # the first ones are heard
                        say(socket, result(0, 5))

    with scripted(leave, hang, follow) as url:
        async with connect(url) as stream, asyncio.timeout(DEADLINE_S):
            assert [each.column async for each in stream.send(bytes(2 * 28))] == [0, 1]
            await stream.rewind(0)
            flushing = asyncio.create_task(stream.flush())
            assert await asyncio.to_thread(has_resumed.wait, DEADLINE_S)
            flushing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await flushing
            assert [each.column async for each in stream.send(bytes(28))] == [0]


# What is kept of a line, and sent again


def test_a_connection_that_has_fallen_silent_is_closed_in_about_a_second() -> None:
    with falling_silent() as url:
        with connect_sync(url):
            begun_s = time.monotonic()
        assert time.monotonic() - begun_s < 5


def test_a_connection_with_unread_results_is_closed_as_fast() -> None:
    def say_much(socket: ServerConnection) -> None:
        answer(socket, 2)
        for column in range(100):  # more than are read ahead: the server's close is behind them
            say(socket, Result(column, [("a", 1.0)], seq=column + 2))
        for _ in socket:
            pass

    with scripted(say_much) as url:
        with connect_sync(url) as stream:
            stream.ping()
            begun_s = time.monotonic()
        assert time.monotonic() - begun_s < 5


async def test_the_asynchronous_client_closes_a_silent_connection_as_fast() -> None:
    with falling_silent() as url:
        async with connect(url):
            begun_s = time.monotonic()
        assert time.monotonic() - begun_s < 5


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after_s("7") == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < retry_after_s(soon) <= 60
    for none in ("", "soon", "-3"):
        assert retry_after_s(none) == 0
