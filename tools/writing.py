"""What writers of a real server heard of each line, and how that differs from a line read alone.

The runs that disturb a server (`chaos`, `soak`) let their writers write with this.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil

from inkstream.service.client.stream import AsyncStream
from inkstream.service.protocol.server_messages import Event, Revised, Word, is_like
from inkstream.service.server.supervisor import MODULE

RESET = '{"type":"reset"}'  # ends a line
Key = tuple[bool, int]  # whether an event is a word, and its id


@dataclass
class Line:
    """One line of a writer: what was sent, and what was heard."""

    messages: list[str | bytes]  # but the reset
    columns: int = 0
    text: str = ""  # a classifier's label
    events: dict[Key, Event] = field(default_factory=dict)  # that stand
    n_twice: int = 0  # events that came although they stood already


class Writer:
    """Writes lines, one message after the other."""

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream
        self._line = Line([])
        self._revised: Revised | None = None

    async def send(self, data: str | bytes) -> Line | None:
        """Send columns, ink, a flush or a reset and take its answers; return the line it ends."""
        line = self._line
        if isinstance(data, str) and json.loads(data)["type"] == "reset":
            await self._stream.reset()
            self._line = Line([])
            return line
        line.messages.append(data)
        if isinstance(data, bytes):
            results = self._stream.send(data)
        else:
            message = json.loads(data)
            if message["type"] == "flush":
                flushed = await self._stream.flush()
                self._add(flushed.events)
                line.columns, line.text = flushed.columns, flushed.text or flushed.label or ""
                return None
            fields = {name: message[name] for name in ("height", "pause") if name in message}
            results = self._stream._run(self._stream._ink(message.get("strokes", ()), **fields))
        async for result in results:
            self._add(result.events)
        return None

    def _add(self, events: Sequence[Event]) -> None:
        standing, revised = self._line.events, self._stream.revised
        if revised is not None and revised is not self._revised:
            self._revised = revised
            for is_word, number in [*standing]:
                if number >= (revised.words if is_word else revised.letters):
                    del standing[is_word, number]
        for event in events:
            key = isinstance(event, Word), event.id
            self._line.n_twice += standing.get(key) == event
            standing[key] = event


def compare(lines: Sequence[Line], alone: Sequence[Line]) -> dict[str, int]:
    """Return how many lines and events there are, and how many of them differ."""
    pairs = list(zip(lines, alone, strict=True))
    return {
        "lines": len(lines),
        "events": sum(len(own.events) for own in lines),
        "columns_lost": sum(abs(own.columns - other.columns) for own, other in pairs),
        "texts_different": sum(own.text != other.text for own, other in pairs),
        "events_twice": sum(own.n_twice for own in lines),
        "events_missing": sum(len(other.events.keys() - own.events.keys()) for own, other in pairs),
        "events_too_many": sum(
            len(own.events.keys() - other.events.keys()) for own, other in pairs
        ),
        "events_different": sum(
            not is_like(own.events[key], other.events[key])
            for own, other in pairs
            for key in own.events.keys() & other.events.keys()
        ),
    }


def differences(found: dict[str, int]) -> dict[str, int]:
    """Return those of the counts of `compare` that must be 0 and are not."""
    return {name: n for name, n in found.items() if n and name not in ("lines", "events")}


def workers_of(pid: int) -> Iterator[psutil.Process]:
    """Yield the workers of a supervisor, in the order in which they were started."""
    for process in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            if MODULE in process.cmdline():
                yield process
