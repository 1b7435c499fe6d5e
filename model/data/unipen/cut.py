"""One segment of UNIPEN and the ink that it names, cut out of its page."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data.census import WhyKey
from model.data.inkset import spread
from model.data.unipen.format import FURTHEST, Header, Page, Segment
from model.data.unipen.labels import clean
from model.errors import DataError

CHARACTERS: Final = ("1a", "1b", "1c", "1d", "3")
WORDS: Final = ("7",)
LINES: Final = ("8",)

STRAY_SHARE: Final = 0.5  # of the other strokes' height: sie's writers tapped so far off the word


@dataclass(frozen=True, slots=True)
class Source:
    """One segment of a label file, and where that file stands."""

    category: str
    donor: str
    segment: Segment


@dataclass(slots=True)
class Tally:
    """What was skipped, and what was changed, counted while it happens."""

    skipped: Counter[WhyKey] = field(default_factory=Counter)
    changed: Counter[WhyKey] = field(default_factory=Counter)

    def skip(self, reason: str, source: Source) -> None:
        """Count a segment that gives no piece."""
        self.skipped[reason, source.category, source.donor] += 1

    def change(self, rule: str, source: Source) -> None:
        """Count a rule that changed a segment."""
        self.changed[rule, source.category, source.donor] += 1


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A labelled piece on its page: P points in S strokes; x grows to the right, y downwards."""

    source: Source
    header: Header
    label: str
    strokes: NDArray[np.int64]  # [S, 2], ranges of the page's points
    index: NDArray[np.int64]  # [P], of the page's points; those that repeat the one before are out
    lengths: NDArray[np.int64]  # [S], points of each stroke
    points: NDArray[np.int64]  # [P, 2]
    letters: NDArray[np.int16]  # [P], see `InkSet.letter_of_point`

    @property
    def writer(self) -> str:
        """ "donor/writer"."""
        return f"{self.source.donor}/{self.header.writer}"

    @property
    def middle(self) -> float:
        """x half-way between its left and right bounds."""
        return float(self.points[:, 0].min() + self.points[:, 0].max()) / 2

    def take(self, strokes: NDArray[np.bool_]) -> "Cut":
        """The piece with some of its strokes."""
        points = np.repeat(strokes, self.lengths)
        return replace(
            self,
            strokes=self.strokes[strokes],
            index=self.index[points],
            lengths=self.lengths[strokes],
            points=self.points[points],
            letters=self.letters[points],
        )


def cut_out(page: Page, source: Source, is_new: NDArray[np.bool_], tally: Tally) -> Cut:
    """The ink of a segment, and its plain label.

    Args:
        page: where the ink stands.
        source: the segment.
        is_new: `page.is_new()`.
        tally: counts the rules that changed something.

    Raises `DataError`, which says why, when the segment can't be used.
    """
    if source.segment.quality == "BAD":
        raise DataError("quality BAD")
    strokes = np.array(page.strokes(source.segment.delineation), np.int64).reshape(-1, 2)
    if not len(strokes):
        raise DataError("no ink with the pen down")
    header = page.header(int(strokes[0, 0]))
    label, rules = clean(source.segment.label, f"{source.donor}/{header.writer}")
    if source.category in CHARACTERS and len(label) != 1:
        raise DataError("label longer than a character")
    index, starts = spread(strokes[:, 0], strokes[:, 1])
    kept = is_new[index]
    kept[starts[:-1]] = True
    index, lengths = index[kept], np.add.reduceat(kept, starts[:-1], dtype=np.int64)
    points = page.points[index]
    if points.min() < -FURTHEST or points.max() > FURTHEST:
        raise DataError("coordinate beyond 30 bits")
    letters = np.full(len(index), 0 if len(label) == 1 else -1, np.int16)
    cut = Cut(source, header, label, strokes, index, lengths, points * (1, -1), letters)
    stray = _is_stray(cut.points, lengths)
    if len(label) > 1 and stray.any():
        rules = [*rules, "stray strokes left out"]
        cut = cut.take(~stray)
    for rule in rules:
        tally.change(rule, source)
    return cut


def _is_stray(points: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which strokes are taps beside the writing: small, and apart from it both ways, [S]."""
    starts = np.cumsum(lengths) - lengths
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)  # [S, 2]
    stray = np.zeros(len(lengths), np.bool_)
    if len(lengths) > 1:
        at_edge = ((low == low.min(0)) | (high == high.max(0))).all(1)
        for number in np.flatnonzero(at_edge):
            rest_low = np.delete(low, number, 0).min(0)
            rest_high = np.delete(high, number, 0).max(0)
            near = STRAY_SHARE * (rest_high - rest_low)[1]
            gap = np.maximum(low[number] - rest_high, rest_low - high[number])
            stray[number] = (high[number] - low[number]).max() < near < gap.min()
    return stray
