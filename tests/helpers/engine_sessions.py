"""Clients of an engine, an engine that a test can pause, and a net that it can make fail."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.engine import Engine
from inkstream.service.observe.metrics import Metrics
from inkstream.service.protocol.server_messages import Limits, ServerMessage
from inkstream.service.session import Close, Effect, Restore, Session, SessionModel
from tests.helpers.single_session import LIMITS

DEADLINE_S = 60.0  # far longer than anything here takes on a busy machine
POISON = bytes([13] * 28)  # a column on which the net fails

Answer = tuple[list[NDArray[np.float32]], NDArray[np.uint8]]


class RecordingMetrics(Metrics):
    """Metrics that keep all they are called with."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[tuple[int, int]] = []  # sessions and columns of each
        self.connected: list[int] = []
        self.errors: list[str] = []
        self.refusals: list[str] = []
        self._changed = asyncio.Event()

    async def wait_until(self, n_columns: int) -> None:
        """Wait until `n_columns` columns were run in all."""
        async with asyncio.timeout(DEADLINE_S):
            while sum(columns for _, columns in self.runs) < n_columns:
                self._changed.clear()
                await self._changed.wait()

    def sessions(self, count: int) -> None:
        self.connected.append(count)

    def ran(self, sessions: int, columns: int, run_s: float, wait_s: float) -> None:
        assert run_s >= 0
        assert wait_s >= 0
        self.runs.append((sessions, columns))
        self._changed.set()

    def error(self, code: str) -> None:
        self.errors.append(code)

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


class Net(Runtime):
    """A net that a test makes fail."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.failures = 0  # shared runs that will fail, besides any with poison
        self.threads: set[int] = set()

    def run_ragged(self, columns: Sequence[NDArray[np.uint8]], state: NDArray[np.uint8]) -> Answer:
        self.threads.add(threading.get_ident())
        if self.failures and len(columns) > 1:
            self.failures -= 1
            raise RuntimeError("the run was made to fail")
        if any((piece == POISON[0]).all(1).any() for piece in columns):
            raise RuntimeError("poison")
        return super().run_ragged(columns, state)


class PausableEngine(Engine):
    """An engine that a test in any thread can pause between two runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_work = threading.Event()  # whether columns have waited since the pause began
        self._may_run = True

    def pause(self) -> None:
        """Start no run from now on."""
        self.has_work.clear()
        self._may_run = False

    def resume(self) -> None:
        """Run what has waited."""
        self._may_run = True
        self._loop.call_soon_threadsafe(self._run_soon)

    def _wake(self) -> None:
        if self._may_run:
            super()._wake()
        else:
            self._waking = False
            self.has_work.set()


class EngineClient:
    """A client of a session in an engine."""

    def __init__(
        self, engine: Engine, net: Runtime, limits: Limits = LIMITS, client: str = ""
    ) -> None:
        self.session = Session("test", SessionModel.of(net.metadata, limits))
        self.received: list[ServerMessage] = []  # in order
        self.close: Close | None = None
        self._engine = engine
        self._changed = asyncio.Event()
        self.member = engine.attach(self.session, self._deliver, client)

    def send(self, *frames: str | bytes) -> None:
        """Send frames."""
        for frame in frames:
            self._engine.receive(self.member, frame, 0.0)

    def leave(self) -> None:
        """Leave without `end`."""
        self._engine.detach(self.member)

    async def wait_for(self, count: int) -> list[ServerMessage]:
        """Wait for `count` messages after `ready`; return all messages after `ready`."""
        await self._wait_until(lambda: len(self.received) > count)
        return self.received[1:]

    async def wait_for_last(self, last: Callable[[ServerMessage], bool]) -> None:
        """Wait until the newest message is the `last` one or the session is closed."""
        await self._wait_until(lambda: last(self.received[-1]))

    async def _wait_until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.close is None and not enough():
                self._changed.clear()
                await self._changed.wait()

    def _deliver(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert self.close is None, f"{effect} after the close"
            if isinstance(effect, Close):
                self.close = effect
            elif not isinstance(effect, Restore):
                self.received.append(effect)
        self._changed.set()


@asynccontextmanager
async def running(
    net: Runtime,
    max_batch: int = 64,
    max_columns: int = 512,
    metrics: RecordingMetrics | None = None,
) -> AsyncIterator[Engine]:
    """Run an engine while the block runs."""
    engine = Engine(
        net, max_batch=max_batch, max_columns=max_columns, metrics=metrics or RecordingMetrics()
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
