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

from inkstream.model.data.ink_set import CATEGORIES, InkSet, expand

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


# The usual top and bottom of a character, and the part of it that fixes its place: 0 is its top, 1
# its bottom, 0.5 its middle.
_SHAPES: Final = {
    "acemnorsuvwx": (-1.0, 0.0, 1),
    "bdhkl": (-1.9, 0.0, 1),
    "t": (-1.75, 0.0, 1),
    "i": (-1.65, 0.0, 1),
    "f": (-2.0, 0.15, 0.5),
    "gpqy": (-1.0, 1.1, 0),
    "j": (-1.65, 0.9, 0.5),
    "z": (-1.0, 0.05, 0),
    "ABCDEFGHIKLMNOPRSTUVWXYZ": (-1.75, 0.0, 1),
    "JQ": (-1.75, 0.25, 0.5),
    "0123456789": (-1.7, 0.0, 1),
    "!?&%#": (-2.0, 0.0, 1),
    "@": (-1.5, 0.15, 0.5),
    "$": (-2.1, 0.3, 0.5),
    "()[]{}|/\\": (-2.0, 0.5, 0.5),
    "'\"`^": (-2.1, -1.45, 0),
    "*": (-2.0, -0.9, 0),
    ".": (-0.15, 0.0, 1),
    ",": (-0.15, 0.65, 0.5),
    ";": (-1.25, 0.65, 0.5),
    ":": (-1.2, -0.1, 0.5),
    "-~": (-0.7, -0.5, 0.5),
    "=+<>": (-1.2, -0.2, 0.5),
    "_": (-0.1, 0.05, 0.5),
    # Beyond ASCII, as `accents` composes them.
    "æœ": (-1.0, 0.0, 1),
    "ø": (-1.2, 0.2, 0.5),
    "Ø": (-1.9, 0.15, 0.5),
    "ß": (-1.9, 0.0, 1),
    "§": (-1.9, 0.3, 0.5),
    "¡¿": (-1.5, 0.5, 0.5),
    "«»": (-1.1, -0.1, 0.5),
    "„": (-0.2, 0.5, 0.5),
    "°": (-1.95, -1.35, 0.5),
    "ºª": (-1.75, -0.9, 0.5),
    "·": (-0.65, -0.5, 0.5),
}
_SHAPE_OF: Final = {character: shape for key, shape in _SHAPES.items() for character in key}
_OTHER: Final = (-1.75, 0.0, 1)
_ACCENT: Final = 0.6  # x-heights by which an accent rises above its letter
_CEDILLA: Final = 0.5  # and by which one hangs below it

# Characters whose height shows the size of the writing, and whose bottom shows its baseline.
OF_KNOWN_HEIGHT: Final = frozenset(
    "abcdeghklmnopqrstuvwxyzABCDEFGHIKLMNOPRSTUVWXYZ0123456789æœøßåçÆŒØÅ£€"
)
ON_BASELINE: Final = frozenset("abcdehiklmnorstuvwxABCDEFGHIKLMNOPRSTUVWXZ")
THIN: Final = tuple(".,:;'`!|\"")  # marks, of little width

AROUND: Final = 5  # letters to both sides that tell where a letter's baseline is


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
    top, bottom, anchor = _SHAPE_OF.get(decomposed[0], _OTHER)
    if decomposed[1:] == "\N{COMBINING CEDILLA}":
        return top, bottom + _CEDILLA, 0
    return (min(top, -1.0) - _ACCENT, bottom, 1) if decomposed[1:] else (top, bottom, anchor)


