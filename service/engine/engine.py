"""The batching loop: waiting columns of all sessions -> one run of the net -> answers back.

A session that has columns waiting stands in one row, oldest first. The engine takes the head of the
row, runs the net once for all of them in its one worker thread, and takes again. While a run is
under way the answers of the one before are handed out and the next batch collects in the row; a
full batch is lined up behind the run, so that the worker need not wait for the event loop. An idle
server answers at once, a loaded one batches by itself, and there is no timer, no sleep and no poll.

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

from inkstream.model.runtime import Runtime
from inkstream.service.engine.state import StateTable
from inkstream.service.engine.worker import Worker
from inkstream.service.logs import get_logger
from inkstream.service.metrics import Observer
from inkstream.service.session import Effect, Restore, Session

# Python's 5 ms suit threads that compute for long. The worker needs the interpreter twice a run,
# for microseconds, and would wait for it longer than for the run: who asks for it gets it soon.
# Measured over 64 WebSockets at one column a message: 1.2 times the columns a second.
SWITCH_INTERVAL_S: Final = 5e-6

Deliver = Callable[[list[Effect]], None]
Pieces = list[NDArray[np.uint8]]  # [n_i, H] of each session in a run
State = NDArray[np.float32] | None  # [D] of one session; None is the start of a stream
Scores = NDArray[np.float32]  # [n_i, K] of one session
Answer = tuple[list[Scores], NDArray[np.float32]]  # of each session in a run, and states [B, D]

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
    """One run of the net, under way or lined up."""

    seats: list[Seat]
    pieces: Pieces
    started_s: float
    again: bool = False  # a second try of one session alone


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
        self._states = StateTable(runtime.state_size)
        self._row: deque[Seat] = deque()
        self._leaving: list[Slot] = []  # that the next run frees
        self._restores: list[tuple[Slot, State]] = []  # that the next run begins with
        self._runs: deque[Run] = deque()  # in the worker: one under way, at most one lined up
        self._waking = False  # a run will be started as soon as the event loop has heard everyone
        self._worker = Worker()

    def start(self) -> None:
        """Begin to serve, on the running loop; threads of this process take turns more often."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._loop = asyncio.get_running_loop()
        self._worker.start(self._loop)

    def stop(self) -> None:
        """End after the run under way; sessions get no more answers. Twice is once."""
        self._worker.stop()

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
                self._expect()

    def _expect(self) -> None:
        """See to it that whoever stands in the row has its run."""
        if not self._runs:
            if not self._waking:  # whoever else was heard by then shares the run
                self._waking = True
                self._loop.call_soon(self._wake)
        elif len(self._runs) == 1 and len(self._row) >= self._max_batch:
            self._start()

    def _wake(self) -> None:
        self._waking = False
        if not self._runs:
            self._start()

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
            except Exception as error:
                self._end(seat, error)
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

    def _start(self) -> None:
        """Order a run of the next batch, if any session waits."""
        seats, pieces = self._schedule()
        if seats:
            self._submit(Run(seats, pieces, time.perf_counter()))

    def _submit(self, run: Run) -> None:
        for seat in run.seats:
            seat.ran = True
        slots = [seat.slot for seat in run.seats]
        work = partial(self._work, self._restores, self._leaving, slots, run.pieces)
        self._restores, self._leaving = [], []
        self._runs.append(run)
        self._worker.submit(work, self._answered, self._failed)

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

    def _answered(self, answer: Answer) -> None:
        """A run is done: start the next one if none is lined up, then hand out the answers."""
        run = self._runs.popleft()
        run_s = time.perf_counter() - run.started_s
        wait_s = run.started_s - run.seats[0].since_s
        self._observer.ran(len(run.seats), sum(map(len, run.pieces)), run_s, wait_s)
        if not self._runs:
            self._start()
        self._hand_out(run, *answer)

    def _failed(self, error: Exception) -> None:
        """A run failed: try each of its sessions once alone; one that fails again ends."""
        run = self._runs.popleft()
        log.error("run failed", sessions=len(run.seats), exc_info=error)
        for seat, piece in zip(run.seats, run.pieces, strict=True):
            if seat.gone:
                continue
            if run.again:
                self._end(seat, error)
            else:
                self._submit(Run([seat], [piece], time.perf_counter(), again=True))
        if not self._runs:
            self._start()

    def _hand_out(self, run: Run, scores: Sequence[Scores], states: NDArray[np.float32]) -> None:
        """Let every session that is still here say what follows from its scores."""
        for seat, own_scores, state in zip(run.seats, scores, states, strict=True):
            if seat.gone:
                continue
            try:
                effects = seat.session.stepped(own_scores, state)
                seat.queued = False
                self.apply(seat, effects)
            except Exception as error:
                self._end(seat, error)

    def _end(self, seat: Seat, error: Exception) -> None:
        """End a session for a fault of ours, told to the log; all others go on."""
        log.error("session failed", session=seat.session.session_id, exc_info=error)
        seat.queued = False
        try:
            self.apply(seat, seat.session.failed("the net could not read these columns"))
        except Exception:
            log.exception("session could not be told", session=seat.session.session_id)
