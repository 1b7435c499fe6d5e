"""Random programs that use a stream, and what each of them hears.

A program waits for the answer to each of its steps, as most do. It depends on nothing that the
network does: the same program hears the same on a service without faults.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from pydantic import BaseModel

from inkstream.service.client.conversation import Done, Flushed, LineEnd, Result
from inkstream.service.client.stream import AsyncStream
from inkstream.service.protocol.errors import MessageError
from inkstream.service.protocol.server_messages import Event, ResetDone, Revised, Rewound, Word

HEIGHT: Final = 16  # pixels of a column
FRAME: Final = 160.0  # height of the frame that ink is written in: ten units a pixel
MAX_COLUMNS: Final = 70  # of one step
MAX_PAUSE_S: Final = 0.6

Step = tuple[str, dict[str, Any]]  # what is done, with what
Events = dict[tuple[bool, int], Event]  # by whether they are words, and ids


@dataclass
class Heard:
    """What a program heard of one step."""

    step: str
    results: list[Result] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)  # that stand, of the line
    ended: list[tuple[int, str, list[Event]]] = field(default_factory=list)
    """Lines that ended by themselves: their columns, texts and events."""


def columns_program(rng: Random) -> list[Step]:
    """Return a program that sends columns."""
    steps = [_configure(rng, is_first=True)]
    for _ in range(rng.randint(3, 14)):
        kind = rng.choices(
            ("columns", "flush", "rewind", "reset", "configure", "ping", "sleep"),
            (60, 10, 10, 5, 8, 4, 14),
        )[0]
        if kind == "columns":
            steps.append((kind, {"columns": _columns(rng)}))
        elif kind == "rewind":
            # Within reach, also where the line has ended by itself meanwhile.
            steps.append((kind, {"back": rng.randint(0, MAX_COLUMNS)}))
        else:
            steps.append(_step(rng, kind))
    return [*steps, ("end", {})]


def _step(rng: Random, kind: str) -> Step:
    """Return a step that programs of columns and of ink take."""
    if kind == "configure":
        return _configure(rng)
    return kind, {"delay": rng.random() * MAX_PAUSE_S} if kind == "sleep" else {}


def _columns(rng: Random) -> bytes:
    """Return columns, a third of them blank, in most programs many and in a few one by one."""
    n = rng.choice((1, 2, rng.randint(1, MAX_COLUMNS), rng.randint(1, MAX_COLUMNS)))
    return b"".join(
        rng.randbytes(HEIGHT) if rng.random() < 2 / 3 else bytes(HEIGHT) for _ in range(n)
    )


def _configure(rng: Random, is_first: bool = False) -> Step:
    changes: dict[str, Any] = {}
    if is_first or rng.random() < 0.2:
        changes["snapshot_columns"] = rng.choice((0, 64, 64, 64, 100, 512))
    if rng.random() < 0.3:
        changes["results"] = rng.choice(("column", "column", "message", "none"))
    if rng.random() < 0.3:
        changes["top_k"] = rng.choice((1, 3, 5))
    if rng.random() < 0.2:
        changes["characters"] = rng.choice((None, "abc", "ab ."))
    if rng.random() < 0.2:
        changes["line_end_columns"] = rng.choice((0, 2, 3, 4))
    if rng.random() < 0.05:
        changes["language"] = rng.choice((None, "little", "auto"))
    if rng.random() < 0.05:
        changes["words"] = rng.choice(([], ["abba", "cab"]))
    if rng.random() < 0.05:
        changes["pattern"] = rng.choice((None, "[abc .]*", "(ab|c)+"))
    return "configure", changes


def ink_program(rng: Random) -> list[Step]:
    """Return a program that writes with a pen."""
    steps: list[Step] = [_configure(rng, is_first=True)]
    x, n_strokes = 0.0, 0
    for _ in range(rng.randint(3, 12)):
        kind = rng.choices(
            ("ink", "undo", "flush", "rewind", "reset", "configure", "sleep"),
            (60, 8, 8, 6, 4, 4, 14),
        )[0]
        if kind == "ink":
            strokes = []
            for _ in range(rng.randint(1, 4)):
                n_strokes += 1
                strokes.append(_stroke(rng, x, n_strokes))
                x = max(x, strokes[-1]["points"][-1][0]) + rng.uniform(-100, 120)
            fields = {"pause": rng.random() < 0.3, "fit": rng.random() < 0.2}
            steps.append((kind, {"strokes": strokes, "height": FRAME, **fields}))
        elif kind == "undo":
            steps.append((kind, {"stroke": n_strokes}))
            n_strokes += 1  # no stroke is undone twice
        elif kind == "rewind":
            steps.append((kind, {"back": rng.randint(0, 40)}))
        else:
            x = 0.0 if kind == "reset" else x
            steps.append(_step(rng, kind))
    return [*steps, ("end", {})]


def _stroke(rng: Random, x: float, number: int) -> dict[str, Any]:
    points = []
    for _ in range(rng.randint(1, 6)):
        points.append([round(max(x, 0.0), 1), round(rng.uniform(0, FRAME), 1)])
        x += rng.uniform(-30, 70)
    return {"id": number, "points": points, "last": True}


class Program:
    """Takes its steps on a stream, one after the other."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._events: Events = {}
        self._column = 0  # the next one of the line
        self._ended: LineEnd | Done | None = None
        self._revised: Revised | None = None

    async def run(self, stream: AsyncStream) -> AsyncIterator[Heard]:
        """Take all steps; yield what was heard of each."""
        for kind, fields in self._steps:
            self._now = Heard(kind)
            try:
                await self._take(stream, kind, fields)
            except MessageError as error:  # of this step alone
                self._now.answer = {"error": str(error)}
            self._look(stream)
            self._now.events = self._standing()
            yield self._now

    async def _take(self, stream: AsyncStream, kind: str, fields: dict[str, Any]) -> None:
        match kind:
            case "columns":
                await self._results(stream, stream.send(**fields))
            case "ink":
                await self._results(stream, stream.ink(**fields))
            case "undo":
                await self._results(stream, stream.undo(**fields))
            case "sleep":
                await asyncio.sleep(fields["delay"])
            case "rewind":
                column = max(0, self._column - fields["back"])
                self._answer(stream, await stream.rewind(column))
            case _:
                self._answer(stream, await getattr(stream, kind)(**fields))

    async def _results(self, stream: AsyncStream, results: AsyncIterator[Result]) -> None:
        async for result in results:
            self._look(stream)
            self._now.results.append(result)
            self._column = result.column + 1
            self._add(result.events)

    def _look(self, stream: AsyncStream) -> None:
        """Take what a stream tells beside results."""
        if stream.revised is not self._revised:
            self._revised = stream.revised
            assert self._revised is not None
            self._withdraw(self._revised)
        if stream.ended_line is not self._ended:
            self._ended = stream.ended_line
            assert self._ended is not None
            self._add(self._ended.events)
            end = (self._ended.columns, self._ended.text or "", self._standing())
            self._now.ended.append(end)
            self._begin_line()

    def _answer(self, stream: AsyncStream, message: BaseModel) -> None:
        self._look(stream)
        self._now.answer = message.model_dump(exclude={"id", "events"})
        match message:
            case Flushed():
                self._add(message.events)
            case Rewound():
                self._withdraw(message)
                self._column = message.column
            case ResetDone():
                self._begin_line()

    def _standing(self) -> list[Event]:
        return [event for _, event in sorted(self._events.items())]

    def _add(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._events[isinstance(event, Word), event.id] = event

    def _withdraw(self, change: Rewound | Revised) -> None:
        self._events = {
            (is_word, number): event
            for (is_word, number), event in self._events.items()
            if number < (change.words if is_word else change.letters)
        }

    def _begin_line(self) -> None:
        self._events, self._column = {}, 0
