"""Requests and handshakes of any size: refused early, closed, counted, and nobody notices."""

import contextlib
import socket
import time

import pytest

from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.raw_http import BAD_HANDSHAKES, connected, read_all
from tests.helpers.target import Target
from tests.hostile.conftest import Unnoticed

pytestmark = pytest.mark.slow

SECONDS = 5.0
CHUNKED = b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: "


def pour(target: Target, head: bytes, rest: bytes) -> None:
    """Send a head, then the same bytes without end, over one connection after the other."""
    end_s = time.monotonic() + SECONDS
    while time.monotonic() < end_s:
        with connected(target.port) as client, contextlib.suppress(ConnectionError):
            client.sendall(head)
            while time.monotonic() < end_s:
                client.sendall(rest)


@pytest.mark.parametrize("head", [CHUNKED, b"GET / HTTP/1.1\r\nHost: [::1]\r\nX-A: "])
def test_headers_and_trailers_without_end(unnoticed: Unnoticed, head: bytes) -> None:
    with unnoticed.attack() as target:
        pour(target, head, b"y" * 65_536)
    assert target.metric('inkstream_refused_total{reason="headers_too_large"}') > 0


@pytest.mark.parametrize("name", BAD_HANDSHAKES)
def test_handshakes_beyond_the_limits_of_the_parser(unnoticed: Unnoticed, name: str) -> None:
    with unnoticed.attack() as target:
        before = target.metric('inkstream_refused_total{reason="bad_handshake"}')
        for _ in range(100):
            with connected(target.port) as client:
                client.sendall(BAD_HANDSHAKES[name])
                assert read_all(client)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431")
    assert target.metric('inkstream_refused_total{reason="bad_handshake"}') - before == 100


def test_a_server_with_refused_handshakes_stops_at_once() -> None:
    with Target("--models", "digits") as target, contextlib.ExitStack() as clients:
        for handshake in BAD_HANDSHAKES.values():
            client = clients.enter_context(socket.create_connection(("127.0.0.1", target.port)))
            client.settimeout(DEADLINE_S)
            client.sendall(handshake)
        code, seconds = target.stop()
        assert (code, seconds < 2) == (0, True)
        assert not [line for line in target.log if line.get("level") == "error"]
