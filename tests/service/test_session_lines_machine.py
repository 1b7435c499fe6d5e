"""Any mixture of messages to a transcriber is answered as one line would be, read from its start.

`Oracle` is the protocol as simple as can be: it keeps what the line is made of, columns and
flushes, and after each message has the whole of it read anew by net and decoder. The session meets
the same messages while columns wait, are being run or are read again, in any pieces, and must say
the same in the same order.
"""

import dataclasses
import json
from dataclasses import dataclass
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
from model.transcript import TranscriptDecoder
from service.history import SNAPSHOT_SPACING
from service.messages import Configured, Limits, encode
from service.session import Close
from service.voices import message_of
from tests.service.lone import LIMITS, Lone

TOLERANCE = 1e-4
POOL = np.random.default_rng(0).integers(0, 256, (64, 16), np.uint8)

Message = dict[str, Any]


@dataclass
class Column:
    """One column of the line, and what may be answered when it comes."""

    pixels: NDArray[np.uint8]
    characters: str | None


@dataclass
class Flush:
    """A flush, and what may be answered then."""

    characters: str | None


class Oracle:
    """What a client may expect, said as soon as its message is sent."""

    def __init__(self, net: Runtime, limits: Limits) -> None:
        self.expected: list[Message] = []
        self.close: int | None = None
        self.items: list[Column | Flush] = []  # the line
        self._net = net
        self._limits = limits
        self._settings = Configured(top_k=5)
        self._epoch = self._furthest = self._total = 0
        self._before = {"letters": 0, "words": 0}  # of earlier lines
        self._read()

    @property
    def n_columns(self) -> int:
        return sum(isinstance(item, Column) for item in self.items)

    @property
    def rewindable(self) -> tuple[int, int]:
        return max(0, self._furthest - self._limits.max_rewind_columns), self.n_columns

    def columns(self, pixels: NDArray[np.uint8]) -> None:
        """Columns [n, H] of one message come."""
        first = self.n_columns
        for number, column in enumerate(pixels):
            self._total += 1
            self.items.append(Column(column, self._settings.characters))
            self._furthest = max(self._furthest, self.n_columns)
            ends = self._line_ends()
            if ends or number == len(pixels) - 1:
                self._say_columns(first)
            if ends:
                self._flush()
                self._say("flushed", id=None, columns=self.n_columns, text=self.text)
                self._new_line()
                first = 0

    def configure(self, ref: int, changes: dict[str, Any]) -> None:
        self._settings = self._settings.model_copy(update=changes)
        self._say("configured", id=ref, **self._settings.model_dump(exclude={"type", "id"}))

    def rewind(self, ref: int, column: int) -> None:
        first, last = self.rewindable
        if not first <= column <= last:
            self.expected.append({"type": "error", "code": "bad_value", "ref": ref})
            return
        self._epoch += 1
        if column < last:
            while self.n_columns > column:
                self.items.pop()
            self._read()
        self._say("rewound", id=ref, column=column, text=self.text, **self.counts)

    def flush(self, ref: int) -> None:
        self._flush()
        self._say("flushed", id=ref, columns=self.n_columns, text=self.text)

    def reset(self, ref: int) -> None:
        self._new_line()
        self._say("reset_done", id=ref)

    def ping(self, ref: int) -> None:
        self.expected.append({"type": "pong", "id": ref})

    def end(self) -> None:
        self._flush()
        self._say("flushed", id=None, columns=self.n_columns, text=self.text)
        totals = {name: self._before[name] + count for name, count in self.counts.items()}
        self.expected.append({"type": "done", "columns": self._total, "text": self.text, **totals})
        self.close = 1000

    @property
    def text(self) -> str:
        self._decoder.allow(self._settings.characters)
        return self._decoder.text

    @property
    def counts(self) -> dict[str, int]:
        return {"letters": self._decoder.letters, "words": self._decoder.words}

    def _read(self) -> None:
        """Have the whole line read; `_said` is what follows from each of its items."""
        config = self._net.config
        self._decoder = TranscriptDecoder(config.labels, config.flush_columns)
        self._said: list[list[Message]] = []
        state = self._net.initial_state(1)
        blank = np.zeros((config.flush_columns, 1, config.column_height), np.uint8)
        for item in self.items:
            self._decoder.allow(item.characters)
            if isinstance(item, Flush):
                scores, state = self._net.run(blank, state)
                events = self._decoder.step_beyond(scores[:, 0]) + self._decoder.flush()
                self._said.append([_spelt(message_of(event)) for event in events])
            else:
                scores, state = self._net.run(item.pixels[None, None], state)
                heard = self._decoder.step(scores[:, 0], item.pixels[None])
                said = [_spelt(message_of(event)) for event in heard.events]
                shares = self._decoder.shares(scores[:, 0])[0]
                ends = float(np.exp(scores[0, 0, -1]))
                said.append({"shares": shares, "letter_end": ends, "text": heard.texts[0]})
                self._said.append(said)

    def _say_columns(self, first: int) -> None:
        """What columns from `first` on make the session say, the last one ending a message."""
        self._read()
        columns = [i for i, item in enumerate(self.items) if isinstance(item, Column)]
        for number in range(first, len(columns)):
            *events, result = self._said[columns[number]]
            self.expected += events
            if self._settings.every == "column" or number == len(columns) - 1:
                self._say("result", column=number, **result)

    def _flush(self) -> None:
        if not self.items or isinstance(self.items[-1], Flush):
            return
        self.items.append(Flush(self._settings.characters))
        self._read()
        self.expected += self._said[-1]

    def _say(self, kind: str, **fields: Any) -> None:
        epoch = {} if kind == "configured" else {"epoch": self._epoch}
        self.expected.append({"type": kind} | epoch | fields)

    def _new_line(self) -> None:
        for name, count in self.counts.items():
            self._before[name] += count
        self.items = []
        self._furthest = 0
        self._epoch += 1
        self._read()

    def _line_ends(self) -> bool:
        blank = [not item.pixels.any() for item in self.items if isinstance(item, Column)]
        most = self._settings.line_end_columns
        return 0 < most < len(blank) and all(blank[-most:]) and not all(blank)


