"""Messages that pass uvicorn by: the same comes in and goes out as through uvicorn alone."""

import asyncio
import gc
import itertools
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame
from websockets.protocol import State
from websockets.sync.client import connect
from websockets.uri import parse_uri

from inkstream.service.observe.metrics import Metrics
from inkstream.service.server.connections import Connections
from inkstream.service.server.frames import RECEIVE_BYTES, WebSocketConnection
from inkstream.service.server.http_connection import HttpConnection
from inkstream.service.server.run import Config
from inkstream.service.settings import Settings
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.raw_http import HANDSHAKE
from tests.helpers.raw_websocket import BINARY, CLOSE, TEXT, RawClient, frame
from tests.helpers.running_server import server

CONTINUATION, PING, PONG = 0x80, 0x89, 0x8A
MOST = 1024  # bytes of a message in these tests
LOOP_TURNS = 100  # enough for an application to receive ten messages


class RecordingTransport(asyncio.Transport):
    """A transport that keeps what is written and sends nothing."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        super().__init__({"socket": self.socket})
        self.writes: list[bytes] = []
        self.paused = self._closing = False
        self.protocol: Any = None
        self.aborted = asyncio.Event()

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = True
        self.aborted.set()

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol


@dataclass
class Peer:
    """A connection after its handshake, what its application got, and what it wrote."""

    connection: Any
    transport: RecordingTransport
    received: list[str | bytes] = field(default_factory=list)

    async def feed(self, chunks: list[bytes]) -> None:
        """Let chunks come until the connection closes; return when the application has all."""
        for chunk in chunks:
            if not self.transport.is_closing():
                self.connection.data_received(chunk)
        for _ in range(LOOP_TURNS):
            await asyncio.sleep(0)


@asynccontextmanager
async def opened(kind: type, direct: bool, **options: Any) -> AsyncIterator[Peer]:
    """Open a connection; its application listens directly, or receives by ASGI."""
    accepted = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if direct:
            scope["state"]["inkstream.direct"]().listener = peer.received.append
        accepted.set()
        while (event := await receive())["type"] != "websocket.disconnect":
            peer.received.append(event["bytes"] if "bytes" in event else event["text"])

    config = Config(app, Settings.load(max_frame_bytes=MOST, **options))
    config.load()
    transport = RecordingTransport()
    peer = Peer(kind(config=config, server_state=ServerState(), app_state={}), transport)
    peer.connection.peer = Connections(config.settings, Metrics()).admit("127.0.0.1")
    peer.connection.connection_made(transport)
    peer.connection.data_received(HANDSHAKE)
    async with asyncio.timeout(DEADLINE_S):
        await accepted.wait()
    transport.writes.clear()
    try:
        yield peer
        peer.connection.connection_lost(None)
    finally:  # Hypothesis ends examples by exceptions too
        transport.socket.close()
    await asyncio.sleep(0)


masks = st.binary(min_size=4, max_size=4)
payloads = st.one_of(
    st.binary(max_size=130),
    st.binary(min_size=MOST - 2, max_size=MOST + 2),
    st.text(max_size=40).map(str.encode),
)
first_bytes = st.one_of(
    st.sampled_from([TEXT, BINARY, PING, PONG, CLOSE, CONTINUATION, TEXT & 15, BINARY & 15, 0]),
    st.integers(0, 255),
)
any_frames = st.builds(frame, payloads, first_bytes, masks)
not_masked = payloads.map(lambda payload: bytes([BINARY, len(payload) & 127]) + payload)
messages = st.one_of(
    st.builds(frame, payloads, st.sampled_from([BINARY, PING]), masks),
    st.builds(frame, st.text(max_size=40).map(str.encode), st.just(TEXT), masks),
)


def cut(draw: st.DataObject, stream: bytes) -> list[bytes]:
    """Cut a stream of bytes at any places."""
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)]) if a < b]


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give clients all the time that a busy machine may take; tests of turns take it back."""
    monkeypatch.setattr("inkstream.service.server.frames.FIRST_FRAMES_S", 3600.0)
    monkeypatch.setattr("inkstream.service.server.frames.FRAMES_S", 3600.0)


