"""A state machine that sends any mixture of messages, and an oracle that predicts the answers.

`Oracle` is the protocol in its simplest form: it processes each message when it is sent, and runs
the net over the whole line from its start. The session gets the same messages while columns wait,
are being run or are read again, on a connection that breaks at any time, and must send the same
messages in the same order.
"""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Configured,
    Limits,
    Pong,
    Resumed,
    ServerMessage,
    Snapshot,
    encode,
)
from inkstream.service.session import Close
from inkstream.service.session.line import KEPT_SPACING
from tests.service.session.resuming import KeptLine, SnapshotClient

TOLERANCE = 1e-4

Message = dict[str, Any]
Pixels = NDArray[np.uint8]


def as_json(message: ServerMessage) -> Message:
    """Return a message as a client parses it."""
    values: Message = json.loads(encode(message))
    return values


class Oracle(ABC):
    """The messages that a client may expect, known as soon as its message is sent."""

    def __init__(self, net: Runtime, limits: Limits, initial: Configured) -> None:
        self.expected: list[Message] = []
        self.close: int | None = None
        self._net = net
        self._limits = limits
        self._settings = initial
        self._seq = 0
        self._n_messages = 0  # of the line, the newest one included
        self._furthest = 0  # columns that this line ever had
        self._bad_in_a_row = 0

    # What differs between the kinds of models

    @property
    @abstractmethod
    def pixels(self) -> list[Pixels]:
        """Return the columns of the line."""

    @property
    def _counts(self) -> dict[str, int]:
        """Return the numbers of letters and words of the line so far."""
        return {"letters": 0, "words": 0}

    @property
    @abstractmethod
    def _answer(self) -> Message:
        """Return the fields of an answer that hold the reading of the line so far."""

    @abstractmethod
    def check(self, message: Message, expected: Message) -> None:
        """Check that a message is the expected one."""

    @abstractmethod
    def _write(self, column: Pixels) -> None:
        """Add one column."""

    @abstractmethod
    def _forget(self, column: int) -> None:
        """Forget the columns from this one on."""

    @abstractmethod
    def _results(self, first: int, message_ends: bool) -> None:
        """Expect the messages of the columns from `first` on; the last may end a message."""

    @abstractmethod
    def _flush(self) -> None:
        """Expect the events that a flush decides."""

    # The client's messages

    @property
    def n_columns(self) -> int:
        return len(self.pixels)

    @property
    def rewindable(self) -> tuple[int, int]:
        """Return the first and the last column that a rewind may name."""
        return max(0, self._furthest - self._limits.max_rewind_columns), self.n_columns

    def columns(self, pixels: Pixels) -> None:
        """Take the columns [n, H] of one message."""
        self._n_messages += 1
        first = self.n_columns
        for number, column in enumerate(pixels, 1):
            if self.n_columns == self._limits.max_line_columns:
                self._results(first, False)
                self._error("over_limit", None, fatal=True, closing=4413)
                return
            self._bad_in_a_row = 0
            self._write(column)
            self._furthest = max(self._furthest, self.n_columns)
            ends = self._line_ends()
            if ends or number == len(pixels):
                self._results(first, True)
            if ends:
                rest_columns = len(pixels) - number
                self._flush()
                self._expect(
                    "line_end",
                    columns=self.n_columns,
                    messages=self._n_messages,
                    rest_columns=rest_columns,
                    **self._answer,
                )
                self._new_line()
                self._n_messages = int(rest_columns > 0)
                first = 0

    def configure(self, ref: int, changes: Message) -> None:
        """Change settings from the next column on."""
        self._good()
        self._settings = Configured.model_validate(self._settings.model_dump() | changes)
        fields = self._settings.model_dump(mode="json", exclude={"type", "id", "seq"})
        self._expect("configured", id=ref, **fields)

    def rewind(self, ref: int, column: int) -> None:
        """Forget the columns from this one on; refuse a column that is out of reach."""
        first, last = self.rewindable
        if not first <= column <= last:
            self.bad("bad_value", ref)
            return
        self._good()
        if column < last:
            self._forget(column)
        self._expect("rewound", id=ref, column=column, **self._counts, **self._answer)

    def flush(self, ref: int) -> None:
        """Answer a flush."""
        self._good()
        self._flush()
        self._expect("flushed", id=ref, columns=self.n_columns, **self._answer)

    def reset(self, ref: int) -> None:
        """Begin a new line."""
        self._expect("reset_done", id=ref)
        self._bad_in_a_row = 0
        self._new_line()

    def end(self, ref: int) -> None:
        """End the session."""
        self._good()
        self._flush()
        self._expect("done", id=ref, columns=self.n_columns, **self._counts, **self._answer)
        self.close = 1000

    def bad(self, code: str | None, ref: int | None) -> None:
        """Refuse a message."""
        self._n_messages += 1
        self._bad_in_a_row += 1
        fatal = self._bad_in_a_row == self._limits.max_bad_messages
        self._error(code, ref, fatal=fatal, closing=4400)

    def _good(self) -> None:
        self._n_messages += 1
        self._bad_in_a_row = 0

    def _expect(self, kind: str, **fields: Any) -> None:
        self._seq += 1
        self.expected.append({"type": kind, "seq": self._seq} | fields)

    def _error(self, code: str | None, ref: int | None, *, fatal: bool, closing: int) -> None:
        fields = {} if code is None else {"code": code}
        self._expect("error", fatal=fatal, index=self._n_messages - 1, ref=ref, **fields)
        if fatal:
            self.close = closing

    def _new_line(self) -> None:
        self._furthest = self._seq = self._n_messages = 0
        self._forget(0)

    def _line_ends(self) -> bool:
        blank = [not column.any() for column in self.pixels]
        n_blank = self._settings.line_end_columns
        return 0 < n_blank < len(blank) and all(blank[-n_blank:]) and not all(blank)


