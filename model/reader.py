"""Read many lines at once as the service does: runtime, decoder, blank columns after each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.config import STEP_COLUMNS
from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import (
    SPACE,
    Decoded,
    Decoder,
    Event,
    Letter,
    Scores,
    Word,
    decode_line,
)
from inkstream.model.decoding.hints import NO_HINTS, Hints, new_decoder
from inkstream.model.metrics import Figures, errors
from inkstream.model.runtime import Runtime

STREAMS: Final = 64  # lines in a batch, at most
COLUMNS_AT_ONCE: Final = 100_000  # of a batch, padding included: bounds the memory


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read of one line."""

    line: LineSample
    text: str
    events: list[Event]  # of the line, flushed right after its ink
    ends: NDArray[np.float32]  # [steps], probability that a letter ended `END_DELAY` steps before
    unflushed: Decoded | None  # of the line, followed by blank columns; where letter ends are known

    @property
    def letters(self) -> list[Letter]:
        """Letters and marks, in their order."""
        return [event for event in self.events if isinstance(event, Letter)]

    @property
    def words(self) -> list[Word]:
        """Words, in their order."""
        return [event for event in self.events if isinstance(event, Word)]


def reading_errors(readings: Sequence[Reading]) -> Figures:
    """Return the CER and the share of exact matches."""
    return errors([each.text for each in readings], [each.line.label for each in readings])


def has_letter_ends(line: LineSample) -> bool:
    """Return whether the data have the ends of all letters of a line."""
    letters = letter_positions(line.label)
    return len(line.ends) == len(line.label) > 0 and bool(np.isfinite(line.ends[letters]).all())


def letter_positions(label: str) -> NDArray[np.int64]:
    """Return the positions of a label's letters and marks: all but the spaces."""
    return np.array([position for position, char in enumerate(label) if char != SPACE], np.int64)


class Reader:
    """One net, and the decoders that are served with it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.runtime = Runtime(checkpoint)
        self.config = self.runtime.config

    def decoder(self, hints: Hints = NO_HINTS, characters: str | None = None) -> Decoder:
        """Return a decoder at the start of a line; only `characters` are allowed, None is all."""
        return new_decoder(self.config, hints, characters)

    def read(self, lines: Sequence[LineSample], characters: str | None = None) -> list[Reading]:
        """Read lines without hints; this is fastest where neighbours have similar widths."""
        return self.read_with([self.decoder(characters=characters)], lines)[0]

    def read_with(
        self, decoders: Sequence[Decoder], lines: Sequence[LineSample]
    ) -> list[list[Reading]]:
        """Read lines with each decoder, from the same scores."""
        readings: list[list[Reading]] = [[] for _ in decoders]
        for batch in batches(lines):
            scores = self.scores(batch)
            for own, decoder in zip(readings, decoders, strict=True):
                own += [_reading(decoder, *each) for each in zip(batch, scores, strict=True)]
        return readings

    def scores(self, lines: Sequence[LineSample]) -> list[Scores]:
        """Return the scores [T + flush_columns, S] of each line and its flush columns."""
        found = []
        for batch in batches(lines):
            initial = self.runtime.initial_state(len(batch))
            scores, _ = self.runtime.run(self._padded(batch), initial)
            found += [scores[: self._length(line), index] for index, line in enumerate(batch)]
        return found

    def read_in_portions(
        self, batch: Sequence[LineSample], sizes: Iterator[int]
    ) -> list[list[Event]]:
        """Return the events of lines that come in portions of `sizes` and are then flushed."""
        decoders = [self.decoder() for _ in batch]
        events: list[list[Event]] = [[] for _ in batch]
        columns = self._padded(batch)
        state, first = self.runtime.initial_state(len(batch)), 0
        while first < len(columns):
            portion = columns[first : first + next(sizes)]
            scores, state = self.runtime.run(portion, state)
            for index, line in enumerate(batch):
                own = line.columns[first : first + len(portion)]
                beyond = scores[len(own) : max(self._length(line) - first, 0), index]
                if len(own):
                    events[index] += decoders[index].step(scores[: len(own), index], own).events
                events[index] += decoders[index].flush(beyond, last=False)
            first += len(portion)
        return [own + decoder.flush() for own, decoder in zip(events, decoders, strict=True)]

    def _length(self, line: LineSample) -> int:
        """Return the columns of a line, its flush columns included."""
        return len(line.columns) + self.config.flush_columns

    def _padded(self, batch: Sequence[LineSample]) -> NDArray[np.uint8]:
        """Return lines followed by blank columns, all as long as the longest: [T, B, .]."""
        shape = (max(map(self._length, batch)), len(batch), self.config.column_size)
        columns = np.zeros(shape, np.uint8)
        for index, line in enumerate(batch):
            columns[: len(line.columns), index, : line.columns.shape[1]] = line.columns
        return columns


def batches(
    lines: Sequence[LineSample], most_columns: int = COLUMNS_AT_ONCE
) -> Iterator[Sequence[LineSample]]:
    """Split lines into batches of at most `most_columns`, padding included, in their order."""
    start = 0
    while start < len(lines):
        end, widest = start, 0
        while end < min(len(lines), start + STREAMS):
            widest = max(widest, len(lines[end].columns))
            if end > start and (end + 1 - start) * widest > most_columns:
                break
            end += 1
        yield lines[start:end]
        start = end


def _reading(decoder: Decoder, line: LineSample, scores: Scores) -> Reading:
    flushed = decoder.copy()
    events = decode_line(flushed, scores, line.columns)
    unflushed = None
    if has_letter_ends(line):
        blank = np.zeros((len(scores) - len(line.columns), line.columns.shape[1]), np.uint8)
        decoder = decoder.copy()
        unflushed = decoder.step(scores, np.concatenate([line.columns, blank]))
        unflushed.events.extend(decoder.flush())
    ends = np.exp(scores[STEP_COLUMNS - 1 :: STEP_COLUMNS, -1])
    return Reading(line, flushed.text or "", events, ends, unflushed)
