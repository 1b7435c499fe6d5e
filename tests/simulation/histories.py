"""One history: a program on a service with faults, compared with the same program alone.

Whatever breaks where, a program hears exactly what it hears alone: every result once and in order,
every event, every answer, with their numbers. Where results for slow clients are merged, some are
left out. Where other weights were deployed, a line's answer and the events that stand then are
those that these weights give alone.
"""

import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import tenacity

from inkstream.model.runtime import Runtime
from inkstream.service import engine, websocket
from inkstream.service.client import stream as client
from inkstream.service.client.conversation import Result
from inkstream.service.protocol.server_messages import Event
from inkstream.service.settings import Settings
from tests.helpers import builders
from tests.simulation.clock import SimulatedLoop
from tests.simulation.net import ExactNet
from tests.simulation.network import Faults
from tests.simulation.programs import Heard, Program, Step, columns_program, ink_program
from tests.simulation.workers import HEALTHY, Cluster

URL: Final = "ws://ink.example"
N_VERSIONS: Final = 2
MERGE_FROM: Final = 4  # messages that wait for a slow client
NEVER: Final = websocket.PAUSE_FROM + 1
WITHIN_S: Final = 4.0  # while things befall the service
SETTINGS: Final = [
    Settings.load(resume_lifetime_s=lifetime_s, drain_timeout_s=drain_s)
    for lifetime_s in (3600.0, 0.5)
    for drain_s in (1.0, 0.02)
]


class HistoryError(AssertionError):
    """A program heard something else than alone."""


@dataclass(frozen=True)
class Outcome:
    """What a history did."""

    connections: int
    steps: int
    digest: bytes  # of all that was heard


def nets() -> list[Runtime]:
    """Return a net for each version of the weights."""
    with TemporaryDirectory() as folder:
        checkpoint = builders.line_checkpoint(Path(folder) / "lines.onnx")
        return [ExactNet(checkpoint, seed) for seed in range(N_VERSIONS)]


def run(seed: int, nets: Sequence[Runtime]) -> Outcome:
    """Run the history of a seed; raise `HistoryError` if something is lost, doubled or changed."""
    rng = Random(seed)
    is_ink = rng.random() < 0.4
    steps = (ink_program if is_ink else columns_program)(rng)
    n_events = rng.choice((0, 0, 1, 2, 4))
    faults = Faults(
        refused=rng.choice((0.0, 0.0, 0.3)),
        breaks=rng.choice((0.0, 0.002, 0.01, 0.05)),
        damaged=rng.choice((0.0, 0.0, 0.3)),
        delay_s=rng.choice((0.0, 0.005, 0.2)),
        notice_s=rng.choice((0.0, 0.5, 3.0)),
    )
    merges = rng.random() < 0.3
    world = _World(Cluster(nets, rng, rng.choice(SETTINGS)), seed, MERGE_FROM if merges else NEVER)
    heard, versions = world.hears(steps, faults, n_events)
    alone = {}
    for version in sorted({*versions}):
        lone = Cluster(nets[version : version + 1], Random(seed), SETTINGS[0], n_workers=1)
        alone[version], _ = _World(lone, seed).hears(steps)
    of_one = len({*world.cluster.versions}) == 1
    try:
        before = versions[0]
        for number, (now, version) in enumerate(zip(heard, versions, strict=True)):
            expected = alone[version][number]
            columns = [step.answer.get("column") for step in (now, expected)]
            if now.step == "rewind" and not of_one and columns[0] != columns[1]:
                break  # a program counts results; those of other weights may come within any call
            if version != before and now.answer == alone[before][number].answer:
                expected = alone[before][number]  # answered before the connection was lost
            _compare(now, expected, of_one=of_one, merges=merges)
            before = version
    except HistoryError as error:
        raise HistoryError(f"seed {seed}, step {number} ({now.step}): {error}") from None
    digest = sha256(repr(heard).encode()).digest()
    return Outcome(len(world.cluster.versions), len(steps), digest)