def local_baselines(bottom: Floats, group: Indices) -> Floats:
    """Return the median bottom of the neighbouring letters of each, [n]; NaN where none is known.

    Args:
        bottom: [n], of each letter; NaN for one that does not show the baseline.
        group: [n], the row of writing that each letter stands in.
    """
    if not len(bottom):
        return bottom
    padded = np.pad(bottom, AROUND, constant_values=np.nan)
    groups = np.pad(group, AROUND, constant_values=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1)
    same = np.lib.stride_tricks.sliding_window_view(groups, 2 * AROUND + 1) == group[:, None]
    near = np.sort(np.where(same, windows, np.nan), 1)  # NaN comes last
    count = np.isfinite(near).sum(1)
    lower, upper = np.maximum(count - 1, 0) // 2, count // 2
    each = np.arange(len(bottom))
    median: Floats = (near[each, lower] + near[each, np.minimum(upper, 2 * AROUND)]) / 2
    return median


def medians(values: NDArray[Any], group: NDArray[Any], n_groups: int) -> Floats:
    """Return the upper median of each group's values, [n_groups]; NaN for an empty group."""
    order = np.lexsort((values, group))
    counts = np.bincount(group, minlength=n_groups)
    middle = np.cumsum(counts) - counts + counts // 2
    found = counts > 0
    median = np.full(n_groups, np.nan)
    median[found] = values[order][middle[found]]
    return median


# Where a glyph comes from; a writer may use another scale for each.
LETTER, CHARACTER, WORD = range(3)  # a letter of a word or line, a piece of one character, a word

WORDS: Final = CATEGORIES.index("7")


@dataclass(frozen=True, eq=False)  # without slots: `bounds` is cached
class GlyphSegments:
    """R letters and words, of G ranges of points."""

    ranges: Indices  # [G, 2], into the points
    range_starts: Indices  # [R + 1], into ranges
    range_bounds: Floats  # [G, 4], left, top, right, bottom
    pieces: Indices  # [R]
    places: Indices  # [R], of the letter in the label; 0 for what is whole
    texts: list[str]  # R
    sources: Indices  # [R], LETTER, CHARACTER or WORD

    def take(self, chosen: Indices) -> "GlyphSegments":
        """Return the segments at these indices, in that order."""
        members, starts = expand(self.range_starts[chosen], self.range_starts[chosen + 1])
        return GlyphSegments(
            self.ranges[members],
            starts,
            self.range_bounds[members],
            self.pieces[chosen],
            self.places[chosen],
            [self.texts[index] for index in chosen],
            self.sources[chosen],
        )

    @cached_property
    def bounds(self) -> Floats:
        """Left, top, right and bottom of each, [R, 4]."""
        return _bounds(self.range_bounds[:, :2], self.range_bounds[:, 2:], self.range_starts)


def stroke_begins(ink: InkSet) -> NDArray[np.bool_]:
    """Mark the points at which a stroke starts, [P]."""
    begins = np.zeros(len(ink.points), np.bool_)
    begins[ink.stroke_starts[:-1]] = True
    return begins


def _segmented(ink: InkSet, cut: Indices, whole: Indices) -> GlyphSegments:
    """Segment the pieces `cut` into their letters, and take those of `whole` as they are."""
    pieces = np.append(cut, whole)
    start, stop = (ink.stroke_starts[ink.piece_starts[pieces + one]] for one in (0, 1))
    points, _ = expand(start, stop)
    piece = np.repeat(np.arange(len(pieces)), stop - start)
    letter = np.where(piece < len(cut), ink.letter_of_point[points], 0).astype(np.int64)
    new = stroke_begins(ink)[points]
    new[1:] |= np.diff(letter) != 0
    at = np.flatnonzero(new)
    ranges = points[at][:, None] + np.stack([0 * at, np.diff(at, append=len(points))], 1)
    piece, letter = piece[at], letter[at]
    order = np.lexsort((at, letter, piece))
    ranges, piece, letter = ranges[order], piece[order], letter[order]
    first = np.flatnonzero((np.diff(piece, prepend=-1) != 0) | (np.diff(letter, prepend=-1) != 0))
    piece, places = piece[first], letter[first]
    is_letter = piece < len(cut)
    labels = [ink.labels[index] for index in pieces[piece]]
    texts = [
        label[place] if one else label
        for label, place, one in zip(labels, places, is_letter, strict=True)
    ]
    is_word = np.array([len(text) > 1 for text in texts], np.bool_)
    members, starts = expand(ranges[:, 0], ranges[:, 1])
    return GlyphSegments(
        ranges=ranges,
        range_starts=np.append(first, len(ranges)),
        range_bounds=_bounds(ink.points[members], ink.points[members], starts),
        pieces=pieces[piece],
        places=places,
        texts=texts,
        sources=np.where(is_letter, LETTER, np.where(is_word, WORD, CHARACTER)),
    )


