"""Measure what streaming adds to the errors of lines.

Events are compared with the ink: where letters end, their latency and confidence. Then what must
hold of a stream: events are final, and the error does not drift. At last its speed, on one core.
"""

import itertools
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from typing import Final

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
LIKELY: Final = 0.5  # least height of a peak of the letter-end score that counts as an end
DELAYS: Final = tuple(range(21))  # columns after a letter's end

MOST_PORTION: Final = 40  # columns
SINGLY: Final = 64  # lines that also come column by column
STARTS: Final = (0, 500, 2000, 10_000)  # columns of ink before the ink that is measured
MEASURED: Final = 2000  # columns of it, about
LONG_LINES: Final = 48  # one of each of so many writers
LEAST_PIECES: Final = 10  # of a writer of a long line

ROUNDS: Final = 3  # the fastest counts, in processor time: others may share the machine
LINES: Final = 64  # of middle width
MANY: Final = 100  # columns that come at once, as when a file is sent
SINGLE_COLUMNS: Final = 500  # that come column by column


# Letter ends, latency and confidence


def letter_ends(readings: Sequence[Reading]) -> Figures:
    """Return the F1 of the letter ends of events, and of the peaks of the letter-end score."""
    events, scores = np.zeros(3, int), np.zeros(3, int)
    for reading in _with_ends(readings):
        wanted = _true_ends(reading).tolist()
        ends = [letter.end - 1 for letter in reading.letters]
        peak_ends = STEP_COLUMNS * (peaks(reading.ends, LIKELY) - END_DELAY + 1) - 1
        events += count_pairs(ends, wanted, REACH), len(ends), len(wanted)
        scores += count_pairs(peak_ends.tolist(), wanted, REACH), len(peak_ends), len(wanted)
    return {"events": f1(*events.tolist()), "scores": f1(*scores.tolist())}