class _World:
    """A cluster and a client of it, whose time and chance are simulated."""

    def __init__(self, cluster: Cluster, seed: int, merge_from: int = NEVER) -> None:
        self.cluster = cluster
        self._seed = seed
        self._merge_from = merge_from

    def hears(
        self, steps: list[Step], faults: Faults = HEALTHY, n_events: int = 0
    ) -> tuple[list[Heard], list[int]]:
        """Return what a program hears of each step, and the version that answered it."""
        loop = SimulatedLoop()
        with contextlib.closing(loop), _simulated(loop, self._seed, self._merge_from) as errors:
            heard = loop.run_until_complete(self._run(steps, faults, n_events))
        if errors:
            raise HistoryError(f"seed {self._seed}: the service logged {errors[:3]}")
        return heard

    async def _run(
        self, steps: list[Step], faults: Faults, n_events: int
    ) -> tuple[list[Heard], list[int]]:
        cluster, program = self.cluster, Program(steps)
        cluster.start()
        heard, versions = [], []
        try:
            with patch.object(client, "open_async", cluster.open_async):
                async with client.connect(URL) as stream:
                    cluster.begin(faults, n_events, WITHIN_S)
                    async for step in program.run(stream):
                        heard.append(step)
                        socket: Any = stream._socket
                        versions.append(socket.version)
        finally:
            await cluster.stop()
        return heard, versions


@contextlib.contextmanager
def _simulated(loop: SimulatedLoop, seed: int, merge_from: int) -> Iterator[list[Any]]:
    """Let the client's and the engine's time and chance be simulated; yield logged errors."""
    errors: list[Any] = []
    chance = Random(seed)

    def tick() -> float:
        return loop.time() + chance.choice((0.0, 0.0, 0.001, 0.01))

    def note(event: str, **fields: Any) -> None:
        errors.append((event, fields))

    log = SimpleNamespace(info=lambda *_, **__: None, error=note, exception=note)
    clock = SimpleNamespace(perf_counter=tick, monotonic=loop.time, time=loop.time)
    state = random.getstate()
    random.seed(seed)
    with (
        patch.object(engine, "time", clock),
        patch.object(tenacity, "time", clock),
        patch.object(engine, "log", log),
        patch.object(websocket, "log", log),
        patch.object(websocket, "MERGE_FROM", merge_from),
    ):
        yield errors
    random.setstate(state)


def _compare(heard: Heard, alone: Heard, *, of_one: bool, merges: bool) -> None:
    """Raise `HistoryError` where a step was heard otherwise than alone.

    With several versions of the weights, only what the newest one decides in the end is compared.
    """
    if of_one:
        expected = _merged(heard.results, alone.results) if merges else alone.results
        _equal("results", heard.results, expected)
        _equal("answer", heard.answer, alone.answer)
        _equal("lines that ended", heard.ended, alone.ended)
        _equal("events", heard.events, alone.events)
    elif heard.step in ("flush", "end"):
        _equal("answer", heard.answer, alone.answer)
        _equal("events", heard.events, alone.events)


def _merged(heard: list[Result], alone: list[Result]) -> list[Result]:
    """Return the results that are heard alone, of which those are left out that were not heard.

    A result has the events of those before it that were left out; the last one always comes.
    """
    expected: list[Result] = []
    columns = [result.column for result in heard]
    events: tuple[Event, ...] = ()
    for n_left, result in zip(range(len(alone) - 1, -1, -1), alone, strict=True):
        events += result.events
        is_heard = columns[len(expected) :][:1] == [result.column]
        if not n_left or is_heard:
            expected.append(replace(result, events=events))
            events = ()
    return expected


def _equal(name: str, heard: Any, alone: Any) -> None:
    if heard != alone:
        if isinstance(heard, list):
            first = next(
                (i for i, (a, b) in enumerate(zip(heard, alone, strict=False)) if a != b),
                min(len(heard), len(alone)),
            )
            name = f"{name}, from number {first} on ({len(heard)} against {len(alone)})"
            heard, alone = heard[first : first + 2], alone[first : first + 2]
        raise HistoryError(
            f"{name}:\n  heard {json.dumps(heard, default=str)}\n"
            f"  alone {json.dumps(alone, default=str)}"
        )
