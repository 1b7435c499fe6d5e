"""Measure events against the ink: where letters end, the latency and the confidence of letters."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import END_DELAY, STEP_COLUMNS
from inkstream.model.decoding.base import Letter
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
from inkstream.model.reader import Reading, letter_positions

REACH: Final = 2  # columns by which the end of a letter may be missed
LIKELY: Final = 0.5  # least height of a peak of the letter-end score that counts as an end
DELAYS: Final = tuple(range(21))  # columns after a letter's end


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
    spaces = label_f1(readings, lambda char: char == " ")
    return {"spaces": spaces, "placed": f1(*placed.tolist())}


def label_f1(readings: Sequence[Reading], chosen: Callable[[str], bool]) -> Figures:
    """Return the F1 of the characters that are `chosen`."""
    texts = [reading.text for reading in readings]
    return character_f1(texts, [reading.line.label for reading in readings], chosen)


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
