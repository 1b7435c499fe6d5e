"""Cut labelled pieces of ink out of a page, and find their letters, lines and guides.

The same ink is labelled more than once: as a text, as words and as characters. So the words and
characters within a piece say which of its points belong to which character of its label, and which
stand on which line. The guides of a piece are y of its x-height line and of its baseline: the
letters of the line in which it stands show them, else those of its word, else the ruled lines of
the page.
"""

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import TEXT, WORDS, InkLine, expand
from inkstream.model.data.sources.unipen.format import Header, Page, Segment
from inkstream.model.data.sources.unipen.labels import clean
from inkstream.model.data.statistics import Statistics
from inkstream.model.errors import DataError

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Cut(InkLine):
    """A labelled piece on its page: P points in S strokes."""

    segment: Segment
    header: Header
    index: Indices  # [P], of the page's points, without those that repeat the one before

    def take(self, chosen: NDArray[np.bool_]) -> "Cut":
        """Return the piece with some of its strokes; `chosen` is [S]."""
        lengths = np.diff(self.stroke_starts)
        points = np.repeat(chosen, lengths)
        return replace(
            self,
            points=self.points[points],
            stroke_starts=np.append(0, np.cumsum(lengths[chosen])),
            letter_of_point=self.letter_of_point[points],
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
    letters = np.full(is_new.sum(), 0 if len(label) == 1 else -1, np.int16)
    starts = np.append(0, np.cumsum(is_new))[starts]
    cut = Cut(points[is_new], starts, letters, label, segment, header, index[is_new])
    if len(label) > 1 and (is_stray := _is_stray(cut)).any():
        rules = [*rules, "stray strokes left out"]
        cut = cut.take(~is_stray)
    counts.changed.update(rules)
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
            near = 0.5 * (others_high - others_low)[1]  # sie's writers tapped so far off the word
            gap = np.maximum(low[number] - others_high, others_low - high[number])
            is_stray[number] = (high[number] - low[number]).max() < near < gap.min()
    return is_stray


def with_letters(cuts: Sequence[Cut], n_points: int, counts: Statistics) -> Iterator[Cut]:
    """Yield the pieces of a page of `n_points` with their letters, texts split into lines."""
    segment_of_point = _segments(cuts, n_points)
    texts = [cut.label for cut in cuts]
    is_character = np.array([len(text) == 1 for text in texts])
    for cut in cuts:
        if len(cut.label) == 1:
            yield cut
            continue
        segments = segment_of_point[cut.index]
        start_of_point, n_fitting, n_given = _fit(segments, cut, texts)
        n_label = len(cut.label.replace(" ", ""))
        # With less than 80 % of their characters in the label, the segments are of another text.
        if (segments >= 0).all() and n_fitting < 0.8 * max(n_given, n_label):
            counts.skipped["label differs from those within it"] += 1
        elif n_fitting < 0.8 * n_given:
            counts.changed["letters in doubt left out"] += 1
            yield from _lines(cut, np.full(len(segments), -1), counts)
        else:
            letters = np.where(is_character[segments], start_of_point, -1).astype(np.int16)
            yield from _lines(replace(cut, letter_of_point=letters), start_of_point, counts)


def _segments(cuts: Sequence[Cut], n_points: int) -> Indices:
    """Return the word or character of each point of the page, as an index into `cuts`, or -1.

    Characters count before the word that they are in; what they leave of it is in none.
    """
    characters, words = np.full((2, n_points), -1)
    for number, cut in enumerate(cuts):
        if cut.segment.category != TEXT:
            (words if cut.segment.category == WORDS else characters)[cut.index] = number
    is_parted = np.isin(words, words[characters >= 0])
    return np.where((characters >= 0) | is_parted, characters, words)


def _fit(segment_of_point: Indices, cut: Cut, texts: Sequence[str]) -> tuple[Indices, int, int]:
    """Find the segments within a piece in its label, in the order of time or else from the left.

    `segment_of_point`, [P], are indices into their `texts`, or -1. Returns where in the label the
    text of each point's segment begins, [P], or -1; how many characters of the segments fit the
    label, and how many they have.
    """
    segments, first = np.unique(segment_of_point, return_index=True)
    first, segments = first[segments >= 0], segments[segments >= 0]
    left = [cut.points[segment_of_point == segment, 0].min() for segment in segments]
    matches = []
    for order in (segments[np.argsort(first)], segments[np.argsort(left)]):
        starts, n_fitting = _match([texts[segment] for segment in order], cut.label)
        matches.append((n_fitting, order, starts))
    n_fitting, order, starts = max(matches, key=lambda match: match[0])
    start_of_segment = np.full(len(texts) + 1, -1)  # the last one stands for -1
    start_of_segment[order] = starts
    n_given = sum(len(texts[segment]) for segment in segments)
    return start_of_segment[segment_of_point], n_fitting, n_given


def _match(texts: list[str], label: str) -> tuple[list[int], int]:
    """Return where in the label each text begins, or -1, and how many characters fit."""
    letters = [index for index, character in enumerate(label) if character != " "]
    wanted = [label[index].casefold() for index in letters]
    given = "".join(texts).casefold()
    letter_of = np.full(len(given), -1)  # index into `letters`, of each character
    for block in difflib.SequenceMatcher(None, given, wanted, autojunk=False).get_matching_blocks():
        letter_of[block.a : block.a + block.size] = np.arange(block.b, block.b + block.size)
    starts, n_fitting = [], 0
    for text, stop in zip(texts, itertools.accumulate(map(len, texts)), strict=True):
        part = letter_of[stop - len(text) : stop]
        fits = part[0] >= 0 and (np.diff(part) == 1).all()
        starts.append(letters[part[0]] if fits else -1)
        n_fitting += len(text) if fits else 0
    return starts, n_fitting


def _lines(cut: Cut, start_of_point: Indices, counts: Statistics) -> Iterator[Cut]:
    """Split a text into its lines; skip ink of several lines whose words are not known.

    `start_of_point` is where in the label the text of each point's segment begins, [P], or -1.
    """
    words = cut.label.split(" ")
    word_of_character = np.cumsum([character == " " for character in cut.label])
    start_of_stroke = np.maximum.reduceat(start_of_point, cut.stroke_starts[:-1])
    word_of_stroke = np.where(start_of_stroke < 0, -1, word_of_character[start_of_stroke])
    line_of_word = [0] * len(words)
    if set(word_of_stroke.tolist()) == set(range(len(words))):
        line_of_word = _line_of_words(cut, word_of_stroke)
    if line_of_word[-1]:
        counts.changed["lines taken apart"] += 1
        for _, line in itertools.groupby(range(len(words)), key=line_of_word.__getitem__):
            numbers = list(line)
            part = cut.take(np.isin(word_of_stroke, numbers))
            first_character = sum(len(word) + 1 for word in words[: numbers[0]])
            letters = np.maximum(part.letter_of_point - first_character, -1).astype(np.int16)
            label = " ".join(words[number] for number in numbers)
            yield replace(part, label=label, letter_of_point=letters)
    elif _has_line_break(cut):
        counts.skipped["several lines of ink, words not known"] += 1
    else:
        yield cut


def _line_of_words(cut: Cut, word_of_stroke: Indices) -> list[int]:
    """Return the line of each word, from 0; `word_of_stroke` is [S], from 0, and has all words."""
    word_of_point = np.repeat(word_of_stroke, np.diff(cut.stroke_starts))
    boxes = [
        (*ink.min(0).tolist(), *ink.max(0).tolist())
        for ink in (cut.points[word_of_point == word] for word in range(word_of_point.max() + 1))
    ]
    height = float(np.median([bottom - top for _, top, _, bottom in boxes]))
    lines = [0]
    for (left, top, right, bottom), following in itertools.pairwise(boxes):
        next_left, next_top, _, next_bottom = following
        lower = min(bottom - top, next_bottom - next_top)
        # Two words of a line share 30 % of the lower one's height.
        is_apart = min(bottom, next_bottom) - max(top, next_top) < 0.3 * lower
        down = (next_top + next_bottom - top - bottom) / 2
        went_back = next_left < (left + right) / 2  # over half a word
        is_below = (
            (is_apart and down > 0 and next_left < right)
            or (went_back and down > 0.3 * height)
            or down > 1.2 * height
        )
        lines.append(lines[-1] + is_below)
    return lines


def _has_line_break(cut: Cut) -> bool:
    """Say whether the pen moved back and then wrote lower, as after the end of a line."""
    width, height = np.ptp(cut.points, axis=0).tolist()
    if " " not in cut.label and height < 1.5 * width:  # a higher word may have several lines
        return False
    pairs = itertools.pairwise(cut.strokes)
    for start, (before, after) in zip(cut.stroke_starts[1:-1], pairs, strict=True):
        if before[:, 0].max() - after[:, 0].min() > 0.3 * width:
            down = np.median(cut.points[start:, 1]) - np.median(cut.points[:start, 1])
            if down > 0.3 * height:
                return True
    return False


def guides(cuts: Sequence[Cut]) -> NDArray[np.float64]:
    """Return y of (x-height line, baseline) at the middle of each piece, [N, 2]; NaN: not known."""
    guides_at: dict[int, tuple[float, float, float] | None] = {}  # of points of the page
    for cut in sorted(cuts, key=lambda cut: cut.segment.category):  # lines after words
        lettered = cut.index[cut.letter_of_point >= 0].tolist()
        guides_at |= dict.fromkeys(lettered, _letter_guides(cut))
    pairs = _ruled_guides(cuts)
    for number, cut in enumerate(cuts):
        lettered = cut.index[cut.letter_of_point >= 0].tolist()
        if lettered and (of_letters := guides_at[lettered[0]]) is not None:
            slope, baseline, x_height = of_letters
            y = baseline + slope * float(cut.points[:, 0].min() + cut.points[:, 0].max()) / 2
            pairs[number] = y - x_height, y
    return pairs


def _letter_guides(cut: Cut) -> tuple[float, float, float] | None:
    """Return slope, y of the baseline at x = 0 and x-height of the letters of a word or line.

    The x-height is NaN where no letter shows it. All is None where less than three letters stand on
    the baseline; six show its slope.
    """
    standing, x_high = [], []
    for letter in np.unique(cut.letter_of_point[cut.letter_of_point >= 0]).tolist():
        ink = cut.points[cut.letter_of_point == letter]
        (left, top), (right, bottom) = ink.min(0).tolist(), ink.max(0).tolist()
        if cut.label[letter] in "abcdehiklmnorstuvwxzABCDEFGHIKLMNOPRSTUVWXYZ0123456789":
            standing.append(((left + right) / 2, bottom))
        if cut.label[letter] in "acemnorsuvwxz":
            x_high.append(((left + right) / 2, top))
    if len(standing) < 3:
        return None
    x, bottoms = np.array(standing, np.float64).T
    from_mean = x - x.mean()
    is_flat = len(standing) < 6 or not from_mean.any()
    slope = 0.0 if is_flat else float(from_mean @ bottoms / (from_mean @ from_mean))
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
            if cut.segment.donor == "pap" and len(lines) == 2:  # the second is the x-height line
                pairs[number] = lines[1], lines[0]
            if cut.label[0].isalnum():
                telling.append(number)
    if not telling:
        return nowhere
    offsets, reach = (bottoms - pairs[:, 1])[telling], np.median(heights[telling])
    offset = np.median(offsets)
    if np.median(np.abs(offsets - offset)) > 0.25 * reach:  # it does not follow the ruled lines
        return nowhere
    is_near = np.abs(pairs[:, 1] + offset - bottoms) <= reach
    return np.where(is_near[:, None], pairs + offset, nowhere)
