"""Letters and words cut out of labelled ink, each as a few ranges of its points."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data.inkset import CATEGORIES, InkSet, spread

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Where a cutting comes from; its writer may have written each at another scale.
LETTER, CHARACTER, WORD = range(3)  # a letter of a word or line, a piece of one character, a word

WORDS: Final = CATEGORIES.index("7")


@dataclass(frozen=True, slots=True, eq=False)
class Cuttings:
    """R letters and words, of G ranges of points."""

    ranges: Indices  # [G, 2], into the points
    range_starts: Indices  # [R + 1], into ranges
    range_bounds: Floats  # [G, 4], left, top, right, bottom
    pieces: Indices  # [R]
    places: Indices  # [R], of the letter in the label; 0 for what is whole
    texts: list[str]  # R
    sources: Indices  # [R], LETTER, CHARACTER or WORD

    def take(self, chosen: Indices) -> "Cuttings":
        """The cuttings at these indices, in that order."""
        members, starts = spread(self.range_starts[chosen], self.range_starts[chosen + 1])
        return Cuttings(
            self.ranges[members],
            starts,
            self.range_bounds[members],
            self.pieces[chosen],
            self.places[chosen],
            [self.texts[index] for index in chosen],
            self.sources[chosen],
        )

    def bounds(self) -> Floats:
        """Left, top, right and bottom of each, [R, 4]."""
        if not self.texts:
            return np.zeros((0, 4))
        low = np.minimum.reduceat(self.range_bounds[:, :2], self.range_starts[:-1])
        high = np.maximum.reduceat(self.range_bounds[:, 2:], self.range_starts[:-1])
        return np.concatenate([low, high], 1)


def cuttings(ink: InkSet, indices: Indices) -> Cuttings:
    """All of the pieces at `indices`: the letters of words and lines that are known letter by
    letter, in the order of their text; then single characters, and the other words.

    Ink that stands under several categories comes once.
    """
    pieces = np.unique(indices)
    found = _joined(_letters(ink, pieces), _whole(ink, pieces))
    return found.take(_distinct(ink, found))


def stroke_begins(ink: InkSet) -> NDArray[np.bool_]:
    """Whether a stroke starts at a point, [P]."""
    begins = np.zeros(len(ink.points), np.bool_)
    begins[ink.stroke_starts[:-1]] = True
    return begins


def _lengths(ink: InkSet, pieces: Indices) -> Indices:
    return np.array([len(ink.labels[piece]) for piece in pieces], np.int64)


def _is_cut(ink: InkSet, pieces: Indices) -> NDArray[np.bool_]:
    """Whether every point of a piece is known to belong to one of several letters."""
    known = np.logical_and.reduceat(
        ink.letter_of_point >= 0, ink.stroke_starts[ink.piece_starts[:-1]]
    )
    return known[pieces] & (_lengths(ink, pieces) > 1)


def _letters(ink: InkSet, pieces: Indices) -> Cuttings:
    pieces = pieces[_is_cut(ink, pieces)]
    start, stop = (ink.stroke_starts[ink.piece_starts[pieces + one]] for one in (0, 1))
    points, _ = spread(start, stop)
    letter = ink.letter_of_point[points].astype(np.int64)
    new = stroke_begins(ink)[points]
    new[1:] |= np.diff(letter) != 0
    at = np.flatnonzero(new)
    ranges = points[at][:, None] + np.stack([0 * at, np.diff(at, append=len(points))], 1)
    piece, letter = np.repeat(np.arange(len(pieces)), stop - start)[at], letter[at]
    order = np.lexsort((at, letter, piece))
    ranges, piece, letter = ranges[order], piece[order], letter[order]
    first = np.flatnonzero((np.diff(piece, prepend=-1) != 0) | (np.diff(letter, prepend=-1) != 0))
    pieces, places = pieces[piece[first]], letter[first]
    members, starts = spread(ranges[:, 0], ranges[:, 1])
    return Cuttings(
        ranges=ranges,
        range_starts=np.append(first, len(ranges)),
        range_bounds=_bounds(ink.points[members], starts),
        pieces=pieces,
        places=places,
        texts=[ink.labels[piece][place] for piece, place in zip(pieces, places, strict=True)],
        sources=np.full(len(first), LETTER),
    )


def _whole(ink: InkSet, pieces: Indices) -> Cuttings:
    lengths = _lengths(ink, pieces)
    spaced = np.array([" " in ink.labels[piece] for piece in pieces], np.bool_)
    is_word = (ink.categories[pieces] == WORDS) & ~spaced & ~_is_cut(ink, pieces)
    used = (lengths == 1) | is_word
    pieces, lengths = pieces[used], lengths[used]
    strokes, starts = spread(ink.piece_starts[pieces], ink.piece_starts[pieces + 1])
    return Cuttings(
        ranges=np.stack([ink.stroke_starts[strokes], ink.stroke_starts[strokes + 1]], 1),
        range_starts=starts,
        range_bounds=_bounds(ink.points, ink.stroke_starts)[strokes],
        pieces=pieces,
        places=np.zeros(len(pieces), np.int64),
        texts=[ink.labels[piece] for piece in pieces],
        sources=np.where(lengths == 1, CHARACTER, WORD),
    )


def _bounds(points: NDArray[np.int16], starts: Indices) -> Floats:
    if len(starts) == 1:
        return np.zeros((0, 4))
    low = np.minimum.reduceat(points, starts[:-1])
    high = np.maximum.reduceat(points, starts[:-1])
    return np.concatenate([low, high], 1).astype(np.float64)


def _joined(one: Cuttings, other: Cuttings) -> Cuttings:
    return Cuttings(
        np.concatenate([one.ranges, other.ranges]),
        np.append(one.range_starts, other.range_starts[1:] + len(one.ranges)),
        np.concatenate([one.range_bounds, other.range_bounds]),
        np.append(one.pieces, other.pieces),
        np.append(one.places, other.places),
        one.texts + other.texts,
        np.append(one.sources, other.sources),
    )


def _distinct(ink: InkSet, found: Cuttings) -> Indices:
    """Which of them are not the same ink as an earlier one, by what is seen of it."""
    bounds = found.bounds()
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
