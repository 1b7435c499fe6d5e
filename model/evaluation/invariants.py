"""What must hold of a stream of lines: events are final, and the error does not drift."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from rapidfuzz.distance import Levenshtein

from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import Event, Letter
from inkstream.model.evaluation.material import SEED, Material, one_behind_the_other
from inkstream.model.metrics import Figures
from inkstream.model.reader import Reader, Reading, batches

MOST_PORTION: Final = 40  # columns
SINGLY: Final = 64  # lines that also come column by column
PLACES: Final = (0, 500, 2000, 10_000)  # columns of ink before the ink that is measured
MEASURED: Final = 2000  # columns of it, about
LONG_LINES: Final = 48  # one of each of so many writers
LEAST_PIECES: Final = 10  # of a writer of a long line


def finality(reader: Reader, readings: Sequence[Reading]) -> Figures:
    """Whether events are the same however a line's columns come, and whether their ids rise.

    Every line comes in portions of chance, and a sample column by column.
    """
    random = np.random.default_rng(SEED)
    sample = random.permutation(len(readings))[:SINGLY].tolist()
    again = [
        events
        for batch in batches([reading.line for reading in readings])
        for events in reader.portions(batch, _portions(random))
    ]
    singly = [
        events
        for batch in batches([readings[place].line for place in sorted(sample)])
        for events in reader.portions(batch, itertools.repeat(1))
    ]
    pairs = [
        *zip([reading.events for reading in readings], again, strict=True),
        *zip([readings[place].events for place in sorted(sample)], singly, strict=True),
    ]
    return {
        "lines": len(readings),
        "lines_column_by_column": len(sample),
        "events": sum(len(reading.events) for reading in readings),
        "changed": sum(_changes(whole, parts) for whole, parts in pairs),
        "ids_rise": all(_ids_rise(reading.events) for reading in readings),
    }


def _portions(random: np.random.Generator) -> Iterator[int]:
    """Sizes of portions without end, in columns."""
    while True:
        yield int(random.integers(1, MOST_PORTION + 1))


def _changes(whole: Sequence[Event], parts: Sequence[Event]) -> int:
    """How many events of a line are others when it comes in parts."""
    pairs = itertools.zip_longest(map(_said, whole), map(_said, parts))
    return sum(one != other for one, other in pairs)


def _said(event: Event) -> tuple[object, ...]:
    """An event without its probabilities, whose last digits depend on how sums are grouped."""
    text = event.char if isinstance(event, Letter) else event.text
    return type(event), event.id, text, event.start, event.end, event.column


def _ids_rise(events: Sequence[Event]) -> bool:
    """Whether letters and words are numbered from 0 without a gap."""
    letters = [event.id for event in events if isinstance(event, Letter)]
    words = [event.id for event in events if not isinstance(event, Letter)]
    return letters == list(range(len(letters))) and words == list(range(len(words)))


def drift(reader: Reader, material: Material, places: Sequence[int], most: int) -> Figures:
    """The error of the same ink at the start of a line and far behind other ink of its writer.

    Args:
        reader: reads.
        material: the pieces.
        places: of those that may be used.
        most: lines at each of `PLACES`; those writers are taken who wrote most.
    """
    own = material.by_writer(places)
    writers = sorted(own, key=lambda writer: (-len(own[writer]), writer))
    writers = [writer for writer in writers if len(own[writer]) >= LEAST_PIECES]
    random = np.random.default_rng(SEED)
    lines: dict[int, list[LineSample]] = {place: [] for place in PLACES}
    lengths = []  # characters of the ink that is measured
    for writer in writers[: min(most, LONG_LINES)]:
        drawn = material.drawn(own[writer])
        measured = _some(drawn, MEASURED, random)
        lengths.append(len(one_behind_the_other(measured).label))
        for place in PLACES:
            before = _some(drawn, place, random)
            lines[place].append(one_behind_the_other([*before, *measured]))
    errors = {
        place: sum(
            errors_from(reading.text, reading.line.label, len(reading.line.label) - length)
            for reading, length in zip(reader.read(lines[place]), lengths, strict=True)
        )
        for place in PLACES
    }
    return {
        "columns": list(PLACES),
        "lines": len(lengths),
        "characters": sum(lengths),
        "error": [errors[place] / sum(lengths) if lengths else None for place in PLACES],
    }


def _some(
    lines: Sequence[LineSample], n_columns: int, random: np.random.Generator
) -> list[LineSample]:
    """Lines in an order of chance, from the first again after the last, of so many columns."""
    chosen: list[LineSample] = []
    order = random.permutation(len(lines)).tolist()
    for place in itertools.cycle(order):
        if sum(len(line.columns) for line in chosen) >= n_columns:
            break
        chosen.append(lines[place])
    return chosen


def errors_from(text: str, label: str, start: int) -> int:
    """Changes that make `text` the `label`, from place `start` of the label on."""
    return sum(change.dest_pos >= start for change in Levenshtein.editops(text, label))
