"""What a client may expect of any mixture of messages, and a machine that sends them.

`Oracle` is the protocol as simple as can be: it works off each message when it is sent, and has
the whole line read from its start to know what the net says. The session meets the same messages
while columns wait, are being run or are read again, and must say the same in the same order.
"""

import json
from abc import ABC, abstractmethod
from typing import Any

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
from inkstream.service.limits import Limits
from inkstream.service.protocol.server_messages import Configured, ServerMessage, encode
from inkstream.service.session import Close
from inkstream.service.session.line import SNAPSHOT_SPACING
from tests.helpers.single_session import LANGUAGES, Lone

TOLERANCE = 1e-4

Message = dict[str, Any]
Pixels = NDArray[np.uint8]


def spelt(message: ServerMessage) -> Message:
    """A message as it stands on the wire."""
    values: Message = json.loads(encode(message))
    return values


class Oracle(ABC):
    """What a client may expect, said as soon as its message is sent."""

    def __init__(self, net: Runtime, limits: Limits, in_force: Configured) -> None:
        self.expected: list[Message] = []
        self.close: int | None = None
        self._net = net
        self._limits = limits
        self._settings = in_force
        self._epoch = 0
        self._furthest = 0  # columns that this line ever had
        self._total = 0
        self._earlier = {"letters": 0, "words": 0}  # of earlier lines
        self._bad_in_a_row = 0
        self._index = -1

    # What a kind of model adds

    @property
    @abstractmethod
    def pixels(self) -> list[Pixels]:
        """The columns of the line."""

    @property
    def _counts(self) -> dict[str, int]:
        """Letters and words of the line so far."""
        return {"letters": 0, "words": 0}

    @property
    @abstractmethod
    def _answer(self) -> Message:
        """What the line so far is answered with."""

    @abstractmethod
    def check(self, heard: Message, due: Message) -> None:
        """Compare what was said with what is due."""

    @abstractmethod
    def _write(self, column: Pixels) -> None:
        """One more column."""

    @abstractmethod
    def _forget(self, column: int) -> None:
        """Columns from this one on are gone."""

    @abstractmethod
    def _results(self, first: int, message_ends: bool) -> None:
        """What columns `first` and after make the session say; the last may end a message."""

    # The client's messages

    @property
    def n_columns(self) -> int:
        return len(self.pixels)

    @property
    def rewindable(self) -> tuple[int, int]:
        """The first and the last column that a rewind may name."""
        return max(0, self._furthest - self._limits.max_rewind_columns), self.n_columns

    def columns(self, pixels: Pixels) -> None:
        """Columns [n, H] of one message come."""
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
        """Settings change from the next column on."""
        self._good()
        self._settings = Configured.model_validate(self._settings.model_dump() | changes)
        said = self._settings.model_dump(mode="json", exclude={"type", "id"})
        self.expected.append({"type": "configured", "id": ref} | said)

    def rewind(self, ref: int, column: int) -> None:
        """Columns from this one on are forgotten; one out of reach is refused."""
        first, last = self.rewindable
        if not first <= column <= last:
            self.bad("bad_value", ref)
            return
        self._good()
        self._epoch += 1
        if column < last:
            self._forget(column)
        self._say("rewound", id=ref, column=column, **self._counts, **self._answer)

    def flush(self, ref: int) -> None:
        """The line so far is asked for."""
        self._good()
        self._flush(ref)

    def reset(self, ref: int) -> None:
        """A new line begins."""
        self._good()
        self._new_line()
        self._say("reset_done", id=ref)

    def ping(self, ref: int) -> None:
        """A sign of life is asked for."""
        self._good()
        self.expected.append({"type": "pong", "id": ref})

    def end(self) -> None:
        """The session is over."""
        self._good()
        self._flush(None)
        done = {"type": "done", "columns": self._total, **self._answer}
        self.expected.append(done | self._counts_with(self._earlier))
        self.close = 1000

    def bad(self, code: str | None, ref: int | None) -> None:
        """A message is refused."""
        self._index += 1
        self._bad_in_a_row += 1
        fatal = self._bad_in_a_row == self._limits.max_bad_messages
        said = {"type": "error", "fatal": fatal, "index": self._index, "ref": ref}
        self.expected.append(said | ({} if code is None else {"code": code}))
        if fatal:
            self.close = 4400

    def _good(self) -> None:
        self._index += 1
        self._bad_in_a_row = 0

    def _say(self, kind: str, **fields: Any) -> None:
        self.expected.append({"type": kind, "epoch": self._epoch} | fields)

    def _flush(self, ref: int | None) -> None:
        self._say("flushed", id=ref, columns=self.n_columns, **self._answer)

    def _fail(self, code: str, closing: int) -> None:
        said = {"type": "error", "fatal": True, "code": code, "index": None, "ref": None}
        self.expected.append(said)
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


