"""A state machine that sends any mixture of messages, and an oracle that predicts the answers.

`Oracle` is the protocol in its simplest form: it processes each message when it is sent, and runs
the net over the whole line from its start. The session gets the same messages while columns wait,
are being run or are read again, and must send the same messages in the same order.
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
from inkstream.service.protocol.server_messages import Configured, Limits, ServerMessage, encode
from inkstream.service.session import Close
from inkstream.service.session.line import SNAPSHOT_SPACING
from tests.helpers.single_session import LANGUAGES, SessionClient

TOLERANCE = 1e-4

Message = dict[str, Any]
Pixels = NDArray[np.uint8]


def as_json(message: ServerMessage) -> Message:
    """Return a message as a client parses it."""
    values: Message = json.loads(encode(message))
    return values


class Oracle(ABC):
    """The messages that a client may expect, known as soon as its own message is sent."""

    def __init__(self, net: Runtime, limits: Limits, initial_settings: Configured) -> None:
        self.expected: list[Message] = []
        self.close: int | None = None
        self._net = net
        self._limits = limits
        self._settings = initial_settings
        self._epoch = 0
        self._furthest = 0  # columns that this line ever had
        self._total = 0
        self._earlier = {"letters": 0, "words": 0}  # of earlier lines
        self._bad_in_a_row = 0
        self._index = -1

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
        self._index += 1
        if self._settings.polarity == "ink-low":
            pixels = 255 - pixels
        first = self.n_columns
        for number, column in enumerate(pixels):
            if self.n_columns == self._limits.max_line_columns:
                self._results(first, False)
                self._fail("over_limit", 4413)
                return
            self._bad_in_a_row = 0
            self._total += 1
            self._write(column)
            self._furthest = max(self._furthest, self.n_columns)
            ends = self._line_ends()
            if ends or number == len(pixels) - 1:
                self._results(first, True)
            if ends:
                self._flush(None)
                self._new_line()
                first = 0

    def configure(self, ref: int, changes: Message) -> None:
        """Change settings from the next column on."""
        self._good()
        self._settings = Configured.model_validate(self._settings.model_dump() | changes)
        fields = self._settings.model_dump(mode="json", exclude={"type", "id"})
        self.expected.append({"type": "configured", "id": ref} | fields)

    def rewind(self, ref: int, column: int) -> None:
        """Forget the columns from this one on; refuse a column that is out of reach."""
        first, last = self.rewindable
        if not first <= column <= last:
            self.bad("bad_value", ref)
            return
        self._good()
        self._epoch += 1
        if column < last:
            self._forget(column)
        self._expect("rewound", id=ref, column=column, **self._counts, **self._answer)

    def flush(self, ref: int) -> None:
        """Answer a flush."""
        self._good()
        self._flush(ref)

    def reset(self, ref: int) -> None:
        """Begin a new line."""
        self._good()
        self._new_line()
        self._expect("reset_done", id=ref)

    def ping(self, ref: int) -> None:
        """Answer a ping."""
        self._good()
        self.expected.append({"type": "pong", "id": ref})

    def end(self, ref: int) -> None:
        """End the session."""
        self._good()
        self._flush(ref)
        done = {"type": "done", "id": ref, "columns": self._total, **self._answer}
        self.expected.append(done | self._counts_with(self._earlier))
        self.close = 1000

    def bad(self, code: str | None, ref: int | None) -> None:
        """Refuse a message."""
        self._index += 1
        self._bad_in_a_row += 1
        fatal = self._bad_in_a_row == self._limits.max_bad_messages
        fields = {"type": "error", "fatal": fatal, "index": self._index, "ref": ref}
        self.expected.append(fields | ({} if code is None else {"code": code}))
        if fatal:
            self.close = 4400

    def _good(self) -> None:
        self._index += 1
        self._bad_in_a_row = 0

    def _expect(self, kind: str, **fields: Any) -> None:
        self.expected.append({"type": kind, "epoch": self._epoch} | fields)

    def _flush(self, ref: int | None) -> None:
        self._expect("flushed", id=ref, columns=self.n_columns, **self._answer)

    def _fail(self, code: str, closing: int) -> None:
        error = {"type": "error", "fatal": True, "code": code, "index": self._index, "ref": None}
        self.expected.append(error)
        self.close = closing

    def _new_line(self) -> None:
        self._earlier = self._counts_with(self._earlier)
        self._furthest = 0
        self._epoch += 1
        self._forget(0)

    def _counts_with(self, earlier: dict[str, int]) -> dict[str, int]:
        return {name: earlier[name] + count for name, count in self._counts.items()}

    def _line_ends(self) -> bool:
        blank = [not column.any() for column in self.pixels]
        n_blank = self._settings.line_end_columns
        return 0 < n_blank < len(blank) and all(blank[-n_blank:]) and not all(blank)


def is_open(machine: "SessionMachine") -> bool:
    """Return whether the client may send more."""
    return machine.oracle.close is None


class SessionMachine(RuleBasedStateMachine):
    """One client and one session, whose columns are run at any time.

    A subclass names the options that `configure` may change and the other control messages.
    """

    changes: ClassVar[dict[str, st.SearchStrategy[Any]]]
    controls: ClassVar[list[str]]
    net: Runtime
    oracle: Oracle
    client: SessionClient

    def begin(self, oracle: Oracle, limits: Limits, ends: bool) -> None:
        """Open a session; with `ends` its client sends `end` at last."""
        self.client = SessionClient(self.net, limits, LANGUAGES)
        self.client.new_messages()
        self.oracle = oracle
        self.ends = ends
        self.compared = 0
        self.sent = 0
        height = self.net.config.column_height
        self.pool = np.random.default_rng(0).integers(0, 256, (64, height), np.uint8)

    def ink_and_blank(self, first: int, n_ink: int, n_blank: int) -> Pixels:
        """Return columns [n, H] of ink and then blank ones, at least one in all."""
        ink = self.pool[(first + np.arange(n_ink)) % len(self.pool)]
        blank = np.zeros((max(n_blank, 1 - n_ink), ink.shape[1]), np.uint8)
        return np.concatenate([ink, blank])

    def send(self, kind: str, **fields: Any) -> int:
        """Send a message; return its id."""
        self.sent += 1
        self.client.send(json.dumps({"type": kind, "id": self.sent, **fields}))
        return self.sent

    # The client

    @precondition(is_open)
    @rule(back=st.integers(-2, 120), at_snapshot=st.booleans())
    def rewind(self, back: int, at_snapshot: bool) -> None:
        column = max(0, self.oracle.n_columns - back)
        if at_snapshot:
            column -= column % SNAPSHOT_SPACING
        self.oracle.rewind(self.send("rewind", column=column), column)

    @precondition(is_open)
    @rule(data=st.data())
    def configure(self, data: st.DataObject) -> None:
        changes = data.draw(st.fixed_dictionaries({}, optional=self.changes))
        self.oracle.configure(self.send("configure", **changes), changes)

    @precondition(is_open)
    @rule(data=st.data())
    def send_control(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(self.controls))
        getattr(self.oracle, kind)(self.send(kind))

    # The engine

    @rule(max_columns=st.integers(1, 40), n_runs=st.sampled_from([1, 1, 1, 2]))
    def step(self, max_columns: int, n_runs: int) -> None:
        self.client.step(max_columns, n_runs)

    @rule()
    def drain(self) -> None:
        self.client.drain()
        self.check()
        assert self.compared == len(self.oracle.expected)
        assert self.client.session.waiting_columns == self.client.session.ready_columns == 0

    @invariant()
    def check(self) -> None:
        """Check that every message that came is the expected one."""
        if not hasattr(self, "client"):
            return
        for message in self.client.new_messages():
            self.oracle.check(as_json(message), self.oracle.expected[self.compared])
            self.compared += 1

    def teardown(self) -> None:
        if hasattr(self, "client"):
            if self.ends and is_open(self):
                self.oracle.end(self.send("end"))
                self.send("ping")  # too late
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
