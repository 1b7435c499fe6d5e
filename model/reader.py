"""Read many lines at once as the service does: runtime, decoder, blank columns after each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

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
    return errors([reading.text for reading in readings], [r.line.label for r in readings])


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
            for decoder_readings, decoder in zip(readings, decoders, strict=True):
                decoder_readings.extend(map(partial(_reading, decoder), batch, scores))
        return readings

    def scores(self, lines: Sequence[LineSample]) -> list[Scores]:
        """Return the scores [T + flush_columns, S] of each line and its flush columns."""
        of_lines = []
        for batch in batches(lines):
            initial = self.runtime.initial_state(len(batch))
            scores, _ = self.runtime.run(self._padded(batch), initial)
            of_lines += [scores[: self._length(line), index] for index, line in enumerate(batch)]
        return of_lines

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
                columns_of_line = line.columns[first : first + len(portion)]
                n = len(columns_of_line)
                beyond = scores[n : max(self._length(line) - first, 0), index]
                if n:
                    decoded = decoders[index].step(scores[:n, index], columns_of_line)
                    events[index] += decoded.events
                events[index] += decoders[index].flush(beyond, last=False)
            first += len(portion)
        return [done + decoder.flush() for done, decoder in zip(events, decoders, strict=True)]

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
    lines: Sequence[LineSample], max_columns: int = 100_000
) -> Iterator[Sequence[LineSample]]:
    """Split lines into batches of at most 64, in their order.

    A batch has at most `max_columns`, padding included, which bounds the memory.
    """
    start, widest = 0, 0
    for index, line in enumerate(lines):
        n, widest = index - start, max(widest, len(line.columns))
        if n == 64 or (n and (n + 1) * widest > max_columns):
            yield lines[start:index]
            start, widest = index, len(line.columns)
    if lines:
        yield lines[start:]


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