@given(
    frames=st.lists(messages, max_size=6),
    others=st.lists(st.one_of(any_frames, messages, not_masked), max_size=4),
    data=st.data(),
)
@pytest.mark.slow
async def test_any_bytes_have_the_same_effect_as_through_uvicorn_alone(
    frames: list[bytes], others: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(frames + others)
    async with (
        opened(WebSocketConnection, direct=True) as ours,
        opened(WebSocketsSansIOProtocol, direct=False) as uvicorns,
    ):
        await ours.feed(cut(data, stream))
        await uvicorns.feed([bytes([byte]) for byte in stream])  # it drops what a fault comes with
        assert ours.received == uvicorns.received
        written, expected = (b"".join(peer.transport.writes) for peer in (ours, uvicorns))
        assert written == expected
        assert ours.transport.is_closing() == uvicorns.transport.is_closing()


async def test_whole_messages_are_handed_over_before_data_received_returns() -> None:
    async with opened(WebSocketConnection, direct=True) as peer:
        stream = (
            frame(b"one") + frame(b"", PING) + frame("zwölf".encode(), TEXT) + frame(b"x" * 200)
        )
        peer.connection.data_received(stream[:-1])
        assert peer.received == [b"one", "zwölf"]
        peer.connection.data_received(stream[-1:])
        assert peer.received == [b"one", "zwölf", b"x" * 200]
        buffer_bytes = peer.transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert buffer_bytes == 2 * RECEIVE_BYTES  # so a client sends little ahead


async def test_texts_are_written_at_once_as_one_frame_each() -> None:
    texts = [b"", "ü".encode(), *(b"x" * length for length in (125, 126, 65_535, 65_536))]
    async with opened(WebSocketConnection, direct=True) as peer:
        assert peer.connection.send_now(texts)
        (written,) = peer.transport.writes
    client = ClientProtocol(parse_uri("ws://x"), state=State.OPEN, max_size=None)
    client.receive_data(written)
    frames = [event for event in client.events_received() if isinstance(event, Frame)]
    assert [bytes(written_frame.data) for written_frame in frames] == texts


async def test_nothing_is_written_at_once_while_writing_has_to_wait() -> None:
    async with opened(WebSocketConnection, direct=True) as peer:
        peer.connection.pause_writing()
        assert not peer.connection.send_now([b"late"])
        peer.connection.resume_writing()
        assert peer.connection.send_now([b"in time"])
        peer.transport.close()
        assert not peer.connection.send_now([b"too late"])
        assert len(peer.transport.writes) == 1


async def test_only_the_newest_ping_is_answered_once_writing_need_not_wait() -> None:
    async with opened(WebSocketConnection, direct=True) as peer:
        peer.connection.pause_writing()
        peer.connection.data_received(frame(b"one", PING) * 1000 + frame(b"two", PING))
        assert peer.transport.writes == []
        peer.connection.resume_writing()
        assert peer.transport.writes == [bytes((PONG, 3)) + b"two"]


async def test_frames_beyond_the_time_of_a_turn_wait_for_the_next_and_keep_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inkstream.service.server.frames.FRAMES_S", 0.0)
    sent = [bytes([number]) for number in range(50)]
    async with opened(WebSocketConnection, direct=True) as peer:
        peer.connection.data_received(b"".join(map(frame, sent[:40])) + frame(sent[40])[:3])
        assert peer.received == sent[:1]
        assert peer.transport.paused
        peer.connection.data_received(frame(sent[40])[3:] + b"".join(map(frame, sent[41:])))
        assert peer.received == sent[:1]
        for _ in range(2 * len(sent)):
            await asyncio.sleep(0)
        assert peer.received == sent
        assert not peer.transport.paused


async def test_frames_wait_while_the_session_is_paused() -> None:
    async with opened(WebSocketConnection, direct=True) as peer:

        def take(message: str | bytes) -> None:
            peer.received.append(message)
            peer.connection.pause_reading()

        peer.connection.listener = take
        peer.connection.data_received(frame(b"one") + frame(b"two"))
        await asyncio.sleep(0)
        assert peer.received == [b"one"]
        peer.connection.resume_reading()
        await asyncio.sleep(0)
        assert peer.received == [b"one", b"two"]


@pytest.mark.parametrize("n_early", [0, 3])
async def test_a_read_that_comes_late_in_a_turn_waits_for_the_next(
    monkeypatch: pytest.MonkeyPatch, n_early: int
) -> None:
    one = frame(b"one")
    async with opened(WebSocketConnection, direct=True) as peer:
        peer.connection.data_received(one[:n_early])
        monkeypatch.setattr("inkstream.service.server.frames.FIRST_FRAMES_S", 0.0)
        peer.connection.data_received(one[n_early:])
        peer.connection.data_received(frame(b"two"))
        assert peer.received == []
        assert peer.transport.paused
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert peer.received == [b"one", b"two"]
        assert not peer.transport.paused


@pytest.mark.parametrize("n_unread", [0, 10])
async def test_frames_of_a_client_that_are_not_whole_hold_no_more_than_is_allowed(
    monkeypatch: pytest.MonkeyPatch, n_unread: int
) -> None:
    half = frame(b"x" * 40)[:20]
    monkeypatch.setattr("inkstream.service.server.frames.MAX_UNREAD_BYTES", n_unread + len(half))
    async with opened(WebSocketConnection, direct=True) as peer:
        client = peer.connection.peer
        client.unread_bytes = n_unread  # of another connection
        peer.connection.data_received(half)
        assert not peer.transport.is_closing()
        peer.connection.data_received(frame(b"x" * 40)[20:] + frame(b"y" * 30, BINARY & 15))
        assert peer.received == [b"x" * 40]
        assert client.unread_bytes == n_unread + 30
        assert peer.transport.is_closing()
        assert peer.transport.writes == [
            bytes((CLOSE, 17)) + (1008).to_bytes(2) + b"too_much_unread"
        ]
    assert client.unread_bytes == n_unread


def http_connection(app: Any, transport: RecordingTransport) -> Any:
    """Open an HTTP connection to an application."""
    config = Config(app, Settings.load())
    config.load()
    connection: Any = HttpConnection(config, ServerState(), {})
    connection.peer = Connections(config.settings, Metrics()).admit("127.0.0.1")
    transport.set_protocol(connection)
    connection.connection_made(transport)
    return connection


@pytest.mark.parametrize("request_sent", [b"GET / HTTP/1.1\r\n", HANDSHAKE])
async def test_a_connection_whose_request_waits_for_its_turn_is_not_read(
    monkeypatch: pytest.MonkeyPatch, request_sent: bytes
) -> None:
    monkeypatch.setattr("inkstream.service.server.connections.STEPS_S", 0.0)

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    transport = RecordingTransport()
    http_connection(app, transport).data_received(request_sent)
    assert transport.paused
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not transport.paused
    transport.protocol.connection_lost(None)
    transport.socket.close()
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)