def _bounds(low: NDArray[Any], high: NDArray[Any], starts: Indices) -> Floats:
    """Return the least `low` and the greatest `high`, each [n, 2], of each part: [parts, 4]."""
    if len(starts) == 1:
        return np.zeros((0, 4))
    least, most = np.minimum.reduceat(low, starts[:-1]), np.maximum.reduceat(high, starts[:-1])
    return np.concatenate([least, most], 1).astype(np.float64)


def _distinct(ink: InkSet, found: GlyphSegments) -> Indices:
    """Return the indices of segments whose ink differs from all earlier ones."""
    bounds = found.bounds
    numbers = {text: number for number, text in enumerate(sorted(set(found.texts)))}
    first = found.ranges[found.range_starts[:-1], 0]
    last = found.ranges[found.range_starts[1:] - 1, 1] - 1
    looks = [
        ink.writers[found.pieces][:, None],
        np.array([numbers[text] for text in found.texts], np.int64)[:, None],
        np.add.reduceat(np.diff(found.ranges, axis=1), found.range_starts[:-1]),
        bounds[:, 2:] - bounds[:, :2],
        ink.points[first] - bounds[:, :2],
        ink.points[last] - bounds[:, :2],
    ]
    _, kept = np.unique(np.concatenate(looks, 1), axis=0, return_index=True)
    return np.sort(kept).astype(np.int64)


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


@dataclass(slots=True)
class WriterStyle:
    """All glyphs of one writer."""

    runs: str = ""  # the letters of all runs, a line feed before each
    run_glyphs: list[int] = field(default_factory=list)  # the glyph of each character of `runs`
    letters: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    real: Mapping[str, Sequence[int]] = field(default_factory=dict)  # glyphs by other people
    words: list[GlyphRun] = field(default_factory=list)
    letter_gap: float = np.nan  # x-heights between letters of a word; NaN where not known
    word_gap: float = np.nan  # between words
    widest_gap: float = 0.0  # that 9 of 10 words have inside at most, of those that are no runs


Styles = dict[int, WriterStyle]  # by writer, index into the ink's `writer_names`


@dataclass(frozen=True, slots=True, eq=False)
class Glyphs:
    """R glyphs, of G ranges of points."""

    points: NDArray[np.int16]  # [P, 2], those of the `InkSet`
    ranges: Indices  # [G, 2], into points
    begins: NDArray[np.bool_]  # [G], whether the pen was set down at the start of the range
    range_starts: Indices  # [R + 1], into ranges
    is_letter: NDArray[np.bool_]  # [R]
    x_height: Floats  # [R], of the writer's x, in units of the points
    baseline: Floats  # [R], y in units of the points
    sides: Floats  # [R, 2], left and right, in units of the points
    styles: Styles


