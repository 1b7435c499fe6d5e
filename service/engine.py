"""The batching loop: waiting columns of all sessions -> one run of the net -> answers back.

A session that has columns waiting stands in one row, oldest first. The loop takes the head of the
row, runs the net once for all of them in its one worker thread, and takes again. While a run is
under way the answers of the one before are handed out and the next batch collects in the row: an
idle server answers at once, a loaded one batches by itself, and there is no timer, no sleep and no
poll.

Two threads and no lock: the net and the states belong to the worker, all else to the event loop.
States are put back only after a run that succeeded.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.runtime import Runtime
from model.state import StateTable
from service.effects import Effect, Restore
from service.logs import get_logger
from service.observer import Observer
from service.session import Session
from service.worker import Worker

# Python's 5 ms suit threads that compute for long. The worker needs the interpreter twice a run,
# for microseconds, and would wait for it longer than for the run: who asks for it gets it soon.
# Measured over 64 WebSockets at one column a message: 1.2 times the columns a second.
SWITCH_INTERVAL_S: Final = 5e-6

Deliver = Callable[[list[Effect]], None]
Pieces = list[NDArray[np.uint8]]  # [n_i, H] of each session in a run
State = NDArray[np.float32] | None  # [D] of one session; None is the start of a stream
Answer = tuple[list[NDArray[np.float32]], NDArray[np.float32]]  # scores [n_i, K], states [B, D]

log = get_logger()


def _to_nobody(_effects: list[Effect]) -> None:
    """What a session that has left says."""


class Slot:
    """A row of the state table, taken when it is first needed. Only the worker reads or sets it."""

    __slots__ = ("row",)

    def __init__(self) -> None:
        self.row: int | None = None


class Seat:
    """One session in the engine."""

    __slots__ = ("deliver", "gone", "queued", "ran", "ready", "session", "since_s", "slot")

    def __init__(self, session: Session, deliver: Deliver) -> None:
        self.session = session
        self.deliver = deliver  # hears what the session says
        self.slot = Slot()  # of its state
        self.ran = False  # its slot may be in use
        self.gone = False  # the session has left
        self.queued = False  # it stands in the row, or takes part in the run under way
        self.ready = 0  # columns that it had ready when it came into the row
        self.since_s = 0.0  # when it came into the row


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the net, under way or done."""

    seats: list[Seat]
    pieces: Pieces
    answer: asyncio.Future[Answer]
    started_s: float


