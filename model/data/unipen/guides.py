"""Where a piece of UNIPEN stands: its x-height line and baseline, from letters or ruled lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from model.data.unipen.cut import LINES, WORDS, Cut

ON_BASELINE: Final = frozenset("abcdehiklmnorstuvwxzABCDEFGHIKLMNOPRSTUVWXYZ0123456789")
X_HIGH: Final = frozenset("acemnorsuvwxz")
LEAST_FOR_BASELINE: Final = 3  # letters that stand on it
LEAST_FOR_SLOPE: Final = 6

X_LINE_DONORS: Final = frozenset({"pap"})  # their second ruled line is the x-height line
RULED_SPREAD: Final = 0.25  # of the writing's height: more, and it does not follow the ruled lines
NO_GUIDES: Final = (np.nan, np.nan)


def guides(cuts: Sequence[Cut]) -> list[tuple[float, float]]:
    """y of (x-height line, baseline) at the middle of each piece of a page; NaN where not known.

    The letters of the line in which a piece stands tell it, else those of its word, else the ruled
    lines of the page.
    """
    around: dict[int, LetterGuides] = {}  # of each point of the page
    for categories in (WORDS, LINES):
        for cut in cuts:
            known = cut.index[cut.letters >= 0]
            if cut.source.category in categories and len(known):
                around.update(dict.fromkeys(known.tolist(), _letter_guides(cut)))
    ruling = _ruling(cuts)
    pairs = []
    for cut in cuts:
        known = cut.index[cut.letters >= 0]
        letters = around.get(int(known[0])) if len(known) else None
        pair = letters.at(cut.middle) if letters else NO_GUIDES
        pairs.append(ruling.guides(cut) if np.isnan(pair[1]) else pair)
    return pairs


@dataclass(frozen=True, slots=True)
class LetterGuides:
    """The x-height line and the baseline of a line of writing, which may slope."""

    slope: float
    baseline: float  # y at x = 0
    x_height: float

    def at(self, x: float) -> tuple[float, float]:
        """y of (x-height line, baseline) there; NaN where no letter tells."""
        baseline = self.baseline + self.slope * x
        return baseline - self.x_height, baseline


def _letter_guides(cut: Cut) -> LetterGuides:
    """What the known letters of a word or line tell."""
    standing, x_high = [], []
    for letter in np.unique(cut.letters[cut.letters >= 0]).tolist():
        ink = cut.points[cut.letters == letter]
        (left, top), (right, bottom) = ink.min(0).tolist(), ink.max(0).tolist()
        if cut.label[letter] in ON_BASELINE:
            standing.append(((left + right) / 2, bottom))
        if cut.label[letter] in X_HIGH:
            x_high.append(((left + right) / 2, top))
    if len(standing) < LEAST_FOR_BASELINE:
        return LetterGuides(0.0, np.nan, np.nan)
    x, bottoms = np.array(standing, np.float64).T
    from_mean = x - x.mean()
    flat = len(standing) < LEAST_FOR_SLOPE or not from_mean.any()
    slope = 0.0 if flat else float(from_mean @ bottoms / (from_mean @ from_mean))
    baseline = float(np.median(bottoms - slope * x))
    heights = [baseline + slope * middle - top for middle, top in x_high]
    return LetterGuides(slope, baseline, float(np.median(heights)) if heights else np.nan)


@dataclass(frozen=True, slots=True)
class Ruling:
    """How the writing of a page stands on its ruled lines."""

    offset: float  # how far below a ruled line the writing ends
    reach: float  # the writing's height; 0 when it does not follow the lines

    def guides(self, cut: Cut) -> tuple[float, float]:
        """y of (x-height line, baseline); NaN where no ruled line is near."""
        if not cut.header.h_lines or not self.reach:
            return NO_GUIDES
        baseline = _ruled_line(cut) + self.offset
        if abs(baseline - _bottom(cut)) > self.reach:
            return NO_GUIDES
        x_line = -cut.header.h_lines[1] + self.offset if _has_x_line(cut) else np.nan
        return x_line, baseline


def _ruling(cuts: Sequence[Cut]) -> Ruling:
    """What the words and letters of a page tell of its ruled lines; a mark stands anywhere."""
    telling = [cut for cut in cuts if cut.header.h_lines and cut.label[0].isalnum()]
    if not telling:
        return Ruling(0.0, 0.0)
    offsets = np.array([_bottom(cut) - _ruled_line(cut) for cut in telling])
    offset = float(np.median(offsets))
    reach = float(np.median([np.ptp(cut.points[:, 1]) for cut in telling]))
    follows = np.median(np.abs(offsets - offset)) <= RULED_SPREAD * reach
    return Ruling(offset, reach if follows else 0.0)


def _bottom(cut: Cut) -> float:
    """About where the letters without descenders end."""
    return float(np.percentile(cut.points[:, 1], 90))


def _ruled_line(cut: Cut) -> float:
    """y of the ruled line that was written on."""
    lines = [-y for y in cut.header.h_lines]
    bottom = _bottom(cut)
    return lines[0] if _has_x_line(cut) else min(lines, key=lambda y: abs(y - bottom))


def _has_x_line(cut: Cut) -> bool:
    return cut.source.donor in X_LINE_DONORS and len(cut.header.h_lines) == 2
