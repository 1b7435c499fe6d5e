"""Cut a writer's ink into glyphs, and measure their size and baseline.

A glyph is a letter, or a whole word whose letters are not known one by one. Letters that were
written one after the other follow each other, so a run of letters with its joins is a range of
glyphs. Points stay in the `InkSet`: a glyph is a few ranges of them.

Lengths are x-heights: the height of an `x`, from the baseline, y down. The usual shapes are medians
of 25,000 letters that 94 of UNIPEN's training writers wrote in lines.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import CATEGORIES, TEXT, WORDS, InkSet, expand

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# The usual top and bottom of a character, and the part of it that fixes its place: 0 is its top, 1
# its bottom, 0.5 its middle.
_SHAPES: Final = {
    "acemnorsuvwxæœ": (-1.0, 0.0, 1), "bdhklß": (-1.9, 0.0, 1), "t": (-1.75, 0.0, 1),
    "i": (-1.65, 0.0, 1), "f": (-2.0, 0.15, 0.5), "gpqy": (-1.0, 1.1, 0), "j": (-1.65, 0.9, 0.5),
    "z": (-1.0, 0.05, 0), "ø": (-1.2, 0.2, 0.5),
    "ABCDEFGHIKLMNOPRSTUVWXYZ": (-1.75, 0.0, 1), "JQ": (-1.75, 0.25, 0.5), "Ø": (-1.9, 0.15, 0.5),
    "0123456789": (-1.7, 0.0, 1), "!?&%#": (-2.0, 0.0, 1), "¡¿": (-1.5, 0.5, 0.5),
    "@": (-1.5, 0.15, 0.5), "$": (-2.1, 0.3, 0.5), "§": (-1.9, 0.3, 0.5),
    "()[]{}|/\\": (-2.0, 0.5, 0.5), "«»": (-1.1, -0.1, 0.5), "=+<>": (-1.2, -0.2, 0.5),
    "-~": (-0.7, -0.5, 0.5), "·": (-0.65, -0.5, 0.5), "_": (-0.1, 0.05, 0.5),
    ".": (-0.15, 0.0, 1), ",": (-0.15, 0.65, 0.5), ";": (-1.25, 0.65, 0.5), ":": (-1.2, -0.1, 0.5),
    "'\"`^": (-2.1, -1.45, 0), "„": (-0.2, 0.5, 0.5),
    "*": (-2.0, -0.9, 0), "°": (-1.95, -1.35, 0.5), "ºª": (-1.75, -0.9, 0.5),
}  # fmt: skip
_SHAPE_OF: Final = {character: shape for key, shape in _SHAPES.items() for character in key}

# Characters whose height shows the size of the writing, and whose bottom shows its baseline.
OF_KNOWN_HEIGHT: Final = frozenset(
    "abcdeghklmnopqrstuvwxyzABCDEFGHIKLMNOPRSTUVWXYZ0123456789æœøßåçÆŒØÅ£€"
)
ON_BASELINE: Final = frozenset("abcdehiklmnorstuvwxABCDEFGHIKLMNOPRSTUVWXZ")
THIN: Final = tuple(".,:;'`!|\"")  # marks, of little width


def shapes_of(texts: Sequence[str]) -> Floats:
    """Return the usual shape of each text [n, 3]; a word has that of all its letters."""
    known = {}
    for text in set(texts):
        tops, bottoms, anchors = zip(*map(_shape_of, text), strict=True)
        known[text] = (min(tops), max(bottoms), anchors[0] if len(text) == 1 else 1)
    return np.array([known[text] for text in texts], np.float64).reshape(-1, 3)


def _shape_of(character: str) -> tuple[float, float, float]:
    """Return the usual shape of a character; one with an accent has that of its letter and it."""
    decomposed = unicodedata.normalize("NFD", character)
    top, bottom, anchor = _SHAPE_OF.get(decomposed[0], (-1.75, 0.0, 1))
    if decomposed[1:] == "\N{COMBINING CEDILLA}":
        return top, bottom + 0.5, 0
    return (min(top, -1.0) - 0.6, bottom, 1) if decomposed[1:] else (top, bottom, anchor)


def medians(values: NDArray[Any], group: NDArray[Any], n_groups: int) -> Floats:
    """Return the upper median of each group's values, [n_groups]; NaN for an empty group."""
    order = np.lexsort((values, group))
    counts = np.bincount(group, minlength=n_groups)
    middle = np.cumsum(counts) - counts + counts // 2
    return np.where(counts > 0, np.append(values[order], np.nan)[middle], np.nan)


