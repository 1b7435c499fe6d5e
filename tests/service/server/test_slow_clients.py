"""Slow, greedy, paused and proxied clients at real connections."""

import json
import re
import socket
import time
from contextlib import suppress

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from inkstream.model.checkpoint import Checkpoint
from tests.helpers.engine_sessions import DEADLINE_S, PausableEngine
from tests.helpers.raw_http import BAD_HANDSHAKES, connected, read_all
from tests.helpers.raw_websocket import BINARY, RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import INK, message

pytestmark = pytest.mark.slow  # most wait for a timer of the server

# Requests that come slowly, or too large

WHOLE = b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "late", "statuses"),
    [
        (b"", b"", [b"408"]),
        (b"G", b"", [b"408"]),
        (b"GET / HTTP/1.1\r\nHost: [::1]\r\nX-Slow: ", b"", [b"408"]),
        (WHOLE + b"GET /heal", b"", [b"200", b"408"]),
        (WHOLE, b"\r\n", [b"200", b"408"]),  # blank lines begin no request
    ],
)
def test_headers_that_do_not_arrive_in_time_are_a_408(
    tiny: Checkpoint, head: bytes, late: bytes, statuses: list[bytes]
) -> None:
    with (
        server(tiny.path.parent, headers_timeout_s=0.3) as running,
        connected(running.port) as slow,
    ):
        slow.sendall(head)
        answers = slow.recv(65_536) if late else b""
        slow.sendall(late)
        answers += read_all(slow)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == statuses
        assert refused(running, "slow_headers") == 1


def test_a_body_that_does_not_arrive_in_time_is_refused(tiny: Checkpoint) -> None:
    with server(tiny.path.parent, body_timeout_s=0.1) as running, connected(running.port) as slow:
        slow.sendall(post("/v1/recognize", 100) + b"{")
        assert b" 200 " not in read_all(slow)


def test_a_quiet_session_outlasts_the_deadlines_of_requests(tiny: Checkpoint) -> None:
    limits = {"headers_timeout_s": 0.1, "body_timeout_s": 0.1}
    with server(tiny.path.parent, **limits) as running, RawClient(running.port) as client:
        client.read()
        with connected(running.port) as slow:  # its deadline passes meanwhile
            read_all(slow)
        client.send(frame(INK))
        assert json.loads(client.read())["type"] == "result"


