"""The guides of a page's pieces: y of the x-height line and of the baseline.

The letters of the line in which a piece stands tell them, else those of its word, else the ruled
lines of the page.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.sources.unipen.cuts import Cut

ON_BASELINE: Final = frozenset("abcdehiklmnorstuvwxzABCDEFGHIKLMNOPRSTUVWXYZ0123456789")
X_HIGH: Final = frozenset("acemnorsuvwxz")
LEAST_FOR_BASELINE: Final = 3  # letters that stand on it
LEAST_FOR_SLOPE: Final = 6

X_LINE_DONORS: Final = frozenset({"pap"})  # their second ruled line is the x-height line
RULED_SPREAD: Final = 0.25  # of the writing's height: more, and it does not follow the ruled lines

LetterGuides = tuple[float, float, float]  # slope, y of the baseline at x = 0, x-height


def guides(cuts: Sequence[Cut]) -> NDArray[np.float64]:
    """Return y of (x-height line, baseline) at the middle of each piece, [N, 2]; NaN: not known."""
    around: dict[int, LetterGuides | None] = {}  # of points of the page
    for cut in sorted(cuts, key=lambda cut: cut.segment.category):  # lines after words
        around |= dict.fromkeys(cut.index[cut.letter_of_point >= 0].tolist(), _letter_guides(cut))
    pairs = _ruled_guides(cuts)
    for number, cut in enumerate(cuts):
        lettered = cut.index[cut.letter_of_point >= 0].tolist()
        if lettered and (of_letters := around[lettered[0]]) is not None:
            slope, baseline, x_height = of_letters
            y = baseline + slope * float(cut.points[:, 0].min() + cut.points[:, 0].max()) / 2
            pairs[number] = y - x_height, y
    return pairs


def _letter_guides(cut: Cut) -> LetterGuides | None:
    """Estimate the guides from the known letters of a word or line, which may slope.

    The x-height is NaN where no letter tells it; all is None where too few letters do.
    """
    standing, x_high = [], []
    for letter in np.unique(cut.letter_of_point[cut.letter_of_point >= 0]).tolist():
        ink = cut.points[cut.letter_of_point == letter]
        (left, top), (right, bottom) = ink.min(0).tolist(), ink.max(0).tolist()
        if cut.label[letter] in ON_BASELINE:
            standing.append(((left + right) / 2, bottom))
        if cut.label[letter] in X_HIGH:
            x_high.append(((left + right) / 2, top))
    if len(standing) < LEAST_FOR_BASELINE:
        return None
    x, bottoms = np.array(standing, np.float64).T
    from_mean = x - x.mean()
    flat = len(standing) < LEAST_FOR_SLOPE or not from_mean.any()
    slope = 0.0 if flat else float(from_mean @ bottoms / (from_mean @ from_mean))
    baseline = float(np.median(bottoms - slope * x))
    heights = [baseline + slope * middle - top for middle, top in x_high]
    return slope, baseline, float(np.median(heights)) if heights else np.nan


def _ruled_guides(cuts: Sequence[Cut]) -> NDArray[np.float64]:
    """Return the guides by the page's ruled lines, [N, 2]; NaN where the writing is not on them.

    How far below the lines it stands is estimated from words and letters without marks.
    """
    pairs, nowhere = np.full((2, len(cuts), 2), np.nan)
    bottoms, heights, telling = np.full(len(cuts), np.nan), np.zeros(len(cuts)), []
    for number, cut in enumerate(cuts):
        if lines := [-y for y in cut.header.h_lines]:
            y = cut.points[:, 1]
            bottoms[number], heights[number] = np.percentile(y, 90), np.ptp(y)  # no descenders
            pairs[number, 1] = min(lines, key=lambda line: abs(line - bottoms[number]))
            if cut.segment.donor in X_LINE_DONORS and len(lines) == 2:
                pairs[number] = lines[1], lines[0]
            if cut.label[0].isalnum():
                telling.append(number)
    if not telling:
        return nowhere
    offsets, reach = (bottoms - pairs[:, 1])[telling], np.median(heights[telling])
    offset = np.median(offsets)
    if np.median(np.abs(offsets - offset)) > RULED_SPREAD * reach:
        return nowhere
    is_near = np.abs(pairs[:, 1] + offset - bottoms) <= reach
    return np.where(is_near[:, None], pairs + offset, nowhere)