# Where a glyph comes from: a letter of a word or line, a piece of one character, a word.
LETTER, CHARACTER, WORD = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """R letters and words, of G ranges of points."""

    ranges: Indices  # [G, 2], into the points
    begins: NDArray[np.bool_]  # [G], whether the pen was set down at the start of the range
    range_starts: Indices  # [R + 1], into ranges
    bounds: Floats  # [R, 4], left, top, right, bottom
    pieces: Indices  # [R]
    places: Indices  # [R], of the letter in the label; 0 for what is whole
    texts: list[str]  # R
    sources: Indices  # [R], LETTER, CHARACTER or WORD

    def of_ranges(self) -> Indices:
        """Return the index of the letter or word that each range belongs to, [G]."""
        return np.repeat(np.arange(len(self.texts)), np.diff(self.range_starts))

    def take(self, chosen: Indices) -> "Segments":
        """Return the segments at these indices, in that order."""
        members, starts = expand(self.range_starts[chosen], self.range_starts[chosen + 1])
        return Segments(
            self.ranges[members],
            self.begins[members],
            starts,
            self.bounds[chosen],
            self.pieces[chosen],
            self.places[chosen],
            [self.texts[index] for index in chosen],
            self.sources[chosen],
        )


def _segmented(ink: InkSet, cut: Indices, whole: Indices) -> Segments:
    """Segment the pieces `cut` into their letters, and take those of `whole` as they are."""
    pieces = np.append(cut, whole)
    start, stop = (ink.stroke_starts[ink.piece_starts[pieces + one]] for one in (0, 1))
    points, _ = expand(start, stop)
    piece = np.repeat(np.arange(len(pieces)), stop - start)
    letter = np.where(piece < len(cut), ink.letter_of_point[points], 0).astype(np.int64)
    begins = np.isin(points, ink.stroke_starts)
    at = np.flatnonzero(begins | (np.diff(letter, prepend=-1) != 0))
    ranges = np.stack([points[at], points[at] + np.diff(at, append=len(points))], 1)
    order = np.lexsort((at, letter[at], piece[at]))
    at, ranges = at[order], ranges[order]
    piece, letter = piece[at], letter[at]
    first = np.flatnonzero((np.diff(piece, prepend=-1) != 0) | (np.diff(letter, prepend=-1) != 0))
    range_starts = np.append(first, len(at))
    is_letter, pieces, places = piece[first] < len(cut), pieces[piece[first]], letter[first]
    texts = [
        ink.labels[piece][place] if cut_out else ink.labels[piece]
        for piece, place, cut_out in zip(pieces, places, is_letter, strict=True)
    ]
    members, starts = expand(ranges[:, 0], ranges[:, 1])
    bounds = _bounds(ink.points[members], starts[range_starts])
    whole_sources = [WORD if len(text) > 1 else CHARACTER for text in texts]
    sources = np.where(is_letter, LETTER, whole_sources)
    return Segments(ranges, begins[at], range_starts, bounds, pieces, places, texts, sources)


def _bounds(points: NDArray[Any], starts: Indices) -> Floats:
    """Return left, top, right and bottom of each part of some points, [parts, 4]."""
    if len(starts) == 1:
        return np.zeros((0, 4))
    extremes = [of.reduceat(points, starts[:-1]) for of in (np.minimum, np.maximum)]
    return np.concatenate(extremes, 1).astype(np.float64)


