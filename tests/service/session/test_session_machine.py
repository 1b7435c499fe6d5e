"""Any mixture of messages, in any pieces and with any delay, is answered as a lone line is."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.limits import Limits
from inkstream.service.protocol.server_messages import Configured
from tests.helpers.session_machine import (
    TOLERANCE,
    Message,
    Oracle,
    Pixels,
    SessionMachine,
    open_still,
    run,
)
from tests.helpers.single_session import LIMITS

pytestmark = pytest.mark.slow

BAD = (b"", b"x" * 27, "", "[]", '{"type":"sing"}', '{"type":"columns","columns":[[300]]}')

Probabilities = NDArray[np.float64]  # [K], 0 where a label may not be answered


class DigitOracle(Oracle):
    """What is due of a classifier; `belief` in a message is what the net believes at that point."""

    def __init__(self, net: Runtime, limits: Limits) -> None:
        super().__init__(net, limits, Configured())
        self._line: list[Pixels] = []
        self._allowed: list[str | None] = []  # at each of its columns
        self._belief: Probabilities | None = None

    @property
    def pixels(self) -> list[Pixels]:
        return self._line

    @property
    def _answer(self) -> Message:
        return {"belief": self._belief}

    def check(self, heard: Message, due: Message) -> None:
        """Labels are compared by their probability, so that near ties may fall either way."""
        due = dict(due)
        belief: Probabilities | None = due.pop("belief", None)
        probabilities, label = heard.pop("probabilities", None), heard.pop("label", None)
        assert heard.items() >= due.items(), (heard, due)
        if label is not None:
            assert belief is not None
            assert belief[int(label)] >= belief.max() - TOLERANCE
        elif heard["type"] in ("flushed", "rewound", "done"):
            assert belief is None
        if probabilities is not None:
            assert belief is not None
            for each, probability in probabilities.items():
                assert abs(belief[int(each)] - probability) < TOLERANCE, heard["column"]
            left_out = [belief[k] for k in range(len(belief)) if str(k) not in probabilities]
            assert max(left_out, default=0.0) <= min(probabilities.values()) + TOLERANCE

    def _write(self, column: Pixels) -> None:
        self._line.append(column)
        self._allowed.append(self._settings.characters)

    def _forget(self, column: int) -> None:
        del self._line[column:], self._allowed[column:]
        self._belief = self._run()[-1] if column else None

    def _results(self, first: int, message_ends: bool) -> None:
        if first == self.n_columns:
            return
        beliefs = self._run()
        self._belief = beliefs[-1]
        for column in range(first, self.n_columns):
            last = message_ends and column == self.n_columns - 1
            if self._settings.every == "column" or last:
                self._say("result", column=column, belief=beliefs[column])

    def _run(self) -> Probabilities:
        """What the net believes after each column of the line, from its start: [n, K]."""
        pixels = np.array(self._line)[:, None]
        scores = self._net.run(pixels, self._net.initial_state(1))[0][:, 0]
        beliefs = np.exp(scores.astype(np.float64))
        for number, allowed in enumerate(self._allowed):
            if allowed is not None:
                beliefs[number, [str(k) not in allowed for k in range(beliefs.shape[1])]] = 0
        beliefs /= beliefs.sum(1, keepdims=True)
        return beliefs


class DigitMachine(SessionMachine):
    """Columns spelt or in bytes, nonsense among them, and limits that may be reached."""

    @initialize(
        line=st.sampled_from([10_000, 10_000, 200]),
        rewind=st.sampled_from([100, 5, 40]),
        bad=st.sampled_from([1000, 1000, 3]),
        ends=st.booleans(),
    )
    def open(self, line: int, rewind: int, bad: int, ends: bool) -> None:
        limits = LIMITS.model_copy(
            update={"max_line_columns": line, "max_rewind_columns": rewind, "max_bad_messages": bad}
        )
        self.begin(DigitOracle(self.net, limits), limits, ends)

    @precondition(open_still)
    @rule(
        first=st.integers(0, 63),
        n_ink=st.one_of(st.just(1), st.integers(0, 70)),
        n_blank=st.integers(0, 9),
        spelt=st.booleans(),
    )
    def send_columns(self, first: int, n_ink: int, n_blank: int, spelt: bool) -> None:
        pixels = self.drawn(first, n_ink, n_blank)
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
        self.oracle.configure(self.send("configure", **changes), changes)

    @precondition(open_still)
    @rule(kind=st.sampled_from(["flush", "reset", "ping"]))
    def ask(self, kind: str) -> None:
        getattr(self.oracle, kind)(self.send(kind))

    @precondition(open_still)
    @rule(frame=st.sampled_from(BAD))
    def send_nonsense(self, frame: str | bytes) -> None:
        self.lone.send(frame)
        self.oracle.bad(None, None)


def test_any_mixture_is_answered_as_a_lone_line_would_be(tiny: Checkpoint) -> None:
    run(DigitMachine, Runtime(tiny), max_examples=100, n_steps=60)
