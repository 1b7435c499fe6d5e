"""Cut the ink of a segment out of its page."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import InkLine, expand
from inkstream.model.data.sources.unipen.format import Header, Page, Segment
from inkstream.model.data.sources.unipen.labels import clean
from inkstream.model.data.statistics import Statistics
from inkstream.model.errors import DataError

STRAY_SHARE: Final = 0.5  # of the other strokes' height: sie's writers tapped so far off the word


@dataclass(frozen=True, slots=True, eq=False)
class Cut(InkLine):
    """A labelled piece on its page: P points in S strokes."""

    segment: Segment
    header: Header
    ranges: NDArray[np.int64]  # [S, 2], of the page's points, of each stroke
    index: NDArray[np.int64]  # [P], of the page's points; those that repeat the one before are out

    def take(self, chosen: NDArray[np.bool_]) -> "Cut":
        """Return the piece with some of its strokes; `chosen` is [S]."""
        lengths = np.diff(self.stroke_starts)
        points = np.repeat(chosen, lengths)
        return replace(
            self,
            points=self.points[points],
            stroke_starts=np.append(0, np.cumsum(lengths[chosen])),
            letter_of_point=self.letter_of_point[points],
            ranges=self.ranges[chosen],
            index=self.index[points],
        )


def cut_out(page: Page, segment: Segment, counts: Statistics) -> Cut:
    """Cut the ink of a segment out of its page, and clean its label; count rules that change it.

    Raises `DataError`, which says why, when the segment can't be used.
    """
    if segment.quality == "BAD":
        raise DataError("quality BAD")
    ranges = np.array(page.strokes(segment.delineation), np.int64).reshape(-1, 2)
    if not len(ranges):
        raise DataError("no ink with the pen down")
    header = page.header(int(ranges[0, 0]))
    label, rules = clean(segment.label, f"{segment.donor}/{header.writer}")
    index, starts = expand(ranges[:, 0], ranges[:, 1])
    points = page.points[index] * (1, -1)
    is_new = np.append(True, (points[1:] != points[:-1]).any(1))
    is_new[starts[:-1]] = True
    cut = Cut(
        points=points[is_new],
        stroke_starts=np.append(0, np.cumsum(is_new))[starts],
        letter_of_point=np.full(is_new.sum(), 0 if len(label) == 1 else -1, np.int16),
        label=label,
        segment=segment,
        header=header,
        ranges=ranges,
        index=index[is_new],
    )
    if len(label) > 1 and (is_stray := _is_stray(cut)).any():
        rules = [*rules, "stray strokes left out"]
        cut = cut.take(~is_stray)
    counts.changed.update((rule, *segment.key) for rule in rules)
    return cut


def _is_stray(ink: InkLine) -> NDArray[np.bool_]:
    """Mark strokes that are taps beside the writing: small, and apart from it in x and y, [S]."""
    low = np.minimum.reduceat(ink.points, ink.stroke_starts[:-1])  # [S, 2]
    high = np.maximum.reduceat(ink.points, ink.stroke_starts[:-1])
    is_stray = np.zeros(len(low), np.bool_)
    if len(low) > 1:
        at_edge = ((low == low.min(0)) | (high == high.max(0))).all(1)
        for number in np.flatnonzero(at_edge):
            others_low = np.delete(low, number, 0).min(0)
            others_high = np.delete(high, number, 0).max(0)
            near = STRAY_SHARE * (others_high - others_low)[1]
            gap = np.maximum(low[number] - others_high, others_low - high[number])
            is_stray[number] = (high[number] - low[number]).max() < near < gap.min()
    return is_stray