def post(path: str, n_bytes: int) -> bytes:
    """Return the head of a request with so many bytes of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: [::1]\r\nContent-Length: {n_bytes}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode()


def refused(running: Running, reason: str) -> float:
    name = f'inkstream_refused_total{{reason="{reason}"}} '
    rendered = running.service.metrics.render().decode()
    return sum(float(line.split()[1]) for line in rendered.splitlines() if line.startswith(name))


CHUNKED = b"GET /v1/models HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n"
TOO_LARGE = {
    "headers in one write": b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\nX-A: " + b"y" * 120_000,
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n" + b"A: b\r\n" * 2000 + b"\r\n",
    "trailers": CHUNKED + b"0\r\nX-A: " + b"y" * 120_000,
    "many trailers": CHUNKED + b"0\r\n" + b"A: b\r\n" * 2000,
    "chunk extensions": CHUNKED + (b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 120,
    "blank lines": b"\r\n" * 60_000,
}


@pytest.mark.parametrize("keys", ["", "hush"])
@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_no_body_is_bounded_in_every_state(tiny: Checkpoint, name: str, keys: str) -> None:
    with server(tiny.path.parent, api_keys=keys) as running, connected(running.port) as greedy:
        with suppress(ConnectionError):
            greedy.sendall(TOO_LARGE[name])
        assert b"HTTP/1.1 431 " in read_all(greedy)
        assert refused(running, "headers_too_large") == 1


def test_each_request_of_a_connection_has_its_own_budget(tiny: Checkpoint) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\nX-A: " + b"y" * 40_000 + b"\r\n\r\n"
    with server(tiny.path.parent) as running, connected(running.port) as client:
        for _ in range(4):
            client.sendall(request)
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_body_may_come_in_small_chunks(tiny: Checkpoint) -> None:
    body = json.dumps({"columns": [[255] * 28] * 3000}).encode()
    chunks = b"".join(
        b"40\r\n" + body[i : i + 64].ljust(64) + b"\r\n" for i in range(0, len(body), 64)
    )
    head = CHUNKED.replace(b"GET /v1/models", b"POST /v1/recognize")
    head = head.replace(b"Host", b"Content-Type: application/json\r\nConnection: close\r\nHost")
    with server(tiny.path.parent) as running, connected(running.port) as client:
        client.sendall(head + chunks + b"0\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\nHost: y\r\n", b"400"),
        (b"GET /healthz HTTP/1.0\r\nHost: [::1]\r\nHost: [::1]\r\n", b"400"),
        (b"GET /healthz HTTP/1.0\r\n", b"200"),
        (b"GET /healthz?" + b"x&" * 4200 + b" HTTP/1.1\r\nHost: [::1]\r\n", b"200"),
        (b"GET /healthz?" + b"x&" * 30_000 + b" HTTP/1.1\r\nHost: [::1]\r\n", b"400"),
    ],
)
def test_a_request_names_its_host_once_and_has_few_parameters(
    tiny: Checkpoint, head: bytes, status: bytes
) -> None:
    with server(tiny.path.parent) as running, connected(running.port) as client:
        client.sendall(head + b"Connection: close\r\n\r\n")
        assert read_all(client)[9:12] == status


def test_few_requests_may_wait_for_an_earlier_answer(tiny: Checkpoint) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n"
    with server(tiny.path.parent) as running:
        for n_requests, answered in ((5, True), (50, False)):
            with connected(running.port) as client:
                client.sendall(request * (n_requests - 1))
                client.sendall(request.replace(b"Host", b"Connection: close\r\nHost"))
                assert (read_all(client).count(b"HTTP/1.1 200 ") == n_requests) is answered
        assert refused(running, "bad_request") == 1


def ask_for_much(running: Running) -> socket.socket:
    """Ask for an answer of some 3 MB."""
    body = json.dumps({"columns": [[0] * 28] * 8000}).encode()
    client = connected(running.port)
    client.sendall(post("/v1/recognize?curve=true", len(body)) + body)
    return client


def test_a_client_that_does_not_take_its_answer_is_cut_off(tiny: Checkpoint) -> None:
    with server(tiny.path.parent, stall_timeout_s=0.5) as running, ask_for_much(running) as client:
        time.sleep(0.6)
        data = b"".join(iter(lambda: drip(client), b""))
        assert len(data) < 2_000_000
        assert refused(running, "stalled") == 1


def drip(client: socket.socket) -> bytes:
    """Take a little, now and then: the kernel sees a client that reads."""
    time.sleep(0.01)
    with suppress(ConnectionError):
        return client.recv(4096)
    return b""


# Handshakes


@pytest.mark.parametrize("name", BAD_HANDSHAKES)
def test_a_handshake_that_websockets_does_not_parse_is_answered(
    tiny: Checkpoint, name: str
) -> None:
    with server(tiny.path.parent) as running, connected(running.port) as client:
        client.sendall(BAD_HANDSHAKES[name])
        assert read_all(client)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431")
        assert refused(running, "bad_handshake") == 1


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
        assert [json.loads(text)["type"] for text in healthy] == ["done"]
        running.wait_until_empty()


@pytest.mark.parametrize("begins", [False, True])
def test_a_client_that_answers_no_ping_is_disconnected(tiny: Checkpoint, begins: bool) -> None:
    with server(tiny.path.parent, **QUICK_PINGS) as running, RawClient(running.port) as silent:
        if begins:  # with fragments
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
