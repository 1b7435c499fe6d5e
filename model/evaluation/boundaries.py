"""How well events fit the ink: where letters end, how late they come, how sure they may be."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import END_DELAY, STEP_COLUMNS
from inkstream.model.decoding.base import Letter
from inkstream.model.metrics import (
    Figures,
    Numbers,
    calibration,
    f1,
    is_mark,
    peaks,
    quantiles,
    same,
    told_apart,
    within,
)
from inkstream.model.reader import Reading, spoken_places

REACH: Final = 2  # columns by which the end of a letter may be missed
LIKELY: Final = 0.5  # a peak of the score for letter ends from which on it says that one ended
DELAYS: Final = tuple(range(21))  # columns behind a letter's end


def letter_ends(readings: Sequence[Reading]) -> Figures:
    """F1 of the ends that events give, and of the peaks of the score, in lines that tell theirs."""
    events, scores = np.zeros(3, int), np.zeros(3, int)
    for reading in _told(readings):
        wanted = reading.line.ends[spoken_places(reading.line.label)].tolist()
        said = [letter.end - 1 for letter in reading.letters]
        seen = STEP_COLUMNS * (peaks(reading.ends, LIKELY) - END_DELAY + 1) - 1
        events += within(said, wanted, REACH), len(said), len(wanted)
        scores += within(seen.tolist(), wanted, REACH), len(seen), len(wanted)
    return {"events": f1(*events.tolist()), "scores": f1(*scores.tolist())}


def end_calibration(readings: Sequence[Reading]) -> Figures:
    """Whether the score for letter ends is honest as a probability, at every step.

    Of the blank columns behind a line those count after which its last letter may be told.
    """
    said, happened = [np.empty(0)], [np.empty(0, bool)]
    for reading in _told(readings):
        n_steps = -(-len(reading.line.columns) // STEP_COLUMNS) + END_DELAY
        ends = reading.ends[:n_steps].astype(np.float64)
        ended = np.zeros(len(ends), bool)
        columns = reading.line.ends[spoken_places(reading.line.label)].astype(np.int64)
        ended[np.minimum(columns // STEP_COLUMNS + END_DELAY, len(ended) - 1)] = True
        said.append(ends)
        happened.append(ended)
    return calibration(np.concatenate(said), np.concatenate(happened))


def word_ends(readings: Sequence[Reading]) -> Figures:
    """F1 of the spaces between words, and of the places of word ends where the data tell them."""
    texts = [reading.text for reading in readings]
    labels = [reading.line.label for reading in readings]
    placed = np.zeros(3, int)
    for reading in _told(readings):
        label = reading.line.label
        last = [p for p in spoken_places(label) if label[p + 1 : p + 2] in {"", " "}]
        wanted = reading.line.ends[last].tolist()
        said = [word.end - 1 for word in reading.words]
        placed += within(said, wanted, REACH), len(said), len(wanted)
    return {
        "spaces": told_apart(texts, labels, lambda char: char == " "),
        "placed": f1(*placed.tolist()),
    }


def marks(readings: Sequence[Reading]) -> Figures:
    """F1 of punctuation marks and other signs."""
    return told_apart(
        (reading.text for reading in readings),
        (reading.line.label for reading in readings),
        is_mark,
    )


def letter_calibration(readings: Sequence[Reading]) -> Figures:
    """Whether letters are right as often as their confidence says."""
    confidence, right = [np.empty(0)], [np.empty(0, bool)]
    for reading in readings:
        text, letters = "".join(letter.char for letter in reading.letters), reading.letters
        own = np.zeros(len(letters), bool)
        own[[place for place, _ in same(text, reading.line.label.replace(" ", ""))]] = True
        confidence.append(np.array([letter.confidence for letter in letters]))
        right.append(own)
    return calibration(np.concatenate(confidence), np.concatenate(right))


def lateness(readings: Sequence[Reading]) -> Figures:
    """Columns from the end of a letter to its event, of letters that are read rightly."""
    late = np.concatenate([np.empty(0), *(_late(reading) for reading in _told(readings))])
    return quantiles(late[np.isfinite(late)])


def error_by_delay(readings: Sequence[Reading]) -> Figures:
    """Share of letters that are not there, or not rightly, so many columns after their end.

    `events` counts what is decided, `text` what the result's text shows.
    """
    late, shown = [], []
    for reading in _told(readings):
        late.append(_late(reading))
        shown.append(_shown(reading))
    if not late:
        return {"columns": list(DELAYS), "events": None, "text": None}
    columns = np.concatenate(late)
    return {
        "columns": list(DELAYS),
        "events": [float((columns > delay).mean()) for delay in DELAYS],
        "text": (1 - np.concatenate(shown).mean(0)).tolist(),
    }


def tells(reading: Reading) -> bool:
    """Whether the data tell where the letters end, of which there are two or more.

    A single one ends where all ink does.
    """
    return reading.live is not None and len(spoken_places(reading.line.label)) > 1


def _told(readings: Sequence[Reading]) -> Iterator[Reading]:
    return filter(tells, readings)


def _late(reading: Reading) -> Numbers:
    """Columns from each letter's end to its event, [letters]; infinite where it is read wrongly."""
    assert reading.live is not None
    letters = [event for event in reading.live.events if isinstance(event, Letter)]
    label = reading.line.label
    ends = reading.line.ends[spoken_places(label)]
    late = np.full(len(ends), np.inf)
    text = "".join(letter.char for letter in letters)
    for said, written in same(text, label.replace(" ", "")):
        late[written] = letters[said].column - ends[written]
    return late


def _shown(reading: Reading) -> NDArray[np.bool_]:
    """Whether the text shows each letter, [letters, delays], so many columns after its end."""
    assert reading.live is not None
    label, texts = reading.line.label, reading.live.texts
    known: dict[tuple[str, int], bool] = {}
    spoken = spoken_places(label)
    shown = np.zeros((len(spoken), len(DELAYS)), bool)
    for row, place in enumerate(spoken.tolist()):
        for column, delay in enumerate(DELAYS):
            text = texts[min(int(reading.line.ends[place]) + delay, len(texts) - 1)]
            if (text, place) not in known:
                pairs = same(text, label[: place + 1])
                known[text, place] = bool(pairs) and pairs[-1][1] == place
            shown[row, column] = known[text, place]
    return shown
