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


def shapes_of(texts: Sequence[str]) -> Floats:
    """Return the usual shape of each text [n, 3]; a word has that of all its letters."""
    shape_of = {}
    for text in set(texts):
        tops, bottoms, anchors = zip(*map(_shape_of, text), strict=True)
        shape_of[text] = (min(tops), max(bottoms), anchors[0] if len(text) == 1 else 1)
    return np.array([shape_of[text] for text in texts], np.float64).reshape(-1, 3)


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


# A glyph is cut from a letter of a word or line, is a piece of one character, or a word.
LETTER, CHARACTER, WORD = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """R letters and words, of G ranges of points."""

    ranges: Indices  # [G, 2], into the points
    begins: NDArray[np.bool_]  # [G], whether the pen was set down at the start of the range
    range_starts: Indices  # [R + 1], into ranges
    bounds: Floats  # [R, 4], left, top, right, bottom
    pieces: Indices  # [R]
    positions: Indices  # [R], of the letter in the label; 0 for what is whole
    texts: list[str]  # R
    sources: Indices  # [R], LETTER, CHARACTER or WORD

    def of_ranges(self) -> Indices:
        """Return the index of the letter or word that each range belongs to, [G]."""
        return np.repeat(np.arange(len(self.texts)), np.diff(self.range_starts))

    def take(self, chosen: Indices) -> "Segments":
        """Return the segments at these indices, in that order."""
        members, starts = expand(self.range_starts[chosen], self.range_starts[chosen + 1])
        texts = [self.texts[index] for index in chosen]
        return Segments(
            self.ranges[members], self.begins[members], starts, self.bounds[chosen],
            self.pieces[chosen], self.positions[chosen], texts, self.sources[chosen],
        )  # fmt: skip


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
    is_letter, pieces, positions = piece[first] < len(cut), pieces[piece[first]], letter[first]
    texts = [
        ink.labels[piece][position] if cut_out else ink.labels[piece]
        for piece, position, cut_out in zip(pieces, positions, is_letter, strict=True)
    ]
    members, starts = expand(ranges[:, 0], ranges[:, 1])
    bounds = _bounds(ink.points[members], starts[range_starts])
    whole_sources = [WORD if len(text) > 1 else CHARACTER for text in texts]
    sources = np.where(is_letter, LETTER, whole_sources)
    return Segments(ranges, begins[at], range_starts, bounds, pieces, positions, texts, sources)


def _bounds(points: NDArray[Any], starts: Indices) -> Floats:
    """Return left, top, right and bottom of each part of some points, [parts, 4]."""
    if len(starts) == 1:
        return np.zeros((0, 4))
    extremes = [of.reduceat(points, starts[:-1]) for of in (np.minimum, np.maximum)]
    return np.concatenate(extremes, 1).astype(np.float64)


