"""Messages that are as dear as possible: nobody else waits for them."""

import json
import time
from contextlib import suppress

import pytest

from tests.helpers.raw_websocket import CLOSE, TEXT, RawClient, frame
from tests.helpers.target import Target
from tests.hostile.conftest import Unnoticed

pytestmark = pytest.mark.slow

ATTACK_S = 3.0
PONG = '{"type":"pong","id":"last"}'

SCATTERED = "".join(map(chr, range(0xA1, 0x400, 3)))
PATTERNS = [
    f"[{SCATTERED[:240]}]{{128}}",
    f"[^{SCATTERED[:240]}]{{128}}",
    "(" + "()" * 120 + "a){128}",
    "(a?){128}",
    "((a|b)?c?){42}",
    "a?" * 128,
]
NESTED = {
    "words": '{"type":"configure","words":[' + "0," * 120_000 + "0]}",
    "empty words": '{"type":"configure","words":[' + '"",' * 60_000 + '""]}',
    "characters": json.dumps(
        {"type": "configure", "characters": "".join(map(chr, range(256, 4000)))}
    ),
    "strokes": '{"type":"ink","height":9,"strokes":[' + '{"points":[[1,1]]},' * 13_000 + "{}]}",
    "empty strokes": '{"type":"ink","height":9,"strokes":[' + '{"points":[]},' * 8_000 + "{}]}",
    "points": '{"type":"ink","height":9,"strokes":[{"points":[' + "[1,1]," * 40_000 + "[1,1]]}]}",
    "columns": '{"type":"columns","columns":[' + "[]," * 80_000 + "[]]}",
    "objects": '{"type":"ping","id":[' + "{}," * 80_000 + "{}]}",
    "unknown": '{"type":"sing","notes":[' + "{}," * 16_000 + "{}]}",
    "depth": '{"type":"ping","x":' + "[" * 16_000 + "]" * 16_000 + "}",
    "number": '{"type":"ping","id":' + "9" * 250_000 + "}",
}


def configured(pattern: str) -> str:
    """Return the message that asks for a pattern."""
    return json.dumps({"type": "configure", "pattern": pattern})


def send(target: Target, *texts: str) -> None:
    """Send messages in one write, as a new client, and wait until they are answered.

    A client that is paused before it has read anything gives up.
    """
    with RawClient(target.port, "?model=lines") as client, suppress(TimeoutError):
        client.socket.settimeout(ATTACK_S)
        client.send(b"".join(frame(text.encode(), TEXT) for text in texts))
        client.send(frame(b'{"type":"ping","id":"last"}', TEXT))
        try:
            while client.read() != PONG.encode() and client.kind != CLOSE:
                pass
        except (EOFError, ConnectionError):
            pass


def attack(target: Target, *texts: str) -> None:
    """Do so again and again."""
    end_s = time.monotonic() + ATTACK_S
    while time.monotonic() < end_s:
        send(target, *texts)


def test_dear_patterns_in_one_write(unnoticed: Unnoticed) -> None:
    with unnoticed.attack() as target:
        attack(target, *(3 * [configured(pattern) for pattern in PATTERNS]))


@pytest.mark.parametrize("name", NESTED)
def test_a_message_of_many_parts(unnoticed: Unnoticed, name: str) -> None:
    with unnoticed.attack() as target:
        attack(target, NESTED[name])


def test_small_messages_in_one_write(unnoticed: Unnoticed) -> None:
    texts = [
        '{"type":"ping"}',
        '{"type":"flush"}',
        '{"type":"reset"}',
        "[]",
        '{"type":"rewind","column":0}',
    ]
    with unnoticed.attack() as target:
        attack(target, *(80 * texts))
