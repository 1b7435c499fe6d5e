"""Calibration: of the answers with a probability of 90 %, 90 % should be correct.

Temperature scaling (Guo et al., ICML 2017, arXiv 1706.04599), fitted on held-out data alone. A
classifier has one temperature for each number of columns since the first ink: a net that has seen
little of a digit is unsure in another way than one that has seen it all. A transcriber has two, of
its labels and of its letter ends.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import END_DELAY, STEP_COLUMNS, ModelConfig
from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import Letter, Scores, decode_line
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.metrics import matches
from inkstream.model.reader import has_letter_ends, letter_positions

ENOUGH: Final = 1000  # answers or letters from which a temperature can be fitted
LEAST_PROBABILITY: Final = 1e-6  # counted for an answer that was given as impossible

Floats = NDArray[np.float64]


def log_softmax(scores: Floats) -> Floats:
    """Return log-probabilities over the last axis."""
    shifted = scores - scores.max(-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def fit_temperature(scores: Floats, answers: NDArray[np.int64]) -> float:
    """Return the temperature with the least cross entropy of scores [N, K] over answers [N].

    The cross entropy is unimodal in the temperature, so a golden-section search finds it.
    """

    def cross_entropy(log_temperature: float) -> float:
        logs = log_softmax(scores / np.exp(log_temperature))
        return -float(logs[np.arange(len(answers)), answers].mean())

    golden = (np.sqrt(5) - 1) / 2
    low, high = np.log(0.2), np.log(5.0)
    for _ in range(40):  # the interval shrinks to 1e-8 of its width
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if cross_entropy(left) < cross_entropy(right) else (left, high)
    return float(np.exp((low + high) / 2))


def columns_since_ink(columns: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count columns since the first ink, that one included, [N, T]; `columns` are [N, T, H]."""
    counts: NDArray[np.int64] = ((columns.max(2) > 0).cumsum(1) > 0).cumsum(1)
    return counts


def fit_temperatures(
    scores: Floats, counts: NDArray[np.int64], answers: NDArray[np.int64]
) -> tuple[float, ...]:
    """Return a temperature for each count of columns since the first ink, from 0 (no ink yet) on.

    A count that few answers have takes the temperature that fits all inked columns together.
    `scores` are [M, K] before the softmax, at M columns of held-out images; `counts` (see
    `columns_since_ink`) and `answers`, the labels of the images, are [M].
    """
    inked = counts > 0
    usual = fit_temperature(scores[inked], answers[inked])
    temperatures = []
    for count in range(int(counts.max()) + 1):
        chosen = counts == count
        enough = chosen.sum() >= ENOUGH
        temperatures.append(fit_temperature(scores[chosen], answers[chosen]) if enough else usual)
    return tuple(temperatures)


def fit_line_temperatures(
    scores: Sequence[Scores],
    lines: Sequence[LineSample],
    config: ModelConfig,
    before: tuple[float, ...],
) -> tuple[float, float]:
    """Return a transcriber's temperatures, of its labels and of its letter ends.

    Both are searched on a grid: confidences come out of the decoder, which is not smooth. `scores`
    are [T + flush_columns, S] of each line, of a net with temperatures of 1; those of `before` stay
    where too few letters are held out.
    """
    of_labels, of_ends = before
    if sum(len(line.label) for line in lines) >= ENOUGH:
        of_labels = _least(lambda temperature: _letters_nll(scores, lines, config, temperature))
    if sum(len(line.label) for line in lines if has_letter_ends(line)) >= ENOUGH:
        of_ends = _least(lambda temperature: _ends_nll(scores, lines, temperature))
    return of_labels, of_ends


def _least(loss: Callable[[float], float]) -> float:
    """Return the temperature with the least loss; neighbours differ by a tenth."""
    return float(min(np.geomspace(0.5, 3.0, 19).tolist(), key=loss))


def _letters_nll(
    scores: Sequence[Scores], lines: Sequence[LineSample], config: ModelConfig, temperature: float
) -> float:
    """Return the mean negative log-likelihood of letters being correct or not, by confidence."""
    decoder, losses = GreedyDecoder(config.labels, config.flush_columns), [np.empty(0)]
    for line_scores, line in zip(scores, lines, strict=True):
        symbols = line_scores[:, :-1] / np.float32(temperature)
        symbols -= np.log(np.exp(symbols).sum(1, keepdims=True))
        tempered = np.concatenate([symbols, line_scores[:, -1:]], 1)
        events = decode_line(decoder.copy(), tempered, line.columns)
        letters = [event for event in events if isinstance(event, Letter)]
        confidence = np.array([letter.confidence for letter in letters])
        correct = np.zeros(len(letters), bool)
        text = "".join(letter.char for letter in letters)
        correct[[index for index, _ in matches(text, line.label.replace(" ", ""))]] = True
        given = np.where(correct, confidence, 1 - confidence)
        losses.append(-np.log(np.maximum(given, LEAST_PROBABILITY)))
    return float(np.concatenate(losses).mean())


def _ends_nll(scores: Sequence[Scores], lines: Sequence[LineSample], temperature: float) -> float:
    """Return the mean negative log-likelihood of letter ends, over all steps of lines with ends."""
    losses = []
    for line_scores, line in zip(scores, lines, strict=True):
        if not has_letter_ends(line):
            continue
        log_probability = line_scores[STEP_COLUMNS - 1 :: STEP_COLUMNS, -1].astype(np.float64)
        odds = log_probability - np.log(np.maximum(-np.expm1(log_probability), LEAST_PROBABILITY))
        ended = np.zeros(len(odds), bool)
        steps = line.ends[letter_positions(line.label)].astype(np.int64) // STEP_COLUMNS + END_DELAY
        ended[np.minimum(steps, len(odds) - 1)] = True
        losses.append(np.logaddexp(0, np.where(ended, -1, 1) * odds / temperature))
    return float(np.concatenate(losses).mean())