class Engine:
    """Runs one net for all its sessions; `start` it on the event loop that feeds it."""

    def __init__(
        self, runtime: Runtime, *, max_batch: int, max_columns: int, observer: Observer
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            runtime: the net.
            max_batch: most sessions in one run.
            max_columns: most columns in one run, of all its sessions together: the time of a run,
                and so the wait of a newcomer, is bounded.
            observer: told of every run.
        """
        self._runtime = runtime
        self._max_batch = max_batch
        self._max_columns = max_columns
        self._observer = observer
        self._states = StateTable(runtime.config.state_size)
        self._row: deque[Seat] = deque()
        self._leaving: list[Slot] = []  # that the next run frees
        self._restores: list[tuple[Slot, State]] = []  # that the next run begins with
        self._arrival = asyncio.Event()
        self._worker = Worker()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve, on the running loop; threads of this process take turns more often."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._worker.start()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="engine")

    async def stop(self) -> None:
        """End after the run under way; sessions get no more answers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._worker.stop()
            self._task = None

    def attach(self, session: Session, deliver: Deliver) -> Seat:
        """Let `session` in, at the start of a stream; `deliver` gets its effects, on the loop."""
        return Seat(session, deliver)

    def detach(self, seat: Seat) -> None:
        """Forget the session; answers under way for it are dropped. Twice is once."""
        if seat.gone:
            return
        seat.gone = True
        seat.deliver = _to_nobody  # whoever heard it holds the seat: this frees both at once
        if seat.ran:
            self._leaving.append(seat.slot)

    def receive(self, seat: Seat, frame: str | bytes, now_s: float) -> None:
        """Hand one frame of the client to its session and carry out what follows."""
        self.apply(seat, seat.session.receive(frame, now_s))

    def apply(self, seat: Seat, effects: list[Effect]) -> None:
        """Carry out what a session decided: restore its state here, deliver all else."""
        told = effects
        for effect in effects:
            if isinstance(effect, Restore):
                self._restores.append((seat.slot, effect.state))
                told = [effect for effect in told if not isinstance(effect, Restore)]
        if told:
            seat.deliver(told)
        if not seat.queued:
            seat.ready = seat.session.ready_columns
            if seat.ready:
                seat.queued = True
                seat.since_s = time.perf_counter()
                self._row.append(seat)
                self._arrival.set()

    async def _run(self) -> None:
        """One run after another; what a run answered is handed out while the next is under way."""
        answered: Run | None = None
        while True:
            run = self._start()
            if answered is not None:
                self._hand_out(answered)
            elif run is None:
                self._arrival.clear()
                await self._arrival.wait()
            answered = await self._finish(run) if run is not None else None

    def _schedule(self) -> tuple[list[Seat], Pieces]:
        """Take the next batch from the head of the row."""
        waiting: list[Seat] = []
        while self._row and len(waiting) < self._max_batch:
            seat = self._row.popleft()
            seat.queued = False
            if not seat.gone:
                waiting.append(seat)
        depth = self._depth(waiting)
        seats: list[Seat] = []
        pieces: Pieces = []
        for seat in waiting:
            try:
                piece = seat.session.take(depth)
            except Exception:
                self._fail(seat)
                continue
            if piece is not None:
                seat.queued = True
                seats.append(seat)
                pieces.append(piece)
        return seats, pieces

    def _depth(self, seats: Sequence[Seat]) -> int:
        """How many columns each may bring: what half of them have, so that no flood holds many."""
        ready = sorted([seat.ready for seat in seats])
        usual = ready[len(ready) // 2] if ready else 0
        return max(1, min(usual, self._max_columns // max(1, len(seats))))

    def _start(self) -> Run | None:
        """Begin a run of the next batch in the worker thread; None if no session waits."""
        seats, pieces = self._schedule()
        return self._submit(seats, pieces) if seats else None

    def _submit(self, seats: list[Seat], pieces: Pieces) -> Run:
        for seat in seats:
            seat.ran = True
        slots = [seat.slot for seat in seats]
        work = partial(self._work, self._restores, self._leaving, slots, pieces)
        self._restores, self._leaving = [], []
        return Run(seats, pieces, self._worker.submit(work), time.perf_counter())

    def _work(
        self,
        restores: list[tuple[Slot, State]],
        leaving: list[Slot],
        slots: list[Slot],
        pieces: Pieces,
    ) -> Answer:
        """In the worker: what has happened to the states since the last run, then a run."""
        for slot, state in restores:
            if slot.row is not None:
                self._states.restore(slot.row, state)
        for slot in leaving:
            if slot.row is not None:
                self._states.remove(slot.row)
        rows = [slot.row if slot.row is not None else self._settle(slot) for slot in slots]
        scores, states = self._runtime.run_ragged(pieces, self._states.take(rows))
        self._states.put(rows, states)
        return scores, states

    def _settle(self, slot: Slot) -> int:
        slot.row = self._states.add()
        return slot.row

    async def _finish(self, run: Run) -> Run | None:
        """Wait for a run; if it failed, try each of its sessions once alone and give None."""
        try:
            await run.answer
        except Exception:
            log.exception("run failed", sessions=len(run.seats))
            for seat, piece in zip(run.seats, run.pieces, strict=True):
                await self._retry(seat, piece)
            return None
        run_s = time.perf_counter() - run.started_s
        wait_s = run.started_s - run.seats[0].since_s
        self._observer.ran(len(run.seats), sum(map(len, run.pieces)), run_s, wait_s)
        return run

    async def _retry(self, seat: Seat, piece: NDArray[np.uint8]) -> None:
        """Run one session of a failed batch alone; if that fails too, it is the one to end."""
        if seat.gone:
            return
        run = self._submit([seat], [piece])
        try:
            await run.answer
        except Exception:
            self._fail(seat)
        else:
            self._hand_out(run)

    def _hand_out(self, run: Run) -> None:
        """Let every session that is still here say what follows from its scores."""
        scores, states = run.answer.result()
        for seat, own_scores, state in zip(run.seats, scores, states, strict=True):
            if seat.gone:
                continue
            try:
                effects = seat.session.stepped(own_scores, state)
                seat.queued = False
                self.apply(seat, effects)
            except Exception:
                self._fail(seat)

    def _fail(self, seat: Seat) -> None:
        """End a session for a fault of ours, told to the log; all others go on."""
        log.exception("session failed", session=seat.session.session_id)
        seat.queued = False
        try:
            self.apply(seat, seat.session.failed("the net could not read these columns"))
        except Exception:
            log.exception("session could not be told", session=seat.session.session_id)
