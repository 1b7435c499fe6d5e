"""Batches of lines for training: real ink and made-up ink, each time in another hand, as columns.

What a batch holds follows from its random numbers alone, so a run needs no memory of what it has
read. Pieces of one batch have about the same width; `dealing` makes parts of several batches.

Lines of several batches dealt into parts that hold little padding.

Making what the next step needs while this one is being computed.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import STEP_COLUMNS
from inkstream.model.data.augmentation import Frame, Hand, fit, frame_of
from inkstream.model.data.ink_set import CATEGORIES, InkSet
from inkstream.model.data.synthesis.composition import LineMaker
from inkstream.model.errors import DataError
from inkstream.model.preprocess.ink import PEN_WIDTH, rasterise

Indices = NDArray[np.int64]

# Sources of columns: the categories of ink that belong to each; what is made up has none.
SOURCES: Final = {"characters": ("1a", "1b", "1c", "1d", "3"), "words": ("7",), "text": ("8",)}
MADE: Final = "made"
IMAGES: Final = "images"

FLUSH_COLUMNS: Final = 16  # blank ones behind every line: by then its last letter must be told
LEAD_COLUMNS: Final = (0, 32)  # blank ones before it, at least and at most
USUAL_LEAD: Final = 4  # of two lines in three, at most
WIDEST: Final = 1500  # columns; few lines are wider, and their gradients take as much as 20 words
LEAST_WIDTH: Final = 2.2  # columns of a letter: a narrower one is ink that lacks some of its label
WINDOW: Final = 0.02  # share of the pieces, sorted by width, that a batch is drawn from
USUAL_HEIGHT: Final = 0.7  # quantile of a writer's words: of a tall one; of characters: a capital
LEAST_SHARES: Final = {"characters": 0.75, "words": 0.9, "text": 0.9}  # of that: a frame's height
FLATTEST: Final = 60  # heights that a frame is wide at most, where a writer left nothing but dashes
TIGHT: Final = 0.25  # share of the pieces whose frame is their ink's, as of a picture cut out
MEAN_WIDENING: Final = 1.05  # of the columns, by the hands
MADE_FRAME: Final = 2.6  # x-heights: the least frame of made-up ink, from ascenders to the baseline
BLOCK_FRAME: Final = 1.5  # the same, of who writes nothing but block capitals and figures
BLOCK: Final = 0.5  # share of made-up ink without small letters that is by such a one


@dataclass(frozen=True, slots=True)
class LineBatch:
    """B lines of up to T columns, in steps of two."""

    columns: NDArray[np.uint8]  # [B, T, H]
    steps: Indices  # [B], of each line, blank columns before and behind included
    labels: tuple[str, ...]  # B
    letters: NDArray[np.float32]  # [B, L], column where each letter ends; NaN = not known


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One line as its pen points."""

    points: NDArray[np.float32]  # [P, 2]
    stroke_starts: Indices  # [S + 1]
    letter_of_point: NDArray[np.int16]  # [P]
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One line in pixels."""

    columns: NDArray[np.uint8]  # [T, H]
    label: str
    ends: NDArray[np.float32]  # [letters]


Maker = Callable[[np.random.Generator], Drawn]


class OtherHands:
    """Writes a line as another hand would, each time another one, and draws it."""

    def __init__(self, column_height: int, strength: float) -> None:
        self.column_height = column_height
        self._strength = strength  # of the change, 0 to 1
        self._hand = Hand()

    def __call__(self, written: Written, frame: Frame, random: np.random.Generator) -> Drawn:
        """Draw `written`, whose frame is brought into the rows."""
        usual = random.random() < 2 / 3
        left = int(random.integers(LEAD_COLUMNS[0], USUAL_LEAD if usual else LEAD_COLUMNS[1]))
        points, pen_width = self._hand(
            written.points,
            written.stroke_starts,
            frame,
            self.column_height,
            random,
            strength=self._strength,
            left=left,
        )
        columns = rasterise(points, written.stroke_starts, self.column_height, pen_width)
        ends = letter_ends(points, written.letter_of_point, written.label)
        return Drawn(columns, written.label, ends)


class Pieces:
    """Real ink that may be read: its widths and frames, known beforehand."""

    def __init__(self, ink: InkSet, indices: Indices, labels: Sequence[str]) -> None:
        """Of the pieces at `indices` those whose label the net can spell and whose ink holds it."""
        self.ink = ink
        known = set(labels)
        indices = np.array([i for i in indices if known.issuperset(ink.labels[i])], np.int64)
        taken = ink.take(indices)
        first = taken.stroke_starts[taken.piece_starts[:-1]]
        self.extent = np.maximum.reduceat(taken.points, first).astype(np.float32)  # [N, 2]
        self.lengths = np.array([len(label) for label in taken.labels])
        flat = np.maximum(self.extent[:, 0] / FLATTEST, 1)
        self.flat_height = np.maximum(self.extent[:, 1], flat)  # of a frame as tight as can be
        usual = _least_heights(taken, self.extent[:, 1])
        self.height = np.maximum(self.flat_height, usual)  # of the frame
        self.aspect = self.extent[:, 0] / self.height
        self.indices = indices
        self.categories = taken.categories
        donors = np.array([name.split("/")[0] for name in ink.writer_names])
        self.donors = np.unique(donors, return_inverse=True)[1][taken.writers]

    def widths(self, column_height: int) -> NDArray[np.float32]:
        """Columns that each piece is wide when it fills the rows, blanks included."""
        blanks = USUAL_LEAD + FLUSH_COLUMNS
        return (self.aspect * column_height + blanks).astype(np.float32)

    def frame(self, place: int, *, tight: bool = False) -> Frame:
        """The frame of one of these pieces, in its own units; `tight` is that of its ink alone."""
        height = self.flat_height if tight else self.height
        beyond = (height[place] - self.extent[place, 1]) / 2
        return -float(beyond), float(self.extent[place, 1] + beyond)


def _least_heights(ink: InkSet, heights: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each piece, the least height of its frame: about what its writer's others are high.

    So a dot, a dash, and a word without tall letters are as small as they were written; a pad's
    ruled frame tells as much.
    """
    least = np.zeros(len(ink), np.float32)
    for name, categories in SOURCES.items():
        kind = np.isin(ink.categories, [CATEGORIES.index(c) for c in categories])
        for writer in np.unique(ink.writers[kind]):
            own = kind & (ink.writers == writer)
            least[own] = LEAST_SHARES[name] * np.quantile(heights[own], USUAL_HEIGHT)
    return least


