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
from model.data.inkset import InkSet, spread
from model.data.shapes import SEATED, SIZED, held, lower_turns, medians, seats, shapes_of

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

LARGEST: Final = 4.5  # x-heights that a character is wide or high at most: more is a slip
LARGEST_WORD: Final = 6.0  # x-heights that a word is high at most
WORD_EXCESS: Final = 1.13  # times the usual height: a word's letters do not stand quite in line
TURNS_RISE: Final = 0.13  # x-heights by which the lower turns of a word lie above its baseline
DESCENDS: Final = 0.3  # x-heights below the baseline: where it is, a word's lower bound can't tell
TOO_FAR: Final = 0.9  # x-heights between letters that are no run any more: each stood in its box
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
    is_word = found.sources == WORD
    guess = height / (shapes[:, 1] - shapes[:, 0]) / np.where(is_word, WORD_EXCESS, 1)
    tells = np.array([not SIZED.isdisjoint(text) for text in found.texts], np.bool_)
    hand = ink.writers[found.pieces].astype(np.int64) * (WORD + 1) + found.sources
    n_hands = len(ink.writer_names) * (WORD + 1)
    x_height = medians(guess[tells], hand[tells], n_hands)[hand]
    lengths = np.array([len(text) for text in found.texts])
    likely = height < np.where(is_word, LARGEST_WORD, LARGEST) * x_height
    likely &= (width < LARGEST * x_height * lengths) & (x_height > 0)
    chosen = np.flatnonzero(likely)
    return found.take(chosen), x_height[chosen]


def _baselines(ink: InkSet, found: Cuttings, bounds: Floats, x_height: Floats) -> Floats:
    """Where the baseline is: as the letters around tell, as the word does, or as is usual."""
    shapes = shapes_of(found.texts)
    baseline = held(bounds[:, 1], bounds[:, 3], shapes, x_height)
    cut = np.flatnonzero(found.sources == LETTER)
    if len(cut):
        seated = np.array([found.texts[index] in SEATED for index in cut])
        back = np.diff(bounds[cut, 0], prepend=0) < -NEXT_ROW * x_height[cut]
        row = np.cumsum(back | (np.diff(found.pieces[cut], prepend=-1) != 0))
        told = seats(np.where(seated, bounds[cut, 3], np.nan), row)
        baseline[cut] = np.where(np.isfinite(told), told, baseline[cut])
    words = np.flatnonzero(found.sources == WORD)
    if len(words):
        turns = _lower_turns(ink, found.pieces[words])
        risen = turns + TURNS_RISE * x_height[words]
        descends = shapes[words, 1] > DESCENDS
        told = np.where(descends, risen, (turns + baseline[words]) / 2)
        baseline[words] = np.where(np.isfinite(told), told, baseline[words])
    return baseline


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
    scribes: dict[int, Scribe] = defaultdict(Scribe)
    writers = ink.writers[found.pieces].tolist()
    for index, (writer, text) in enumerate(zip(writers, found.texts, strict=True)):
        scribe = scribes[writer]
        if found.sources[index] == WORD:
            scribe.words.append(Run(text, index, 1))
        else:
            scribe.letters[text].append(index)
    _add_runs(ink, found, bounds, x_height, scribes)
    return dict(scribes)


def _add_runs(
    ink: InkSet, found: Cuttings, bounds: Floats, x_height: Floats, scribes: dict[int, Scribe]
) -> None:
    """Add the runs of letters, the words that they make up, and how far apart they are."""
    cut = np.flatnonzero(found.sources == LETTER)
    gap = (bounds[cut[1:], 0] - bounds[cut[:-1], 2]) / x_height[cut[1:]]
    same = np.diff(found.pieces[cut]) == 0
    step = np.diff(found.places[cut])
    onward = np.diff(bounds[cut, 2]) > 0
    joined = same & (step == 1) & onward & (gap < TOO_FAR)
    writers = ink.writers[found.pieces[cut]]
    apart = same & (step == 2) & onward & (gap > 0)
    for writer in np.unique(writers).tolist():
        mine = writers[1:] == writer
        for name, pairs in (("letter_gap", joined), ("word_gap", apart)):
            if (mine & pairs).any():
                setattr(scribes[writer], name, float(np.median(gap[mine & pairs])))
    starts = np.append(np.flatnonzero(~np.append(False, joined)), len(cut)).tolist()
    for start, stop in pairwise(starts):
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
