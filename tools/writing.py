"""Let writers write on a real server, and compare each line with the same line read alone.

What disturbs a server (`chaos`, `soak`, the tests of load balancers and of Ray) does so while these
writers write. Text, columns and events must be the same as without, and no event may come twice.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from inkstream.service.bench.pens import Sent, ink_messages
from inkstream.service.bench.processes import START_TIMEOUT_S, Server, await_workers
from inkstream.service.client.stream import AsyncStream, connect
from inkstream.service.protocol.errors import StoppingError
from inkstream.service.protocol.server_messages import Event, Revised, Word, is_like
from inkstream.service.server.supervisor import MODULE

MODEL = "lines"
RESET = '{"type":"reset"}'  # ends a line


@dataclass
class Line:
    """One line of a writer: the messages that were sent, and what was heard."""

    messages: list[str | bytes]  # without the reset
    columns: int = 0
    text: str = ""  # a classifier's label
    # The events that were not withdrawn, by whether they are words, and by their ids.
    events: dict[tuple[bool, int], Event] = field(default_factory=dict)
    n_twice: int = 0  # events that came although they were there already


@dataclass
class Heard:
    """What several writers heard."""

    lines: list[Line] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)  # of each answer
    # How late the answers came during which a connection was replaced.
    gaps_ms: dict[str, list[float]] = field(default_factory=lambda: {"deploy": [], "kill": []})


class Writer:
    """Writes lines, one message after the other."""

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream
        self._line = Line([])
        self._revised: Revised | None = None

    async def send(self, data: str | bytes) -> Line | None:
        """Send columns, ink, a flush or a reset and take its answers; return the line it ends."""
        line = self._line
        message: dict[str, Any] = {"type": "columns"}
        if isinstance(data, str):
            message = json.loads(data)
        if message["type"] == "reset":
            await self._stream.reset()
            self._line = Line([])
            return line
        line.messages.append(data)
        if message["type"] == "flush":
            flushed = await self._stream.flush()
            self._add(flushed.events)
            line.columns, line.text = flushed.columns, flushed.text or flushed.label or ""
            return None
        if isinstance(data, bytes):
            results = self._stream.send(data)
        else:
            fields = {name: message[name] for name in ("height", "pause") if name in message}
            results = self._stream._run(self._stream._ink(message.get("strokes", ()), **fields))
        async for result in results:
            self._add(result.events)
        return None

    def _add(self, new_events: Sequence[Event]) -> None:
        events, revised = self._line.events, self._stream.revised
        if revised is not None and revised is not self._revised:
            self._revised = revised
            for is_word, number in [*events]:
                if number >= (revised.words if is_word else revised.letters):
                    del events[is_word, number]
        for event in new_events:
            key = isinstance(event, Word), event.id
            self._line.n_twice += events.get(key) == event
            events[key] = event


async def write_during(
    disturbance: Coroutine[Any, Any, object], urls: Sequence[str], n_writers: int
) -> Heard:
    """Let writers write, each at one of the URLs in turn, until a disturbance has ended.

    Return what they heard. Each writes with a pen of `service.bench.pens`, and sends a message once
    it is due and the one before is answered.
    """
    heard, over = Heard(), asyncio.Event()

    async def write(number: int) -> None:
        async with connect(urls[number % len(urls)], model=MODEL) as stream:
            writer, start_s = Writer(stream), time.monotonic()
            for sent in _messages_until(over, number):
                due_s = start_s + sent.due_s
                await asyncio.sleep(max(due_s - time.monotonic(), 0))
                before = stream.reconnected
                if (line := await writer.send(sent.data)) is not None:
                    heard.lines.append(line)
                heard.late_ms.append(1000 * (time.monotonic() - due_s))
                after = stream.reconnected
                if after is not None and after is not before:
                    kind = "deploy" if isinstance(after.reason, StoppingError) else "kill"
                    heard.gaps_ms[kind].append(heard.late_ms[-1])

    async with asyncio.TaskGroup() as group:
        for number in range(n_writers):
            group.create_task(write(number))
        await disturbance
        over.set()
    return heard


def _messages_until(over: asyncio.Event, number: int) -> Iterator[Sent]:
    """Yield the messages of a writer; once it is over, end the line."""
    for sent in ink_messages(number, "transcriber"):
        yield sent
        if over.is_set():
            yield Sent(sent.due_s, '{"type":"flush"}')
            yield Sent(sent.due_s, RESET)
            return


async def read_again(url: str, lines: Sequence[Line], n_sessions: int = 16) -> list[Line]:
    """Return lines as a server that nothing disturbs reads them, in so many sessions at once."""
    again: dict[int, Line | None] = {}

    async def read(numbers: range) -> None:
        async with connect(url, model=MODEL, reconnect=False) as stream:
            writer = Writer(stream)
            for number in numbers:
                for message in [*lines[number].messages, RESET]:
                    again[number] = await writer.send(message)

    async with asyncio.TaskGroup() as group:
        for first in range(n_sessions):
            group.create_task(read(range(first, len(lines), n_sessions)))
    return [line for _, line in sorted(again.items()) if line is not None]


def compare(lines: Sequence[Line], alone: Sequence[Line]) -> dict[str, int]:
    """Return how many lines and events there are, and how many of them differ from those alone."""
    counts = dict.fromkeys(
        (
            "lines",
            "events",
            "columns_lost",
            "texts_different",
            "events_twice",
            "events_missing",
            "events_too_many",
            "events_different",
        ),
        0,
    )
    for line, other in zip(lines, alone, strict=True):
        both = line.events.keys() & other.events.keys()
        counts["lines"] += 1
        counts["events"] += len(line.events)
        counts["columns_lost"] += abs(line.columns - other.columns)
        counts["texts_different"] += line.text != other.text
        counts["events_twice"] += line.n_twice
        counts["events_missing"] += len(other.events) - len(both)
        counts["events_too_many"] += len(line.events) - len(both)
        counts["events_different"] += sum(
            not is_like(line.events[key], other.events[key]) for key in both
        )
    return counts


def differences(counts: dict[str, int]) -> dict[str, int]:
    """Return those counts of `compare` that must be 0 and are not."""
    return {name: n for name, n in counts.items() if n and name not in ("lines", "events")}


def workers_of(pid: int) -> Iterator[psutil.Process]:
    """Yield the workers of a supervisor, in the order in which they were started."""
    for process in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):  # One may just be ending.
            if MODULE in process.cmdline():
                yield process


async def disturb(kind: str, server: Server, n_workers: int, rng: random.Random) -> None:
    """Replace all workers ("deploy") or kill one ("kill"), and wait until all serve again."""
    leaving = [*workers_of(server.pid)]
    if kind == "deploy":
        os.kill(server.pid, signal.SIGHUP)
    else:
        leaving = [rng.choice(leaving)]
        leaving[0].kill()
    async with asyncio.timeout(START_TIMEOUT_S):
        while set(leaving).intersection(workers_of(server.pid)):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    await asyncio.to_thread(await_workers, server.port, n_workers)
