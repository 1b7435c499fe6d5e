"""Any mixture of messages, in any pieces and with any delay, is answered as a lone line would be.

`Oracle` is the protocol as simple as can be: it works off each message when it is sent, and runs
the whole line from its start to know what the net says. The session meets the same messages while
columns wait, are being run or are read again, and must say the same in the same order.
"""

import dataclasses
import json
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from model.checkpoint import Checkpoint
from model.runtime import Runtime
from service import messages
from service.history import SNAPSHOT_SPACING
from service.messages import Configured, Limits, ServerMessage
from service.session import Close
from tests.service.lone import LIMITS, Lone

TOLERANCE = 1e-4
POOL = np.random.default_rng(0).integers(0, 256, (64, 28), np.uint8)
BAD = (b"", b"x" * 27, "", "[]", '{"type":"sing"}', '{"type":"columns","columns":[[300]]}')

Probabilities = NDArray[np.float64]  # [K], 0 where a label may not be answered


@dataclasses.dataclass
class Expected:
    """One message that is due, and what the net believes at that point of the line."""

    said: dict[str, Any]
    belief: Probabilities | None = None

    def check(self, heard: ServerMessage) -> None:
        """Compare: labels by their probability, so that near ties may fall either way."""
        got = json.loads(messages.encode(heard))
        probabilities, label = got.pop("probabilities", None), got.pop("label", None)
        assert got.items() >= self.said.items(), (got, self.said)
        if label is not None:
            assert self.belief is not None
            assert self.belief[int(label)] >= self.belief.max() - TOLERANCE
        elif got["type"] in ("flushed", "rewound", "done"):
            assert self.belief is None
        if probabilities is not None:
            self._check_probabilities(probabilities, got["column"])

    def _check_probabilities(self, got: dict[str, float], column: int) -> None:
        belief = self.belief
        assert belief is not None
        for label, probability in got.items():
            assert abs(belief[int(label)] - probability) < TOLERANCE, column
        left_out = [belief[k] for k in range(len(belief)) if str(k) not in got]
        assert max(left_out, default=0.0) <= min(got.values()) + TOLERANCE


class Oracle:
    """What a client may expect, said as soon as its message is sent."""

    def __init__(self, net: Runtime, limits: Limits) -> None:
        self.expected: list[Expected] = []
        self.close: int | None = None
        self.line: list[NDArray[np.uint8]] = []
        self._allowed: list[str | None] = []  # at each of its columns
        self._net = net
        self._limits = limits
        self._settings = Configured()
        self._epoch = 0
        self._furthest = 0  # columns that this line ever had
        self._bad_in_a_row = 0
        self._index = -1
        self._total = 0
        self._belief: Probabilities | None = None

    @property
    def rewindable(self) -> tuple[int, int]:
        """The first and the last column that a rewind may name."""
        return max(0, self._furthest - self._limits.max_rewind_columns), len(self.line)

    def columns(self, pixels: NDArray[np.uint8]) -> None:
        """Columns [n, H] of one message come."""
        self._index += 1
        if self._settings.polarity == "ink-low":
            pixels = 255 - pixels
        first = len(self.line)
        for number, column in enumerate(pixels):
            if len(self.line) == self._limits.max_line_columns:
                self._results(first, False)
                self._fail("over_limit", 4413)
                return
            self._bad_in_a_row = 0
            self._total += 1
            self.line.append(column)
            self._allowed.append(self._settings.characters)
            self._furthest = max(self._furthest, len(self.line))
            if self._line_ends():
                self._results(first, True)
                self._say("flushed", id=None, columns=len(self.line))
                self._new_line()
                first = 0
            elif number == len(pixels) - 1:
                self._results(first, True)

    def configure(self, ref: int, changes: dict[str, Any]) -> None:
        """Settings change from the next column on."""
        self._good()
        self._settings = self._settings.model_copy(update=changes)
        self._say("configured", id=ref, **self._settings.model_dump(exclude={"type", "id"}))

    def rewind(self, ref: int, column: int) -> None:
        """Columns from this one on are forgotten; one out of reach is refused."""
        first, last = self.rewindable
        if not first <= column <= last:
            self.bad("bad_value", ref)
            return
        self._good()
        self._epoch += 1
        if column < last:
            del self.line[column:], self._allowed[column:]
            self._belief = self._run()[-1] if column else None
        self._say("rewound", id=ref, column=column, letters=0, words=0)

    def flush(self, ref: int) -> None:
        """The line so far is asked for."""
        self._good()
        self._say("flushed", id=ref, columns=len(self.line))

    def reset(self, ref: int) -> None:
        """A new line begins."""
        self._good()
        self._new_line()
        self._say("reset_done", id=ref)

    def ping(self, ref: int) -> None:
        """A sign of life is asked for."""
        self._good()
        self.expected.append(Expected({"type": "pong", "id": ref}))

    def end(self) -> None:
        """The session is over."""
        self._good()
        self._say("flushed", id=None, columns=len(self.line))
        self.expected.append(Expected({"type": "done", "columns": self._total}, self._belief))
        self.close = 1000

    def bad(self, code: str | None, ref: int | None) -> None:
        """A message is refused."""
        self._index += 1
        self._bad_in_a_row += 1
        fatal = self._bad_in_a_row == self._limits.max_bad_messages
        said = {"type": "error", "fatal": fatal, "index": self._index, "ref": ref}
        self.expected.append(Expected(said | ({} if code is None else {"code": code})))
        if fatal:
            self.close = 4400

    def _good(self) -> None:
        self._index += 1
        self._bad_in_a_row = 0

    def _say(self, kind: str, **fields: Any) -> None:
        said = {"type": kind, "epoch": self._epoch} | fields
        if kind == "configured":
            del said["epoch"]
        self.expected.append(Expected(said, self._belief))

    def _fail(self, code: str, closing: int) -> None:
        said = {"type": "error", "fatal": True, "code": code, "index": None, "ref": None}
        self.expected.append(Expected(said))
        self.close = closing

    def _new_line(self) -> None:
        self.line, self._allowed = [], []
        self._furthest = 0
        self._epoch += 1
        self._belief = None

    def _line_ends(self) -> bool:
        blank = [not column.any() for column in self.line]
        n_blank = self._settings.line_end_columns
        return 0 < n_blank < len(blank) and all(blank[-n_blank:]) and not all(blank)

    def _results(self, first: int, message_ends: bool) -> None:
        """The results of columns `first` and after; the last ends a message or a line."""
        if first == len(self.line):
            return
        beliefs = self._run()
        self._belief = beliefs[-1]
        for column in range(first, len(self.line)):
            last = message_ends and column == len(self.line) - 1
            if self._settings.every == "column" or last:
                said = {"type": "result", "epoch": self._epoch, "column": column}
                self.expected.append(Expected(said, beliefs[column]))

    def _run(self) -> NDArray[np.float64]:
        """What the net believes after each column of the line, from its start: [n, K]."""
        pixels = np.array(self.line)[:, None]
        scores = self._net.run(pixels, self._net.initial_state(1))[0][:, 0]
        beliefs = np.exp(scores.astype(np.float64))
        for number, allowed in enumerate(self._allowed):
            if allowed is not None:
                beliefs[number, [str(k) not in allowed for k in range(beliefs.shape[1])]] = 0
        beliefs /= beliefs.sum(1, keepdims=True)
        return beliefs


