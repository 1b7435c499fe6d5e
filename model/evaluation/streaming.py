"""Measure what streaming adds to the errors of lines.

Events are compared with the ink: where letters end, their latency and confidence. Then what must
hold of a stream: events are final, and the error does not drift. At last its speed, on one core.
"""

import itertools
import time
import timeit
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from inkstream.model.config import END_DELAY, STEP_COLUMNS
from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import Event, Letter, Scores
from inkstream.model.evaluation.evaluation_set import SEED, EvaluationSet, concatenated
from inkstream.model.metrics import (
    Figures,
    Numbers,
    calibration,
    character_f1,
    count_pairs,
    f1,
    matches,
    peaks,
    quantiles,
)
from inkstream.model.reader import Reader, Reading, batches, letter_positions

REACH: Final = 2  # columns by which the end of a letter may be missed
DELAYS: Final = tuple(range(21))  # columns after a letter's end


# Letter ends, latency and confidence


def letter_ends(readings: Sequence[Reading]) -> Figures:
    """Return the F1 of the letter ends of events, and of the peaks of the letter-end score."""
    events, scores = [], []
    for reading in filter(has_ends, readings):
        true_ends = _true_ends(reading)
        events.append(([letter.end - 1 for letter in reading.letters], true_ends))
        likely = peaks(reading.ends, 0.5)
        scores.append((STEP_COLUMNS * (likely - END_DELAY + 1) - 1, true_ends))
    return {"events": _f1_of_columns(events), "scores": _f1_of_columns(scores)}


def _f1_of_columns(pairs: Sequence[tuple[Any, Any]]) -> Figures:
    """Return the F1 of the columns in which letters or words of lines end, read and true ones."""
    return f1(
        sum(count_pairs(read, true, REACH) for read, true in pairs),
        sum(len(read) for read, _ in pairs),
        sum(len(true) for _, true in pairs),
    )