def _distinct(ink: InkSet, segments: Segments) -> Indices:
    """Return the indices of segments whose ink differs from all earlier ones."""
    ranges, range_starts = segments.ranges, segments.range_starts
    low, high = segments.bounds[:, :2], segments.bounds[:, 2:]
    looks = [
        ink.writers[segments.pieces][:, None],
        np.unique(segments.texts, return_inverse=True)[1][:, None],
        np.add.reduceat(np.diff(ranges, axis=1), range_starts[:-1]),
        high - low,
        ink.points[ranges[range_starts[:-1], 0]] - low,  # where it starts
        ink.points[ranges[range_starts[1:] - 1, 1] - 1] - low,  # and ends
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


class GlyphRun(NamedTuple):
    """Consecutive glyphs, used as they were written."""

    text: str  # none of a part that belongs to the character of the run before
    first: int
    length: int  # glyphs
    part: Part = Part("")


@dataclass
class WriterStyle:
    """All glyphs of one writer."""

    runs: str = ""  # the letters of all runs, a line feed before each
    run_glyphs: list[int] = field(default_factory=list)  # the glyph of each character of `runs`
    letters: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    words: list[GlyphRun] = field(default_factory=list)
    letter_gap: float = np.nan  # x-heights between letters of a word; NaN where not known
    word_gap: float = np.nan  # between words
    widest_gap: float = 0.0  # inside 9 of 10 words, of those that are no runs, at most
    composed: Sequence[str] = ()  # characters that are made of others
    real: Mapping[str, Sequence[int]] = field(default_factory=dict)  # glyphs by other people

    @cached_property
    def characters(self) -> frozenset[str]:
        """Return the characters that the writer wrote, and the composed ones."""
        return frozenset([*self.letters, *self.composed])


@dataclass(frozen=True, slots=True, eq=False)
class Glyphs:
    """R glyphs, by writer, with their size and baseline in units of the points."""

    points: NDArray[np.int16]  # [P, 2], those of the `InkSet`
    segments: Segments
    x_height: Floats  # [R], of the writer's x
    baseline: Floats  # [R], y
    styles: dict[int, WriterStyle]  # by writer, index into the ink's `writer_names`


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
    segments = _segmented(ink, pieces[is_cut], pieces[is_whole])
    segments, x_height = _usable(ink, segments.take(_distinct(ink, segments)))
    baseline, styles = _baselines(ink, segments, x_height), _styles(ink, segments, x_height)
    return Glyphs(ink.points, segments, x_height, baseline, styles)


def _usable(ink: InkSet, segments: Segments) -> tuple[Segments, Floats]:
    """Return the segments of a likely size, and the median x-height of each one's writer."""
    texts = segments.texts
    usual_top, usual_bottom, _ = shapes_of(texts).T
    width, height = (segments.bounds[:, 2:] - segments.bounds[:, :2]).T
    guess = height / (usual_bottom - usual_top)
    guess[segments.sources == WORD] /= 1.13  # a word's letters do not stand quite in line
    # The height of these characters shows the size of the writing.
    sized = frozenset("abcdeghklmnopqrstuvwxyzABCDEFGHIKLMNOPRSTUVWXYZ0123456789æœøßåçÆŒØÅ£€")
    is_sized = np.array([not sized.isdisjoint(text) for text in texts], np.bool_)
    # Words and lines are of one scale with each other; a writer's single characters may be of
    # another, which is better than none.
    of_text = np.isin(np.take(CATEGORIES, ink.categories[segments.pieces]), (WORDS, TEXT))
    scale = 2 * ink.writers[segments.pieces].astype(np.int64) + of_text
    x_heights = medians(guess[is_sized], scale[is_sized], 2 * len(ink.writer_names))
    others = x_heights.reshape(-1, 2)[:, ::-1].ravel()
    x_height = np.where(np.isnan(x_heights), others, x_heights)[scale]
    # A character is at most 4.5 x-heights wide, and high if its height is not known; marks such as
    # these are thin.
    is_thin = np.isin(texts, list(".,:;'`!|\""))
    widest = np.where(is_thin, 1.2, 4.5 * np.array([len(text) for text in texts])) * x_height
    likely = np.where(
        is_sized, (guess > 0.4 * x_height) & (guess < 2.2 * x_height), height < 4.5 * x_height
    )
    chosen = np.flatnonzero(likely & (width < widest))
    return segments.take(chosen), x_height[chosen]


def _baselines(ink: InkSet, segments: Segments, x_height: Floats) -> Floats:
    """Estimate each baseline [R]: from the data, the neighbours, the word, or the usual shape."""
    left, top, _, bottom = segments.bounds.T
    usual_top, usual_bottom, anchor = shapes_of(segments.texts).T
    anchored = usual_top + anchor * (usual_bottom - usual_top)
    usual: Floats = top + anchor * (bottom - top) - anchored * x_height
    measured = ink.guides[segments.pieces, 1].astype(np.float64)
    n = np.count_nonzero(segments.sources == LETTER)  # which come first
    on_baseline = np.isin(segments.texts[:n], list("abcdehiklmnorstuvwxABCDEFGHIKLMNOPRSTUVWXZ"))
    back = np.diff(left[:n], prepend=0) < -4 * x_height[:n]  # another row of writing
    row = np.cumsum(back | (np.diff(segments.pieces[:n], prepend=-1) != 0))
    measured[:n] = _local_medians(np.where(on_baseline, bottom[:n], np.nan), row)
    words = np.flatnonzero((segments.sources == WORD) & np.isnan(measured))
    turns = _lower_turns(ink, segments.take(words))  # which lie a little above the baseline
    descends = usual_bottom[words] > 0.3  # then the word's lower bound does not show it
    measured[words] = np.where(descends, turns + 0.13 * x_height[words], (turns + usual[words]) / 2)
    likely = (segments.sources == WORD) | (abs(measured - usual) < x_height)
    return np.where(likely & np.isfinite(measured), measured, usual)


def _local_medians(bottom: Floats, row: Indices) -> Floats:
    """Return the median bottom of each letter [n] and the five to both sides of it in its row.

    NaN stands for the bottom of a letter that does not show the baseline, and where none does.
    """
    if not len(bottom):
        return bottom
    padded, rows = (np.pad(values, 5, constant_values=-1) for values in (bottom, row))
    windows, near = (np.lib.stride_tricks.sliding_window_view(of, 11) for of in (padded, rows))
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


def _styles(ink: InkSet, segments: Segments, x_height: Floats) -> dict[int, WriterStyle]:
    """Sort the glyphs by writer."""
    styles: dict[int, WriterStyle] = defaultdict(WriterStyle)
    writers, texts = ink.writers[segments.pieces], segments.texts
    for index in np.flatnonzero(segments.sources != WORD).tolist():
        styles[int(writers[index])].letters[texts[index]].append(index)
    words = np.flatnonzero(segments.sources == WORD)
    widest = _widest_gaps(ink, segments.take(words)) / x_height[words]
    words, widest = words[widest < 3], widest[widest < 3]  # what is further apart is no word
    for index in words.tolist():
        styles[int(writers[index])].words.append(GlyphRun(texts[index], index, 1))
    for writer in np.unique(writers[words]).tolist():
        styles[writer].widest_gap = float(np.quantile(widest[writers[words] == writer], 0.9))
    _add_runs(ink, segments, x_height, styles)
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


def _add_runs(
    ink: InkSet, segments: Segments, x_height: Floats, styles: dict[int, WriterStyle]
) -> None:
    """Add the runs of letters, the words that they make up, and how far apart they are."""
    n = int(np.count_nonzero(segments.sources == LETTER))  # which come first
    left, _, right, _ = segments.bounds[:n].T
    pieces, positions = segments.pieces[:n], segments.positions[:n]
    gap = (left[1:] - right[:-1]) / x_height[1:n]
    onward = (np.diff(pieces) == 0) & (np.diff(right) > 0)
    # Letters that are further apart stood in boxes, words in the fields of a form.
    joined = onward & (np.diff(positions) == 1) & (gap < 0.9)
    pairs = zip(pieces[1:], positions[1:], strict=True)
    is_spaced = np.array([ink.labels[piece][at - 1] == " " for piece, at in pairs], np.bool_)
    apart = onward & (np.diff(positions) == 2) & is_spaced & (gap < 4)
    writers = ink.writers[pieces]
    for writer in np.unique(writers).tolist():
        is_by_writer = writers[1:] == writer
        if (is_by_writer & joined).any():
            styles[writer].letter_gap = float(np.median(gap[is_by_writer & joined]))
        if (is_by_writer & apart).any():
            styles[writer].word_gap = float(np.median(gap[is_by_writer & apart]))
    starts = np.flatnonzero(~np.append(False, joined)[:n]).tolist()
    for first, stop in pairwise([*starts, n]):
        text, style = "".join(segments.texts[first:stop]), styles[int(writers[first])]
        if len(text) == 1:
            continue
        style.runs += "\n" + text
        style.run_glyphs += [first, *range(first, stop)]
        label = f" {ink.labels[pieces[first]]} "
        if label[positions[first]] == label[positions[stop - 1] + 2] == " ":
            style.words.append(GlyphRun(text, first, len(text)))
