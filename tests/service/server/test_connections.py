"""Short messages are decoded directly, with the same result as by websockets' parser."""

import asyncio
import itertools
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.protocol import State
from websockets.sync.client import connect

from inkstream.service.server import (
    LOST,
    Config,
    WebSocketConnection,
    next_frame,
    short_message,
)
from inkstream.service.settings import Settings
from tests.helpers.raw_websocket import BINARY, TEXT, RawClient, frame
from tests.helpers.running_server import server

CONTINUATION, PING = 0x80, 0x89
HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class NullTransport(asyncio.Transport):
    """A transport that keeps what is written and sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def open_connection(received: list[str | bytes]) -> WebSocketConnection:
    """Return an accepted connection; its messages are added to `received`."""
    accepted = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"]["inkstream.direct"].listener = received.append
        await receive()
        await send({"type": "websocket.accept"})
        accepted.set()
        while (await receive())["type"] != "websocket.disconnect":
            raise AssertionError("a message was not delivered directly")

    config = Config(app, Settings.load())
    config.load()
    state = type("State", (), {"connections": set(), "tasks": set(), "default_headers": []})()
    connection = WebSocketConnection(config, state, {})
    connection.connection_made(NullTransport())
    connection.data_received(HANDSHAKE)
    await accepted.wait()
    return connection


messages = st.one_of(
    st.binary(max_size=130),
    st.binary(min_size=65_530, max_size=65_540),
    st.text(max_size=40),
    st.just(PING),
    st.lists(st.binary(max_size=40), min_size=2, max_size=3),  # fragments
)


def frames_of(message: Any, mask: bytes) -> list[bytes]:
    if message == PING:
        return [frame(b"are you there?", PING, mask)]
    if isinstance(message, str):
        return [frame(message.encode(), TEXT, mask)]
    if isinstance(message, bytes):
        return [frame(message, BINARY, mask)]
    first, *middle, last = message
    return [
        frame(first, BINARY & 0x7F, mask),
        *(frame(part, CONTINUATION & 0x7F, mask) for part in middle),
        frame(last, CONTINUATION, mask),
    ]


@given(sent=st.lists(messages, max_size=8), data=st.data())
@pytest.mark.slow
async def test_messages_do_not_depend_on_how_frames_are_cut_into_chunks(
    sent: list[Any], data: st.DataObject
) -> None:
    received: list[str | bytes] = []
    connection = await open_connection(received)
    chunks: list[bytes] = []
    for message in sent:
        chunks += frames_of(message, data.draw(st.binary(min_size=4, max_size=4)))
    if data.draw(st.booleans(), label="cut"):
        stream = b"".join(chunks)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        edges = [0, *cuts, len(stream)]
        chunks = [stream[a:b] for a, b in itertools.pairwise(edges) if a < b]
    for chunk in chunks:
        connection.data_received(chunk)
    expected = [b"".join(each) if isinstance(each, list) else each for each in sent if each != PING]
    assert received == expected
    connection.connection_lost(None)


async def test_a_short_message_after_a_long_one_is_decoded_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    received: list[str | bytes] = []
    connection = await open_connection(received)
    connection.data_received(frame(b"text", TEXT))
    monkeypatch.setattr(connection, "conn", SimpleNamespace(state=State.OPEN))  # no parser
    connection.data_received(frame(b"short"))
    assert received == ["text", b"short"]
    connection.connection_lost(None)


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


@pytest.mark.parametrize("length", [0, 1, 28, 125])
def test_a_short_message_is_one_whole_binary_frame(length: int) -> None:
    payload = os.urandom(length)
    data = frame(payload, BINARY, b"\x01\x80\xff\x00")
    assert short_message(data) == payload
    assert short_message(data + b"\x82") is None
    assert short_message(data[:-1]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x82",
        frame(b"{}", TEXT, b"abcd"),
        frame(b"", PING, b"abcd"),
        frame(b"x", BINARY & 0x7F, b"abcd"),  # not the last fragment
        b"\xc2" + frame(b"x", BINARY, b"abcd")[1:],  # compressed
        b"\x82\x05hello",  # not masked
        frame(bytes(126), BINARY, b"abcd"),
    ],
)
def test_other_data_is_not_a_short_message(data: bytes) -> None:
    assert short_message(data) is None


@given(lengths=st.lists(st.sampled_from([0, 5, 125, 126, 400, 65_535, 65_536]), max_size=5))
@pytest.mark.slow
def test_the_next_frame_is_found_if_its_header_is_complete(lengths: list[int]) -> None:
    frames = [frame(bytes(length), BINARY, b"abcd") for length in lengths]
    assert next_frame(b"".join(frames), 0) == 0
    for data in frames:
        for cut in {1, 2, 5, min(10, len(data)), len(data) - 1}:
            next_start = next_frame(data[:cut], 0)
            if next_start != LOST:
                assert next_start == len(data) - cut
                assert next_frame(data[cut:] + data, next_start) == 0
    assert next_frame(b"anything", LOST) == LOST
