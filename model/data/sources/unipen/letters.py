"""The letters and lines of a page's pieces.

The same ink is labelled more than once: as a text, as words and as characters. So the words and
characters within a piece tell which of its points belong to which character of its label, and which
stand on which line.
"""

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.data.sources.unipen.cuts import Cut
from inkstream.model.data.statistics import Statistics

Indices = NDArray[np.int64]

LEAST_SHARE: Final = 0.8  # of the segments' characters; with fewer they are of another text

SAME_LINE_OVERLAP: Final = 0.3  # of the lower one's height: two words of a line share so much
LINE_STEP: Final = 1.2  # of the words' height: what stands so much lower is on another line,
RETURN_STEP: Final = 0.3  # and so much where the pen went back over half a word
RETURN_SHARE: Final = 0.3  # of width and height: how far the pen goes back, and how much down
TALL_WORD: Final = 1.5  # times its width: a single word so high may have several lines


def with_letters(cuts: Sequence[Cut], n_points: int, counts: Statistics) -> Iterator[Cut]:
    """Yield the pieces, with letters in words and texts, and texts of several lines taken apart.

    `n_points` are those of the page.
    """
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
        if (segments >= 0).all() and n_fitting < LEAST_SHARE * max(n_given, n_label):
            counts.skipped["label differs from those within it", *cut.segment.key] += 1
        elif n_fitting < LEAST_SHARE * n_given:
            counts.changed["letters in doubt left out", *cut.segment.key] += 1
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
            owner = words if cut.segment.category == WORDS else characters
            for start, stop in cut.ranges:
                owner[start:stop] = number
    is_parted = np.isin(words, words[characters >= 0])
    return np.where((characters >= 0) | is_parted, characters, words)


def _fit(segment_of_point: Indices, cut: Cut, texts: Sequence[str]) -> tuple[Indices, int, int]:
    """Find the segments within a piece in its label, in the order of time or else from the left.

    Args:
        segment_of_point: [P], index into `texts`; -1 where no segment lies.
        cut: the piece.
        texts: of the segments.

    Returns where in the label the text of each point's segment begins, [P], or -1; how many
    characters of the segments fit the label, and how many they have.
    """
    segments, first = np.unique(segment_of_point, return_index=True)
    first, segments = first[segments >= 0], segments[segments >= 0]
    order = segments[np.argsort(first)]
    starts, n_fitting = _match([texts[segment] for segment in order], cut.label)
    n_given = sum(len(texts[segment]) for segment in segments)
    if n_fitting < n_given:  # a letter may have been written or mended later
        left = [cut.points[segment_of_point == segment, 0].min() for segment in segments]
        by_left = segments[np.argsort(left)]
        other_starts, n_other = _match([texts[segment] for segment in by_left], cut.label)
        if n_other > n_fitting:
            order, starts, n_fitting = by_left, other_starts, n_other
    start_of_segment = np.full(len(texts) + 1, -1)  # the last one stands for -1
    start_of_segment[order] = starts
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
        if part[0] >= 0 and (np.diff(part) == 1).all():
            starts.append(letters[part[0]])
            n_fitting += len(text)
        else:
            starts.append(-1)
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
        counts.changed["lines taken apart", *cut.segment.key] += 1
        for _, line in itertools.groupby(range(len(words)), key=line_of_word.__getitem__):
            numbers = list(line)
            part = cut.take(np.isin(word_of_stroke, numbers))
            first_character = sum(len(word) + 1 for word in words[: numbers[0]])
            letters = np.maximum(part.letter_of_point - first_character, -1).astype(np.int16)
            label = " ".join(words[number] for number in numbers)
            yield replace(part, label=label, letter_of_point=letters)
    elif _has_line_break(cut):
        counts.skipped["several lines of ink, words not known", *cut.segment.key] += 1
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
        is_apart = min(bottom, next_bottom) - max(top, next_top) < SAME_LINE_OVERLAP * lower
        down = (next_top + next_bottom - top - bottom) / 2
        went_back = next_left < (left + right) / 2
        is_below = (
            (is_apart and down > 0 and next_left < right)
            or (went_back and down > RETURN_STEP * height)
            or down > LINE_STEP * height
        )
        lines.append(lines[-1] + is_below)
    return lines


def _has_line_break(cut: Cut) -> bool:
    """Tell whether the pen moved back and then wrote lower, as after the end of a line."""
    width, height = np.ptp(cut.points, axis=0).tolist()
    if " " not in cut.label and height < TALL_WORD * width:
        return False
    pairs = itertools.pairwise(cut.strokes)
    for start, (before, after) in zip(cut.stroke_starts[1:-1], pairs, strict=True):
        if before[:, 0].max() - after[:, 0].min() > RETURN_SHARE * width:
            down = np.median(cut.points[start:, 1]) - np.median(cut.points[:start, 1])
            if down > RETURN_SHARE * height:
                return True
    return False
