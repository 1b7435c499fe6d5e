"""Messages, and ink to draw, that are as dear as possible: nobody else waits for them."""

import json
import random
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


def ink(*strokes: list[tuple[float, float]], first: int = 0) -> str:
    """Return a message with strokes, which are numbered from `first` on."""
    named = [{"id": first + i, "points": points} for i, points in enumerate(strokes)]
    return json.dumps({"type": "ink", "height": 32, "strokes": named})


def undo(*numbers: int) -> list[str]:
    """Return messages that take strokes back."""
    return [json.dumps({"type": "ink", "undo": number}) for number in numbers]


RANDOM = random.Random(0)
SHORT_STROKES = [
    [(2.0 * i + RANDOM.random(), 16 + 9 * RANDOM.random()) for i in range(8)] for _ in range(1000)
]
SCRIBBLE = [(float(i % 4), 32.0 * (i % 2)) for i in range(1900)]
MANY_STROKES = [[(float(i % 9), float(j)) for j in range(8)] for i in range(1000)]
ATTACKS = {
    **{name: [text] for name, text in NESTED.items()},
    "dear patterns": 3 * [configured(pattern) for pattern in PATTERNS],
    "small messages": 80
    * [
        *(json.dumps({"type": kind}) for kind in ("ping", "flush", "reset")),
        *("[]", '{"type":"rewind","column":0}'),
    ],
    "undo among a thousand strokes": [
        *(ink(*SHORT_STROKES[i : i + 250], first=i) for i in range(0, 1000, 250)),
        *undo(0, 1, 2, 3),
    ],
    "undo among long scribbles": [*(ink(SCRIBBLE, first=number) for number in range(6)), *undo(3)],
    "ink of the largest messages": [
        ink([(5.0, -30_000.0), (5.0, 35_000.0)]),
        ink(*MANY_STROKES, first=1),
        '{"type":"ink","fit":true}',
    ],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nobody_notices_messages_that_are_dear(unnoticed: Unnoticed, name: str) -> None:
    with unnoticed.attack() as target:
        attack(target, *ATTACKS[name])