def collect(ink: InkSet, indices: Indices) -> Glyphs:
    """Collect the glyphs of the pieces at `indices`, by writer.

    First come the letters of words and lines that are known letter by letter, in the order of their
    text; then single characters, and the other words. Ink of several categories comes once.
    """
    pieces = np.unique(indices)
    labels = [ink.labels[piece] for piece in pieces]
    lengths = np.array([len(label) for label in labels])
    spaced = np.array([" " in label for label in labels], np.bool_)
    starts = ink.stroke_starts[ink.piece_starts[:-1]]
    is_known = np.logical_and.reduceat(ink.letter_of_point >= 0, starts)[pieces]  # all points
    is_word = (ink.categories[pieces] == WORDS) & ~spaced & ~is_known
    is_cut, is_whole = is_known & (lengths > 1), (lengths == 1) | is_word
    found = _segmented(ink, pieces[is_cut], pieces[is_whole])
    found, x_height = _usable(ink, found.take(_distinct(ink, found)))
    return Glyphs(
        points=ink.points,
        ranges=found.ranges,
        begins=stroke_begins(ink)[found.ranges[:, 0]],
        range_starts=found.range_starts,
        is_letter=found.sources != WORD,
        x_height=x_height,
        baseline=_baselines(ink, found, x_height),
        sides=found.bounds[:, [0, 2]],
        styles=_styles(ink, found, x_height),
    )


def _usable(ink: InkSet, found: GlyphSegments) -> tuple[GlyphSegments, Floats]:
    """Return the segments of a known and likely size, and the x-height of each."""
    bounds, shapes = found.bounds, shapes_of(found.texts)
    height, width = bounds[:, 3] - bounds[:, 1], bounds[:, 2] - bounds[:, 0]
    guess = height / (shapes[:, 1] - shapes[:, 0])
    guess[found.sources == WORD] /= WORD_EXCESS
    tells = np.array([not OF_KNOWN_HEIGHT.isdisjoint(text) for text in found.texts], np.bool_)
    x_height = _x_heights(ink, found.pieces, guess, tells)
    least, most = np.multiply.outer(USUAL, x_height)
    lengths = np.array([len(text) for text in found.texts])
    widest = np.where(np.isin(found.texts, THIN), WIDEST_THIN, LARGEST * lengths) * x_height
    likely = np.where(tells, (guess > least) & (guess < most), height < LARGEST * x_height)
    chosen = np.flatnonzero(likely & (width < widest))
    return found.take(chosen), x_height[chosen]


def _x_heights(ink: InkSet, pieces: Indices, guess: Floats, tells: NDArray[np.bool_]) -> Floats:
    """Return each segment's x-height, [R]: the median over its writer; NaN if none is known."""
    hand = 2 * ink.writers[pieces].astype(np.int64) + np.isin(ink.categories[pieces], OF_TEXT)
    x_height = medians(guess[tells], hand[tells], 2 * len(ink.writer_names))
    other = x_height.reshape(-1, 2)[:, ::-1].ravel()  # better than nothing
    return np.where(np.isnan(x_height), other, x_height)[hand]


def _baselines(ink: InkSet, found: GlyphSegments, x_height: Floats) -> Floats:
    """Estimate each baseline [R]: from the data, the neighbours, the word, or the usual shape."""
    bounds = found.bounds
    usual_top, usual_bottom, anchor = shapes_of(found.texts).T
    at = bounds[:, 1] + anchor * (bounds[:, 3] - bounds[:, 1])
    usual: Floats = at - (usual_top + anchor * (usual_bottom - usual_top)) * x_height
    measured = ink.guides[found.pieces, 1].astype(np.float64)
    cut = np.flatnonzero(found.sources == LETTER)
    on_baseline = np.array([found.texts[index] in ON_BASELINE for index in cut], np.bool_)
    back = np.diff(bounds[cut, 0], prepend=0) < -NEXT_ROW * x_height[cut]
    row = np.cumsum(back | (np.diff(found.pieces[cut], prepend=-1) != 0))
    measured[cut] = local_baselines(np.where(on_baseline, bounds[cut, 3], np.nan), row)
    words = np.flatnonzero((found.sources == WORD) & np.isnan(measured))
    turns = _lower_turns(ink, found.pieces[words])
    risen = turns + TURNS_RISE * x_height[words]
    descends = usual_bottom[words] > DESCENDS
    measured[words] = np.where(descends, risen, (turns + usual[words]) / 2)
    likely = (found.sources == WORD) | (abs(measured - usual) < STRAY * x_height)
    return np.where(likely & np.isfinite(measured), measured, usual)