def is_open(machine: "SessionMachine") -> bool:
    """Return whether the client may send more."""
    return machine.oracle.close is None


class SessionMachine(RuleBasedStateMachine):
    """A client of a session whose columns are run at any time, and that may break at any time.

    A subclass names the options that `configure` may change and the other control messages.
    """

    changes: ClassVar[dict[str, st.SearchStrategy[Any]]]
    controls: ClassVar[list[str]]
    net: Runtime
    oracle: Oracle
    client: SnapshotClient

    def begin(self, oracle: Oracle, limits: Limits, ends: bool) -> None:
        """Open a session; with `ends` its client sends `end` at last."""
        self.limits = limits
        self.client = SnapshotClient(self.net, limits=limits)
        height = self.net.config.column_height
        self.kept = KeptLine(height)
        self.oracle = oracle
        self.ends = ends
        self.compared = 0
        self.n_controls = 0
        self.pool = np.random.default_rng(0).integers(0, 256, (64, height), np.uint8)

    def send(self, frame: str | bytes) -> None:
        self.kept.send(frame)
        self.client.send(frame)

    def control(self, kind: str, **fields: Any) -> int:
        """Send a message; return its id."""
        self.n_controls += 1
        self.send(json.dumps({"type": kind, "id": self.n_controls, **fields}))
        return self.n_controls

    # The client

    @precondition(is_open)
    @rule(
        first=st.integers(0, 63),
        n_ink=st.just(1) | st.integers(0, 70),
        n_blank=st.integers(0, 9),
        in_json=st.booleans(),
    )
    def columns(self, first: int, n_ink: int, n_blank: int, in_json: bool) -> None:
        """Send columns of ink and then blank ones, at least one in all."""
        ink = self.pool[(first + np.arange(n_ink)) % len(self.pool)]
        blank = np.zeros((max(n_blank, 1 - n_ink), ink.shape[1]), np.uint8)
        pixels = np.concatenate([ink, blank])
        fields = {"type": "columns", "columns": pixels.tolist()}
        self.send(json.dumps(fields) if in_json else pixels.tobytes())
        self.oracle.columns(pixels)

    @precondition(is_open)
    @rule(back=st.integers(-2, 120), at_kept_state=st.booleans())
    def rewind(self, back: int, at_kept_state: bool) -> None:
        column = max(0, self.oracle.n_columns - back)
        if at_kept_state:
            column -= column % KEPT_SPACING
        self.oracle.rewind(self.control("rewind", column=column), column)

    @precondition(is_open)
    @rule(data=st.data())
    def configure(self, data: st.DataObject) -> None:
        changes = data.draw(st.fixed_dictionaries({}, optional=self.changes))
        self.oracle.configure(self.control("configure", **changes), changes)

    @precondition(is_open)
    @rule(data=st.data())
    def send_control(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(self.controls))
        getattr(self.oracle, kind)(self.control(kind))

    @precondition(is_open)
    @rule()
    def ping(self) -> None:
        self.client.send('{"type":"ping"}')

    @precondition(lambda machine: hasattr(machine, "client"))
    @rule(n_heard=st.integers(0, 9), with_snapshot=st.booleans())
    def reconnect(self, n_heard: int, with_snapshot: bool) -> None:
        """Go on over another connection, having heard only the first of the newest messages."""
        self.client.drain()
        if self.client.close:
            return
        self.check(n_heard)
        self.client = SnapshotClient(self.net, limits=self.limits)
        self.client.send(self.kept.resume(with_snapshot=with_snapshot))
        first = self.client.new_messages()[0]
        assert isinstance(first, Resumed)
        self.client.send(*self.kept.following(first.messages))

    # The engine

    @rule(max_columns=st.integers(1, 40), n_runs=st.sampled_from([1, 1, 1, 2]))
    def step(self, max_columns: int, n_runs: int) -> None:
        self.client.step(max_columns, n_runs)

    @rule()
    def drain(self) -> None:
        self.client.drain()
        self.check()
        assert self.compared == len(self.oracle.expected)
        assert self.client.session.inbox.waiting_columns == self.client.session.ready_columns() == 0

    @invariant()
    def check(self, n_heard: int | None = None) -> None:
        """Check that every message that came, or the first of them, is the expected one."""
        if not hasattr(self, "client"):
            return
        for each in self.client.new_messages()[:n_heard]:
            self.kept.hear([each])
            if isinstance(each, Snapshot):
                assert 0 < each.messages <= len(self.kept.frames)
            elif not isinstance(each, Pong):
                self.oracle.check(as_json(each), self.oracle.expected[self.compared])
                self.compared += 1

    def teardown(self) -> None:
        if hasattr(self, "client"):
            if self.ends and is_open(self):
                self.oracle.end(self.control("end"))
                self.client.send('{"type":"ping"}')  # too late
            self.drain()
            close = self.client.close
            assert (close.code if isinstance(close, Close) else None) == self.oracle.close


def run(kind: type[SessionMachine], net: Runtime, max_examples: int, n_steps: int) -> None:
    """Run the state machine in `max_examples` conversations of up to `n_steps` steps."""
    run_state_machine_as_test(
        type("Machine", (kind,), {"net": net}),
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=n_steps,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