class LineBatches:
    """Draws batches of about `columns` columns from several sources."""

    def __init__(
        self,
        pieces: Pieces,
        pen: OtherHands,
        shares: Mapping[str, float],
        columns: int,
        makers: Mapping[str, Maker],
    ) -> None:
        """Prepare.

        Args:
            pieces: real ink.
            pen: writes it in other hands.
            shares: of each source of `SOURCES` and of each maker, in the columns that are read.
            columns: of a batch, about.
            makers: make up lines, by the name of their source.

        Raises `DataError` when no source has ink.
        """
        self._pieces, self._pen, self._makers = pieces, pen, makers
        self._columns = columns
        widths = pieces.widths(pen.column_height)
        fits = (widths < WIDEST) & (widths > LEAST_WIDTH * pieces.lengths)
        n_wide = int((widths >= WIDEST).sum())
        self.left_out = {
            f"wider than {WIDEST} columns": n_wide,
            f"narrower than {LEAST_WIDTH} columns a character": int((~fits).sum()) - n_wide,
        }
        self._sorted: dict[str, Indices] = {}
        self._weights: dict[str, NDArray[np.float64]] = {}
        for name, categories in SOURCES.items():
            own = np.isin(pieces.categories, [CATEGORIES.index(c) for c in categories])
            places = np.flatnonzero(own & fits)
            places = places[np.argsort(widths[places], kind="stable")]
            group = pieces.categories[places].astype(np.int64) * (1 + pieces.donors.max())
            _, group, sizes = np.unique(
                group + pieces.donors[places], return_inverse=True, return_counts=True
            )
            self._sorted[name] = places
            self._weights[name] = 1 / np.sqrt(sizes[group])  # root of a donor's size in all
        self._widths = widths
        there = {name for name, places in self._sorted.items() if len(places)} | makers.keys()
        self._sources = [name for name, share in shares.items() if share > 0 and name in there]
        if not self._sources:
            raise DataError("no ink to train on is left")
        self._shares = np.cumsum([shares[name] for name in self._sources])

    def draw(
        self, random: np.random.Generator, source: str | None = None, share: float = 1.0
    ) -> list[Drawn]:
        """Lines of a batch; those of real ink were of about one width before another hand's.

        They are of the source named if it has ink, else of one drawn by its share; `share` is that
        of the usual columns which they shall have.
        """
        if source not in self._sources:
            at = random.random() * self._shares[-1]
            source = self._sources[int(np.searchsorted(self._shares, at, "right"))]
        columns = share * self._columns
        if source in self._makers:
            return _made(self._makers[source], columns, random)
        return self._real(source, columns, random)

    def _real(self, source: str, columns: float, random: np.random.Generator) -> list[Drawn]:
        """Pieces of about one width: near one that is drawn in proportion to its width."""
        places, weights = self._sorted[source], self._weights[source]
        widths = self._widths[places]
        sums = np.cumsum(weights * widths)
        anchor = int(np.searchsorted(sums, random.random() * sums[-1], "right"))
        reach = max(1, round(WINDOW * len(places) / 2))
        low, high = max(0, anchor - reach), min(len(places), anchor + reach + 1)
        n_pieces = max(1, int(columns / (MEAN_WIDENING * widths[anchor])))
        chance = weights[low:high] / weights[low:high].sum()
        chosen = places[low + random.choice(high - low, n_pieces, p=chance)]
        return [self._write(place, random) for place in chosen]

    def _write(self, place: int, random: np.random.Generator) -> Drawn:
        ink = self._pieces.ink
        index = self._pieces.indices[place]
        first, end = ink.piece_starts[index : index + 2]
        starts = ink.stroke_starts[first : end + 1]
        cut = slice(starts[0], starts[-1])
        written = Written(
            ink.points[cut].astype(np.float32),
            starts - starts[0],
            ink.letter_of_point[cut],
            ink.labels[index],
        )
        frame = self._pieces.frame(place, tight=random.random() < TIGHT)
        return self._pen(written, frame, random)


