"""Floods of many sessions of one address: paced sessions of another one have their turns."""

import json
import selectors
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import pytest

from tests.helpers.builders import columns
from tests.helpers.raw_websocket import TEXT, RawClient, frame
from tests.helpers.target import Target
from tests.hostile.conftest import Unnoticed

pytestmark = pytest.mark.slow

ATTACKER = "127.0.0.2"
N_SESSIONS = 200
FLOOD_S = 4.0
HEIGHT = 32  # of `lines`
LINE = columns(512, 0, HEIGHT)
ONE_A_MESSAGE = b"".join(frame(column.tobytes()) for column in LINE)
MANY_A_MESSAGE = frame(LINE.tobytes())
PEN = [
    json.dumps({"type": "ink", "height": 32, "strokes": [{"points": points.tolist()}]})
    for points in np.random.default_rng(0).uniform(0, 32, (8, 400, 2))
]
INK = b"".join(frame(text.encode(), TEXT) for text in [*PEN, '{"type":"reset"}'])


def flood(target: Target, data: bytes, options: Sequence[str] = (), query: str = "") -> None:
    """Write the same again and again in many sessions, and read all answers."""
    end_s = time.monotonic() + FLOOD_S
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(N_SESSIONS):
            client = stack.enter_context(RawClient(target.port, query, address=ATTACKER))
            for option in options:
                client.send(frame(option.encode(), TEXT))
            client.socket.setblocking(False)
            events = selectors.EVENT_READ | selectors.EVENT_WRITE
            selector.register(client.socket, events, [data])
        while time.monotonic() < end_s:
            for key, ready in selector.select(0.1):
                try:
                    if ready & selectors.EVENT_READ and not key.fileobj.recv(1 << 16):  # type: ignore[union-attr]
                        selector.unregister(key.fileobj)
                    elif ready & selectors.EVENT_WRITE:
                        sent = key.fileobj.send(key.data[0])  # type: ignore[union-attr]
                        key.data[0] = key.data[0][sent:] or data
                except OSError:
                    selector.unregister(key.fileobj)


@pytest.mark.parametrize("data", [ONE_A_MESSAGE, MANY_A_MESSAGE], ids=["single", "many"])
def test_columns(unnoticed: Unnoticed, data: bytes) -> None:
    with unnoticed.attack(settle_s=12) as target:
        flood(target, data, query="?model=lines")


def test_columns_read_with_hints(unnoticed: Unnoticed) -> None:
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh"]
    hints = {"type": "configure", "language": "english", "words": words}
    with unnoticed.attack(settle_s=12) as target:
        flood(target, ONE_A_MESSAGE, [json.dumps(hints)], query="?model=lines")


def test_ink(unnoticed: Unnoticed) -> None:
    with unnoticed.attack(settle_s=12) as target:
        flood(target, INK, query="?model=lines")
