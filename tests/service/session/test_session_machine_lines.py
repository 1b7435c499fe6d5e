"""Any mixture of messages to a transcriber is answered as one line read from its start would be."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.decoding.base import allowed_labels
from inkstream.model.runtime import Runtime
from inkstream.service.limits import Limits
from inkstream.service.protocol.server_messages import Configured
from inkstream.service.session import SessionModel, message_of
from inkstream.service.session.options import decoder_for
from tests.helpers.session_machine import (
    TOLERANCE,
    Message,
    Oracle,
    Pixels,
    SessionMachine,
    open_still,
    run,
    spelt,
)
from tests.helpers.single_session import LANGUAGES, LIMITS

pytestmark = pytest.mark.slow


@dataclass
class Column:
    """One column of the line, and what may be answered when it comes."""

    pixels: Pixels
    characters: str | None


@dataclass
class Flush:
    """A flush, and what may be answered then."""

    characters: str | None


class LineOracle(Oracle):
    """What is due of a transcriber: a line is made of columns and flushes."""

    def __init__(self, net: Runtime, limits: Limits) -> None:
        super().__init__(net, limits, Configured(top_k=5))
        self._items: list[Column | Flush] = []
        self._told = self._settings  # before the line began
        self._read()

    @property
    def pixels(self) -> list[Pixels]:
        return [item.pixels for item in self._items if isinstance(item, Column)]

    @property
    def _counts(self) -> dict[str, int]:
        return {"letters": self._decoder.letters, "words": self._decoder.words}

    @property
    def _answer(self) -> Message:
        labels = self._net.config.labels
        self._decoder.allowed = allowed_labels(labels, self._settings.characters)
        return {"text": self._decoder.text}

    def check(self, heard: Message, due: Message) -> None:
        """Probabilities are compared by their value."""
        due = dict(due)
        if heard["type"] == "result":
            shares, got = due.pop("shares"), heard.pop("probabilities")
            for label, share in got.items():
                assert abs(shares[self._net.config.labels.index(label)] - share) < TOLERANCE
            assert abs(heard.pop("letter_end") - due.pop("letter_end")) < TOLERANCE
        if "alternatives" in due:
            assert abs(heard.pop("confidence") - due.pop("confidence")) < TOLERANCE
            del heard["alternatives"], due["alternatives"]  # near ties may fall either way
        assert heard.items() >= due.items(), (heard, due)

    def configure(self, ref: int, changes: Message) -> None:
        super().configure(ref, changes)
        if not self._items:
            self._told = self._settings
            self._read()

    def _new_line(self) -> None:
        super()._new_line()
        self._told = self._settings
        self._read()

    def _write(self, column: Pixels) -> None:
        self._items.append(Column(column, self._settings.characters))

    def _forget(self, column: int) -> None:
        places = [i for i, item in enumerate(self._items) if isinstance(item, Column)]
        del self._items[[*places, len(self._items)][column] :]
        self._read()

    def _flush(self, ref: int | None) -> None:
        if self._items and isinstance(self._items[-1], Column):
            self._items.append(Flush(self._settings.characters))
            self._read()
            self.expected += self._said[-1]
        super()._flush(ref)

    def _results(self, first: int, message_ends: bool) -> None:
        self._read()
        columns = [i for i, item in enumerate(self._items) if isinstance(item, Column)]
        for number in range(first, len(columns)):
            *events, result = self._said[columns[number]]
            self.expected += events
            last = message_ends and number == len(columns) - 1
            if self._settings.every == "column" or last:
                self._say("result", column=number, **result)

    def _read(self) -> None:
        """Have the whole line read; `_said` is what follows from each of its items."""
        config = self._net.config
        decoder = decoder_for(SessionModel.of(self._net.metadata, LIMITS, LANGUAGES), self._told)
        self._decoder = decoder
        self._said: list[list[Message]] = []
        state = self._net.initial_state(1)
        blank = np.zeros((config.flush_columns, 1, config.column_height), np.uint8)
        for item in self._items:
            self._decoder.allowed = allowed_labels(config.labels, item.characters)
            if isinstance(item, Flush):
                scores, state = self._net.run(blank, state)
                events = self._decoder.flush(scores[:, 0])
                self._said.append([spelt(message_of(event)) for event in events])
            else:
                scores, state = self._net.run(item.pixels[None, None], state)
                heard = self._decoder.step(scores[:, 0], item.pixels[None])
                said = [spelt(message_of(event)) for event in heard.events]
                shares = self._decoder.probabilities(scores[:, 0])[0]
                ends = float(np.exp(scores[0, 0, -1]))
                said.append({"shares": shares, "letter_end": ends, "text": heard.texts[0]})
                self._said.append(said)


class LineMachine(SessionMachine):
    """Columns and many flushes, with characters and hints that come and go."""

    @initialize(rewind=st.sampled_from([100, 5, 40]), ends=st.booleans())
    def open(self, rewind: int, ends: bool) -> None:
        limits = LIMITS.model_copy(
            update={
                "max_rewind_columns": rewind,
                "max_bad_messages": 1000,
                "max_line_columns": 10_000,
                "max_control_per_s": 1000,  # patterns cost more of it
            }
        )
        self.begin(LineOracle(self.net, limits), limits, ends)

    @precondition(open_still)
    @rule(
        first=st.integers(0, 63),
        n_ink=st.one_of(st.just(1), st.integers(0, 50)),
        n_blank=st.integers(0, 6),
    )
    def send_columns(self, first: int, n_ink: int, n_blank: int) -> None:
        pixels = self.drawn(first, n_ink, n_blank)
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
                "language_model": st.sampled_from([None, "little"]),
                "words": st.sampled_from([[], ["cab", "abc"]]),
                "pattern": st.sampled_from([None, None, "[abc. ]*", "(ab|c| )+( a)*"]),
            },
        )
    )
    def configure(self, changes: dict[str, Any]) -> None:
        self.oracle.configure(self.send("configure", **changes), changes)

    @precondition(open_still)
    @rule(kind=st.sampled_from(["flush", "flush", "flush", "reset", "ping"]))
    def ask(self, kind: str) -> None:
        getattr(self.oracle, kind)(self.send(kind))


def test_any_mixture_is_answered_as_one_line_read_from_its_start(tiny_lines: Checkpoint) -> None:
    run(LineMachine, Runtime(tiny_lines), max_examples=60, n_steps=40)
