"""Ink that is as dear as possible to draw, and to draw again: nobody else waits for it."""

import json
import random

import pytest

from tests.hostile.conftest import Unnoticed
from tests.hostile.test_messages import attack

pytestmark = pytest.mark.slow

Points = list[tuple[float, float]]


def ink(*strokes: Points, first: int = 0) -> str:
    """Return a message with strokes, which are numbered from `first` on."""
    named = [{"id": first + i, "points": points} for i, points in enumerate(strokes)]
    return json.dumps({"type": "ink", "height": 32, "strokes": named})


def test_undo_among_a_thousand_strokes(unnoticed: Unnoticed) -> None:
    rng = random.Random(0)
    strokes = [
        [(2.0 * i + rng.random(), 16 + 9 * rng.random()) for i in range(8)] for _ in range(1000)
    ]
    texts = [ink(*strokes[i : i + 250], first=i) for i in range(0, 1000, 250)]
    texts += [json.dumps({"type": "ink", "undo": number}) for number in range(4)]
    with unnoticed.attack() as target:
        attack(target, *texts)


def test_undo_among_long_scribbles(unnoticed: Unnoticed) -> None:
    scribble = [(float(i % 4), 32.0 * (i % 2)) for i in range(1900)]
    texts = [ink(scribble, first=number) for number in range(6)]
    with unnoticed.attack() as target:
        attack(target, *texts, json.dumps({"type": "ink", "undo": 3}))


def test_ink_of_the_largest_messages(unnoticed: Unnoticed) -> None:
    long_way = [(5.0, -30_000.0), (5.0, 35_000.0)]
    many = [[(float(i % 9), float(j)) for j in range(8)] for i in range(1000)]
    with unnoticed.attack() as target:
        attack(target, ink(long_way), ink(*many, first=1), '{"type":"ink","fit":true}')
