"""Scraps of ink that made-up lines are composed of: whose they are, how large, where they stand.

A scrap is a letter, or a whole word that is not known letter by letter. Letters that were written
as one follow each other, so that a run of letters, with its joins, is a row of scraps. The points
stay where they are, in the `InkSet`: a scrap is a few ranges of them.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.cuttings import LETTER, WORD, Cuttings, cuttings, stroke_begins
from model.data.inkset import CATEGORIES, InkSet, spread
from model.data.shapes import SEATED, SIZED, THIN, held, lower_turns, medians, seats, shapes_of

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Words and lines are of one scale with each other; a writer's single characters may be of another.
OF_TEXT: Final = [CATEGORIES.index(name) for name in ("7", "8")]

USUAL: Final = (0.4, 2.2)  # times the usual height of its text: what is beyond is a slip
WIDEST_THIN: Final = 1.2  # x-heights that a mark of little width is wide at most
LARGEST: Final = 4.5  # x-heights that a character is wide at most, or high, if none is usual
WORD_EXCESS: Final = 1.13  # times the usual height: a word's letters do not stand quite in line
TURNS_RISE: Final = 0.13  # x-heights by which the lower turns of a word lie above its baseline
DESCENDS: Final = 0.3  # x-heights below the baseline: where it is, a word's lower bound can't tell
TORN: Final = 3.0  # x-heights between parts of a word that is none
TOO_FAR: Final = 0.9  # x-heights between letters that are no run any more: each stood in its box
FIELDS: Final = 4.0  # x-heights between words that stand in fields of a form, not in a line
STRAY: Final = 1.0  # x-heights from its usual place: a letter that does not share that baseline
NEXT_ROW: Final = 4.0  # x-heights back to the left: another row of writing


class Run(NamedTuple):
    """Scraps that follow each other, used as they were written."""

    text: str
    first: int
    length: int  # scraps


@dataclass(slots=True)
class Scribe:
    """All scraps of one writer."""

    runs: str = ""  # the letters of all runs, a line feed before each
    run_scraps: list[int] = field(default_factory=list)  # the scrap of each character of `runs`
    letters: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    words: list[Run] = field(default_factory=list)
    letter_gap: float = np.nan  # x-heights between letters of a word; NaN where not known
    word_gap: float = np.nan  # between words
    widest_gap: float = 0.0  # that 9 of 10 words have inside at most, of those that are no runs


@dataclass(frozen=True, slots=True, eq=False)
class Scraps:
    """R scraps, of G ranges of points."""

    points: NDArray[np.int16]  # [P, 2], those of the `InkSet`
    ranges: Indices  # [G, 2], into points
    begins: NDArray[np.bool_]  # [G], whether the pen was set down at the start of the range
    range_starts: Indices  # [R + 1], into ranges
    is_letter: NDArray[np.bool_]  # [R]
    x_height: Floats  # [R], of the writer's x, in units of the points
    baseline: Floats  # [R], y in units of the points
    sides: Floats  # [R, 2], left and right, in units of the points
    scribes: dict[int, Scribe]  # by writer, index into the ink's `writer_names`


def collect(ink: InkSet, indices: Indices) -> Scraps:
    """Find the scraps in the pieces at `indices`."""
    found, x_height = _usable(ink, cuttings(ink, indices))
    bounds = found.bounds()
    return Scraps(
        points=ink.points,
        ranges=found.ranges,
        begins=stroke_begins(ink)[found.ranges[:, 0]],
        range_starts=found.range_starts,
        is_letter=found.sources != WORD,
        x_height=x_height,
        baseline=_baselines(ink, found, bounds, x_height),
        sides=bounds[:, [0, 2]],
        scribes=_scribes(ink, found, bounds, x_height),
    )


def _usable(ink: InkSet, found: Cuttings) -> tuple[Cuttings, Floats]:
    """Cuttings of a known and likely size, and the x-height of each."""
    bounds, shapes = found.bounds(), shapes_of(found.texts)
    height, width = bounds[:, 3] - bounds[:, 1], bounds[:, 2] - bounds[:, 0]
    guess = height / (shapes[:, 1] - shapes[:, 0])
    guess[found.sources == WORD] /= WORD_EXCESS
    tells = np.array([not SIZED.isdisjoint(text) for text in found.texts], np.bool_)
    x_height = _x_heights(ink, found.pieces, guess, tells)
    least, most = np.multiply.outer(USUAL, x_height)
    lengths = np.array([len(text) for text in found.texts])
    widest = np.where(np.isin(found.texts, THIN), WIDEST_THIN, LARGEST * lengths) * x_height
    likely = np.where(tells, (guess > least) & (guess < most), height < LARGEST * x_height)
    chosen = np.flatnonzero(likely & (width < widest))
    return found.take(chosen), x_height[chosen]


def _x_heights(ink: InkSet, pieces: Indices, guess: Floats, tells: NDArray[np.bool_]) -> Floats:
    """Of the writer of each cutting [R], the median of what his cuttings tell; NaN if none does."""
    hand = 2 * ink.writers[pieces].astype(np.int64) + np.isin(ink.categories[pieces], OF_TEXT)
    x_height = medians(guess[tells], hand[tells], 2 * len(ink.writer_names))
    other = x_height.reshape(-1, 2)[:, ::-1].ravel()  # better than nothing
    return np.where(np.isnan(x_height), other, x_height)[hand]


def _baselines(ink: InkSet, found: Cuttings, bounds: Floats, x_height: Floats) -> Floats:
    """Where the baseline is [R]: as the data, the letters around or the word tell, or as usual."""
    shapes = shapes_of(found.texts)
    usual = held(bounds[:, 1], bounds[:, 3], shapes, x_height)
    told = ink.guides[found.pieces, 1].astype(np.float64)
    cut = np.flatnonzero(found.sources == LETTER)
    seated = np.array([found.texts[index] in SEATED for index in cut], np.bool_)
    back = np.diff(bounds[cut, 0], prepend=0) < -NEXT_ROW * x_height[cut]
    row = np.cumsum(back | (np.diff(found.pieces[cut], prepend=-1) != 0))
    told[cut] = seats(np.where(seated, bounds[cut, 3], np.nan), row)
    words = np.flatnonzero((found.sources == WORD) & np.isnan(told))
    turns = _lower_turns(ink, found.pieces[words])
    risen = turns + TURNS_RISE * x_height[words]
    descends = shapes[words, 1] > DESCENDS
    told[words] = np.where(descends, risen, (turns + usual[words]) / 2)
    likely = (found.sources == WORD) | (abs(told - usual) < STRAY * x_height)
    return np.where(likely & np.isfinite(told), told, usual)


def _lower_turns(ink: InkSet, pieces: Indices) -> Floats:
    """The median height of the pen's lower turns in each piece."""
    strokes, _ = spread(ink.piece_starts[pieces], ink.piece_starts[pieces + 1])
    points, starts = spread(ink.stroke_starts[strokes], ink.stroke_starts[strokes + 1])
    y = ink.points[points, 1]
    lengths = np.diff(starts)
    turns = np.flatnonzero(lower_turns(y, np.repeat(np.arange(len(lengths)), lengths)))
    n_strokes = ink.piece_starts[pieces + 1] - ink.piece_starts[pieces]
    stroke_of_turn = np.searchsorted(starts, turns, "right") - 1
    piece_of_turn = np.repeat(np.arange(len(pieces)), n_strokes)[stroke_of_turn]
    return medians(y[turns], piece_of_turn, len(pieces))


