"""One address opens connections without end: newcomers from other addresses get in."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.helpers.raw_http import HANDSHAKE, connected, reset
from tests.hostile.conftest import Unnoticed

pytestmark = pytest.mark.slow

SECONDS = 8.0
FLOODING, NEWCOMERS = "127.0.0.2", "127.0.0.3"
N_NEWCOMERS = 50
N_BURST = 500


@contextlib.contextmanager
def flood(port: int) -> Iterator[None]:
    """Open connections from one address, keep them, and drop those that were refused."""
    over = threading.Event()

    def run() -> None:
        held: list[socket.socket] = []
        while not over.is_set():
            with contextlib.suppress(OSError):
                held.append(connected(port, FLOODING))
            if len(held) > 900:
                held.pop(0).close()
        for connection in held:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_newcomers_get_in_while_one_address_floods_connections(unnoticed: Unnoticed) -> None:
    name = 'inkstream_refused_total{reason="too_many_connections"}'
    with unnoticed.attack(settle_s=3.0) as target, flood(target.port):
        before = target.metric(name)
        let_in = 0
        for _ in range(N_NEWCOMERS):
            with (
                contextlib.suppress(OSError),
                connect(target.url, source_address=(NEWCOMERS, 0)) as stream,
            ):
                let_in += '"ready"' in str(stream.recv())
            time.sleep(SECONDS / N_NEWCOMERS)
        assert target.metric(name) > before
    assert let_in == N_NEWCOMERS
    refused = [line for line in target.log if line["event"] == "connection refused"]
    assert [line["reason"] for line in refused if line["client"] == FLOODING] == [
        "too_many_connections"
    ]


BURSTS = {
    "sessions": HANDSHAKE,
    "requests": b"GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BURSTS)
def test_many_connections_that_begin_and_end_at_the_same_moment(
    unnoticed: Unnoticed, name: str
) -> None:
    with unnoticed.attack(settle_s=3.0) as target:
        for _ in range(3):
            clients = [connected(target.port, FLOODING) for _ in range(N_BURST)]
            for client in clients:
                client.sendall(BURSTS[name])
            time.sleep(1.0)
            for client in clients:
                reset(client)
            time.sleep(0.5)
