"""What a session says of its columns: one voice for each kind of model, around its decoder.

A voice hears scores and gives messages. A copy of it is a decoder at an earlier place of the line,
which a rewind goes back to.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import STEP_COLUMNS
from inkstream.model.decoding import base as events
from inkstream.model.decoding.base import ClassifierDecoder, Heard
from inkstream.model.decoding.greedy import Decoder, TranscriptDecoder
from inkstream.service.protocol.events import (
    Character,
    Event,
    Letter,
    Punctuation,
    Span,
    Spelling,
    Word,
)
from inkstream.service.protocol.server_messages import Result
from inkstream.service.session.effects import Effect, Send
from inkstream.service.session.options import Choices

DECIMALS: Final = 6  # of probabilities

Scores = NDArray[np.float32]  # [n, S]
Spans = Callable[[int, int], tuple[Span, ...] | None]


class ClassifierVoice:
    """Says in which labels a classifier believes after every column."""

    flush_columns: Final = 0  # it holds nothing back

    def __init__(self, decoder: ClassifierDecoder, choices: Choices) -> None:
        self.decoder = decoder
        self._choices = choices

    def copy(self) -> "ClassifierVoice":
        """An independent voice at the same place of the line."""
        return ClassifierVoice(self.decoder.copy(), self._choices)

    @property
    def settled(self) -> bool:
        """Whether a flush would decide nothing."""
        return True

    @property
    def answer(self) -> dict[str, Any]:
        """What is believed of the line."""
        return {"label": self.decoder.label}

    @property
    def counts(self) -> dict[str, int]:
        """How much of the line is decided."""
        return {"letters": 0, "words": 0}

    def hear(self, scores: Scores, data: bytes) -> None:
        """Take the scores of new columns, whose pixels are `data`."""
        self._probabilities = self.decoder.step(scores)

    def hear_beyond(self, scores: Scores, last: bool) -> list[Effect]:
        """Take the scores of a flush's blank columns, which a classifier never asks for."""
        return []

    def said(self, epoch: int, first: int, picked: Sequence[int]) -> list[Effect]:
        """What is said of them, with results of those that are picked; `first` is their number."""
        rows = self._probabilities
        if len(picked) != len(rows):
            rows = rows[list(picked)]
        named = zip(picked, self._choices.named(rows), strict=True)
        return [Send(Result(epoch, first + i, shares)) for i, shares in named]


class TranscriberVoice:
    """Says what is written so far, after every column, and what has ended."""

    def __init__(self, decoder: TranscriptDecoder, choices: Choices, spans: Spans) -> None:
        self.decoder = decoder
        self.flush_columns: Final = decoder.flush_columns
        self._choices, self._spans = choices, spans
        self._newest = b"", choices.in_force  # scores that were named, and how

    def copy(self) -> "TranscriberVoice":
        """An independent voice at the same place of the line."""
        return TranscriberVoice(self.decoder.copy(), self._choices, self._spans)

    @property
    def settled(self) -> bool:
        """Whether a flush would decide nothing."""
        return self.decoder.settled

    @property
    def answer(self) -> dict[str, Any]:
        """What is believed of the line."""
        return {"text": self.decoder.text}

    @property
    def counts(self) -> dict[str, int]:
        """How much of the line is decided."""
        return {"letters": self.decoder.letters, "words": self.decoder.words}

    def hear(self, scores: Scores, data: bytes) -> None:
        """Take the scores of new columns, whose pixels are `data`."""
        columns = np.frombuffer(data, np.uint8).reshape(len(scores), -1)
        self._scores, self._heard = scores, self.decoder.step(scores, columns)

    def hear_beyond(self, scores: Scores, last: bool) -> list[Effect]:
        """Take the scores of a flush's blank columns, the last ones or not; what is decided."""
        events = self.decoder.step_beyond(scores) + (self.decoder.flush() if last else [])
        return [self._told(event) for event in events]

    def said(self, epoch: int, first: int, picked: Sequence[int]) -> list[Effect]:
        """What is said of them, with results of those that are picked; `first` is their number."""
        effects: list[Effect] = []
        events, texts = deque(self._heard.events), self._heard.texts
        self._heard = Heard([], [])  # a text for each column is not kept
        named = self._named(first, picked)
        for i, shares in zip(picked, named, strict=True):
            while events and events[0].column <= first + i:
                effects.append(self._told(events.popleft()))
            ended = math.exp(self._scores[i, -1])
            effects.append(Send(Result(epoch, first + i, shares, ended, texts[i])))
        return effects + [self._told(event) for event in events]

    def _told(self, event: events.Event) -> Send:
        return Send(message_of(event, self._spans(event.start, event.end)))

    def _named(self, first: int, picked: Sequence[int]) -> list[dict[str, float]]:
        """The probabilities after columns; a step that two columns share is named once."""
        if not picked:
            return []
        if len(picked) == 1:
            return [self._named_alone(self._scores[picked[0]])]
        steps = [(first + i + 1) // STEP_COLUMNS for i in picked]
        places = dict(zip(steps, picked, strict=True))  # one column of each step
        shares = self.decoder.shares(self._scores[list(places.values())])
        named = dict(zip(places, self._choices.named(shares), strict=True))
        return [named[step] for step in steps]

    def _named_alone(self, row: Scores) -> dict[str, float]:
        """The probabilities of one row [S], which is often the one before."""
        newest = row.tobytes(), self._choices.in_force
        if newest[0] != self._newest[0] or newest[1] is not self._newest[1]:
            self._newest = newest
            (self._newest_shares,) = self._choices.named(self.decoder.shares(row[None]))
        return self._newest_shares


Voice = ClassifierVoice | TranscriberVoice


def voice_of(decoder: Decoder, choices: Choices, spans: Spans) -> Voice:
    """The voice that suits a decoder; `spans` tells what the pen wrote from a column to another."""
    if isinstance(decoder, TranscriptDecoder):
        return TranscriberVoice(decoder, choices, spans)
    return ClassifierVoice(decoder, choices)


def message_of(event: events.Event, strokes: tuple[Span, ...] | None = None) -> Event:
    """The message that tells of a letter, a mark or a word, and what the pen wrote of it."""
    common: dict[str, Any] = {
        "id": event.id,
        "start": event.start,
        "end": event.end,
        "column": event.column,
        "confidence": round(event.confidence, DECIMALS),
        "strokes": strokes,
    }
    others = [(text, round(p, DECIMALS)) for text, p in event.alternatives]
    if isinstance(event, events.Word):
        spellings = tuple(Spelling(text=text, p=p) for text, p in others)
        return Word(text=event.text, alternatives=spellings, **common)
    kind = Punctuation if event.is_mark else Letter
    characters = tuple(Character(char=char, p=p) for char, p in others)
    return kind(char=event.char, alternatives=characters, **common)
