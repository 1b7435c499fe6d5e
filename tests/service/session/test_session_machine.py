"""A transcriber answers any mixture of messages as if each line were read without interruption."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.decoding.base import allowed_labels
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Configured, Limits
from inkstream.service.session import SessionModel, message_of
from inkstream.service.session.options import decoder_for
from tests.helpers.single_session import LANGUAGES, LIMITS
from tests.service.session.session_machine import (
    TOLERANCE,
    Message,
    Oracle,
    Pixels,
    SessionMachine,
    as_json,
    is_open,
    run,
)

BAD = (b"", b"x" * 15, "", "[]", '{"type":"sing"}', '{"type":"columns","columns":[[300]]}')


@dataclass
class Column:
    """One column of the line, and the characters allowed at it."""

    pixels: Pixels
    characters: str | None


@dataclass
class Flush:
    """A flush, and the characters allowed at it."""

    characters: str | None


class LineOracle(Oracle):
    """The oracle of a transcriber, whose lines are made of columns and flushes."""

    def __init__(self, net: Runtime, limits: Limits) -> None:
        super().__init__(net, limits, Configured(top_k=5))
        self._items: list[Column | Flush] = []
        self._line_settings = self._settings  # before the line began
        self._shown = ""  # the text that the client has
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

    def check(self, message: Message, expected: Message) -> None:
        """Check a message, its probabilities within `TOLERANCE`."""
        expected = dict(expected)
        if message["type"] == "result":
            probabilities, labels = expected.pop("net_probabilities"), self._net.config.labels
            for label, probability in message.pop("probabilities"):
                assert abs(probabilities[labels.index(label)] - probability) < TOLERANCE
            assert abs(message.pop("letter_end") - expected.pop("letter_end")) < TOLERANCE
            message["text"] = self._shown[: message.pop("stable")] + message["text"]
        if "alternatives" in expected:
            assert abs(message.pop("confidence") - expected.pop("confidence")) < TOLERANCE
            del message["alternatives"], expected["alternatives"]  # near ties may fall either way
        assert message.items() >= expected.items(), (message, expected)
        if message["type"] in ("result", "rewound", "flushed"):
            self._shown = message["text"]
        elif message["type"] in ("line_end", "reset_done"):
            self._shown = ""

    def configure(self, ref: int, changes: Message) -> None:
        words, characters = (
            changes.get(name, getattr(self._settings, name)) for name in ("words", "characters")
        )
        if characters is not None and not set("".join(words)) <= set(characters):
            self.bad("bad_value", ref)
            return
        super().configure(ref, changes)
        if not self._items:
            self._line_settings = self._settings
            self._read()

    def _new_line(self) -> None:
        super()._new_line()
        self._line_settings = self._settings
        self._read()

    def _write(self, column: Pixels) -> None:
        self._items.append(Column(column, self._settings.characters))

    def _forget(self, column: int) -> None:
        indices = [i for i, item in enumerate(self._items) if isinstance(item, Column)]
        del self._items[[*indices, len(self._items)][column] :]
        self._read()

    def _flush(self) -> None:
        if self._items and isinstance(self._items[-1], Column):
            self._items.append(Flush(self._settings.characters))
            self._read()
            self._expect_events(self._messages_by_item[-1])

    def _expect_events(self, events: list[Message]) -> None:
        for event in events:
            self._expect(event.pop("type"), **event)

    def _results(self, first: int, message_ends: bool) -> None:
        self._read()
        columns = [i for i, item in enumerate(self._items) if isinstance(item, Column)]
        for number in range(first, len(columns)):
            *events, result = self._messages_by_item[columns[number]]
            self._expect_events(events)
            last = message_ends and number == len(columns) - 1
            if self._settings.results == "column" or (last and self._settings.results == "message"):
                self._expect("result", column=number, **result)

    def _read(self) -> None:
        """Read the whole line; set `_messages_by_item` to the messages that each item causes."""
        config = self._net.config
        decoder = decoder_for(
            SessionModel.of(self._net.metadata, LIMITS, LANGUAGES), self._line_settings
        )
        self._decoder = decoder
        self._messages_by_item: list[list[Message]] = []
        state = self._net.initial_state(1)
        blank = np.zeros((config.flush_columns, 1, config.column_height), np.uint8)
        for item in self._items:
            self._decoder.allowed = allowed_labels(config.labels, item.characters)
            if isinstance(item, Flush):
                scores, state = self._net.run(blank, state)
                events = self._decoder.flush(scores[:, 0])
                self._messages_by_item.append([as_json(message_of(event)) for event in events])
            else:
                scores, state = self._net.run(item.pixels[None, None], state)
                decoded = self._decoder.step(scores[:, 0], item.pixels[None])
                messages = [as_json(message_of(event)) for event in decoded.events]
                probabilities = self._decoder.probabilities(scores[:, 0])[0]
                letter_end = float(np.exp(scores[0, 0, -1]))
                messages.append(
                    {
                        "net_probabilities": probabilities,
                        "letter_end": letter_end,
                        "text": decoded.texts[0],
                    }
                )
                self._messages_by_item.append(messages)


class LineMachine(SessionMachine):
    """Columns and many flushes, malformed messages, and limits that may be reached."""

    changes: ClassVar = {
        "results": st.sampled_from(["column", "message", "none"]),
        "top_k": st.one_of(st.none(), st.integers(1, 5)),
        "characters": st.sampled_from([None, "ab ", "abc", "c.", " "]),
        "line_end_columns": st.sampled_from([0, 0, 3]),
        "snapshot_columns": st.sampled_from([0, 64]),
        "language": st.sampled_from([None, "little", "little,other"]),
        "words": st.sampled_from([[], ["cab", "abc"]]),
        "pattern": st.sampled_from([None, None, "[abc. ]*", "(ab|c| )+( a)*"]),
    }
    controls: ClassVar = ["flush", "flush", "flush", "reset"]

    @initialize(
        line=st.sampled_from([10_000, 10_000, 200]),
        rewind=st.sampled_from([100, 5, 40]),
        bad=st.sampled_from([1000, 1000, 3]),
        ends=st.booleans(),
    )
    def open(self, line: int, rewind: int, bad: int, ends: bool) -> None:
        limits = LIMITS.model_copy(
            update={
                "max_rewind_columns": rewind,
                "max_bad_messages": bad,
                "max_line_columns": line,
                "max_control_per_s": 1000,  # patterns cost more of it
            }
        )
        self.begin(LineOracle(self.net, limits), limits, ends)

    @precondition(is_open)
    @rule(frame=st.sampled_from(BAD))
    def send_malformed(self, frame: str | bytes) -> None:
        self.send(frame)
        self.oracle.bad(None, None)


def test_any_mixture_of_messages_to_a_transcriber_is_answered_as_expected(
    tiny_lines: Checkpoint,
) -> None:
    run(LineMachine, Runtime(tiny_lines), max_examples=40, n_steps=40)