def _spelt(message: Any) -> Message:
    spelt: Message = json.loads(encode(message))
    return spelt


def check(heard: Message, due: Message, labels: tuple[str, ...]) -> None:
    """Compare what was said with what is due; probabilities by their value."""
    due = dict(due)
    if heard["type"] == "result":
        shares, got = due.pop("shares"), heard.pop("probabilities")
        for label, share in got.items():
            assert abs(shares[labels.index(label)] - share) < TOLERANCE
        assert abs(heard.pop("letter_end") - due.pop("letter_end")) < TOLERANCE
    if "alternatives" in due:
        assert abs(heard.pop("confidence") - due.pop("confidence")) < TOLERANCE
        del heard["alternatives"], due["alternatives"]  # near ties may fall either way
    assert heard.items() >= due.items(), (heard, due)


class LineMachine(RuleBasedStateMachine):
    """One client, one session, and an engine that takes its time."""

    net: Runtime

    @initialize(rewind=st.sampled_from([100, 5, 40]), ends=st.booleans())
    def open(self, rewind: int, ends: bool) -> None:
        limits = dataclasses.replace(
            LIMITS, max_rewind_columns=rewind, max_bad_messages=1000, max_line_columns=10_000
        )
        self.lone = Lone(self.net, limits)
        self.lone.heard()
        self.oracle = Oracle(self.net, limits)
        self.ends = ends
        self.compared = self.sent = 0

    def open_still(self) -> bool:
        return self.oracle.close is None

    # The client

    @precondition(open_still)
    @rule(
        first=st.integers(0, 63),
        n_ink=st.one_of(st.just(1), st.integers(0, 50)),
        n_blank=st.integers(0, 6),
    )
    def send_columns(self, first: int, n_ink: int, n_blank: int) -> None:
        ink = POOL[(first + np.arange(n_ink)) % len(POOL)]
        pixels = np.concatenate([ink, np.zeros((max(n_blank, 1 - n_ink), 16), np.uint8)])
        self.lone.send(pixels.tobytes())
        self.oracle.columns(pixels)

    @precondition(open_still)
    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
                "every": st.sampled_from(["column", "message"]),
                "top_k": st.one_of(st.none(), st.integers(1, 5)),
                "characters": st.sampled_from([None, "ab ", "abc", "c.", " "]),
                "line_end_columns": st.sampled_from([0, 0, 3]),
            },
        )
    )
    def configure(self, changes: dict[str, Any]) -> None:
        self.oracle.configure(self._send("configure", **changes), changes)

    @precondition(open_still)
    @rule(back=st.integers(-2, 120), at_snapshot=st.booleans())
    def rewind(self, back: int, at_snapshot: bool) -> None:
        column = max(0, self.oracle.n_columns - back)
        if at_snapshot:
            column -= column % SNAPSHOT_SPACING
        self.oracle.rewind(self._send("rewind", column=column), column)

    @precondition(open_still)
    @rule(kind=st.sampled_from(["flush", "flush", "flush", "reset", "ping"]))
    def ask(self, kind: str) -> None:
        getattr(self.oracle, kind)(self._send(kind))

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
            check(_spelt(heard), self.oracle.expected[self.compared], self.net.config.labels)
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


def test_any_mixture_is_answered_as_one_line_read_from_its_start(tiny_lines: Checkpoint) -> None:
    machine = type("Machine", (LineMachine,), {"net": Runtime(tiny_lines)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
