"""What there is in a set of ink, as tables: parts, letters that are known, sizes."""

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data.census import table
from model.data.inkset import CATEGORIES, InkSet
from model.data.split import Parts, torn

LETTERED_SHARE: Final = 0.7  # of the points; joins between letters may be of none
PERCENTILES: Final = (5, 50, 95)


def overview(ink: InkSet, parts: Parts) -> str:
    """Pieces of each part, pieces whose letters are known, and how wide they are."""
    by_part = {
        (category, str(part)): int((ink.categories[pieces] == index).sum())
        for part, pieces in parts.items()
        for index, category in enumerate(CATEGORIES)
    }
    lettered = np.flatnonzero((letter_share(ink) >= LETTERED_SHARE) & is_text(ink))
    by_donor = Counter(
        (CATEGORIES[ink.categories[index]], str(donor))
        for index, donor in zip(lettered, donors(ink)[lettered], strict=True)
    )
    told = ", ".join(
        f"{len(np.unique(ink.writers[pieces]))} {part}" for part, pieces in parts.items()
    )
    return "\n\n".join(
        (
            table("parts", by_part),
            table("texts with known letters", by_donor),
            _sizes(ink),
            f"writers: {told}\npieces of the same ink in two parts: {torn(ink, parts)}",
        )
    )


def letter_share(ink: InkSet) -> NDArray[np.float64]:
    """The share of each piece's points whose letter is known, [N]."""
    known = np.concatenate([[0], np.cumsum(ink.letter_of_point >= 0)])
    bounds = ink.stroke_starts[ink.piece_starts]
    share: NDArray[np.float64] = np.diff(known[bounds]) / np.maximum(np.diff(bounds), 1)
    return share


def is_text(ink: InkSet) -> NDArray[np.bool_]:
    """Whether each piece's label is longer than a character, [N]."""
    return np.array([len(label) > 1 for label in ink.labels], np.bool_)


def donors(ink: InkSet) -> NDArray[np.str_]:
    """The donor of each piece, [N]."""
    names = np.array([name.partition("/")[0] for name in ink.writer_names], np.str_)
    return names[ink.writers]


def widths(ink: InkSet) -> NDArray[np.float64]:
    """The width of each piece's ink in heights of it, [N]."""
    if not len(ink):
        return np.empty(0)
    starts = ink.stroke_starts[ink.piece_starts[:-1]]
    width, height = np.maximum.reduceat(ink.points, starts).T.astype(np.float64)
    ratio: NDArray[np.float64] = width / np.maximum(height, 1)
    return ratio


def _sizes(ink: InkSet) -> str:
    """Widths of each category at some percentiles."""
    wide = widths(ink)
    rows = ["width of the ink / its height".ljust(34) + "".join(f"{p:>7} %" for p in PERCENTILES)]
    for index, category in enumerate(CATEGORIES):
        of_category = wide[ink.categories == index]
        if len(of_category):
            cells = (f"{value:>9.2f}" for value in np.percentile(of_category, PERCENTILES))
            rows.append(category.ljust(34) + "".join(cells))
    return "\n".join(rows)
