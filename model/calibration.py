"""Calibration: what is said with 90 % probability should be right 90 % of the time.

Temperature scaling (Guo et al., ICML 2017, arXiv 1706.04599), with one temperature for each number
of columns since the first ink: a net that has seen little of a digit is unsure in another way than
one that has seen it all. Fitted on held-out images alone.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST, MOST = 0.2, 5.0  # temperatures that are looked at
STEPS: Final = 40  # of the golden-section search: the interval shrinks to 1e-8 of its width
GOLDEN: Final = (np.sqrt(5) - 1) / 2
ENOUGH: Final = 1000  # answers from which the temperature of a count can be told
BINS: Final = 15

Floats = NDArray[np.float64]


def log_softmax(scores: Floats) -> Floats:
    """Log-probabilities over the last axis."""
    shifted = scores - scores.max(-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def fit_temperature(scores: Floats, answers: NDArray[np.int64]) -> float:
    """The temperature with the least cross entropy of scores [N, K] over answers [N].

    The cross entropy is unimodal in the temperature, so a golden-section search finds it.
    """

    def cross_entropy(log_temperature: float) -> float:
        logs = log_softmax(scores / np.exp(log_temperature))
        return -float(logs[np.arange(len(answers)), answers].mean())

    low, high = np.log(LEAST), np.log(MOST)
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, right) if cross_entropy(left) < cross_entropy(right) else (left, high)
    return float(np.exp((low + high) / 2))


def columns_since_ink(columns: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many columns came since the first ink, that one included, [N, T]; columns [N, T, H]."""
    counts: NDArray[np.int64] = ((columns.max(2) > 0).cumsum(1) > 0).cumsum(1)
    return counts


def fit_temperatures(
    scores: Floats, counts: NDArray[np.int64], answers: NDArray[np.int64]
) -> tuple[float, ...]:
    """One temperature for each count of columns since the first ink, from 0 (no ink yet) on.

    A count that few answers have takes the temperature that fits all inked columns together.

    Args:
        scores: [M, K] before the softmax, at M columns of held-out images.
        counts: [M], see `columns_since_ink`.
        answers: [M], what each column's image shows.
    """
    inked = counts > 0
    usual = fit_temperature(scores[inked], answers[inked])
    temperatures = []
    for count in range(int(counts.max()) + 1):
        chosen = counts == count
        enough = chosen.sum() >= ENOUGH
        temperatures.append(fit_temperature(scores[chosen], answers[chosen]) if enough else usual)
    return tuple(temperatures)


def reliability(probabilities: Floats, answers: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Share of the answers, mean confidence and accuracy in each of `BINS` equal bins.

    Args:
        probabilities: [N, K].
        answers: [N].
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == answers
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    size = np.bincount(index, minlength=BINS)
    filled = np.maximum(size, 1)
    return (
        size / len(answers),
        np.bincount(index, confidence, BINS) / filled,
        np.bincount(index, right, BINS) / filled,
    )


def expected_calibration_error(probabilities: Floats, answers: NDArray[np.int64]) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their share."""
    share, confidence, accuracy = reliability(probabilities, answers)
    return float((share * np.abs(confidence - accuracy)).sum())
