"""Reads lines as the service does, many at once: runtime, decoder, blank columns at their end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.config import STEP_COLUMNS
from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import Event, Heard, Letter, Word
from inkstream.model.decoding.greedy import TranscriptDecoder
from inkstream.model.decoding.guided import new_decoder
from inkstream.model.decoding.hints import NO_HINTS, Hints
from inkstream.model.runtime import Runtime

Scores = NDArray[np.float32]  # [T, S], see `Runtime.run`

STREAMS: Final = 64  # read side by side
COLUMNS_AT_ONCE: Final = 100_000  # of all of them, padding included: bounds the memory


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is said of one line."""

    line: LineSample
    text: str
    events: list[Event]  # as they come when the line is flushed right behind its ink
    ends: NDArray[np.float32]  # [steps], probability that a letter ended `END_DELAY` steps before
    live: Heard | None  # where blank columns follow instead, of lines that tell their letters' ends

    @property
    def letters(self) -> list[Letter]:
        """Letters and marks, in their order."""
        return [event for event in self.events if isinstance(event, Letter)]

    @property
    def words(self) -> list[Word]:
        """Words, in their order."""
        return [event for event in self.events if isinstance(event, Word)]


def told(line: LineSample) -> bool:
    """Whether the data tell where all of a line's letters end."""
    spoken = spoken_places(line.label)
    return len(line.ends) == len(line.label) > 0 and bool(np.isfinite(line.ends[spoken]).all())


def spoken_places(label: str) -> NDArray[np.int64]:
    """Places of a label's letters and marks: all but the spaces."""
    return np.array([place for place, char in enumerate(label) if char != " "], np.int64)


class Reader:
    """One net, and the decoder that is served with it, with hints or none."""

    def __init__(self, checkpoint: Checkpoint, hints: Hints = NO_HINTS) -> None:
        self.runtime = Runtime(checkpoint)
        self.config = self.runtime.config
        self._hints = hints

    def decoder(self) -> TranscriptDecoder:
        """A decoder at the start of a line."""
        decoder = new_decoder(self.config, self._hints)
        assert isinstance(decoder, TranscriptDecoder)
        return decoder

    def read(self, lines: Sequence[LineSample], characters: str | None = None) -> list[Reading]:
        """Read lines, quickest where neighbours are about as wide.

        `characters` are those that may be answered; None allows all.
        """
        decoder = self.decoder()
        decoder.allow(characters)
        return self.read_by([decoder], lines)[0]

    def read_by(
        self, decoders: Sequence[TranscriptDecoder], lines: Sequence[LineSample]
    ) -> list[list[Reading]]:
        """What each decoder makes of the same scores of lines."""
        readings: list[list[Reading]] = [[] for _ in decoders]
        for batch in batches(lines):
            scores = self.scores(batch)
            for own, decoder in zip(readings, decoders, strict=True):
                own += [_decoded(decoder, *each) for each in zip(batch, scores, strict=True)]
        return readings

    def scores(self, batch: Sequence[LineSample]) -> list[Scores]:
        """Scores [T + flush_columns, S] of each line and of the blank columns that flush it."""
        columns = self._side_by_side(batch)
        scores, _ = self.runtime.run(columns, self.runtime.initial_state(len(batch)))
        return [scores[: self._length(line), place] for place, line in enumerate(batch)]

    def portions(self, batch: Sequence[LineSample], sizes: Iterator[int]) -> list[list[Event]]:
        """The events of lines that come in portions of so many columns, and are then flushed."""
        decoders = [self.decoder() for _ in batch]
        events: list[list[Event]] = [[] for _ in batch]
        columns = self._side_by_side(batch)
        state, first = self.runtime.initial_state(len(batch)), 0
        while first < len(columns):
            portion = columns[first : first + next(sizes)]
            scores, state = self.runtime.run(portion, state)
            for place, line in enumerate(batch):
                own = line.columns[first : first + len(portion)]
                beyond = scores[len(own) : max(self._length(line) - first, 0), place]
                if len(own):
                    events[place] += decoders[place].step(scores[: len(own), place], own).events
                if len(beyond):
                    events[place] += decoders[place].step_beyond(beyond)
            first += len(portion)
        return [own + decoder.flush() for own, decoder in zip(events, decoders, strict=True)]

    def _length(self, line: LineSample) -> int:
        """Columns of a line and of the blank ones that flush it."""
        return len(line.columns) + self.config.flush_columns

    def _side_by_side(self, batch: Sequence[LineSample]) -> NDArray[np.uint8]:
        """Lines with blank columns behind them, all as long as the longest: [T, B, H]."""
        shape = (max(map(self._length, batch)), len(batch), self.config.column_height)
        columns = np.zeros(shape, np.uint8)
        for place, line in enumerate(batch):
            columns[: len(line.columns), place] = line.columns
        return columns


def batches(lines: Sequence[LineSample]) -> Iterator[Sequence[LineSample]]:
    """Lines in their order, so many together as are read at once."""
    start = 0
    while start < len(lines):
        end, widest = start, 0
        while end < min(len(lines), start + STREAMS):
            widest = max(widest, len(lines[end].columns))
            if end > start and (end + 1 - start) * widest > COLUMNS_AT_ONCE:
                break
            end += 1
        yield lines[start:end]
        start = end


def flushed(decoder: TranscriptDecoder, line: LineSample, scores: Scores) -> list[Event]:
    """The events of a line with scores [T + flush_columns, S]; the decoder is reset first."""
    n_columns = len(line.columns)
    decoder.reset()
    events = decoder.step(scores[:n_columns], line.columns).events
    return events + decoder.step_beyond(scores[n_columns:]) + decoder.flush()


def _decoded(decoder: TranscriptDecoder, line: LineSample, scores: Scores) -> Reading:
    """What the decoder makes of a line's scores [T + flush_columns, S]; it is reset first."""
    events = flushed(decoder, line, scores)
    text, live = decoder.text, None
    if told(line):
        blank = np.zeros((len(scores) - len(line.columns), line.columns.shape[1]), np.uint8)
        decoder.reset()
        live = decoder.step(scores, np.concatenate([line.columns, blank]))
        live.events.extend(decoder.flush())
    ends = np.exp(scores[STEP_COLUMNS - 1 :: STEP_COLUMNS, -1])
    return Reading(line, text, events, ends, live)
