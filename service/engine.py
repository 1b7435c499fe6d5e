"""The batching loop: columns of all sessions -> one run of the net -> scores back to the sessions.

A session with columns waits in a queue, in which clients take turns. Once the event loop has read
all sockets that have something, the engine draws strokes that came, takes sessions from the head of
the queue, runs the net once for all of them, and hands the scores out. What comes meanwhile waits
in the sockets for the next turn. An idle server answers at once, a loaded one batches by itself.
Only ink of a few sessions waits for that of others, if the newest turn with work began less than
`GATHERING_S` ago. There is no sleep, no poll, no thread and no lock.

The net runs on the event loop: a run takes less time than handing its columns to a thread and
waiting for the interpreter again. A turn takes some milliseconds: it draws a portion of ink, hands
ink out for `INKING_S`, runs `max_columns` at most, and hands scores out for `ANSWERING_S`; what is
left waits for the next turn.
"""

import asyncio
import contextvars
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from inkstream.model.errors import InkstreamError
from inkstream.model.preprocess.ink import taken_by
from inkstream.model.preprocess.strokes import PORTION_PATH
from inkstream.model.runtime import Runtime
from inkstream.service.observe.logs import Logger, get_logger
from inkstream.service.observe.metrics import Metrics
from inkstream.service.session import (
    INK_DUE,
    MESSAGE_PATH,
    Effect,
    InkChanges,
    Portion,
    Ran,
    Restore,
    Session,
    draw_due,
    shown_of,
)

ROOM: Final = 1024  # rows of the state table; once all are in use, it is copied to a larger one
INKING_S: Final = 0.002  # for handing out ink that is drawn, in one turn
ANSWERING_S: Final = 0.004  # for handing scores out in one turn, and what waits behind them
# Ink of fewer sessions than this waits for more, up to this time after the newest turn with work:
# to draw and to read the ink of one takes nearly as long as that of many.
GATHERED_SESSIONS: Final = 32
GATHERING_S: Final = 0.01
MIN_SHARE_COLUMNS: Final = 8  # that a session may bring, even if others have fewer
MAX_UNTIMED_COLUMNS: Final = 64  # of a greedy decoder, which `ANSWERING_S` is always enough for

Deliver = Callable[[list[Effect]], None]

log = get_logger()


class StateTable:
    """The recurrent states of many sessions in one array, a row of D bytes for each."""

    def __init__(self, size: int) -> None:
        # Rows take no memory before they are written to, so they are many: to copy 512 took 20 ms.
        self._room = np.zeros((ROOM, size), np.uint8)
        self.rows = self._room[:0]
        self.free: list[int] = []  # numbers of rows that no session has

    def add(self) -> int:
        """Return the number of a row that was free, now at the start of a line: all zeros."""
        if not self.free:
            n_rows = len(self.rows)
            if n_rows == len(self._room):
                self._room = np.concatenate([self._room, np.zeros_like(self._room)])
            self.rows = self._room[: n_rows + 16]
            self.free = list(range(n_rows, n_rows + 16))
        row = self.free.pop()
        self.rows[row] = 0
        return row


@dataclass(slots=True, eq=False)
class EngineSession:
    """One session in the engine."""

    session: Session
    deliver: Deliver  # gets the session's effects; those of `Restore` are carried out
    row: int  # of its state in the table
    client: str  # the address that it belongs to
    log: Logger  # its lines name the session, its trace and its request
    portion: Portion | None = None  # that it brings to the next run
    ran: Ran | None = None  # what a run gave it, to be handed out
    gone: bool = False  # whether the session has left
    queued: bool = False  # whether it waits for the engine, or is in a run
    ready_columns: int = 0  # when it entered the queue
    queued_s: float = 0.0  # when that was
    may_wait: bool = False  # whether the strokes that it waits for have only just come


