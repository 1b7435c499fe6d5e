"""The batching loop: columns of all sessions -> one run of the net -> scores back to the sessions.

A session with columns stands in one queue, oldest first. The engine takes sessions from the head of
the queue, runs the net once for all of them in its worker thread, and takes again. During a run the
scores of the run before are handed out and the next batch collects in the queue; a full batch is
submitted at once, so that the worker need not wait for the event loop. An idle server answers at
once, a loaded one batches by itself, and there is no timer, no sleep and no poll.

Two threads and no lock: the net and the states belong to the worker, all else to the event loop.
States are put back only after a run that succeeded.
"""

import asyncio
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.logs import get_logger
from inkstream.service.metrics import Metrics
from inkstream.service.session import Effect, Restore, Session, probabilities_shown

# Python's 5 ms suit threads that compute for long. The worker needs the interpreter twice a run,
# for microseconds, and would wait for it longer than the run takes.
# Measured over 64 WebSockets at one column a message: 1.2 times the columns a second.
SWITCH_INTERVAL_S: Final = 5e-6

INITIAL_CAPACITY: Final = 16  # rows of the state table, which doubles whenever it is full

Deliver = Callable[[list[Effect]], None]
Columns = list[NDArray[np.uint8]]  # [n_i, H] of each session in a run
State = NDArray[np.float32] | None  # [D] of one session; None is the start of a line
Scores = NDArray[np.float32]  # [n_i, S] of one session
RunResult = tuple[list[Scores], NDArray[np.float32]]  # of each session in a run; states [B, D]

log = get_logger()


class StateTable:
    """The recurrent states of many sessions in one array, a row of D numbers for each."""

    def __init__(self, size: int) -> None:
        self.rows = np.zeros((INITIAL_CAPACITY, size), np.float32)
        self.free = list(range(INITIAL_CAPACITY))  # numbers of rows that no session has

    def add(self) -> int:
        """Return the number of a row that was free, now at the start of a line: all zeros."""
        if not self.free:
            self.free = list(range(len(self.rows), 2 * len(self.rows)))
            self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
        row = self.free.pop()
        self.rows[row] = 0
        return row


@dataclass(slots=True, eq=False)
class StateSlot:
    """A session's row in the state table, taken at its first run. Only the worker uses it."""

    row: int | None = None