def _made(make: Maker, columns: float, random: np.random.Generator) -> list[Drawn]:
    """Made-up lines of all widths."""
    drawn: list[Drawn] = []
    while sum(map(width, drawn)) < columns:
        drawn.append(make(random))
    return drawn


def width(line: Drawn) -> int:
    """Columns of a line, with the blank ones that it needs behind it."""
    return len(line.columns) + FLUSH_COLUMNS


def rewritten(maker: LineMaker, pen: OtherHands, random: np.random.Generator) -> Drawn:
    """A made-up line in another hand."""
    line = maker.draw(random)
    written = Written(line.points, line.stroke_starts, line.letter_of_point, line.label)
    block = line.label == line.label.upper() and random.random() < BLOCK
    return pen(written, frame_of(line.points, BLOCK_FRAME if block else MADE_FRAME), random)


def plain(
    pieces: Pieces,
    place: int,
    column_height: int,
    *,
    size: float = 1.0,
    at: float = 0.5,
    tight: bool = False,
) -> Drawn:
    """A piece as it is, brought into rows: what every evaluation reads.

    Args:
        pieces: the pieces.
        place: of the piece among them.
        column_height: H.
        size: share of the rows that it fills.
        at: where it lies in them, from 0 for the top to 1 for the bottom.
        tight: whether its frame is its ink's, as of a picture cut out, and not its writer's.
    """
    piece = pieces.ink.piece(int(pieces.indices[place]))
    points = np.concatenate(piece.strokes).astype(np.float32)
    starts = np.cumsum([0, *map(len, piece.strokes)])
    frame = pieces.frame(place, tight=tight)
    fitted = fit(points, frame, column_height, size=size, place=at)
    columns = rasterise(fitted, starts, column_height, PEN_WIDTH)
    return Drawn(
        columns, piece.label, letter_ends(fitted, np.concatenate(piece.letters), piece.label)
    )