def _distinct(ink: InkSet, found: Segments) -> Indices:
    """Return the indices of segments whose ink differs from all earlier ones."""
    low, high = found.bounds[:, :2], found.bounds[:, 2:]
    looks = [
        ink.writers[found.pieces][:, None],
        np.unique(found.texts, return_inverse=True)[1][:, None],
        np.add.reduceat(np.diff(found.ranges, axis=1), found.range_starts[:-1]),
        high - low,
        ink.points[found.ranges[found.range_starts[:-1], 0]] - low,  # where it starts
        ink.points[found.ranges[found.range_starts[1:] - 1, 1] - 1] - low,  # and ends
    ]
    _, kept = np.unique(np.concatenate(looks, 1), axis=0, return_index=True)
    return np.sort(kept).astype(np.int64)


class Part(NamedTuple):
    """How a glyph is placed that is a part of a character, as `<` is of `«`."""

    bases: str  # characters that can be this part, the best first
    size: float = 1.0
    rise: float = 0.0  # x-heights
    gap: float | None = None  # x-heights behind the glyph before; None is the writer's gap
    centred: bool = False  # above or below the part before


WHOLE: Final = Part("")


class GlyphRun(NamedTuple):
    """Consecutive glyphs, used as they were written."""

    text: str  # none of a part that belongs to the character of the run before
    first: int
    length: int  # glyphs
    part: Part = WHOLE


@dataclass
class WriterStyle:
    """All glyphs of one writer."""

    runs: str = ""  # the letters of all runs, a line feed before each
    run_glyphs: list[int] = field(default_factory=list)  # the glyph of each character of `runs`
    letters: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    words: list[GlyphRun] = field(default_factory=list)
    letter_gap: float = np.nan  # x-heights between letters of a word; NaN where not known
    word_gap: float = np.nan  # between words
    widest_gap: float = 0.0  # that 9 of 10 words have inside at most, of those that are no runs
    composed: Sequence[str] = ()  # characters that are made of other ones
    real: Mapping[str, Sequence[int]] = field(default_factory=dict)  # glyphs by other people

    @cached_property
    def characters(self) -> frozenset[str]:
        """Written and composed ones."""
        return frozenset([*self.letters, *self.composed])


Styles = dict[int, WriterStyle]  # by writer, index into the ink's `writer_names`


@dataclass(frozen=True, slots=True, eq=False)
class Glyphs:
    """R glyphs, by writer, with their size and baseline in units of the points."""

    points: NDArray[np.int16]  # [P, 2], those of the `InkSet`
    segments: Segments
    x_height: Floats  # [R], of the writer's x
    baseline: Floats  # [R], y
    styles: Styles


def collect(ink: InkSet, indices: Indices) -> Glyphs:
    """Collect the glyphs of the pieces at `indices`, by writer.

    First come the letters of words and lines that are known letter by letter, in the order of their
    text; then single characters, and the other words. Ink of several categories comes once.
    """
    pieces = np.unique(indices)
    lengths = np.array([len(ink.labels[piece]) for piece in pieces])
    spaced = np.array([" " in ink.labels[piece] for piece in pieces], np.bool_)
    starts = ink.stroke_starts[ink.piece_starts[:-1]]
    is_known = np.logical_and.reduceat(ink.letter_of_point >= 0, starts)[pieces]  # all points
    is_word = (np.take(CATEGORIES, ink.categories[pieces]) == WORDS) & ~spaced & ~is_known
    is_cut, is_whole = is_known & (lengths > 1), (lengths == 1) | is_word
    found = _segmented(ink, pieces[is_cut], pieces[is_whole])
    found, x_height = _usable(ink, found.take(_distinct(ink, found)))
    baseline, styles = _baselines(ink, found, x_height), _styles(ink, found, x_height)
    return Glyphs(ink.points, found, x_height, baseline, styles)


LARGEST: Final = 4.5  # x-heights that a character is wide at most, or high, if none is usual


