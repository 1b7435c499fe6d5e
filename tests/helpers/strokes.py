"""Strokes by name, as messages and as what a client knows of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.service.protocol.server_messages import Event, Flushed, Rewound, ServerMessage, Word
from tests.helpers.single_session import Lone, message

Stroke = list[tuple[float, float]]
H = 16
HEIGHT = 160.0  # of the frame: ten units a pixel

WAVE: Stroke = [(100, 80), (160, 30), (220, 120), (300, 60), (420, 90)]
BAR: Stroke = [(140, 50), (250, 50)]
DOT: Stroke = [(150, 10)]
FAR: Stroke = [(500, 30), (560, 120)]


def piece(name: int | str | None, points: Stroke, last: bool = True) -> dict[str, Any]:
    return {"id": name, "points": points, "last": last}


def ink(*pieces: dict[str, Any], **fields: Any) -> str:
    return message("ink", strokes=pieces, height=HEIGHT, **fields)


def drawn(*strokes: Stroke) -> NDArray[np.uint8]:
    """Columns [T, H] that the pen touches, drawn all at once."""
    points, starts = flatten(strokes)
    return rasterise(points * (H / HEIGHT), starts, H)


def flushed(lone: Lone) -> Flushed:
    answer = lone.ask(message("flush"))[-1]
    assert isinstance(answer, Flushed)
    return answer


def standing(said: list[ServerMessage]) -> list[dict[str, Any]]:
    """The events that a client knows in the end: each in the place of its id."""
    letters, words = dict[int, Event](), dict[int, Event]()
    for each in said:
        if isinstance(each, Event):
            (words if isinstance(each, Word) else letters)[each.id] = each
        elif isinstance(each, Rewound):
            letters = {i: event for i, event in letters.items() if i < each.letters}
            words = {i: event for i, event in words.items() if i < each.words}
    return [event.model_dump() for row in (letters, words) for _, event in sorted(row.items())]
