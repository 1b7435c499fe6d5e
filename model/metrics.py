"""Measures of what was read: errors, F1, lateness and calibration. Numbers in, numbers out."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from inkstream.model.calibration import expected_calibration_error, reliability

Places = NDArray[np.int64]
Numbers = NDArray[np.float64]
Figures = dict[str, Any]

NOTHING: Final = ""  # stands for what was not read, and for what was not written


def same(text: str, label: str) -> list[tuple[int, int]]:
    """Places in both of the characters that stand in both, by the alignment of fewest changes."""
    blocks = Levenshtein.editops(text, label).as_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]


def errors(texts: Sequence[str], labels: Sequence[str]) -> Figures:
    """Share of wrong characters, and of pieces that are wholly right; case and spaces count.

    A character error is the number of characters to change, add or leave out, over those written.
    """
    wrong = [Levenshtein.distance(*pair) for pair in zip(texts, labels, strict=True)]
    n_characters = sum(map(len, labels))
    return {
        "pieces": len(labels),
        "characters": n_characters,
        "error": sum(wrong) / n_characters if n_characters else None,
        "right": wrong.count(0) / len(wrong) if wrong else None,
    }


def errors_by(
    keys: Sequence[str], texts: Sequence[str], labels: Sequence[str], order: Sequence[str] = ()
) -> dict[str, Figures]:
    """`errors` of those pieces that have the same key; keys as in `order`, or sorted."""
    found = {}
    for key in order or sorted(set(keys)):
        places = [place for place, own in enumerate(keys) if own == key]
        if places:
            found[key] = errors([texts[p] for p in places], [labels[p] for p in places])
    return found


def f1(right: int, found: int, wanted: int) -> Figures:
    """The harmonic mean of precision and recall; nothing found of nothing wanted is None."""
    return {
        "f1": 2 * right / (found + wanted) if found + wanted else None,
        "precision": right / found if found else None,
        "recall": right / wanted if wanted else None,
        "found": found,
        "wanted": wanted,
    }


def told_apart(
    texts: Iterable[str], labels: Iterable[str], chosen: Callable[[str], bool]
) -> Figures:
    """F1 of the characters that are `chosen`, right where the alignment finds the same one."""
    right = found = wanted = 0
    for text, label in zip(texts, labels, strict=True):
        right += sum(chosen(label[place]) for _, place in same(text, label))
        found += sum(map(chosen, text))
        wanted += sum(map(chosen, label))
    return f1(right, found, wanted)


def is_mark(char: str) -> bool:
    """Whether a character is a punctuation mark or another sign."""
    return char != " " and not char.isalnum()


def within(found: Iterable[float], wanted: Iterable[float], reach: float) -> int:
    """The most pairs of a place found and a place wanted that are no further apart than `reach`.

    Each place belongs to one pair at most. Taken in their order, the first two that are near enough
    may always be paired.
    """
    ours, theirs = sorted(found), sorted(wanted)
    pairs = i = j = 0
    while i < len(ours) and j < len(theirs):
        if abs(ours[i] - theirs[j]) <= reach:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif ours[i] < theirs[j]:
            i += 1
        else:
            j += 1
    return pairs


def peaks(probabilities: NDArray[np.float32], least: float) -> Places:
    """Places of at least `least` that are higher than the one before and no lower than the next."""
    padded = np.pad(probabilities, 1, constant_values=-1)
    high = (probabilities > padded[:-2]) & (probabilities >= padded[2:])
    return np.flatnonzero(high & (probabilities >= least))


def quantiles(values: Numbers) -> Figures:
    """Median and 90 % of values that may be none."""
    if not len(values):
        return {"n": 0, "median": None, "90 %": None}
    return {
        "n": len(values),
        "median": float(np.median(values)),
        "90 %": float(np.quantile(values, 0.9)),
    }


def calibration(confidence: Numbers, right: NDArray[np.bool_]) -> Figures:
    """How often what was said with some confidence is right, in 15 bins; [N] each.

    Beside it the Brier score (Brier, Monthly Weather Review 78(1), 1950), and that of one who knows
    nothing but the share that is right.
    """
    if not len(right):
        return {"n": 0, "expected_calibration_error": None}
    said, wrong = confidence[:, None], (~right).astype(np.int64)  # one answer: it, or none
    share, mean, accuracy = reliability(said, wrong)
    base = float(right.mean())
    return {
        "n": len(right),
        "expected_calibration_error": expected_calibration_error(said, wrong),
        "brier": float(((confidence - right) ** 2).mean()),
        "brier_of_the_share": base * (1 - base),
        "share": share.tolist(),
        "confidence": mean.tolist(),
        "right": accuracy.tolist(),
    }


def confusions(
    texts: Iterable[str], labels: Iterable[str], most: int
) -> list[tuple[str, str, int]]:
    """(written, read, how often) of the most frequent changes; `NOTHING` was left out or added."""
    counts: Counter[tuple[str, str]] = Counter()
    for text, label in zip(texts, labels, strict=True):
        for change in Levenshtein.editops(text, label):
            written = NOTHING if change.tag == "delete" else label[change.dest_pos]
            read = NOTHING if change.tag == "insert" else text[change.src_pos]
            counts[written, read] += 1
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [(written, read, count) for (written, read), count in common]
