"""Check what must hold of a stream of lines: events are final, and the error does not drift."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from rapidfuzz.distance import Levenshtein

from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import Event, Letter
from inkstream.model.evaluation.evaluation_set import SEED, EvaluationSet, concatenated
from inkstream.model.metrics import Figures
from inkstream.model.reader import Reader, Reading, batches

MOST_PORTION: Final = 40  # columns
SINGLY: Final = 64  # lines that also come column by column
STARTS: Final = (0, 500, 2000, 10_000)  # columns of ink before the ink that is measured
MEASURED: Final = 2000  # columns of it, about
LONG_LINES: Final = 48  # one of each of so many writers
LEAST_PIECES: Final = 10  # of a writer of a long line


def finality(reader: Reader, readings: Sequence[Reading]) -> Figures:
    """Count events that differ when the same lines come in portions; check that ids rise.

    Every line comes in random portions, and a sample column by column too.
    """
    rng = np.random.default_rng(SEED)
    sample = [readings[i] for i in sorted(rng.permutation(len(readings))[:SINGLY].tolist())]
    changed = 0
    for own, sizes in ((readings, _random_sizes(rng)), (sample, itertools.repeat(1))):
        again = (
            events
            for batch in batches([reading.line for reading in own])
            for events in reader.read_in_portions(batch, sizes)
        )
        changed += sum(
            _n_changed(reading.events, events)
            for reading, events in zip(own, again, strict=True)
        )  # fmt: skip
    return {
        "lines": len(readings),
        "lines_column_by_column": len(sample),
        "events": sum(len(reading.events) for reading in readings),
        "changed": changed,
        "ids_rise": all(_ids_rise(reading.events) for reading in readings),
    }


def _random_sizes(rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield int(rng.integers(1, MOST_PORTION + 1))


def _n_changed(whole: Sequence[Event], parts: Sequence[Event]) -> int:
    """Return how many events of a line differ when it comes in parts."""
    pairs = itertools.zip_longest(map(_compared, whole), map(_compared, parts))
    return sum(one != other for one, other in pairs)


def _compared(event: Event) -> tuple[object, ...]:
    """Return an event without its probabilities: their last digits depend on the order of sums."""
    text = event.char if isinstance(event, Letter) else event.text
    return type(event), event.id, text, event.start, event.end, event.column


def _ids_rise(events: Sequence[Event]) -> bool:
    """Return whether letters and words are numbered from 0 without a gap."""
    letters = [event.id for event in events if isinstance(event, Letter)]
    words = [event.id for event in events if not isinstance(event, Letter)]
    return letters == list(range(len(letters))) and words == list(range(len(words)))


def drift(reader: Reader, pieces: EvaluationSet, indices: Sequence[int], most: int) -> Figures:
    """Return the CER of the same ink at the start of a line and behind other ink of its writer.

    Args:
        reader: reads.
        pieces: the evaluation set.
        indices: of the pieces that may be used.
        most: lines at each of `STARTS`, by the writers with the most pieces.
    """
    own = pieces.by_writer(indices)
    writers = sorted(own, key=lambda writer: (-len(own[writer]), writer))
    writers = [writer for writer in writers if len(own[writer]) >= LEAST_PIECES]
    rng = np.random.default_rng(SEED)
    lines: dict[int, list[LineSample]] = {start: [] for start in STARTS}
    lengths = []  # characters of the ink that is measured
    for writer in writers[: min(most, LONG_LINES)]:
        samples = pieces.samples(own[writer])
        measured = _some(samples, MEASURED, rng)
        lengths.append(len(concatenated(measured).label))
        for start in STARTS:
            before = _some(samples, start, rng)
            lines[start].append(concatenated([*before, *measured]))
    n_wrong = {
        start: sum(
            errors_from(reading.text, reading.line.label, len(reading.line.label) - length)
            for reading, length in zip(reader.read(lines[start]), lengths, strict=True)
        )
        for start in STARTS
    }
    return {
        "columns": list(STARTS),
        "lines": len(lengths),
        "characters": sum(lengths),
        "cer": [n_wrong[start] / sum(lengths) if lengths else None for start in STARTS],
    }


def _some(
    lines: Sequence[LineSample], n_columns: int, rng: np.random.Generator
) -> list[LineSample]:
    """Return lines of so many columns in random order, repeated where there are too few."""
    chosen: list[LineSample] = []
    for index in itertools.cycle(rng.permutation(len(lines)).tolist()):
        if sum(len(line.columns) for line in chosen) >= n_columns:
            break
        chosen.append(lines[index])
    return chosen


def errors_from(text: str, label: str, start: int) -> int:
    """Count the edits from `text` to `label`, from position `start` of the label on."""
    return sum(edit.dest_pos >= start for edit in Levenshtein.editops(text, label))
