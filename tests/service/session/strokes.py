"""Strokes with ids, the messages that carry them, and the events that follow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.service.protocol.server_messages import (
    Event,
    Flushed,
    Revised,
    Rewound,
    ServerMessage,
    Word,
)
from tests.helpers.single_session import SessionClient, message

Stroke = list[tuple[float, float]]
H = 16
HEIGHT = 160.0  # of the frame: ten units a pixel

WAVE: Stroke = [(100, 80), (160, 30), (220, 120), (300, 60), (420, 90)]
BAR: Stroke = [(140, 50), (250, 50)]
DOT: Stroke = [(150, 10)]
FAR: Stroke = [(500, 30), (560, 120)]


def piece(
    name: int | str | None, points: Sequence[Sequence[Any]], last: bool = True
) -> dict[str, Any]:
    return {"id": name, "points": points, "last": last}


def ink(*pieces: dict[str, Any], **fields: Any) -> str:
    return message("ink", strokes=pieces, height=HEIGHT, **fields)


def rasterised(*strokes: Stroke) -> NDArray[np.uint8]:
    """Return the columns [T, H] of strokes that are drawn all at once."""
    points, starts = flatten(strokes)
    return rasterise(points * (H / HEIGHT), starts, H)


def flush(client: SessionClient) -> Flushed:
    answer = client.ask(message("flush"))[-1]
    assert isinstance(answer, Flushed)
    return answer


def final_events(messages: list[ServerMessage]) -> list[dict[str, Any]]:
    """Return the events that hold in the end: the letters by id, then the words by id."""
    letters, words = dict[int, Event](), dict[int, Event]()
    for each in messages:
        if isinstance(each, Event):
            (words if isinstance(each, Word) else letters)[each.id] = each
        elif isinstance(each, Rewound | Revised):
            letters = {i: event for i, event in letters.items() if i < each.letters}
            words = {i: event for i, event in words.items() if i < each.words}
    return [
        event.model_dump(exclude={"seq"})
        for events in (letters, words)
        for _, event in sorted(events.items())
    ]