def end_calibration(readings: Sequence[Reading]) -> Figures:
    """Return the calibration of the letter-end score as a probability, at every step.

    Of the blank columns after a line those count after which its last letter may end.
    """
    scores, ended = [np.empty(0)], [np.empty(0, bool)]
    for reading in filter(has_ends, readings):
        n_steps = -(-len(reading.line.columns) // STEP_COLUMNS) + END_DELAY
        scores.append(reading.ends[:n_steps].astype(np.float64))
        last = len(scores[-1]) - 1
        steps = _true_ends(reading).astype(np.int64) // STEP_COLUMNS + END_DELAY
        ended.append(np.isin(np.arange(last + 1), np.minimum(steps, last)))
    return calibration(np.concatenate(scores), np.concatenate(ended))


def word_ends(readings: Sequence[Reading]) -> Figures:
    """Return the F1 of the spaces between words, and of the columns of word ends."""
    pairs = []
    for reading in filter(has_ends, readings):
        label = reading.line.label
        last = [p for p in letter_positions(label) if label[p + 1 : p + 2] in {"", " "}]
        pairs.append(([word.end - 1 for word in reading.words], reading.line.ends[last]))
    texts, labels = [r.text for r in readings], [r.line.label for r in readings]
    return {
        "spaces": character_f1(texts, labels, " ".__eq__),
        "placed": _f1_of_columns(pairs),
    }


def letter_calibration(readings: Sequence[Reading]) -> Figures:
    """Return the calibration of letters' confidence."""
    confidence, right = [np.empty(0)], [np.empty(0, bool)]
    for reading in readings:
        confidence.append(np.array([letter.confidence for letter in reading.letters]))
        matched = [position for position, _ in letter_matches(reading.letters, reading.line.label)]
        right.append(np.isin(np.arange(len(reading.letters)), matched))
    return calibration(np.concatenate(confidence), np.concatenate(right))


def letter_matches(letters: Sequence[Letter], label: str) -> list[tuple[int, int]]:
    """Return the positions of `matches` among letters and among a label without its spaces."""
    return matches("".join(letter.char for letter in letters), label.replace(" ", ""))


def latency(readings: Sequence[Reading]) -> Figures:
    """Return the columns from the end of a letter to its event, of letters that are right."""
    columns = np.concatenate([np.empty(0), *map(_latencies, filter(has_ends, readings))])
    return quantiles(columns[np.isfinite(columns)])


def error_by_delay(readings: Sequence[Reading]) -> Figures:
    """Return the share of letters that are missing or wrong, by columns after their end.

    `events` counts what is final, `text` what the text of a result shows.
    """
    with_ends = list(filter(has_ends, readings))
    if not with_ends:
        return {"columns": list(DELAYS), "events": None, "text": None}
    columns = np.concatenate([_latencies(reading) for reading in with_ends])
    shown = np.concatenate([_shown(reading) for reading in with_ends])
    return {
        "columns": list(DELAYS),
        "events": [float((columns > delay).mean()) for delay in DELAYS],
        "text": (1 - shown.mean(0)).tolist(),
    }


def has_ends(reading: Reading) -> bool:
    """Return whether the data have the ends of the letters, and there are two letters or more.

    A single letter ends where all ink does.
    """
    return reading.unflushed is not None and len(letter_positions(reading.line.label)) > 1


def _true_ends(reading: Reading) -> NDArray[np.float32]:
    """Return the last column of each letter's ink."""
    return reading.line.ends[letter_positions(reading.line.label)]


def _latencies(reading: Reading) -> Numbers:
    """Return the columns from each letter's end to its event, [letters]; infinite if wrong."""
    assert reading.unflushed is not None
    letters = [event for event in reading.unflushed.events if isinstance(event, Letter)]
    ends = _true_ends(reading)
    columns = np.full(len(ends), np.inf)
    for ours, true in letter_matches(letters, reading.line.label):
        columns[true] = letters[ours].column - ends[true]
    return columns


def _shown(reading: Reading) -> NDArray[np.bool_]:
    """Return whether the text has each letter after each of `DELAYS`, [letters, delays]."""
    assert reading.unflushed is not None
    label, texts = reading.line.label, reading.unflushed.texts

    @cache
    def shows(text: str, position: int) -> bool:
        pairs = matches(text, label[: position + 1])
        return bool(pairs) and pairs[-1][1] == position

    rows = []
    for position in letter_positions(label).tolist():
        end = int(reading.line.ends[position])
        later = (texts[min(end + delay, len(texts) - 1)] for delay in DELAYS)
        rows.append([shows(text, position) for text in later])
    return np.array(rows)


# Invariants


def finality(reader: Reader, readings: Sequence[Reading]) -> Figures:
    """Count events that differ when the same lines come in portions; check that ids rise.

    Every line comes in random portions, and a sample column by column too.
    """
    rng = np.random.default_rng(SEED)
    sample = [readings[i] for i in sorted(rng.permutation(len(readings))[:64].tolist())]
    n_changed = 0
    random_sizes = (int(rng.integers(1, 41)) for _ in itertools.count())  # columns
    for chosen, sizes in ((readings, random_sizes), (sample, itertools.repeat(1))):
        events_again = (
            events
            for batch in batches([reading.line for reading in chosen])
            for events in reader.read_in_portions(batch, sizes)
        )
        for reading, events in zip(chosen, events_again, strict=True):
            pairs = itertools.zip_longest(map(_compared, reading.events), map(_compared, events))
            n_changed += sum(one != other for one, other in pairs)
    return {
        "lines": len(readings),
        "lines_column_by_column": len(sample),
        "events": sum(len(reading.events) for reading in readings),
        "changed": n_changed,
        "ids_rise": all(  # from 0 without a gap
            [event.id for event in events] == list(range(len(events)))
            for reading in readings
            for events in (reading.letters, reading.words)
        ),
    }


def _compared(event: Event) -> tuple[object, ...]:
    """Return an event without its probabilities: their last digits depend on the order of sums."""
    text = event.char if isinstance(event, Letter) else event.text
    return type(event), event.id, text, event.start, event.end, event.column


def drift(
    reader: Reader, pieces: EvaluationSet, indices: Sequence[int], max_writers: int
) -> Figures:
    """Return the CER of the same ink at the start of a line and behind other ink of its writer.

    Of the pieces at `indices` one line is made by each of the `max_writers`, 48 at most, who have
    the most pieces. About 2000 columns of it are measured.
    """
    starts = (0, 500, 2000, 10_000)  # columns of ink before the ink that is measured
    by_writer = {
        writer: chosen for writer, chosen in pieces.by_writer(indices).items() if len(chosen) >= 10
    }
    writers = sorted(by_writer, key=lambda writer: (-len(by_writer[writer]), writer))
    rng = np.random.default_rng(SEED)
    height = reader.config.column_height
    lines: dict[int, list[LineSample]] = {start: [] for start in starts}
    lengths = []  # characters of the ink that is measured
    for writer in writers[: min(max_writers, 48)]:
        samples = pieces.samples(by_writer[writer])
        measured = _some(samples, 2000, rng)
        lengths.append(len(concatenated(measured, height).label))
        for start in starts:
            lines[start].append(concatenated([*_some(samples, start, rng), *measured], height))
    cers = []
    for start in starts:
        n_wrong = sum(
            errors_from(reading.text, reading.line.label, len(reading.line.label) - length)
            for reading, length in zip(reader.read(lines[start]), lengths, strict=True)
        )
        cers.append(n_wrong / sum(lengths) if lengths else None)
    return {
        "columns": list(starts),
        "lines": len(lengths),
        "characters": sum(lengths),
        "cer": cers,
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


# Speed


def speed(reader: Reader, pieces: EvaluationSet, indices: Sequence[int]) -> Figures:
    """Return pieces drawn a second, and columns a second of net and decoder; {} without pieces.

    64 pieces of middle width are decoded in portions of 100 columns, as when a file is sent, and
    column by column.
    """
    chosen = indices[max(0, (len(indices) - 64) // 2) :][:64]
    if not chosen:
        return {}
    lines = pieces.samples(chosen)
    batch = next(batches(lines))
    scores = reader.scores(batch)
    n_columns, n_padded = sum(map(len, scores)), len(batch) * max(map(len, scores))

    def decoded_per_s(portion: int) -> float:
        return n_columns / least_s(lambda: _decode(reader, batch, scores, portion))

    return {
        "drawn_pieces_per_s": len(chosen) / least_s(lambda: pieces.samples(chosen)),
        "net_columns_per_s": n_padded / least_s(lambda: reader.scores(batch)),
        "net_streams": len(batch),
        "decoder_columns_per_s": decoded_per_s(100),
        "decoder_columns_per_s_singly": decoded_per_s(1),
        "single_column_us": 1e6 * _single_column_s(reader, lines),
    }


def _decode(
    reader: Reader, lines: Sequence[LineSample], scores: Sequence[Scores], portion: int
) -> None:
    """Decode lines in portions of so many columns."""
    for line, of_line in zip(lines, scores, strict=True):
        decoder = reader.decoder()
        n_columns = len(line.columns)
        for first in range(0, n_columns, portion):
            end = min(first + portion, n_columns)
            decoder.step(of_line[first:end], line.columns[first:end])
        decoder.flush(of_line[n_columns:])


def _single_column_s(reader: Reader, lines: Sequence[LineSample]) -> float:
    """Return the seconds of net and decoder for a column that comes alone, of 500 columns."""
    columns = np.concatenate([line.columns for line in lines])[:500]

    def read() -> None:
        decoder = reader.decoder()
        state = reader.runtime.initial_state(1)
        for column in columns:
            scores, state = reader.runtime.run(column[None, None], state)
            decoder.step(scores[:, 0], column[None])

    return least_s(read) / len(columns)


def least_s(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the processor time of some work in seconds, the least of several rounds.

    Others may share the machine, so the fastest round counts.
    """
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=rounds))
