"""Ink written anew, point after point, into a session: what a pad's user would see, and when.

The session is the served one, with a net of its own and without a server around it: what it says
after each message is known before the pen goes on.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from model.runtime import Runtime
from service.events import Letter, Punctuation
from service.messages import Limits, ModelInfo, Rewound, ServerMessage
from service.session import Close, Effect, Restore, Session, decoders_of
from service.settings import Settings

POINTS: Final = 4  # in a message, as of a pen of a hundred points a second, 25 times a second
RUN_COLUMNS: Final = 64

Strokes = Sequence[NDArray[np.float32]]  # in true order, each [n, 2], pixels


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one piece of ink while it was written."""

    letters: int  # that stand in the end, marks among them
    withdrawn: int  # letters whose id was withdrawn or given to another one, each time
    gone: int  # of these, such as were no longer in the text at all: others only moved in it
    ahead: list[int]  # columns from each letter's end to the pen, when it was first told
    text: str


def replay(runtime: Runtime, strokes: Strokes, margin: int) -> Told:
    """Write strokes as a hand did, with `margin` columns between the pen and what is read."""
    limits = dataclasses.replace(Settings.model_construct().limits, ink_margin_columns=margin)
    session, standing = _Alone(runtime, limits), list[str]()
    first_told: dict[int, int] = {}
    pen, withdrawn, gone, text = 0, 0, 0, ""
    for message, furthest in _messages(strokes, runtime.config.column_height):
        pen, before = max(pen, furthest), list(standing)
        for said in session.hear(message):
            if isinstance(said, Rewound):
                del standing[said.letters :]
            elif isinstance(said, Letter | Punctuation):
                standing[said.id : said.id + 1] = [said.char]
                first_told.setdefault(said.id, pen - said.end)
        withdrawn += sum(old != new for old, new in zip_longest(before, standing[: len(before)]))
        gone += len(before) - LCSseq.similarity(before, standing)
    n_while_written = len(standing)
    for said in session.hear({"type": "flush"}):
        if isinstance(said, Letter | Punctuation):
            standing.append(said.char)
        text = getattr(said, "text", text)
    return Told(
        letters=len(standing),
        withdrawn=withdrawn,
        gone=gone,
        ahead=[ahead for i, ahead in first_told.items() if i < n_while_written],
        text=text,
    )


def _messages(strokes: Strokes, height: int) -> Iterator[tuple[dict[str, Any], int]]:
    """The messages that bring strokes, and the furthest column of the points of each."""
    for name, stroke in enumerate(strokes):
        for start in range(0, len(stroke), POINTS):
            points = stroke[start : start + POINTS]
            last = start + POINTS >= len(stroke)
            piece = {"id": name, "points": points.astype(float).tolist(), "last": last}
            yield {"type": "ink", "strokes": [piece], "height": height}, int(points[:, 0].max())


class _Alone:
    """A session and its row of state."""

    def __init__(self, runtime: Runtime, limits: Limits) -> None:
        config = runtime.config
        model = ModelInfo("replay", "1", config.kind, config.labels, config.column_height)
        self._runtime = runtime
        self._session = Session("replay", model, limits, decoders_of(config))
        self._state = runtime.initial_state(1)  # [1, D]
        self._now_s = 0.0
        self._session.open()

    def hear(self, message: dict[str, Any]) -> list[ServerMessage]:
        """What the session says to one message; raises `AssertionError` if that is an error."""
        self._now_s += 1.0  # at any pace
        said = self._carried_out(self._session.receive(json.dumps(message), self._now_s))
        while (columns := self._session.take(RUN_COLUMNS)) is not None:
            scores, state = self._runtime.run(columns[:, None], self._state)
            self._state = state
            said += self._carried_out(self._session.stepped(scores[:, 0], state[0]))
        assert all(each.type != "error" for each in said), said
        return said

    def _carried_out(self, effects: list[Effect]) -> list[ServerMessage]:
        said: list[ServerMessage] = []
        for effect in effects:
            if isinstance(effect, Restore):
                row = effect.state
                self._state = self._runtime.initial_state(1) if row is None else row[None].copy()
            elif not isinstance(effect, Close):
                said.append(effect.message)
        return said
