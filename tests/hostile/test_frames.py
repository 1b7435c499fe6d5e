"""Floods of small frames and of pings that are never read: the loop and the memory stay free."""

import contextlib
import time

import pytest

from tests.helpers.raw_websocket import RawClient, frame
from tests.hostile.conftest import Unnoticed

pytestmark = pytest.mark.slow

SECONDS = 5.0
START, CONTINUATION, PING, PONG = 0x02, 0x00, 0x89, 0x8A  # the first two do not end a message
FLOODS = {
    "continuations": (frame(b"", START), frame(b"", CONTINUATION)),
    "pings": (b"", frame(b"", PING)),
    "pongs": (b"", frame(b"", PONG)),
    "fragmented": (b"", frame(bytes(27), START) + frame(bytes(1), CONTINUATION | 0x80)),
    "columns": (b"", frame(bytes(32))),
}


def pour(client: RawClient, data: bytes, seconds: float = SECONDS) -> None:
    """Send the same bytes again and again and read nothing, until the time is over."""
    client.socket.settimeout(0.1)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        with contextlib.suppress(TimeoutError):
            client.socket.send(data)


@pytest.mark.parametrize("name", FLOODS)
def test_floods_of_tiny_frames(unnoticed: Unnoticed, name: str) -> None:
    first, then = FLOODS[name]
    with unnoticed.attack() as target:
        end_s = time.monotonic() + SECONDS
        while time.monotonic() < end_s:
            with RawClient(target.port) as client, contextlib.suppress(ConnectionError):
                client.send(first)
                pour(client, then * 20_000, end_s - time.monotonic())


def test_pings_whose_answers_are_never_read(unnoticed: Unnoticed) -> None:
    with unnoticed.attack() as target, RawClient(target.port, "", 4096) as client:
        pour(client, frame(bytes(125), PING) * 1000)
