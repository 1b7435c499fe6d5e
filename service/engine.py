"""The batching loop: waiting columns of all sessions -> one run of the net -> answers back.

A session that has columns waiting stands in one row, oldest first. The loop takes the head of the
row, runs the net once for all of them in its one worker thread, hands out the answers, and takes
again. While a run is under way the next batch collects in the row: an idle server answers at once,
a loaded one batches by itself, and there is no timer, no sleep and no poll. New states are put back
only after a run that succeeded. All but the run happens on the event loop: no lock is needed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.runtime import Runtime
from model.state import StateTable
from service.logs import get_logger
from service.observer import Observer
from service.session import Effect, Restore, Session

FIRST_SEATS: Final = 64  # rows of the state table at the start; it doubles when they are taken

Deliver = Callable[[list[Effect]], None]
Answer = tuple[list[NDArray[np.float32]], NDArray[np.float32]]  # scores [n, K] each, states [B, D]

log = get_logger()


class Seat:
    """One session in the engine: where its state lies and who hears its answers."""

    __slots__ = ("deliver", "queued", "session", "since_s", "slot")

    def __init__(self, session: Session, slot: int, deliver: Deliver) -> None:
        self.session = session
        self.slot = slot  # of the state table; -1 once the session has left
        self.deliver = deliver
        self.queued = False  # stands in the row, or takes part in the run under way
        self.since_s = 0.0  # when it came into the row


class Engine:
    """Runs one net for all its sessions; `start` it on the event loop that feeds it."""

    def __init__(
        self, runtime: Runtime, *, max_batch: int, max_columns: int, observer: Observer
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            runtime: the net.
            max_batch: most sessions in one run.
            max_columns: most columns that one session may bring to a run.
            observer: told of every run.
        """
        self._runtime = runtime
        self._max_batch = max_batch
        self._max_columns = max_columns
        self._observer = observer
        self._states = StateTable(runtime.config.state_size, FIRST_SEATS)
        self._row: deque[Seat] = deque()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="inkstream-engine")
        self._arrival = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve; needs a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="engine")

    async def stop(self) -> None:
        """End after the run under way; sessions get no more answers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._worker.shutdown()

    def attach(self, session: Session, deliver: Deliver) -> Seat:
        """Give `session` a fresh state; `deliver` gets its effects, on the event loop."""
        return Seat(session, self._states.add(), deliver)

    def detach(self, seat: Seat) -> None:
        """Forget the session; answers under way for it are dropped. Twice is once."""
        if seat.slot >= 0:
            self._states.remove(seat.slot)
            seat.slot = -1

    def receive(self, seat: Seat, message: str | bytes, now_s: float) -> None:
        """Take one message of the client, as `Session.receive` does, and answer what is due."""
        self.apply(seat, seat.session.receive(message, now_s))

    def apply(self, seat: Seat, effects: list[Effect]) -> None:
        """Carry out what a session decided: restore its state here, deliver the rest."""
        for effect in effects:
            if isinstance(effect, Restore):
                self._states.restore(seat.slot, effect.state)
        heard = [effect for effect in effects if not isinstance(effect, Restore)]
        if heard:
            seat.deliver(heard)
        self._queue(seat)

    def _queue(self, seat: Seat) -> None:
        if not seat.queued and seat.slot >= 0 and seat.session.ready_columns:
            seat.queued = True
            seat.since_s = time.perf_counter()
            self._row.append(seat)
            self._arrival.set()

    async def _run(self) -> None:
        while True:
            await self._arrival.wait()
            seats, pieces = self._schedule()
            if seats:
                await self._step(seats, pieces)
            if not self._row:
                self._arrival.clear()

    def _schedule(self) -> tuple[list[Seat], list[NDArray[np.uint8]]]:
        """The next batch: sessions from the head of the row, and the columns [n, H] of each."""
        seats: list[Seat] = []
        pieces: list[NDArray[np.uint8]] = []
        while self._row and len(seats) < self._max_batch:
            seat = self._row.popleft()
            piece = seat.session.take(self._max_columns) if seat.slot >= 0 else None
            if piece is None:
                seat.queued = False
            else:
                seats.append(seat)
                pieces.append(piece)
        return seats, pieces

    async def _step(self, seats: list[Seat], pieces: list[NDArray[np.uint8]]) -> None:
        """Run one batch; if it fails, each of its sessions once alone."""
        started_s = time.perf_counter()
        waited_s = started_s - seats[0].since_s
        try:
            answer = await self._compute(seats, pieces)
        except Exception:
            log.exception("run failed", sessions=len(seats))
            for seat, piece in zip(seats, pieces, strict=True):
                await self._step_alone(seat, piece)
            return
        columns = sum(map(len, pieces))
        self._observer.ran(len(seats), columns, time.perf_counter() - started_s, waited_s)
        self._hand_out(seats, answer)

    async def _step_alone(self, seat: Seat, piece: NDArray[np.uint8]) -> None:
        if seat.slot < 0:
            return
        try:
            answer = await self._compute([seat], [piece])
        except Exception:
            log.exception("run failed again", session=seat.session.session_id)
            self._finish(seat, seat.session.failed("the net failed on these columns"))
            return
        self._hand_out([seat], answer)

    async def _compute(self, seats: Sequence[Seat], pieces: list[NDArray[np.uint8]]) -> Answer:
        """The run itself, in the worker thread. A seat that left has slot -1: any row will do."""
        rows = self._states.take([seat.slot for seat in seats])  # [B, D]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._runtime.run_ragged, pieces, rows)

    def _hand_out(self, seats: Sequence[Seat], answer: Answer) -> None:
        """Put the states back and let each session say what follows from its scores."""
        scores, rows = answer
        present = [index for index, seat in enumerate(seats) if seat.slot >= 0]
        self._states.put([seats[index].slot for index in present], rows[present])
        for index in present:
            seat = seats[index]
            self._finish(seat, seat.session.stepped(scores[index], rows[index]))

    def _finish(self, seat: Seat, effects: list[Effect]) -> None:
        seat.queued = False
        self.apply(seat, effects)