def open_still(machine: "SessionMachine") -> bool:
    """Whether the client may go on."""
    return machine.oracle.close is None


class SessionMachine(RuleBasedStateMachine):
    """One client, one session, and an engine that takes its time."""

    net: Runtime
    oracle: Oracle
    lone: Lone

    def begin(self, oracle: Oracle, limits: Limits, ends: bool) -> None:
        """Open a session; `ends` says whether its client takes its leave."""
        self.lone = Lone(self.net, limits, LANGUAGES)
        self.lone.heard()
        self.oracle = oracle
        self.ends = ends
        self.compared = 0
        self.sent = 0
        height = self.net.config.column_height
        self.pool = np.random.default_rng(0).integers(0, 256, (64, height), np.uint8)

    def drawn(self, first: int, n_ink: int, n_blank: int) -> Pixels:
        """Columns [n, H] of ink and then of none, at least one in all."""
        ink = self.pool[(first + np.arange(n_ink)) % len(self.pool)]
        blank = np.zeros((max(n_blank, 1 - n_ink), ink.shape[1]), np.uint8)
        return np.concatenate([ink, blank])

    def send(self, kind: str, **fields: Any) -> int:
        """Send a message; its id."""
        self.sent += 1
        self.lone.send(json.dumps({"type": kind, "id": self.sent, **fields}))
        return self.sent

    # The client

    @precondition(open_still)
    @rule(back=st.integers(-2, 120), at_snapshot=st.booleans())
    def rewind(self, back: int, at_snapshot: bool) -> None:
        column = max(0, self.oracle.n_columns - back)
        if at_snapshot:
            column -= column % SNAPSHOT_SPACING
        self.oracle.rewind(self.send("rewind", column=column), column)

    # The engine

    @rule(max_columns=st.integers(1, 40), runs=st.sampled_from([1, 1, 1, 2]))
    def step(self, max_columns: int, runs: int) -> None:
        self.lone.step(max_columns, runs)

    @rule()
    def drain(self) -> None:
        self.lone.drain()
        self.check()
        assert self.compared == len(self.oracle.expected)
        assert self.lone.session.waiting_columns == self.lone.session.ready_columns == 0

    @invariant()
    def check(self) -> None:
        """All that was said was due, in this order."""
        if not hasattr(self, "lone"):
            return
        for heard in self.lone.heard():
            self.oracle.check(spelt(heard), self.oracle.expected[self.compared])
            self.compared += 1

    def teardown(self) -> None:
        if hasattr(self, "lone"):
            if self.ends and open_still(self):
                self.send("end")
                self.send("ping")  # too late
                self.oracle.end()
            self.drain()
            close = self.lone.close
            assert (close.code if isinstance(close, Close) else None) == self.oracle.close


def run(kind: type[SessionMachine], net: Runtime, max_examples: int, n_steps: int) -> None:
    """Try mixtures of up to `n_steps` messages and runs."""
    run_state_machine_as_test(
        type("Machine", (kind,), {"net": net}),
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=n_steps,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
