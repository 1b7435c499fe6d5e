"""Let writers write on a real server, and compare each line with the same line read alone.

Writers of several kinds write as `service.bench.pens` has measured people to write. Each repeats
its few lines, on a new connection after each time. What disturbs a server (`chaos`, `soak`, the
tests of load balancers and of Ray) does so while they write. Text, columns and events must be the
same as without, and no event may come twice. All but the times follows from a seed.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import time
from array import array
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import psutil

from inkstream.model import checkpoint
from inkstream.model.errors import InkstreamError
from inkstream.service.bench.pens import Sent, column_messages, ink_messages
from inkstream.service.bench.processes import START_TIMEOUT_S, Server, await_workers
from inkstream.service.client.stream import AsyncStream, connect
from inkstream.service.protocol.errors import StoppingError
from inkstream.service.protocol.server_messages import Event, Revised, Word, is_like
from inkstream.service.server.supervisor import MODULE

MODEL = "lines"
RESET = '{"type":"reset"}'  # ends a line
N_LINES = {MODEL: 2, "digits": 12}  # of a writer, by model
DIFFERENCES = (
    "columns_lost",
    "texts_different",
    "events_twice",
    "events_missing",
    "events_too_many",
    "events_different",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of writer."""

    model: str = MODEL
    sent: Literal["ink", "columns"] = "ink"
    options: dict[str, Any] = field(default_factory=dict)  # of `configure`


KINDS = (
    Kind(),
    Kind(options={"language": "english"}),
    Kind(sent="columns", options={"results": "none"}),
    Kind(sent="columns", options={"language": "english", "top_k": 3}),
    Kind("digits", options={"results": "message"}),
    Kind("digits", "columns"),
)


@dataclass
class Line:
    """What a writer heard of one line."""

    columns: int = 0
    text: str = ""  # a classifier's label
    # The events that were not withdrawn, by whether they are words, and by their ids.
    events: dict[tuple[bool, int], Event] = field(default_factory=dict)
    n_twice: int = 0  # events that came although they were there already
    revised: Revised | None = None  # the newest revision, perhaps of the line before

    def add(self, new_events: Sequence[Event], revised: Revised | None) -> None:
        """Add the events of an answer; drop those that the newest revision has withdrawn."""
        if revised is not None and revised is not self.revised:
            self.revised = revised
            for is_word, number in [*self.events]:
                if number >= (revised.words if is_word else revised.letters):
                    del self.events[is_word, number]
        for event in new_events:
            key = isinstance(event, Word), event.id
            self.n_twice += self.events.get(key) == event
            self.events[key] = event


def lines_of(kind: Kind, number: int) -> list[list[Sent]]:
    """Return the lines of a writer, each with its reset at the end."""
    config = checkpoint.read(checkpoint.find(kind.model)).metadata.config
    if kind.sent == "ink":
        messages = ink_messages(number, config.kind)
    else:
        messages = column_messages(number, config.kind, config.column_height)
    lines: list[list[Sent]] = [[] for _ in range(N_LINES[kind.model])]
    for line in lines:
        while not line or line[-1].data != RESET:
            line.append(next(messages))
    return lines


