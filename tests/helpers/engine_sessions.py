"""Sessions in an engine, and a net that can be held or made to fail."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.engine.engine import Engine
from inkstream.service.limits import Limits
from inkstream.service.protocol.server_messages import ServerMessage
from inkstream.service.session import Close, Effect, Restore, Session, SessionModel
from tests.helpers.single_session import LIMITS

DEADLINE_S = 20.0  # far beyond what anything here takes, on the busiest machine
POISON = bytes([13] * 28)  # a column on which the net fails
LINE_POISON = bytes([13] * 16)  # the same, of the small transcriber

Answer = tuple[list[NDArray[np.float32]], NDArray[np.float32]]


class Tally:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []  # sessions and columns of each
        self.connected: list[int] = []
        self.errors: list[str] = []
        self.refusals: list[str] = []
        self._news = asyncio.Event()

    async def until(self, n_columns: int) -> None:
        """Wait until so many columns were run in all."""
        async with asyncio.timeout(DEADLINE_S):
            while sum(columns for _, columns in self.runs) < n_columns:
                self._news.clear()
                await self._news.wait()

    def sessions(self, count: int) -> None:
        self.connected.append(count)

    def ran(self, sessions: int, columns: int, run_s: float, wait_s: float) -> None:
        assert run_s >= 0
        assert wait_s >= 0
        self.runs.append((sessions, columns))
        self._news.set()

    def error(self, code: str) -> None:
        self.errors.append(code)

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


class Net(Runtime):
    """The net, but tests say when it fails and when it may go on."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.failures = 0  # shared runs that will fail, beside any with poison
        self.may_run = threading.Event()
        self.may_run.set()
        self.entered = threading.Semaphore(0)  # released at the start of each run
        self.threads: set[int] = set()

    def run_ragged(
        self, columns: Sequence[NDArray[np.uint8]], state: NDArray[np.float32]
    ) -> Answer:
        self.threads.add(threading.get_ident())
        self.entered.release()
        assert self.may_run.wait(DEADLINE_S)
        if self.failures and len(columns) > 1:
            self.failures -= 1
            raise RuntimeError("the run was made to fail")
        if any((piece == POISON[0]).all(1).any() for piece in columns):
            raise RuntimeError("poison")
        return super().run_ragged(columns, state)

    async def hold(self) -> None:
        """Let the next run begin and not go on; returns when it stands."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=DEADLINE_S)


class Guest:
    """A session in an engine; keeps what it says, in order."""

    def __init__(self, engine: Engine, net: Runtime, limits: Limits = LIMITS) -> None:
        self.session = Session("guest", SessionModel.of(net.metadata, limits))
        self.said: list[ServerMessage] = []
        self.close: Close | None = None
        self._engine = engine
        self._news = asyncio.Event()
        self.member = engine.attach(self.session, self._deliver)

    def send(self, *frames: str | bytes) -> None:
        """Let frames come, a second apart."""
        for frame in frames:
            self._engine.receive(self.member, frame, 0.0)

    def leave(self) -> None:
        """Vanish."""
        self._engine.detach(self.member)

    async def hear(self, count: int) -> list[ServerMessage]:
        """Wait until `count` messages were said beside `ready`; gives all of these."""
        await self._hear(lambda: len(self.said) > count)
        return self.said[1:]

    async def hear_until(self, last: Callable[[ServerMessage], bool]) -> None:
        """Wait until the newest message is the `last` one, or the session was closed."""
        await self._hear(lambda: last(self.said[-1]))

    async def _hear(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.close is None and not enough():
                self._news.clear()
                await self._news.wait()

    def _deliver(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert self.close is None, f"{effect} after the close"
            assert not isinstance(effect, Restore), f"{effect} was delivered"
            if isinstance(effect, Close):
                self.close = effect
            else:
                self.said.append(effect)
        self._news.set()


@asynccontextmanager
async def running(
    net: Runtime, max_batch: int = 64, max_columns: int = 512, tally: Tally | None = None
) -> AsyncIterator[Engine]:
    """An engine that runs while the block does."""
    engine = Engine(net, max_batch=max_batch, max_columns=max_columns, observer=tally or Tally())
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