def end_calibration(readings: Sequence[Reading]) -> Figures:
    """Return the calibration of the letter-end score as a probability, at every step.

    Of the blank columns after a line those count after which its last letter may end.
    """
    scores, ended = [np.empty(0)], [np.empty(0, bool)]
    for reading in _with_ends(readings):
        n_steps = -(-len(reading.line.columns) // STEP_COLUMNS) + END_DELAY
        own = reading.ends[:n_steps].astype(np.float64)
        steps = _true_ends(reading).astype(np.int64) // STEP_COLUMNS + END_DELAY
        scores.append(own)
        ended.append(np.isin(np.arange(len(own)), np.minimum(steps, len(own) - 1)))
    return calibration(np.concatenate(scores), np.concatenate(ended))


def word_ends(readings: Sequence[Reading]) -> Figures:
    """Return the F1 of the spaces between words, and of the columns of word ends."""
    placed = np.zeros(3, int)
    for reading in _with_ends(readings):
        label = reading.line.label
        last = [p for p in letter_positions(label) if label[p + 1 : p + 2] in {"", " "}]
        wanted = reading.line.ends[last].tolist()
        ends = [word.end - 1 for word in reading.words]
        placed += count_pairs(ends, wanted, REACH), len(ends), len(wanted)
    texts, labels = [each.text for each in readings], [each.line.label for each in readings]
    spaces = character_f1(texts, labels, lambda char: char == " ")
    return {"spaces": spaces, "placed": f1(*placed.tolist())}


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
    late = np.concatenate([np.empty(0), *(_latencies(own) for own in _with_ends(readings))])
    return quantiles(late[np.isfinite(late)])


def error_by_delay(readings: Sequence[Reading]) -> Figures:
    """Return the share of letters that are missing or wrong, by columns after their end.

    `events` counts what is final, `text` what the text of a result shows.
    """
    late, shown = [], []
    for reading in _with_ends(readings):
        late.append(_latencies(reading))
        shown.append(_shown(reading))
    if not late:
        return {"columns": list(DELAYS), "events": None, "text": None}
    columns = np.concatenate(late)
    return {
        "columns": list(DELAYS),
        "events": [float((columns > delay).mean()) for delay in DELAYS],
        "text": (1 - np.concatenate(shown).mean(0)).tolist(),
    }


def has_ends(reading: Reading) -> bool:
    """Return whether the data have the ends of the letters, and there are two letters or more.

    A single letter ends where all ink does.
    """
    return reading.unflushed is not None and len(letter_positions(reading.line.label)) > 1


def _with_ends(readings: Sequence[Reading]) -> Iterator[Reading]:
    return filter(has_ends, readings)


def _true_ends(reading: Reading) -> NDArray[np.float32]:
    """Return the last column of each letter's ink."""
    return reading.line.ends[letter_positions(reading.line.label)]


def _latencies(reading: Reading) -> Numbers:
    """Return the columns from each letter's end to its event, [letters]; infinite if wrong."""
    assert reading.unflushed is not None
    letters = [event for event in reading.unflushed.events if isinstance(event, Letter)]
    ends = _true_ends(reading)
    late = np.full(len(ends), np.inf)
    for ours, true in letter_matches(letters, reading.line.label):
        late[true] = letters[ours].column - ends[true]
    return late


def _shown(reading: Reading) -> NDArray[np.bool_]:
    """Return whether the text has each letter after each of `DELAYS`, [letters, delays]."""
    assert reading.unflushed is not None
    label, texts = reading.line.label, reading.unflushed.texts
    known: dict[tuple[str, int], bool] = {}
    positions = letter_positions(label)
    shown = np.zeros((len(positions), len(DELAYS)), bool)
    for row, position in enumerate(positions.tolist()):
        for column, delay in enumerate(DELAYS):
            text = texts[min(int(reading.line.ends[position]) + delay, len(texts) - 1)]
            if (text, position) not in known:
                pairs = matches(text, label[: position + 1])
                known[text, position] = bool(pairs) and pairs[-1][1] == position
            shown[row, column] = known[text, position]
    return shown


# Invariants


def finality(reader: Reader, readings: Sequence[Reading]) -> Figures:
    """Count events that differ when the same lines come in portions; check that ids rise.

    Every line comes in random portions, and a sample column by column too.
    """
    rng = np.random.default_rng(SEED)
    sample = [readings[i] for i in sorted(rng.permutation(len(readings))[:SINGLY].tolist())]
    changed = 0
    random_sizes = (int(rng.integers(1, MOST_PORTION + 1)) for _ in itertools.count())
    for own, sizes in ((readings, random_sizes), (sample, itertools.repeat(1))):
        again = (
            events
            for batch in batches([reading.line for reading in own])
            for events in reader.read_in_portions(batch, sizes)
        )
        for reading, events in zip(own, again, strict=True):
            pairs = itertools.zip_longest(map(_compared, reading.events), map(_compared, events))
            changed += sum(one != other for one, other in pairs)
    return {
        "lines": len(readings),
        "lines_column_by_column": len(sample),
        "events": sum(len(reading.events) for reading in readings),
        "changed": changed,
        "ids_rise": all(_ids_rise(reading.events) for reading in readings),
    }


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

    Of the pieces at `indices` lines are made by the `most` writers with the most pieces.
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
        lengths.append(len(concatenated(measured, reader.config.column_height).label))
        for start in STARTS:
            before = _some(samples, start, rng)
            lines[start].append(concatenated([*before, *measured], reader.config.column_height))
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


# Speed


def speed(reader: Reader, pieces: EvaluationSet, indices: Sequence[int]) -> Figures:
    """Return pieces drawn a second, and columns a second of net and decoder; {} without pieces."""
    chosen = indices[max(0, (len(indices) - LINES) // 2) :][:LINES]
    if not chosen:
        return {}
    lines = pieces.samples(chosen)
    batch = next(batches(lines))
    scores = reader.scores(batch)
    n_padded = len(batch) * max(map(len, scores))
    whole_s = least_s(lambda: _decode(reader, batch, scores, MANY))
    singly_s = least_s(lambda: _decode(reader, batch, scores, 1))
    n_columns = sum(map(len, scores))
    return {
        "drawn_pieces_per_s": len(chosen) / least_s(lambda: pieces.samples(chosen)),
        "net_columns_per_s": n_padded / least_s(lambda: reader.scores(batch)),
        "net_streams": len(batch),
        "decoder_columns_per_s": n_columns / whole_s,
        "decoder_columns_per_s_singly": n_columns / singly_s,
        "single_column_us": 1e6 * _single_column_s(reader, lines),
    }


def _decode(
    reader: Reader, lines: Sequence[LineSample], scores: Sequence[Scores], portion: int
) -> None:
    """Decode lines in portions of so many columns."""
    for line, own in zip(lines, scores, strict=True):
        decoder = reader.decoder()
        n_columns = len(line.columns)
        for first in range(0, n_columns, portion):
            end = min(first + portion, n_columns)
            decoder.step(own[first:end], line.columns[first:end])
        decoder.flush(own[n_columns:])


def _single_column_s(reader: Reader, lines: Sequence[LineSample]) -> float:
    """Return the seconds of net and decoder for a column that comes alone."""
    columns = np.concatenate([line.columns for line in lines])[:SINGLE_COLUMNS]

    def read() -> None:
        decoder = reader.decoder()
        state = reader.runtime.initial_state(1)
        for column in columns:
            scores, state = reader.runtime.run(column[None, None], state)
            decoder.step(scores[:, 0], column[None])

    return least_s(read) / len(columns)


def least_s(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the processor time of some work in seconds, the least of several rounds."""
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=rounds))