class Writers:
    """Writers, what they write, and how it differs from what a server answers undisturbed."""

    def __init__(
        self,
        n_writers: int,
        kinds: Sequence[Kind] = (Kind(),),
        *,
        pace: float = 1.0,
        seed: int = 0,
        reopen: bool = False,
    ) -> None:
        """Prepare writers, which have the kinds by turns and write `pace` times as fast as people.

        The seed says what they write. With `reopen` each opens a new connection after its lines.
        """
        self.scripts = [
            (kind, lines_of(kind, seed * n_writers + number))
            for number, kind in zip(range(n_writers), itertools.cycle(kinds))
        ]
        self.streams: list[AsyncStream] = []  # open now
        self.written = Counter(dict.fromkeys(("lines", "events", *DIFFERENCES), 0))
        self.lines_resumed = 0  # during which the connection was replaced
        self.failures: Counter[str] = Counter()  # of writers, by code
        self.late_ms = array("d")  # of each answer
        # How late the answers came during which a connection was replaced.
        self.gaps_ms: dict[str, list[float]] = {"deploy": [], "kill": []}
        self._pace = pace
        self._reopen = reopen
        self._alone: list[list[Line]] = []  # what each writer hears of each line without load

    def digest(self) -> str:
        """Return the SHA-256 of all that writers send."""
        sha = sha256()
        for _, lines in self.scripts:
            for sent in itertools.chain.from_iterable(lines):
                sha.update(sent.data if isinstance(sent.data, bytes) else sent.data.encode())
        return sha.hexdigest()

    async def read_alone(self, url: str, n_at_once: int = 16) -> None:
        """Keep how a server that nothing disturbs reads all lines, in so many sessions at once."""
        free = asyncio.Semaphore(n_at_once)

        async def read(kind: Kind, lines: list[list[Sent]]) -> list[Line]:
            async with free, connect(url, model=kind.model, reconnect=False) as stream:
                await stream.configure(**kind.options)
                return [await self._write_line(stream, line, 0) for line in lines]

        self._alone = await asyncio.gather(*(read(*of_writer) for of_writer in self.scripts))

    async def write_during(
        self, disturbance: Coroutine[Any, Any, object], urls: Sequence[str]
    ) -> None:
        """Write, each at one of the URLs in turn, until a disturbance has ended, and the lines."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number, url in zip(range(len(self.scripts)), itertools.cycle(urls)):
                group.create_task(self._write(number, url, over))
            await disturbance
            over.set()

    def differences(self) -> dict[str, int]:
        """Return those counts that must be 0 and are not."""
        failed = {f"writers that failed with {code}": n for code, n in self.failures.items()}
        return {name: self.written[name] for name in DIFFERENCES if self.written[name]} | failed

    async def _write(self, number: int, url: str, over: asyncio.Event) -> None:
        """Write the lines again and again."""
        kind, script = self.scripts[number]
        lines = [*zip(script, self._alone[number], strict=True)]
        while not over.is_set():
            try:
                async with connect(url, model=kind.model) as stream:
                    self.streams.append(stream)
                    try:
                        await stream.configure(**kind.options)
                        for messages, alone in lines if self._reopen else itertools.cycle(lines):
                            if over.is_set():
                                break
                            before = stream.reconnected
                            line = await self._write_line(stream, messages, self._pace)
                            self.lines_resumed += stream.reconnected is not before
                            self.written.update(compare(line, alone))
                        await stream.end()
                    finally:
                        self.streams.remove(stream)
            except InkstreamError as error:
                self.failures[error.code] += 1

    async def _write_line(self, stream: AsyncStream, messages: list[Sent], pace: float) -> Line:
        """Write a line, so many times as fast as its pen, or without waiting (0); return it.

        A message is sent once it is due and the one before is answered.
        """
        line, start_s, height = Line(revised=stream.revised), time.monotonic(), 0.0
        for sent in messages:
            due_s = start_s + (sent.due_s - messages[0].due_s) / (pace or float("inf"))
            await asyncio.sleep(max(due_s - time.monotonic(), 0))
            before = stream.reconnected
            fields: dict[str, Any] = {"type": "columns"}
            if isinstance(sent.data, str):
                fields = json.loads(sent.data)
            match fields["type"]:
                case "columns":
                    async for result in stream.send(sent.data):
                        line.add(result.events, stream.revised)
                case "ink":
                    height, pause = fields.get("height", height), fields.get("pause", False)
                    async for result in stream.ink(fields.get("strokes", ()), height, pause=pause):
                        line.add(result.events, stream.revised)
                case "flush":
                    flushed = await stream.flush()
                    line.add(flushed.events, stream.revised)
                    line.columns, line.text = flushed.columns, flushed.text or flushed.label or ""
                case "reset":
                    await stream.reset()
            if pace:
                self.late_ms.append(1000 * (time.monotonic() - due_s))
            if stream.reconnected is not None and stream.reconnected is not before:
                is_deploy = isinstance(stream.reconnected.reason, StoppingError)
                self.gaps_ms["deploy" if is_deploy else "kill"].append(self.late_ms[-1])
        return line


def compare(line: Line, alone: Line) -> dict[str, int]:
    """Count a line and its events, and what differs from the same line alone."""
    both = line.events.keys() & alone.events.keys()
    return {
        "lines": 1,
        "events": len(line.events),
        "columns_lost": abs(line.columns - alone.columns),
        "texts_different": int(line.text != alone.text),
        "events_twice": line.n_twice,
        "events_missing": len(alone.events) - len(both),
        "events_too_many": len(line.events) - len(both),
        "events_different": sum(not is_like(line.events[key], alone.events[key]) for key in both),
    }


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