def letter_ends(
    points: NDArray[np.float32], letter_of_point: NDArray[np.int16], label: str
) -> NDArray[np.float32]:
    """The column in which each letter's ink ends, [letters]; NaN where that is not known."""
    ends = np.full(len(label), -np.inf, np.float32)
    known = letter_of_point >= 0
    np.maximum.at(ends, letter_of_point[known], points[known, 0])
    return np.where(np.isfinite(ends), np.floor(ends), np.float32(np.nan))


def join(drawn: Sequence[Drawn]) -> LineBatch:
    """Lines side by side, with the blank columns that each needs behind it."""
    steps = [math.ceil((len(line.columns) + FLUSH_COLUMNS) / STEP_COLUMNS) for line in drawn]
    height = drawn[0].columns.shape[1]
    columns = np.zeros((len(drawn), STEP_COLUMNS * max(steps), height), np.uint8)
    letters = np.full((len(drawn), max(len(line.label) for line in drawn)), np.nan, np.float32)
    for row, line in enumerate(drawn):
        columns[row, : len(line.columns)] = line.columns
        letters[row, : len(line.ends)] = line.ends
    labels = tuple(line.label for line in drawn)
    return LineBatch(columns, np.array(steps, np.int64), labels, letters)


def deal(lines: Sequence[Drawn], n_parts: int) -> list[LineBatch]:
    """Lines as parts of about one size, narrow ones first.

    A part is as wide as its widest line, so its lines are neighbours in width, and no other cuts
    between neighbours make the largest part smaller. Of fewer lines than parts some are dealt
    more than once.

    Raises `ValueError` without lines.
    """
    if not lines:
        raise ValueError("no lines to deal")
    ordered = sorted(lines, key=width)
    least, most = width(ordered[-1]), len(ordered) * width(ordered[-1])
    limit = least + bisect_left(
        range(least, most), True, key=lambda limit: len(_filled(ordered, limit)) <= n_parts
    )
    parts = _filled(ordered, limit)
    while len(parts) < n_parts:
        largest = max(range(len(parts)), key=lambda at: _size(parts[at]))
        part = parts[largest]
        middle = len(part) // 2
        parts[largest : largest + 1] = [part[:middle] or part, part[middle:]]
    return [join(part) for part in parts]


def _filled(ordered: Sequence[Drawn], limit: int) -> list[Sequence[Drawn]]:
    """The fewest parts of neighbours of which none is larger than `limit` columns."""
    parts, start = [], 0
    for end, line in enumerate(ordered):
        if (end + 1 - start) * width(line) > limit:
            parts.append(ordered[start:end])
            start = end
    return [*parts, ordered[start:]]


def _size(part: Sequence[Drawn]) -> int:
    """Columns, padding included."""
    return len(part) * width(part[-1])


T = TypeVar("T")


class Ahead(Generic[T]):
    """What `make` makes for a step, for several threads: made once, and that of the next one too.

    The steps are to be asked for one after the other, each as often as is wanted.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1)
        self._made: dict[int, Future[T]] = {}
        self._lock = Lock()

    def __call__(self, step: int) -> T:
        """What was made for `step`; raises what `make` raised."""
        with self._lock:
            self._made = {
                near: self._made.get(near) or self._thread.submit(self._make, near)
                for near in (step, step + 1)
            }
            wanted = self._made[step]
        return wanted.result()