def in_turns(members: Sequence[EngineSession], costs: Iterable[float]) -> list[EngineSession]:
    """Return sessions in the order in which they would be ready if each client had an equal share.

    The sessions of a client stay in their order; each costs time, in any unit.
    """
    spent: dict[str, float] = defaultdict(float)
    ready: list[tuple[float, EngineSession]] = []
    for member, cost in zip(members, costs, strict=True):
        spent[member.client] += cost
        ready.append((spent[member.client], member))
    return [member for _, member in sorted(ready, key=itemgetter(0))]


class Engine:
    """Runs one net for all its sessions; `start` it on the event loop that feeds it."""

    def __init__(
        self, runtime: Runtime, *, max_batch: int, max_columns: int, metrics: Metrics
    ) -> None:
        """Prepare; nothing runs yet.

        A run has `max_batch` sessions at most, and `max_columns` of all together: this bounds its
        time, in which the event loop does nothing else.
        """
        self._runtime = runtime
        self._max_batch = max_batch
        self._max_columns = max_columns
        self._metrics = metrics
        self._states = StateTable(runtime.state_size)
        self._queue: list[EngineSession] = []  # with columns
        self._inked: list[EngineSession] = []  # with strokes to draw
        self._answered: list[EngineSession] = []  # with scores to be handed out
        self._clients: Counter[str] = Counter()  # how many sessions each has
        self._waking = False  # whether a run will start once the event loop has read all sockets
        self._worked_s = -math.inf  # when the newest turn that had work began
        self._timer: asyncio.TimerHandle | None = None  # while ink waits for more
        self._stopped = False
        self._context = contextvars.Context()

    def start(self) -> None:
        """Begin to serve on the running loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Run nothing more; sessions get no more scores. It may be called twice."""
        self._stopped = True

    def attach(self, session: Session, deliver: Deliver, client: str = "") -> EngineSession:
        """Add a session that was not opened yet; `deliver` gets its effects, on the loop.

        The sessions of one `client`, an address, share its turns.
        """
        context = structlog.contextvars.get_contextvars()
        session_log = get_logger(session=session.session_id, **context)
        member = EngineSession(session, deliver, self._states.add(), client, session_log)
        self._clients[client] += 1
        self.apply(member, session.open())
        return member

    def detach(self, member: EngineSession) -> None:
        """Remove a session. It may be called twice."""
        if member.gone:
            return
        member.gone = True
        member.session.close()
        # The receiver refers to `member`: without a reference back both are freed at once.
        member.deliver = lambda _effects: None
        self._states.free.append(member.row)
        self._clients[member.client] -= 1
        if not self._clients[member.client]:
            del self._clients[member.client]

    def receive(self, member: EngineSession, frame: str | bytes, now_s: float) -> None:
        """Hand one frame of the client to its session and carry out what follows."""
        effects = member.session.receive(frame, now_s)
        if effects:
            self.apply(member, effects)
        elif not member.queued:
            self._enqueue(member, may_wait=True)

    def apply(self, member: EngineSession, effects: list[Effect]) -> None:
        """Carry out a session's effects: restore its state here, and deliver all.

        `deliver` is called even if there are none: fewer columns wait now.
        """
        for effect in effects:
            if isinstance(effect, Restore) and not member.gone:  # else its row may be another's
                self._states.rows[member.row] = 0 if effect.state is None else effect.state
        member.deliver(effects)
        if not member.queued:
            self._enqueue(member)

    def _enqueue(self, member: EngineSession, *, may_wait: bool = False) -> None:
        """Let a session wait for the engine if it has strokes, which may wait, or columns."""
        if member.gone or self._stopped:
            return
        if member.session.state is INK_DUE:
            member.may_wait = may_wait
            self._inked.append(member)
        elif ready_columns := member.session.ready_columns():
            member.ready_columns = ready_columns
            member.queued_s = time.perf_counter()
            self._queue.append(member)
        else:
            return
        member.queued = True
        self._run_soon()

    def _run_soon(self) -> None:
        """Start a run once the event loop has read all sockets: their columns share it."""
        if not self._waking:
            self._waking = True
            # In the context of the session that comes first, others would be logged with its trace.
            self._loop.call_soon(self._wake, context=self._context)

    def _wake(self) -> None:
        self._waking = False
        if self._stopped or not (self._inked or self._queue or self._answered):
            return
        if (waiting_s := self._gathering_s()) > 0:
            if self._timer is None:
                self._timer = self._loop.call_later(waiting_s, self._gathered)
            return
        self._worked_s = time.perf_counter()
        if self._inked:
            self._draw()
        if self._queue:
            self._run_batch()
        self._hand_out()
        if self._inked or self._queue or self._answered:
            self._run_soon()

    def _gathering_s(self) -> float:
        """Return for how long the ink that waits is to wait for more; not above 0 if not at all."""
        if self._queue or self._answered or len(self._inked) >= GATHERED_SESSIONS:
            return 0.0
        if not all(member.may_wait for member in self._inked):
            return 0.0
        return self._worked_s + GATHERING_S - time.perf_counter()

    def _gathered(self) -> None:
        self._timer = None
        self._run_soon()

    def _draw(self) -> None:
        """Draw a portion of the strokes that wait, and hand complete ink out."""
        due: dict[EngineSession, InkChanges] = {}
        for member in self._inked:
            if not member.gone and (changes := member.session.ink_due):
                due[member] = changes
            else:
                member.queued = False
        members, costs = [*due], [changes.due_cost + MESSAGE_PATH for changes in due.values()]
        if sum(costs) > PORTION_PATH:
            members = in_turns(members, costs)
        self._inked, alone = [], False
        try:
            draw_due([due[member] for member in members], self._runtime.config)
        except Exception as error:  # one session's, which fails again alone
            log.error("strokes failed together", sessions=len(members), exc_info=error)
            alone = True

        def hand_out(member: EngineSession) -> None:
            changes = due[member]
            if alone:
                draw_due([changes], self._runtime.config)
            member.queued = False
            if changes.is_drawn:
                self.apply(member, member.session.draw())
            else:
                self._enqueue(member)

        self._inked[:0] = self._serve(members, INKING_S, hand_out)

    def _serve(
        self, members: list[EngineSession], seconds: float, serve: Callable[[EngineSession], None]
    ) -> list[EngineSession]:
        """Serve sessions until the time is over, one at least; return those that are left."""
        end_s = time.perf_counter() + seconds
        for n_served, member in enumerate(members, 1):
            try:
                if not member.gone:
                    serve(member)
            except Exception as error:  # any: the other sessions go on
                self._end(member, error)
            if time.perf_counter() > end_s:
                return members[n_served:]
        return []

    def _run_batch(self) -> None:
        """Run the net for the sessions at the head of the queue."""
        batch = self._next_batch()
        begins = self._runtime.begins_step(self._states.rows).tolist()
        held: list[EngineSession] = []
        run: list[EngineSession] = []
        for member in batch:
            assert member.portion is not None
            is_held = begins[member.row] and member.portion.n_columns == 1
            (held if is_held else run).append(member)
        self._run(held, hold=True)  # what takes no run of the net goes first
        self._run(run, hold=False)

    def _next_batch(self) -> list[EngineSession]:
        """Return the sessions at the head of the queue, whose portions are taken."""
        waiting, self._queue = [member for member in self._queue if not member.gone], []
        if len(waiting) > self._max_batch:
            costs = [min(member.ready_columns, self._max_columns) for member in waiting]
            ordered = in_turns(waiting, costs)
            waiting, self._queue = ordered[: self._max_batch], ordered[self._max_batch :]
        max_columns = self._columns_by_client(waiting)

        for member in waiting:
            try:
                member.portion = member.session.take(max_columns[member.client])
            except Exception as error:  # any: the other sessions go on
                self._end(member, error)
            else:
                member.queued = member.portion is not None  # until its scores are handed out
        return [member for member in waiting if member.portion is not None]

    def _columns_by_client(self, members: Sequence[EngineSession]) -> dict[str, int]:
        """Return how many columns each session may bring, by its client.

        A session may bring the median of what is ready, or `MIN_SHARE_COLUMNS` if that is more, so
        no flood delays the others. All sessions of a client together bring at most its share of
        the run, which is small if other clients exist: their next column should not wait long.
        """
        ready = sorted([member.ready_columns for member in members])
        if ready[-1:] == [1]:  # one column each, as of clients that send columns one by one
            return dict.fromkeys([member.client for member in members], 1)
        at_most = max(MIN_SHARE_COLUMNS, ready[len(ready) // 2]) if ready else 0
        sessions = Counter([member.client for member in members])
        share = self._max_columns // max(1, len(sessions))
        if len(self._clients) > 1:
            share = min(share, 32)  # columns, which take 1 ms
        return {client: max(1, min(at_most, share // n)) for client, n in sessions.items()}

    def _run(self, batch: list[EngineSession], *, hold: bool) -> None:
        """Get the scores of sessions; after a failure try each session once alone."""
        members = [member for member in batch if not member.gone]
        if not members:
            return
        try:
            answers = self._answers(members, hold)
        except Exception as error:
            if len(members) == 1:
                self._end(members[0], error)
                return
            log.error("run failed", sessions=len(members), exc_info=error)
            for member in members:
                self._run([member], hold=hold)
            return
        for member, answer in zip(members, answers, strict=True):
            member.ran, member.portion = answer, None
        self._answered += members

    def _answers(self, members: Sequence[EngineSession], hold: bool) -> list[Ran]:
        """Run the net, or `hold` single columns for their partners; either can be done again."""
        started_s = time.perf_counter()
        portions = [member.portion for member in members if member.portion is not None]
        columns = self._columns_of(portions)
        states, rows = self._states.rows, [member.row for member in members]
        scores: Sequence[NDArray[np.float32]]  # [n_i, S] of each session
        if hold:
            scores = [*self._runtime.hold(np.concatenate(columns), states, rows)]
            self._metrics.held(len(members))
        else:
            scores, after = self._runtime.run_ragged(columns, states[rows])
            run_s, wait_s = time.perf_counter() - started_s, started_s - members[0].queued_s
            self._metrics.ran(len(members), sum(map(len, columns)), run_s, wait_s)
        showings = [member.session.showing for member in members]
        shown = shown_of(showings, [portion.picked for portion in portions], scores)
        if not hold:
            states[rows] = after
        # Not copied: a row changes only after its session has had this.
        return [*map(Ran, portions, scores, [states[row] for row in rows], shown)]

    def _columns_of(self, portions: Sequence[Portion]) -> list[NDArray[np.uint8]]:
        """Return the columns [n, .] of each portion, as the net takes them."""
        config = self._runtime.config
        if len({(portion.n_columns, len(portion.data)) for portion in portions}) > 1:
            return [taken_by(config, portion.columns) for portion in portions]
        data = b"".join([portion.data for portion in portions])
        shape = len(portions), portions[0].n_columns, -1
        return [*taken_by(config, np.frombuffer(data, np.uint8).reshape(shape))]

    def _hand_out(self) -> None:
        """Give sessions their scores, until the time for that is over in this turn."""
        members = [member for member in self._answered if not member.gone]
        costs = [member.ran.portion.cost for member in members if member.ran]
        if sum(costs) > MAX_UNTIMED_COLUMNS:
            members = in_turns(members, costs)

        def hand_out(member: EngineSession) -> None:
            ran, member.ran = member.ran, None
            assert ran is not None
            effects = member.session.step(ran)
            member.queued = False
            self.apply(member, effects)

        self._answered = self._serve(members, ANSWERING_S, hand_out)

    def _end(self, member: EngineSession, error: Exception) -> None:
        """Close a session for a fault of ours, and log it; all others go on."""
        member.log.error("session failed", exc_info=error)
        member.queued = False
        fault = InkstreamError("the net could not read these columns")
        try:
            self.apply(member, member.session.fail(fault))
        except Exception:
            member.log.exception("session could not be closed")