@pytest.mark.parametrize("body", [b"", b"answer"])
async def test_an_answer_to_a_closed_connection_is_left_out(body: bytes) -> None:
    ended = asyncio.Event()

    class ClosedTransport(RecordingTransport):
        def write(self, data: Any) -> None:
            assert not self.is_closing(), "uvloop raises here"
            super().write(data)

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        transport.close()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": bool(body)})
        ended.set()

    transport = ClosedTransport()
    connection = http_connection(app, transport)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        await ended.wait()
    assert not transport.writes
    connection.connection_lost(None)
    transport.socket.close()


async def test_clients_that_read_again_are_written_to_by_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inkstream.service.server.connections.STEPS_S", 3600.0)
    monkeypatch.setattr("inkstream.service.server.frames.WRITING_S", 3600.0)
    async with (
        opened(WebSocketConnection, direct=True) as first,
        opened(WebSocketConnection, direct=True) as second,
    ):
        await asyncio.sleep(0)
        second.connection.peer = first.connection.peer
        both = [each.connection for each in (first, second)]
        for connection in both:
            connection.pause_writing()
        for connection in both:
            connection.resume_writing()
        assert [each.uvicorn.writable.is_set() for each in both] == [True, False]
        await asyncio.sleep(0)
        assert [each.uvicorn.writable.is_set() for each in both] == [True, True]