class SessionMachine(RuleBasedStateMachine):
    """One client, one session, and an engine that takes its time."""

    net: Runtime

    @initialize(
        line=st.sampled_from([10_000, 10_000, 200]),
        rewind=st.sampled_from([100, 5, 40]),
        bad=st.sampled_from([1000, 1000, 3]),
        ends=st.booleans(),
    )
    def open(self, line: int, rewind: int, bad: int, ends: bool) -> None:
        limits = dataclasses.replace(
            LIMITS, max_line_columns=line, max_rewind_columns=rewind, max_bad_messages=bad
        )
        self.lone = Lone(self.net, limits)
        self.lone.heard()
        self.oracle = Oracle(self.net, limits)
        self.ends = ends
        self.compared = 0
        self.sent = 0

    def open_still(self) -> bool:
        return self.oracle.close is None

    # The client

    @precondition(open_still)
    @rule(
        first=st.integers(0, 63),
        n_ink=st.one_of(st.just(1), st.integers(0, 70)),
        n_blank=st.integers(0, 9),
        spelt=st.booleans(),
    )
    def send_columns(self, first: int, n_ink: int, n_blank: int, spelt: bool) -> None:
        ink = POOL[(first + np.arange(n_ink)) % len(POOL)]
        pixels = np.concatenate([ink, np.zeros((max(n_blank, 1 - n_ink), 28), np.uint8)])
        if spelt:
            self.lone.send(json.dumps({"type": "columns", "columns": pixels.tolist()}))
        else:
            self.lone.send(pixels.tobytes())
        self.oracle.columns(pixels)

    @precondition(open_still)
    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
                "every": st.sampled_from(["column", "message"]),
                "top_k": st.one_of(st.none(), st.integers(1, 10)),
                "polarity": st.sampled_from(["ink-high", "ink-low"]),
                "characters": st.sampled_from([None, "7", "0123", "9876543210"]),
                "line_end_columns": st.sampled_from([0, 1, 4, 12]),
            },
        )
    )
    def configure(self, changes: dict[str, Any]) -> None:
        self.oracle.configure(self._send("configure", **changes), changes)

    @precondition(open_still)
    @rule(back=st.integers(-2, 120), at_snapshot=st.booleans())
    def rewind(self, back: int, at_snapshot: bool) -> None:
        column = max(0, len(self.oracle.line) - back)
        if at_snapshot:
            column -= column % SNAPSHOT_SPACING
        self.oracle.rewind(self._send("rewind", column=column), column)

    @precondition(open_still)
    @rule(kind=st.sampled_from(["flush", "reset", "ping"]))
    def ask(self, kind: str) -> None:
        getattr(self.oracle, kind)(self._send(kind))

    @precondition(open_still)
    @rule(frame=st.sampled_from(BAD))
    def send_nonsense(self, frame: str | bytes) -> None:
        self.lone.send(frame)
        self.oracle.bad(None, None)

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
            self.oracle.expected[self.compared].check(heard)
            self.compared += 1

    def teardown(self) -> None:
        if hasattr(self, "lone"):
            if self.ends and self.open_still():
                self._send("end")
                self._send("ping")  # too late
                self.oracle.end()
            self.drain()
            close = self.lone.close
            assert (close.code if isinstance(close, Close) else None) == self.oracle.close

    def _send(self, kind: str, **fields: Any) -> int:
        self.sent += 1
        self.lone.send(json.dumps({"type": kind, "id": self.sent, **fields}))
        return self.sent


def test_any_mixture_is_answered_as_a_lone_line_would_be(tiny: Checkpoint) -> None:
    machine = type("Machine", (SessionMachine,), {"net": Runtime(tiny)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=60,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
