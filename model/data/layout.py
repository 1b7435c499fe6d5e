"""Scraps of one writer's ink set side by side on one baseline."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.inkset import spread
from model.data.scraps import Run, Scraps, Scribe

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Words = Sequence[Sequence[Run]]  # a space between one word and the next

# Distances in x-heights. Those of writers who are not known by theirs are as those of the 85 of
# UNIPEN's training writers who are: the middle, and the standard deviation between writers.
LETTER_GAP: Final = (0.35, 0.12)
WORD_GAP: Final = (1.7, 0.4)
GAP_JITTER: Final = 0.12  # standard deviation between letters, and as a share between words
LEAST_WORD_GAP: Final = 0.6  # more than within words
OVERLAP: Final = 0.5  # share of a run's width that may lie below the one before
ONWARD: Final = 0.02  # that a run ends behind the one before at least, however narrow it is
SIZE_JITTER: Final = 0.05  # standard deviation, as a share
BASELINE_JITTER: Final = 0.05  # standard deviation


class Ink(NamedTuple):
    """Pen points, and what each is a part of."""

    points: NDArray[np.float32]  # [P, 2], x-heights: x from the left end, y from the baseline down
    stroke_starts: Indices  # [S + 1], into points
    letter_of_point: NDArray[np.int16]  # [P], index into the text; -1 in a word that is not cut


def lay_out(scraps: Scraps, scribe: Scribe, words: Words, random: np.random.Generator) -> Ink:
    """Set the runs of words side by side, as far apart as the scribe does, with a little chance.

    Each run ends further right than all before it.
    """
    runs = [run for word in words for run in word]
    first = np.array([run.first for run in runs], np.int64)
    rows, row_starts = spread(first, first + np.array([run.length for run in runs], np.int64))
    left = np.minimum.reduceat(scraps.sides[rows, 0], row_starts[:-1])
    right = np.maximum.reduceat(scraps.sides[rows, 1], row_starts[:-1])
    size, rise = np.clip(random.standard_normal((2, len(runs))), -2, 2)
    scale = (1 + SIZE_JITTER * size) / scraps.x_height[first]
    width = (right - left) * scale
    gap = _gaps(scribe, [len(word) for word in words], width, random)
    x = np.cumsum(gap + width) - width - left * scale
    y = BASELINE_JITTER * rise - scraps.baseline[first] * scale
    run = np.repeat(np.arange(len(runs)), np.diff(row_starts))
    letter = np.where(scraps.is_letter[rows], _places(words), -1)
    return _moved(scraps, rows, run, letter, np.stack([scale, x, y]))


def _gaps(
    scribe: Scribe, runs_of_word: list[int], width: Floats, random: np.random.Generator
) -> Floats:
    """How far from the end of the one before each run stands [runs]; 0 for the first."""
    of_letters, of_words = random.standard_normal(2)
    letter_gap, word_gap = scribe.letter_gap, scribe.word_gap
    if not np.isfinite(letter_gap):
        letter_gap = LETTER_GAP[0] + LETTER_GAP[1] * of_letters
    if not np.isfinite(word_gap):
        word_gap = WORD_GAP[0] + WORD_GAP[1] * of_words
    jitter = GAP_JITTER * np.clip(random.standard_normal(len(width)), -2, 2)
    gap = np.maximum(letter_gap + jitter, ONWARD - OVERLAP * width)
    starts = list(accumulate(runs_of_word[:-1]))
    least = LEAST_WORD_GAP + max(letter_gap, scribe.widest_gap)
    gap[starts] = np.maximum(word_gap * (1 + jitter[starts]), least)
    gap[0] = 0
    return gap


def _places(words: Words) -> list[int]:
    """Where in the text each scrap's own starts."""
    places: list[int] = []
    at = 0
    for word in words:
        for run in word:
            places += range(at, at + run.length)
            at += len(run.text)
        at += 1
    return places


def _moved(scraps: Scraps, rows: Indices, run: Indices, letter: Indices, way: Floats) -> Ink:
    """The ink of scraps, each run's in the order of writing and in its place.

    Args:
        scraps: all scraps.
        rows: [n], the scraps.
        run: [n], ascending, which run each belongs to.
        letter: [n], each one's place in the text.
        way: [3, runs], scale, then shift to the right and down.
    """
    ranges, range_starts = spread(scraps.range_starts[rows], scraps.range_starts[rows + 1])
    row = np.repeat(np.arange(len(rows)), np.diff(range_starts))
    order = np.lexsort((scraps.ranges[ranges, 0], run[row]))
    ranges, row = ranges[order], row[order]
    start, stop = scraps.ranges[ranges].T
    points, starts = spread(start, stop)
    new = scraps.begins[ranges] | (np.diff(run[row], prepend=-1) != 0)
    new[1:] |= start[1:] != stop[:-1]  # elsewhere the pen went on from letter to letter
    scale, right, down = way[:, np.repeat(run[row], stop - start)]
    placed = np.empty((len(points), 2), np.float32)
    placed[:, 0] = scraps.points[points, 0] * scale + right
    placed[:, 1] = scraps.points[points, 1] * scale + down
    placed[:, 0] -= placed[:, 0].min()
    letter_of_point = np.repeat(letter[row], stop - start).astype(np.int16)
    return Ink(placed, np.append(starts[:-1][new], len(points)), letter_of_point)