async def test_fragments_are_one_message_however_many_they_are_and_bounded_like_one_frame() -> None:
    text, half = "zwölf".encode(), bytes(MOST // 2)
    sent = frame(text[:3], TEXT & 15) + frame(b"", 0) * 2000 + frame(b"", PING)
    async with opened(WebSocketConnection, direct=True) as peer:
        peer.connection.data_received(sent + frame(text[3:], CONTINUATION) + frame(b"next"))
        peer.connection.data_received(frame(half, BINARY & 15) + frame(half, CONTINUATION))
        assert peer.received == ["zwölf", b"next", 2 * half]
        peer.transport.writes.clear()
        peer.connection.data_received(frame(half, BINARY & 15) + frame(half + b"x", CONTINUATION))
        assert b"".join(peer.transport.writes)[2:4] == (1009).to_bytes(2)
        assert peer.transport.is_closing()


async def test_what_comes_before_there_is_a_session_waits_for_it() -> None:
    async with opened(WebSocketConnection, direct=True) as peer:
        peer.connection.uvicorn.handshake_complete = False
        listener, peer.connection.listener = peer.connection.listener, None
        peer.connection.data_received(frame(b"early"))
        assert peer.transport.paused
        peer.connection.uvicorn.handshake_complete = True
        peer.connection.listener = listener
        peer.connection.resume_reading()
        await asyncio.sleep(0)
        assert peer.received == [b"early"]
        assert not peer.transport.paused


@pytest.mark.parametrize("answers", [True, False])
async def test_a_client_whose_pong_waited_while_it_was_paused_has_time_to_be_heard(
    answers: bool,
) -> None:
    async with opened(WebSocketConnection, direct=True) as peer:
        connection = peer.connection
        connection._check()  # pings the client
        connection.pause_reading()
        connection._check()
        connection.resume_reading()
        connection._check()  # before anything is read
        assert not peer.transport.is_closing()
        if answers:
            connection.data_received(frame(b"", PONG))
        connection._check()
        assert peer.transport.is_closing() is not answers


async def test_a_connection_without_a_session_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"ping_interval_s": 0.01, "ping_timeout_s": 0.01}
    async with opened(WebSocketConnection, direct=True, **quick) as peer:
        peer.connection.listener = None
        async with asyncio.timeout(DEADLINE_S):
            await peer.transport.aborted.wait()


@pytest.mark.parametrize("waits", [False, True])
def test_a_fault_behind_the_end_of_a_session_is_no_fault_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, waits: bool
) -> None:
    end = frame(b'{"type":"end"}', TEXT)
    with server(tmp_path) as running:
        for _ in range(20):
            with RawClient(running.port) as client:
                client.read()
                client.send((frame(bytes(28)) if waits else b"") + end + b"\xff\xff\xff")
                client.read_to_the_end()
        running.wait_until_empty()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_session_that_ended_leaves_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    with server(tmp_path) as running:

        def one_session() -> None:
            with RawClient(running.port) as client:
                client.read()
                client.send(frame(bytes(28)))
                client.read()
                client.reset()
            running.wait_until_empty()
            for _ in range(3):  # the tasks' last steps
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), running.loop).result()

        one_session()
        gc.collect()
        gc.disable()
        try:
            one_session()
            assert gc.collect() == 0
        finally:
            gc.enable()


@pytest.mark.slow
def test_slow_collections_of_garbage_are_rare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.service.server.run.COLLECT_EVERY_S", 0.1)
    begun: list[float] = []

    def slow(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            begun.append(time.monotonic())
            time.sleep(0.02)

    with server(tmp_path):
        gc.callbacks.append(slow)
        try:
            time.sleep(3.5)  # it would be collected once a second
        finally:
            gc.callbacks.remove(slow)
    assert len(begun) == 1


def test_client_errors_are_not_logged_as_warnings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with server(tmp_path) as running:
        single, first, last = (TEXT, b"\xff\xfe"), (TEXT & 0x7F, b"\xff"), (CONTINUATION, b"\xfe")
        for frames in ([single], [first, last]):
            with RawClient(running.port) as client:
                client.read()
                client.send(b"".join(frame(data, kind) for kind, data in frames))
                assert client.read() == (1007).to_bytes(2)
        with pytest.raises(InvalidStatus, match="404"):
            connect(f"{running.url}?model=nosuch")
        running.wait_until_empty()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