def _usable(ink: InkSet, found: Segments) -> tuple[Segments, Floats]:
    """Return the segments of a likely size, and the median x-height of each one's writer."""
    usual_top, usual_bottom, _ = shapes_of(found.texts).T
    width, height = (found.bounds[:, 2:] - found.bounds[:, :2]).T
    guess = height / (usual_bottom - usual_top)
    guess[found.sources == WORD] /= 1.13  # a word's letters do not stand quite in line
    tells = np.array([not OF_KNOWN_HEIGHT.isdisjoint(text) for text in found.texts], np.bool_)
    # Words and lines are of one scale with each other; a writer's single characters may be of
    # another, which is better than none.
    of_text = np.isin(np.take(CATEGORIES, ink.categories[found.pieces]), (WORDS, TEXT))
    scale = 2 * ink.writers[found.pieces].astype(np.int64) + of_text
    x_heights = medians(guess[tells], scale[tells], 2 * len(ink.writer_names))
    others = x_heights.reshape(-1, 2)[:, ::-1].ravel()
    x_height = np.where(np.isnan(x_heights), others, x_heights)[scale]
    lengths = np.array([len(text) for text in found.texts])
    widest = np.where(np.isin(found.texts, THIN), 1.2, LARGEST * lengths) * x_height
    likely = np.where(
        tells, (guess > 0.4 * x_height) & (guess < 2.2 * x_height), height < LARGEST * x_height
    )
    chosen = np.flatnonzero(likely & (width < widest))
    return found.take(chosen), x_height[chosen]


def _baselines(ink: InkSet, found: Segments, x_height: Floats) -> Floats:
    """Estimate each baseline [R]: from the data, the neighbours, the word, or the usual shape."""
    left, top, _, bottom = found.bounds.T
    usual_top, usual_bottom, anchor = shapes_of(found.texts).T
    anchored = usual_top + anchor * (usual_bottom - usual_top)
    usual: Floats = top + anchor * (bottom - top) - anchored * x_height
    measured = ink.guides[found.pieces, 1].astype(np.float64)
    n = np.count_nonzero(found.sources == LETTER)  # which come first
    on_baseline = np.array([text in ON_BASELINE for text in found.texts[:n]], np.bool_)
    back = np.diff(left[:n], prepend=0) < -4 * x_height[:n]  # another row of writing
    row = np.cumsum(back | (np.diff(found.pieces[:n], prepend=-1) != 0))
    measured[:n] = _local_medians(np.where(on_baseline, bottom[:n], np.nan), row)
    words = np.flatnonzero((found.sources == WORD) & np.isnan(measured))
    turns = _lower_turns(ink, found.take(words))  # which lie a little above the baseline
    descends = usual_bottom[words] > 0.3  # then the word's lower bound cannot tell
    measured[words] = np.where(descends, turns + 0.13 * x_height[words], (turns + usual[words]) / 2)
    likely = (found.sources == WORD) | (abs(measured - usual) < x_height)
    return np.where(likely & np.isfinite(measured), measured, usual)


def _local_medians(bottom: Floats, row: Indices) -> Floats:
    """Return the median bottom of each letter [n] and the five to both sides of it in its row.

    NaN stands for the bottom of a letter that does not show the baseline, and where none does.
    """
    if not len(bottom):
        return bottom
    padded, rows = (np.pad(values, 5, constant_values=-1) for values in (bottom, row))
    windows, near = (np.lib.stride_tricks.sliding_window_view(one, 11) for one in (padded, rows))
    bottoms = np.where(near == row[:, None], windows, np.nan)
    known = np.isfinite(bottoms).any(1)
    median = np.full(len(bottom), np.nan)
    median[known] = np.nanmedian(bottoms[known], 1)
    return median