def _scribes(ink: InkSet, found: Cuttings, bounds: Floats, x_height: Floats) -> dict[int, Scribe]:
    """Who has which scraps."""
    scribes: dict[int, Scribe] = defaultdict(Scribe)
    writers = ink.writers[found.pieces]
    for index in np.flatnonzero(found.sources != WORD).tolist():
        scribes[int(writers[index])].letters[found.texts[index]].append(index)
    words = np.flatnonzero(found.sources == WORD)
    widest = _widest_gaps(found.take(words)) / x_height[words]
    words, widest = words[widest < TORN], widest[widest < TORN]
    for index in words.tolist():
        scribes[int(writers[index])].words.append(Run(found.texts[index], index, 1))
    for writer in np.unique(writers[words]).tolist():
        scribes[writer].widest_gap = float(np.quantile(widest[writers[words] == writer], 0.9))
    _add_runs(ink, found, bounds, x_height, scribes)
    return dict(scribes)


def _widest_gaps(words: Cuttings) -> Floats:
    """The widest gap between the strokes of each word [n], in units of the points."""
    word = np.repeat(np.arange(len(words.texts)), np.diff(words.range_starts))
    apart = 2.0 * np.iinfo(np.int16).max * word  # sets each word to the right of the one before
    left, right = words.range_bounds[:, 0] + apart, words.range_bounds[:, 2] + apart
    order = np.argsort(left)
    gap = np.zeros(len(word))
    gap[1:] = left[order][1:] - np.maximum.accumulate(right[order])[:-1]
    gap[words.range_starts[:-1]] = 0
    return np.maximum.reduceat(gap, words.range_starts[:-1]) if len(gap) else gap


def _add_runs(
    ink: InkSet, found: Cuttings, bounds: Floats, x_height: Floats, scribes: dict[int, Scribe]
) -> None:
    """Add the runs of letters, the words that they make up, and how far apart they are."""
    cut = np.flatnonzero(found.sources == LETTER)
    pieces, places = found.pieces[cut], found.places[cut]
    gap = (bounds[cut[1:], 0] - bounds[cut[:-1], 2]) / x_height[cut[1:]]
    onward = (np.diff(pieces) == 0) & (np.diff(bounds[cut, 2]) > 0)
    joined = onward & (np.diff(places) == 1) & (gap < TOO_FAR)
    spaced = [
        ink.labels[piece][place - 1] == " "
        for piece, place in zip(pieces[1:], places[1:], strict=True)
    ]
    apart = onward & (np.diff(places) == 2) & np.array(spaced, np.bool_) & (gap < FIELDS)
    writers = ink.writers[pieces]
    for writer in np.unique(writers).tolist():
        mine = writers[1:] == writer
        if (mine & joined).any():
            scribes[writer].letter_gap = float(np.median(gap[mine & joined]))
        if (mine & apart).any():
            scribes[writer].word_gap = float(np.median(gap[mine & apart]))
    starts = np.flatnonzero(~np.append(False, joined)[: len(cut)])
    for start, stop in pairwise([*starts.tolist(), len(cut)]):
        _add_run(ink, found, cut[start:stop], scribes[int(writers[start])])


def _add_run(ink: InkSet, found: Cuttings, run: Indices, scribe: Scribe) -> None:
    first, last = int(run[0]), int(run[-1])
    text = "".join(found.texts[first : last + 1])
    if len(text) == 1:
        return
    scribe.runs += "\n" + text
    scribe.run_scraps += [first, *range(first, last + 1)]
    label = f" {ink.labels[found.pieces[first]]} "
    before, after = found.places[first], found.places[last] + 2
    if label[before] == label[after] == " ":
        scribe.words.append(Run(text, first, len(text)))
