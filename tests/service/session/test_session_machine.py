"""A classifier answers any mixture of messages as if each line were read without interruption."""

from typing import ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Configured, Limits
from tests.helpers.session_machine import (
    TOLERANCE,
    Message,
    Oracle,
    Pixels,
    SessionMachine,
    is_open,
    run,
)
from tests.helpers.single_session import LIMITS

BAD = (b"", b"x" * 27, "", "[]", '{"type":"sing"}', '{"type":"columns","columns":[[300]]}')

Probabilities = NDArray[np.float64]  # [K], 0 where a label may not be answered


class DigitOracle(Oracle):
    """The oracle of a classifier; `net_probabilities` of a message are those at its column."""

    def __init__(self, net: Runtime, limits: Limits) -> None:
        super().__init__(net, limits, Configured())
        self._line: list[Pixels] = []
        self._allowed: list[str | None] = []  # at each of its columns
        self._probabilities: Probabilities | None = None

    @property
    def pixels(self) -> list[Pixels]:
        return self._line

    @property
    def _answer(self) -> Message:
        return {"net_probabilities": self._probabilities}

    def check(self, message: Message, expected: Message) -> None:
        """Check a message; of labels that are almost equally probable, accept any."""
        fields = dict(expected)
        net_probabilities: Probabilities | None = fields.pop("net_probabilities", None)
        pairs, label = message.pop("probabilities", None), message.pop("label", None)
        assert message.items() >= fields.items(), (message, fields)
        if label is not None:
            assert net_probabilities is not None
            assert net_probabilities[int(label)] >= net_probabilities.max() - TOLERANCE
        elif "net_probabilities" in expected and pairs is None:
            assert net_probabilities is None
        if pairs is not None:
            assert net_probabilities is not None
            for label, probability in pairs:
                assert abs(net_probabilities[int(label)] - probability) < TOLERANCE
            shown = dict(pairs)
            left_out = [p for k, p in enumerate(net_probabilities) if str(k) not in shown]
            assert max(left_out, default=0.0) <= min(shown.values()) + TOLERANCE
            if len(shown) < np.count_nonzero(net_probabilities):  # `top_k` is set
                assert [*shown.values()] == sorted(shown.values(), reverse=True)

    def _write(self, column: Pixels) -> None:
        self._line.append(column)
        self._allowed.append(self._settings.characters)

    def _forget(self, column: int) -> None:
        del self._line[column:], self._allowed[column:]
        self._probabilities = self._run()[-1] if column else None

    def _results(self, first: int, message_ends: bool) -> None:
        if first == self.n_columns:
            return
        probabilities = self._run()
        self._probabilities = probabilities[-1]
        for column in range(first, self.n_columns):
            last = message_ends and column == self.n_columns - 1
            if self._settings.results == "column" or (last and self._settings.results == "message"):
                self._expect("result", column=column, net_probabilities=probabilities[column])

    def _flush(self) -> None:
        """Nothing is left to be decided."""

    def _run(self) -> Probabilities:
        """Return the probabilities after each column of the line, run from its start: [n, K]."""
        pixels = np.array(self._line)[:, None]
        scores = self._net.run(pixels, self._net.initial_state(1))[0][:, 0]
        probabilities = np.exp(scores.astype(np.float64))
        for number, allowed in enumerate(self._allowed):
            if allowed is not None:
                probabilities[
                    number, [str(k) not in allowed for k in range(probabilities.shape[1])]
                ] = 0
        probabilities /= probabilities.sum(1, keepdims=True)
        return probabilities


class DigitMachine(SessionMachine):
    """Columns as JSON or bytes, malformed messages, and limits that may be reached."""

    changes: ClassVar = {
        "results": st.sampled_from(["column", "message", "none"]),
        "top_k": st.one_of(st.none(), st.integers(1, 10)),
        "snapshot_columns": st.sampled_from([0, 64]),
        "characters": st.sampled_from([None, "7", "0123", "9876543210"]),
        "line_end_columns": st.sampled_from([0, 1, 4, 12]),
    }
    controls: ClassVar = ["flush", "reset"]

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

    @precondition(is_open)
    @rule(frame=st.sampled_from(BAD))
    def send_malformed(self, frame: str | bytes) -> None:
        self.send(frame)
        self.oracle.bad(None, None)


def test_any_mixture_of_messages_to_a_classifier_is_answered_as_expected(tiny: Checkpoint) -> None:
    run(DigitMachine, Runtime(tiny), max_examples=100, n_steps=60)
