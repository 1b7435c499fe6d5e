"""Where the words and letters of a label stand in its ink, and on which line.

The same ink is labelled more than once: as a text, as words and as characters. So the words and
characters within a piece tell which of its points belong to which character of its label.
"""

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Points = NDArray[np.int64]  # [n, 2], x right, y down

LEAST_SHARE: Final = 0.8  # of the segments' characters; with fewer they are of another text

SAME_LINE_OVERLAP: Final = 0.3  # of the lower one's height: two words of a line share so much
LINE_STEP: Final = 1.2  # of the words' height: what stands so much lower is on another line,
RETURN_STEP: Final = 0.3  # and so much where the pen went back over half a word
RETURN_SHARE: Final = 0.3  # of width and height: how far the pen goes back, and how much down
TALL_WORD: Final = 1.5  # times its width: a single word so high may have several lines


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """How the segments within a piece fit its label."""

    place_of_point: Indices  # [P], where in the label the text of the point's segment begins, or -1
    n_found: int  # characters that the segments and the label have in common
    n_given: int  # characters of all segments

    def is_sure(self) -> bool:
        """Whether the segments are of this label."""
        return self.n_found >= LEAST_SHARE * self.n_given

    def is_of(self, label: str) -> bool:
        """Whether they are so many characters of the label that they may be all of it."""
        n_label = len(label.replace(" ", ""))
        return self.n_found >= LEAST_SHARE * max(self.n_given, n_label)


def fit(segment_of_point: Indices, points: Points, texts: Sequence[str], label: str) -> Fit:
    """Find the segments within a piece in its label.

    Args:
        segment_of_point: [P], index into `texts`; -1 where no segment lies.
        points: [P, 2], of the piece.
        texts: of the segments.
        label: of the piece.
    """
    segments, first = np.unique(segment_of_point, return_index=True)
    first, segments = first[segments >= 0], segments[segments >= 0]
    by_time = segments[np.argsort(first)]
    n_given = sum(len(texts[segment]) for segment in segments)
    best = _match([texts[segment] for segment in by_time], label)
    order = by_time
    if best[1] < n_given:  # a letter may have been written or mended later
        left = [points[segment_of_point == segment, 0].min() for segment in segments]
        by_left = segments[np.argsort(left)]
        found = _match([texts[segment] for segment in by_left], label)
        if found[1] > best[1]:
            order, best = by_left, found
    place = np.full(len(texts) + 1, -1)  # the last one stands for -1
    place[order] = best[0]
    return Fit(place[segment_of_point], best[1], n_given)


def _match(texts: list[str], label: str) -> tuple[list[int], int]:
    """Where in the label each text begins, or -1, and how many characters were found."""
    places = [place for place, character in enumerate(label) if character != " "]
    wanted = [label[place].casefold() for place in places]
    given = "".join(texts).casefold()
    index = np.full(len(given), -1)
    for block in difflib.SequenceMatcher(None, given, wanted, autojunk=False).get_matching_blocks():
        index[block.a : block.a + block.size] = np.arange(block.b, block.b + block.size)
    found = []
    stops = list(itertools.accumulate(map(len, texts)))
    for text, stop in zip(texts, stops, strict=True):
        part = index[stop - len(text) : stop]
        is_whole = bool((part == part[0] + np.arange(len(text))).all()) and part[0] >= 0
        found.append(places[part[0]] if is_whole else -1)
    n_found = sum(len(text) for text, place in zip(texts, found, strict=True) if place >= 0)
    return found, n_found


def line_of_words(word_of_point: Indices, points: Points) -> Indices:
    """The line that each word stands on, from 0.

    Args:
        word_of_point: [P], from 0 in the order of the label; every number has points.
        points: [P, 2].
    """
    boxes = [
        (*ink.min(0).tolist(), *ink.max(0).tolist())
        for ink in (points[word_of_point == word] for word in range(word_of_point.max() + 1))
    ]
    height = float(np.median([bottom - top for _, top, _, bottom in boxes]))
    lines = [0]
    for before, after in itertools.pairwise(boxes):
        left, top, right, bottom = before
        next_left, next_top, _, next_bottom = after
        lower = min(bottom - top, next_bottom - next_top)
        is_apart = min(bottom, next_bottom) - max(top, next_top) < SAME_LINE_OVERLAP * lower
        down = (next_top + next_bottom - top - bottom) / 2
        went_back = next_left < (left + right) / 2
        is_below = (
            (is_apart and down > 0 and next_left < right)
            or (went_back and down > RETURN_STEP * height)
            or down > LINE_STEP * height
        )
        lines.append(lines[-1] + is_below)
    return np.array(lines)


def has_line_break(strokes: Sequence[Points], label: str) -> bool:
    """Whether the pen went back and then wrote further down, as it does after a line."""
    ink = np.concatenate(strokes)
    width, height = np.ptp(ink, axis=0).tolist()
    if " " not in label and height < TALL_WORD * width:
        return False
    for number in range(1, len(strokes)):
        back = strokes[number - 1][:, 0].max() - strokes[number][:, 0].min()
        if back > RETURN_SHARE * width:
            before, after = (
                np.median(np.concatenate(part)[:, 1])
                for part in (strokes[:number], strokes[number:])
            )
            if after - before > RETURN_SHARE * height:
                return True
    return False