def _lower_turns(ink: InkSet, pieces: Indices) -> Floats:
    """Return the median height of the pen's lower turns in each piece."""
    strokes, _ = expand(ink.piece_starts[pieces], ink.piece_starts[pieces + 1])
    points, starts = expand(ink.stroke_starts[strokes], ink.stroke_starts[strokes + 1])
    y = ink.points[points, 1]
    stroke = np.repeat(np.arange(len(strokes)), np.diff(starts))
    low = np.ones(len(y), np.bool_)  # points that are lower than the two before and after them
    for apart in (1, 2):
        other = stroke[apart:] != stroke[:-apart]
        low[apart:] &= other | (y[apart:] > y[:-apart])
        low[:-apart] &= other | (y[:-apart] >= y[apart:])
    turns = np.flatnonzero(low)
    n_strokes = ink.piece_starts[pieces + 1] - ink.piece_starts[pieces]
    piece_of_turn = np.repeat(np.arange(len(pieces)), n_strokes)[stroke[turns]]
    return medians(y[turns], piece_of_turn, len(pieces))


def _styles(ink: InkSet, found: GlyphSegments, x_height: Floats) -> Styles:
    """Sort the glyphs by writer."""
    styles: Styles = defaultdict(WriterStyle)
    writers = ink.writers[found.pieces]
    for index in np.flatnonzero(found.sources != WORD).tolist():
        styles[int(writers[index])].letters[found.texts[index]].append(index)
    words = np.flatnonzero(found.sources == WORD)
    widest = _widest_gaps(found.take(words)) / x_height[words]
    words, widest = words[widest < TORN], widest[widest < TORN]
    for index in words.tolist():
        styles[int(writers[index])].words.append(GlyphRun(found.texts[index], index, 1))
    for writer in np.unique(writers[words]).tolist():
        styles[writer].widest_gap = float(np.quantile(widest[writers[words] == writer], 0.9))
    _add_runs(ink, found, x_height, styles)
    return dict(styles)


def _widest_gaps(words: GlyphSegments) -> Floats:
    """Return the widest gap between the strokes of each word [n], in units of the points."""
    word = np.repeat(np.arange(len(words.texts)), np.diff(words.range_starts))
    apart = 2.0 * np.iinfo(np.int16).max * word  # sets each word to the right of the one before
    left, right = words.range_bounds[:, 0] + apart, words.range_bounds[:, 2] + apart
    order = np.argsort(left)
    gap = np.zeros(len(word))
    gap[1:] = left[order][1:] - np.maximum.accumulate(right[order])[:-1]
    gap[words.range_starts[:-1]] = 0
    return np.maximum.reduceat(gap, words.range_starts[:-1]) if len(gap) else gap


def _add_runs(ink: InkSet, found: GlyphSegments, x_height: Floats, styles: Styles) -> None:
    """Add the runs of letters, the words that they make up, and how far apart they are."""
    bounds = found.bounds
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
            styles[writer].letter_gap = float(np.median(gap[mine & joined]))
        if (mine & apart).any():
            styles[writer].word_gap = float(np.median(gap[mine & apart]))
    starts = np.flatnonzero(~np.append(False, joined)[: len(cut)])
    for start, stop in pairwise([*starts.tolist(), len(cut)]):
        _add_run(ink, found, cut[start:stop], styles[int(writers[start])])


def _add_run(ink: InkSet, found: GlyphSegments, run: Indices, style: WriterStyle) -> None:
    first, last = int(run[0]), int(run[-1])
    text = "".join(found.texts[first : last + 1])
    if len(text) == 1:
        return
    style.runs += "\n" + text
    style.run_glyphs += [first, *range(first, last + 1)]
    label = f" {ink.labels[found.pieces[first]]} "
    before, after = found.places[first], found.places[last] + 2
    if label[before] == label[after] == " ":
        style.words.append(GlyphRun(text, first, len(text)))
