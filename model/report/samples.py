"""Lines that show how well lines are read: the best, the median and the worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from rapidfuzz.distance import Levenshtein

from model.line_reading import Reader, Reading, Scores

GROUPS: Final = ("best", "median", "worst")
PAGES: Final = {"words": (3, 2), "lines": (1, 3)}  # samples side by side, and rows of each group
WIDTHS: Final = {"words": (50, 150), "lines": (300, 800)}  # columns that can be made out


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A reading, and the scores that it comes from."""

    reading: Reading
    scores: Scores  # [T + flush_columns, S]


def pages(reader: Reader, readings: dict[str, Sequence[Reading]]) -> dict[str, list[list[Sample]]]:
    """For each page best, median and worst readings, as many as it has room for."""
    found = {}
    for name, own in readings.items():
        n_across, n_rows = PAGES[name]
        chosen = _ranked(own, *WIDTHS[name])
        n = min(n_across * n_rows, len(chosen) // len(GROUPS))
        middle = (len(chosen) - n) // 2
        parts = [chosen[:n], chosen[middle : middle + n], chosen[len(chosen) - n :]]
        found[name] = [[Sample(r, reader.scores([r.line])[0]) for r in part] for part in parts]
    return found


def _ranked(readings: Sequence[Reading], narrowest: int, widest: int) -> list[Reading]:
    """Readings that can be shown, the best first: fewest errors, then surest letters."""

    def rank(reading: Reading) -> tuple[float, float]:
        wrong = Levenshtein.distance(reading.text, reading.line.label)
        sure = [letter.confidence for letter in reading.letters]
        return wrong / len(reading.line.label), -float(np.mean(sure)) if sure else 0.0

    shown = [r for r in readings if narrowest <= len(r.line.columns) <= widest]
    return sorted(shown, key=rank)