@dataclass(slots=True, eq=False)
class EngineSession:
    """One session in the engine."""

    session: Session
    deliver: Deliver  # gets the session's effects but `Restore`
    slot: StateSlot = field(default_factory=StateSlot)
    has_run: bool = False  # whether its slot may be in use
    gone: bool = False  # whether the session has left
    queued: bool = False  # whether it is in the queue or in a run
    ready_columns: int = 0  # when it entered the queue
    queued_s: float = 0.0  # when that was


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the net, under way or submitted."""

    members: list[EngineSession]
    columns: Columns
    started_s: float
    is_retry: bool = False  # of one session alone


class Worker:
    """One thread beside the event loop: runs one job after another, the loop gets the outcomes.

    `ThreadPoolExecutor` does the same with several locks and a dozen calls a job. Each of those is
    a chance to lose the interpreter to the event loop and to be woken for it again: over 64
    WebSockets at one column a message a column cost 1.2 times as much processor time.
    """

    def __init__(
        self,
        work: Callable[..., Any],
        on_result: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        """Prepare to call `work`; what it returns or raises goes to one of the others."""
        self._work = work
        self._on_result = on_result
        self._on_error = on_error
        self._jobs: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="inkstream-net", daemon=True)
        self._stopped = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; outcomes are handed out on `loop`."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """Stop after the job under way, and wait for it; no outcome is handed out any more."""
        self._stopped = True
        self._jobs.put(None)
        self._thread.join()

    def submit(self, *arguments: Any) -> None:
        """Have `work` called with these arguments."""
        self._jobs.put(arguments)

    def _run(self) -> None:
        while (arguments := self._jobs.get()) is not None and not self._stopped:
            try:
                result = self._work(*arguments)
            except Exception as error:  # any: the engine logs it and tries each session alone
                self._loop.call_soon_threadsafe(self._hand_out, self._on_error, error)
            else:
                self._loop.call_soon_threadsafe(self._hand_out, self._on_result, result)

    def _hand_out(self, callback: Callable[[Any], None], outcome: Any) -> None:
        if not self._stopped:
            callback(outcome)


class Engine:
    """Runs one net for all its sessions; `start` it on the event loop that feeds it."""

    def __init__(
        self, runtime: Runtime, *, max_batch: int, max_columns: int, metrics: Metrics
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            runtime: the net.
            max_batch: most sessions in one run.
            max_columns: most columns in one run, of all its sessions together: this bounds the time
                of a run, and so the wait of a new session.
            metrics: of every run.
        """
        self._runtime = runtime
        self._max_batch = max_batch
        self._max_columns = max_columns
        self._metrics = metrics
        self._states = StateTable(runtime.state_size)
        self._queue: deque[EngineSession] = deque()
        self._freed: list[StateSlot] = []  # the next run begins by freeing these
        self._restores: list[tuple[StateSlot, State]] = []  # and by restoring these
        self._runs: deque[Run] = deque()  # in the worker: one under way, at most one submitted
        self._waking = False  # whether a run will start once the event loop has read all sockets
        self._worker = Worker(self._work, self._on_result, self._on_error)

    def start(self) -> None:
        """Begin to serve on the running loop; threads of this process take turns more often."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._loop = asyncio.get_running_loop()
        self._worker.start(self._loop)

    def stop(self) -> None:
        """End after the run under way; sessions get no more scores. It may be called twice."""
        self._worker.stop()

    def attach(self, session: Session, deliver: Deliver) -> EngineSession:
        """Add a session that was not opened yet; `deliver` gets its effects, on the loop."""
        member = EngineSession(session, deliver)
        self.apply(member, session.open())
        return member

    def detach(self, member: EngineSession) -> None:
        """Remove a session; scores under way for it are dropped. It may be called twice."""
        if member.gone:
            return
        member.gone = True
        # The receiver holds `member`: without the way back both are freed at once.
        member.deliver = lambda _effects: None
        if member.has_run:
            self._freed.append(member.slot)

    def receive(self, member: EngineSession, frame: str | bytes, now_s: float) -> None:
        """Hand one frame of the client to its session and carry out what follows."""
        effects = member.session.receive(frame, now_s)
        if effects:
            self.apply(member, effects)
        elif not member.queued:
            self._enqueue(member)

    def apply(self, member: EngineSession, effects: list[Effect]) -> None:
        """Carry out a session's effects: restore its state here, deliver all others."""
        delivered = effects
        for effect in effects:
            if isinstance(effect, Restore):
                self._restores.append((member.slot, effect.state))
                delivered = [effect for effect in delivered if not isinstance(effect, Restore)]
        if delivered:
            member.deliver(delivered)
        if not member.queued:
            self._enqueue(member)

    def _enqueue(self, member: EngineSession) -> None:
        """Put a session into the queue if it has columns, and see to it that a run will start."""
        member.ready_columns = member.session.ready_columns
        if not member.ready_columns:
            return
        member.queued = True
        member.queued_s = time.perf_counter()
        self._queue.append(member)
        if not self._runs:
            if not self._waking:  # sessions whose columns are read until then share the run
                self._waking = True
                self._loop.call_soon(self._wake)
        elif len(self._runs) == 1 and len(self._queue) >= self._max_batch:
            self._start_run()

    def _wake(self) -> None:
        self._waking = False
        if not self._runs:
            self._start_run()

    def _start_run(self) -> None:
        """Submit a run of the next batch, if any session waits."""
        waiting: list[EngineSession] = []
        while self._queue and len(waiting) < self._max_batch:
            member = self._queue.popleft()
            member.queued = False
            if not member.gone:
                waiting.append(member)
        most = self._columns_each(waiting)
        members: list[EngineSession] = []
        columns: Columns = []
        for member in waiting:
            try:
                own = member.session.take(most)
            except Exception as error:  # any: the other sessions go on
                self._end(member, error)
                continue
            if own is not None:
                member.queued = True
                members.append(member)
                columns.append(own)
        if members:
            self._submit(Run(members, columns, time.perf_counter()))

    def _columns_each(self, members: Sequence[EngineSession]) -> int:
        """Return how many columns each may bring: the median, so no flood delays the others."""
        ready = sorted([member.ready_columns for member in members])
        median = ready[len(ready) // 2] if ready else 0
        return max(1, min(median, self._max_columns // max(1, len(members))))

    def _submit(self, run: Run) -> None:
        for member in run.members:
            member.has_run = True
        slots = [member.slot for member in run.members]
        self._runs.append(run)
        self._worker.submit(self._restores, self._freed, slots, run.columns)
        self._restores, self._freed = [], []

    def _work(
        self,
        restores: list[tuple[StateSlot, State]],
        freed: list[StateSlot],
        slots: list[StateSlot],
        columns: Columns,
    ) -> RunResult:
        """In the worker: restore and free states, then run the net."""
        states = self._states
        for slot, state in restores:
            if slot.row is not None:
                states.rows[slot.row] = 0 if state is None else state
        states.free += [slot.row for slot in freed if slot.row is not None]
        rows: list[int] = []
        for slot in slots:
            if slot.row is None:
                slot.row = states.add()
            rows.append(slot.row)
        scores, after = self._runtime.run_ragged(columns, states.rows[rows])
        states.rows[rows] = after
        return scores, after

    def _on_result(self, result: RunResult) -> None:
        """Start the next run if none is submitted, then hand the scores of this one out."""
        run = self._runs.popleft()
        run_s = time.perf_counter() - run.started_s
        wait_s = run.started_s - run.members[0].queued_s
        self._metrics.ran(len(run.members), sum(map(len, run.columns)), run_s, wait_s)
        if not self._runs:
            self._start_run()
        self._hand_out(run, *result)

    def _on_error(self, error: Exception) -> None:
        """After a run that failed try each session once alone; end one that fails again."""
        run = self._runs.popleft()
        log.error("run failed", sessions=len(run.members), exc_info=error)
        for member, columns in zip(run.members, run.columns, strict=True):
            if member.gone:
                continue
            if run.is_retry:
                self._end(member, error)
            else:
                self._submit(Run([member], [columns], time.perf_counter(), is_retry=True))
        if not self._runs:
            self._start_run()

    def _hand_out(self, run: Run, scores: list[Scores], states: NDArray[np.float32]) -> None:
        """Give the sessions that are still there their scores, and apply their effects."""
        try:
            shown = probabilities_shown([member.session for member in run.members], scores)
        except Exception as error:  # of one session, whose own turn finds it again
            log.error("shared outputs failed", sessions=len(run.members), exc_info=error)
            shown = []
        for i, (member, own, state) in enumerate(zip(run.members, scores, states, strict=True)):
            if member.gone:
                continue
            try:
                its = shown[i] if shown else probabilities_shown([member.session], [own])[0]
                effects = member.session.step(own, state, its)
                member.queued = False
                self.apply(member, effects)
            except Exception as error:
                self._end(member, error)

    def _end(self, member: EngineSession, error: Exception) -> None:
        """Close a session for a fault of ours, which the log tells; all others go on."""
        log.error("session failed", session=member.session.session_id, exc_info=error)
        member.queued = False
        fault = InkstreamError("the net could not read these columns")
        try:
            self.apply(member, member.session.fail(fault))
        except Exception:
            log.exception("session could not be closed", session=member.session.session_id)
