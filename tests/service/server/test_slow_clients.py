"""Slow, greedy, paused and proxied clients at real connections."""

import json
import socket
from contextlib import suppress

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from inkstream.model.checkpoint import Checkpoint
from tests.helpers.engine_sessions import DEADLINE_S, PausableEngine
from tests.helpers.raw_websocket import BINARY, RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import INK, message

# Requests that come slowly, or too large


def http(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(DEADLINE_S)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the server hangs up."""
    data = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65_536):
            data += chunk
    return data


@pytest.mark.parametrize("head", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_headers_that_do_not_arrive_in_time_are_a_408(tiny: Checkpoint, head: bytes) -> None:
    with server(tiny.path.parent, headers_timeout_s=0.1) as running, http(running.port) as slow:
        slow.sendall(head)
        assert read_all(slow).startswith(b"HTTP/1.1 408 ")


def test_slow_headers_of_a_second_request_are_a_408(tiny: Checkpoint) -> None:
    with server(tiny.path.parent, headers_timeout_s=0.3) as running, http(running.port) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal")
        answers = read_all(slow)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answers


def test_a_body_that_does_not_arrive_in_time_is_refused(tiny: Checkpoint) -> None:
    with server(tiny.path.parent, body_timeout_s=0.1) as running, http(running.port) as slow:
        slow.sendall(
            b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert b" 200 " not in read_all(slow)


def test_headers_without_end_are_refused(tiny: Checkpoint) -> None:
    with server(tiny.path.parent) as running, http(running.port) as greedy:
        with suppress(ConnectionError):
            greedy.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 1_000_000)
        assert read_all(greedy)[:13] in (b"HTTP/1.1 431 ", b"")


def test_a_quiet_session_outlasts_the_deadlines_of_requests(tiny: Checkpoint) -> None:
    limits = {"headers_timeout_s": 0.1, "body_timeout_s": 0.1}
    with server(tiny.path.parent, **limits) as running, RawClient(running.port) as client:
        client.read()
        with http(running.port) as slow:  # its deadline passes meanwhile
            read_all(slow)
        client.send(frame(INK))
        assert json.loads(client.read())["type"] == "result"


# Paused WebSockets


FEW_WAITING = {"max_waiting_columns": 2, "max_message_columns": 2}
QUICK_PINGS = {"ping_interval_s": 0.05, "ping_timeout_s": 0.05}


def test_a_paused_session_is_not_closed_for_a_missing_pong(
    tiny: Checkpoint, engines: list[PausableEngine]
) -> None:
    folder = tiny.path.parent
    with (
        server(folder, **QUICK_PINGS, **FEW_WAITING) as running,
        connect(running.url, ping_interval=None) as stream,
    ):
        stream.recv()
        engines[0].pause()
        for _ in range(50):
            stream.send(INK)
        assert engines[0].has_work.wait(DEADLINE_S)
        with RawClient(running.port) as silent:  # cut off after one interval and one timeout
            silent.read_to_the_end()
        engines[0].resume()
        results = [json.loads(stream.recv())["column"] for _ in range(50)]
    assert results == list(range(50))


def test_a_paused_client_that_disconnects_is_removed(
    tiny: Checkpoint, engines: list[PausableEngine]
) -> None:
    with server(tiny.path.parent, **FEW_WAITING) as running, connect(running.url) as healthy:
        healthy.recv()
        with RawClient(running.port) as paused:
            paused.read()
            engines[0].pause()
            paused.send(frame(INK) * 50)
            assert engines[0].has_work.wait(DEADLINE_S)
            healthy.send(INK)
            paused.reset()
        engines[0].resume()
        assert json.loads(healthy.recv())["type"] == "result"
        healthy.send(message("end"))
        assert [json.loads(text)["type"] for text in healthy] == ["flushed", "done"]
        running.wait_until_empty()


def test_a_client_that_answers_no_ping_is_disconnected(tiny: Checkpoint) -> None:
    with server(tiny.path.parent, **QUICK_PINGS) as running, RawClient(running.port) as silent:
        silent.read_to_the_end()
        running.wait_until_empty()


def test_a_client_that_answers_no_ping_is_disconnected_after_fragments_too(
    tiny: Checkpoint,
) -> None:
    with server(tiny.path.parent, **QUICK_PINGS) as running, RawClient(running.port) as silent:
        silent.read()
        silent.send(frame(INK[:9], BINARY & 0x7F) + frame(INK[9:], 0x80) + frame(INK))
        n_results = 0
        while n_results < 2:  # beside pings
            n_results += b'"result"' in silent.read()
        silent.read_to_the_end()
        running.wait_until_empty()


# Behind a proxy


def forwarded(running: Running, address: str) -> ClientConnection:
    return connect(running.url, additional_headers={"X-Forwarded-For": address})


def test_the_address_of_a_client_comes_from_a_trusted_proxy(tiny: Checkpoint) -> None:
    settings = {"trusted_proxies": "127.0.0.0/8", "max_sessions_per_client": 1}
    with (
        server(tiny.path.parent, **settings) as running,
        forwarded(running, "192.0.2.1"),
        forwarded(running, "192.0.2.2"),
        pytest.raises(InvalidStatus, match="429"),
    ):
        forwarded(running, "10.0.0.1, 192.0.2.2")  # only what the trusted hop added counts


def test_by_default_no_proxy_is_trusted(tiny: Checkpoint) -> None:
    with (
        server(tiny.path.parent, max_sessions_per_client=1) as running,
        forwarded(running, "192.0.2.1"),
        pytest.raises(InvalidStatus, match="429"),
    ):
        forwarded(running, "192.0.2.2")
