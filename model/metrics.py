"""Metrics of what was read: CER, F1, latency, calibration, bootstrap. Numbers in, numbers out."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rapidfuzz.distance import Levenshtein

Indices = NDArray[np.int64]
Numbers = NDArray[np.float64]
Figures = dict[str, Any]

NOTHING: Final = ""  # in a confusion: a character that was left out or added

BINS: Final = 15  # of confidence, in a calibration error
BOOTSTRAP_SAMPLES: Final = 10_000  # each of as many writers as there are, with replacement


def matches(text: str, label: str) -> list[tuple[int, int]]:
    """Return the positions in both of the characters that a minimal edit alignment matches."""
    blocks = Levenshtein.editops(text, label).as_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]


def errors(texts: Sequence[str], labels: Sequence[str]) -> Figures:
    """Return the CER and the share of exact matches; case and spaces count.

    The character error rate (CER) is the number of characters to change, add or leave out, over
    the number of characters of the labels.
    """
    wrong = [Levenshtein.distance(*pair) for pair in zip(texts, labels, strict=True)]
    n_characters = sum(map(len, labels))
    return {
        "pieces": len(labels),
        "characters": n_characters,
        "cer": sum(wrong) / n_characters if n_characters else None,
        "exact_match": wrong.count(0) / len(wrong) if wrong else None,
    }


def errors_by(
    keys: Sequence[str],
    texts: Sequence[str],
    labels: Sequence[str],
    order: Sequence[str] = (),
    writers: Sequence[str] = (),
) -> dict[str, Figures]:
    """Return the `errors` of the pieces of each key; keys as in `order`, or sorted.

    With `writers`, one of each piece, a key also has their number and the `interval` of its CER, as
    in `bootstrap`.
    """
    by_key = {}
    present = set(keys)
    for key in order or sorted(present):
        if key in present:
            chosen = [other == key for other in keys]
            read, written, names = (list(compress(a, chosen)) for a in (texts, labels, writers))
            by_key[key] = errors(read, written)
            if writers:
                interval = bootstrap(read, written, names)["interval"]
                by_key[key] |= {"writers": len(set(names)), "interval": interval}
    return by_key


def errors_with_bootstrap(
    texts: Sequence[str], labels: Sequence[str], writers: Sequence[str]
) -> Figures:
    """Return the `errors` and their `bootstrap` over writers, which is None without pieces."""
    sampled = bootstrap(texts, labels, writers) if labels else None
    return errors(texts, labels) | {"bootstrap": sampled}


def bootstrap(texts: Sequence[str], labels: Sequence[str], writers: Sequence[str]) -> Figures:
    """Estimate how far a CER would move with other writers: the bootstrap over writers.

    Pieces of one writer are read alike, so writers are drawn, not pieces, as Bisani and Ney draw
    speakers (Bootstrap estimates for confidence intervals in ASR performance evaluation, ICASSP
    2004).

    Returns for one piece or more: `wrong` and `characters` of each writer, in the order of their
    names; `interval`, bounds of the CER within which 95 % of the samples lie; `quarters`, quartiles
    of the CERs of single writers.
    """
    by_writer = errors_by(writers, texts, labels).values()
    characters = [figures["characters"] for figures in by_writer]
    wrong = [round(figures["cer"] * figures["characters"]) for figures in by_writer]
    return {
        "wrong": wrong,
        "characters": characters,
        "interval": _interval(_sampled(wrong) / _sampled(characters)),
        "quarters": np.quantile(np.divide(wrong, characters), (0.25, 0.5, 0.75)).tolist(),
    }


def error_ratios(theirs: Mapping[str, Figures], ours: Mapping[str, Figures]) -> dict[str, Figures]:
    """Return how many times as many characters others get wrong, from `bootstrap`s of both.

    A sample has the same writers for both, as a difficult writer is difficult for both. A ratio is
    left out where a sample has only writers without a mistake.
    """
    ratios = {}
    for name, our_errors in ours.items():
        wrong = theirs[name]["wrong"]
        if (sampled := _sampled(our_errors["wrong"])).all():
            interval = _interval(_sampled(wrong) / sampled)
            ratios[name] = {"ratio": sum(wrong) / sum(our_errors["wrong"]), "interval": interval}
    return ratios


def cer_difference(theirs: Figures, ours: Figures) -> Figures:
    """Return by how much another CER exceeds ours, from `bootstrap`s of both, and its interval.

    As for `error_ratios`, a sample has the same writers for both.
    """
    more = np.subtract(theirs["wrong"], ours["wrong"])
    interval = _interval(_sampled(more) / _sampled(ours["characters"]))
    return {"difference": int(more.sum()) / sum(ours["characters"]), "interval": interval}


def accuracy_difference(theirs: NDArray[np.bool_], ours: NDArray[np.bool_]) -> Figures:
    """Return by how much another accuracy exceeds ours, and its bootstrap interval over images.

    Both are [N], whether each answer is right. Only images that one of them has right alone count,
    so the numbers of these are sampled, and not the images.
    """
    n_images = len(ours)
    gained, lost = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    shares = np.array([gained, lost, n_images - gained - lost]) / n_images
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n_images, shares, BOOTSTRAP_SAMPLES)
    interval = _interval((counts[:, 0] - counts[:, 1]) / n_images)
    return {"difference": (gained - lost) / n_images, "interval": interval}


def accuracy_interval(right: NDArray[np.bool_], writers: Indices) -> list[float]:
    """Return the bootstrap interval over writers of an accuracy, of answers and writers [N]."""
    _, numbers = np.unique(writers, return_inverse=True)
    correct, answers = np.bincount(numbers, right).astype(int), np.bincount(numbers)
    return _interval(_sampled(correct) / _sampled(answers))


def _sampled(values: ArrayLike) -> Indices:
    """Return sums over the writers of each sample: the same writers for as many values."""
    of_writers = np.asarray(values)
    equal = np.full(len(of_writers), 1 / len(of_writers))
    draws = np.random.default_rng(0).multinomial(len(of_writers), equal, BOOTSTRAP_SAMPLES)
    sums: Indices = draws @ of_writers
    return sums


def _interval(values: Numbers) -> list[float]:
    """Return the bounds within which the central 95 % of the values lie."""
    tail = (1 - 0.95) / 2
    bounds: list[float] = np.quantile(values, [tail, 1 - tail]).tolist()
    return bounds


def f1(n_correct: int, n_read: int, n_written: int) -> Figures:
    """Return precision, recall and their harmonic mean; None where there is nothing to divide."""
    return {
        "f1": 2 * n_correct / (n_read + n_written) if n_read + n_written else None,
        "precision": n_correct / n_read if n_read else None,
        "recall": n_correct / n_written if n_written else None,
        "found": n_read,
        "wanted": n_written,
    }


def character_f1(
    texts: Iterable[str], labels: Iterable[str], chosen: Callable[[str], bool]
) -> Figures:
    """Return the F1 of the characters that are `chosen`; correct are those that `matches` finds."""
    counts = np.zeros(3, int)
    for text, label in zip(texts, labels, strict=True):
        n_correct = sum(chosen(label[position]) for _, position in matches(text, label))
        counts += n_correct, sum(map(chosen, text)), sum(map(chosen, label))
    return f1(*counts.tolist())


def is_mark(char: str) -> bool:
    """Return whether a character is a punctuation mark or another sign."""
    return char != " " and not char.isalnum()


def count_pairs(read: Iterable[float], written: Iterable[float], reach: float) -> int:
    """Return the most pairs of a read and a written position that are at most `reach` apart.

    Each position belongs to one pair at most. In ascending order, the first two that are near
    enough may always be paired.
    """
    pairs, ahead = 0, deque(sorted(written))
    for position in sorted(read):
        while ahead and ahead[0] < position - reach:
            ahead.popleft()
        if ahead and ahead[0] <= position + reach:
            ahead.popleft()
            pairs += 1
    return pairs


def peaks(probabilities: NDArray[np.float32], least: float) -> Indices:
    """Return where values of at least `least` exceed the one before and reach the next."""
    padded = np.pad(probabilities, 1, constant_values=-1)
    high = (probabilities > padded[:-2]) & (probabilities >= padded[2:])
    return np.flatnonzero(high & (probabilities >= least))


def quantiles(values: Numbers) -> Figures:
    """Return the median and the 90 % quantile; None without values."""
    median, high = np.quantile(values, (0.5, 0.9)).tolist() if len(values) else (None, None)
    return {"n": len(values), "median": median, "90 %": high}


def reliability(probabilities: Numbers, answers: Indices) -> tuple[Numbers, Numbers, Numbers]:
    """Return share of the answers, mean confidence and accuracy in each of `BINS` equal bins.

    `probabilities` are [N, K], `answers` [N].
    """
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == answers
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    size = np.bincount(index, minlength=BINS)
    filled = np.maximum(size, 1)
    return (
        size / len(answers),
        np.bincount(index, confidence, BINS) / filled,
        np.bincount(index, correct, BINS) / filled,
    )


def expected_calibration_error(probabilities: Numbers, answers: Indices) -> float:
    """Return the mean distance of confidence and accuracy over the bins, weighted by share."""
    share, confidence, accuracy = reliability(probabilities, answers)
    return float((share * np.abs(confidence - accuracy)).sum())


def calibration(confidence: Numbers, correct: NDArray[np.bool_]) -> Figures:
    """Return how often answers of some confidence are correct, in 15 bins; arguments are [N].

    Beside it the Brier score (Brier, Monthly Weather Review 78(1), 1950), and the Brier score of a
    predictor that knows only the share that is correct.
    """
    if not len(correct):
        return {"n": 0, "expected_calibration_error": None}
    binary, wrong = confidence[:, None], (~correct).astype(np.int64)  # a single label, or none
    bins = dict(zip(("share", "confidence", "accuracy"), reliability(binary, wrong), strict=True))
    base_rate = float(correct.mean())
    return {
        "n": len(correct),
        "expected_calibration_error": expected_calibration_error(binary, wrong),
        "brier": float(((confidence - correct) ** 2).mean()),
        "brier_of_base_rate": base_rate * (1 - base_rate),
        **{name: values.tolist() for name, values in bins.items()},
    }


def confusions(
    texts: Iterable[str], labels: Iterable[str], n_pairs: int
) -> list[tuple[str, str, int]]:
    """Return (written, read, count) of the `n_pairs` most frequent edits; see `NOTHING`."""
    counts: Counter[tuple[str, str]] = Counter()
    for text, label in zip(texts, labels, strict=True):
        for edit in Levenshtein.editops(text, label):
            written = NOTHING if edit.tag == "delete" else label[edit.dest_pos]
            read = NOTHING if edit.tag == "insert" else text[edit.src_pos]
            counts[written, read] += 1
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n_pairs]
    return [(written, read, count) for (written, read), count in common]