def _lower_turns(ink: InkSet, words: Segments) -> Floats:
    """Return the median height of the pen's lower turns in each word."""
    points, starts = expand(words.ranges[:, 0], words.ranges[:, 1])
    y = ink.points[points, 1]
    stroke = np.repeat(np.arange(len(words.ranges)), np.diff(starts))
    low = np.ones(len(y), np.bool_)  # points that are lower than the two before and after them
    for apart in (1, 2):
        other = stroke[apart:] != stroke[:-apart]
        low[apart:] &= other | (y[apart:] > y[:-apart])
        low[:-apart] &= other | (y[:-apart] >= y[apart:])
    return medians(y[low], words.of_ranges()[stroke[low]], len(words.texts))


def _styles(ink: InkSet, found: Segments, x_height: Floats) -> Styles:
    """Sort the glyphs by writer."""
    styles: Styles = defaultdict(WriterStyle)
    writers = ink.writers[found.pieces]
    for index in np.flatnonzero(found.sources != WORD).tolist():
        styles[int(writers[index])].letters[found.texts[index]].append(index)
    words = np.flatnonzero(found.sources == WORD)
    widest = _widest_gaps(ink, found.take(words)) / x_height[words]
    words, widest = words[widest < 3], widest[widest < 3]  # what is further apart is no word
    for index in words.tolist():
        styles[int(writers[index])].words.append(GlyphRun(found.texts[index], index, 1))
    for writer in np.unique(writers[words]).tolist():
        styles[writer].widest_gap = float(np.quantile(widest[writers[words] == writer], 0.9))
    _add_runs(ink, found, x_height, styles)
    return dict(styles)


def _widest_gaps(ink: InkSet, words: Segments) -> Floats:
    """Return the widest gap between the strokes of each word [n], in units of the points."""
    members, starts = expand(words.ranges[:, 0], words.ranges[:, 1])
    left, _, right, _ = _bounds(ink.points[members], starts).T
    apart = 2.0 * np.iinfo(np.int16).max * words.of_ranges()  # each word right of the one before
    order = np.argsort(left + apart)
    gap = np.zeros(len(order))
    gap[1:] = (left + apart)[order][1:] - np.maximum.accumulate((right + apart)[order])[:-1]
    gap[words.range_starts[:-1]] = 0
    return np.maximum.reduceat(gap, words.range_starts[:-1]) if len(gap) else gap


def _add_runs(ink: InkSet, found: Segments, x_height: Floats, styles: Styles) -> None:
    """Add the runs of letters, the words that they make up, and how far apart they are."""
    n = int(np.count_nonzero(found.sources == LETTER))  # which come first
    (left, _, right, _), pieces, places = found.bounds[:n].T, found.pieces[:n], found.places[:n]
    gap = (left[1:] - right[:-1]) / x_height[1:n]
    onward = (np.diff(pieces) == 0) & (np.diff(right) > 0)
    joined = onward & (np.diff(places) == 1) & (gap < 0.9)  # further apart each stood in its box
    spaced = [
        ink.labels[piece][place - 1] == " "
        for piece, place in zip(pieces[1:], places[1:], strict=True)
    ]
    # Words that are further apart stand in fields of a form, not in a line.
    apart = onward & (np.diff(places) == 2) & np.array(spaced, np.bool_) & (gap < 4)
    writers = ink.writers[pieces]
    for writer in np.unique(writers).tolist():
        mine = writers[1:] == writer
        if (mine & joined).any():
            styles[writer].letter_gap = float(np.median(gap[mine & joined]))
        if (mine & apart).any():
            styles[writer].word_gap = float(np.median(gap[mine & apart]))
    starts = np.flatnonzero(~np.append(False, joined)[:n]).tolist()
    for first, stop in pairwise([*starts, n]):
        text, style = "".join(found.texts[first:stop]), styles[int(writers[first])]
        if len(text) == 1:
            continue
        style.runs += "\n" + text
        style.run_glyphs += [first, *range(first, stop)]
        label = f" {ink.labels[pieces[first]]} "
        if label[places[first]] == label[places[stop - 1] + 2] == " ":
            style.words.append(GlyphRun(text, first, len(text)))
