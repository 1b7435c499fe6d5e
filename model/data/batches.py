"""Draw batches of lines for training: real and composed ink, augmented, and images of numbers.

A batch follows from its random numbers alone, so a run needs no record of what it has read.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.config import STEP_COLUMNS
from inkstream.model.data.augmentation import Frame, Points, augmented, fit, frame_of
from inkstream.model.data.degradation import Degradation
from inkstream.model.data.images import Dataset
from inkstream.model.data.ink_set import CATEGORIES, TEXT, WORDS, InkLine, InkSet
from inkstream.model.data.synthesis.composition import LineComposer
from inkstream.model.errors import DataError
from inkstream.model.preprocess.image import Grey
from inkstream.model.preprocess.ink import PEN_WIDTH, rasterise

Indices = NDArray[np.int64]

# The categories of ink that belong to each source of columns; what is made up has none.
SOURCES: Final = {"characters": ("1a", "1b", "1c", "1d", "3"), "words": (WORDS,), "text": (TEXT,)}

FLUSH_COLUMNS: Final = 16  # blank columns after every line, in which its last letter is decided
USUAL_LEAD: Final = 4  # blank columns before the ink, at most, of two lines in three
MADE_FRAME: Final = 2.6  # x-heights: the least frame of made-up ink, from ascenders to the baseline


@dataclass(frozen=True, slots=True)
class LineBatch:
    """B lines of up to T columns, in steps of two."""

    columns: NDArray[np.uint8]  # [B, T, H], or [B, T, 3 H] if any line has directions
    steps: Indices  # [B], of each line, blank columns before and behind included
    labels: tuple[str, ...]  # B
    letters: NDArray[np.float32]  # [B, L], column where a letter ends; NaN where not known


@dataclass(frozen=True, slots=True, eq=False)
class LineSample:
    """One line as columns."""

    columns: NDArray[np.uint8]  # [T, H], or [T, 3 H] with directions
    label: str
    ends: NDArray[np.float32]  # [letters], column where its ink ends; NaN where not known


NO_ENDS: Final = np.empty(0, np.float32)  # of a line whose letters' ends are not known

SampleSource = Callable[[np.random.Generator], LineSample]


@dataclass(frozen=True, slots=True)
class AugmentedRenderer:
    """Augments a line of ink, and draws it with its directions."""

    column_height: int
    strength: float  # of the augmentation, 0 to 1

    def __call__(self, line: InkLine, frame: Frame, random: np.random.Generator) -> LineSample:
        """Bring the frame of `line` into the rows with random changes, and draw it."""
        usual = random.random() < 2 / 3
        points, pen_width = augmented(
            line.points, line.stroke_starts, frame, self.column_height, random,
            strength=self.strength, left=int(random.integers(USUAL_LEAD if usual else 32)),
        )  # fmt: skip
        return _sample(line, points, self.column_height, pen_width, directions=True)


class InkPieces:
    """Pieces of real ink with their widths and frames, computed once."""

    def __init__(
        self, ink: InkSet, indices: Indices, labels: Sequence[str], sized: Sequence[str] = ()
    ) -> None:
        """Take the pieces at `indices` whose label consists of `labels`.

        Those of donors `sized` are single letters whose guides say how high their frame is. They
        are few, by many people, so each of their labels counts as a donor.
        """
        self.ink = ink
        known = set(labels)
        self.indices = np.array([i for i in indices if known.issuperset(ink.labels[i])], np.int64)
        taken = ink.take(self.indices)
        first = taken.stroke_starts[taken.piece_starts[:-1]]
        self.extent = np.maximum.reduceat(taken.points, first).astype(np.float32)  # [N, 2]
        self.lengths = np.array([len(label) for label in taken.labels])
        width, ink_height = self.extent.T
        # Where a writer left nothing but dashes, a frame is as wide as 60 of its heights at most.
        tight_height = np.maximum(ink_height, np.maximum(width / 60, 1))
        height = np.maximum(tight_height, _least_heights(taken, ink_height))
        beyond, beyond_tight = (height - ink_height) / 2, (tight_height - ink_height) / 2
        names = taken.donors
        is_sized = np.isin(names, sized)
        x_line, baseline = taken.guides.T
        capital = np.minimum(baseline - 1.75 * (baseline - x_line), 0)  # a capital's top, or higher
        top = np.where(is_sized, capital, -beyond)
        bottom = np.where(is_sized, np.maximum(baseline, ink_height), ink_height + beyond)
        self._frames = np.stack([top, bottom], 1)  # [N, 2]
        self._tight_frames = np.stack([-beyond_tight, ink_height + beyond_tight], 1)
        self.height: NDArray[np.float64] = np.where(is_sized, bottom - top, height)
        self.aspect: NDArray[np.float64] = width / self.height
        self.categories = taken.categories
        pairs = zip(names.tolist(), taken.labels, strict=True)
        keys = [name + label if name in sized else name for name, label in pairs]
        self.donors = np.unique(keys, return_inverse=True)[1]

    def frame(self, index: int, *, tight: bool = False) -> Frame:
        """Return the frame of one piece in its own units; if `tight`, that of its ink alone."""
        top, bottom = (self._tight_frames if tight else self._frames)[index].tolist()
        return top, bottom


def _least_heights(ink: InkSet, heights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the least height of each piece's frame: about the height of its writer's other pieces.

    A dot, a dash and a word without tall letters thus stay as small as they were written, as in
    the ruled frame of a writing pad.
    """
    least = np.zeros(len(ink), np.float32)
    for name in SOURCES:
        is_of_source = of_source(name, ink.categories)
        for writer in np.unique(ink.writers[is_of_source]):
            is_of_writer = is_of_source & (ink.writers == writer)
            # This quantile is the height of a tall word, or of a capital.
            usual = np.quantile(heights[is_of_writer], 0.7)
            least[is_of_writer] = (0.75 if name == "characters" else 0.9) * usual
    return least


def of_source(name: str, categories: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the categories of pieces, [N], that belong to a source."""
    return np.isin(np.take(CATEGORIES, categories), SOURCES[name])


class LineBatches:
    """Draws batches of about `columns` columns from several sources."""

    def __init__(
        self,
        pieces: InkPieces,
        renderer: AugmentedRenderer,
        shares: Mapping[str, float],
        columns: int,
        makers: Mapping[str, SampleSource],
    ) -> None:
        """Prepare to draw `pieces`, and what `makers` make up, by the `shares` of their sources.

        Raises `DataError` when no source has ink.
        """
        self._pieces, self._render, self._makers = pieces, renderer, makers
        self._columns = columns
        blanks = USUAL_LEAD + FLUSH_COLUMNS
        # The columns that each piece takes when it fills the rows, with blank columns. Few are
        # wider than 1,500 columns, and their gradients take as much as those of 20 words; a piece
        # narrower than 2.2 columns a character is ink that lacks some of its label.
        widths = (pieces.aspect * renderer.column_height + blanks).astype(np.float32)
        is_wide, is_narrow = widths >= 1500, widths <= 2.2 * pieces.lengths
        self.left_out = {
            "wider than 1500 columns": int(is_wide.sum()),
            "narrower than 2.2 columns a character": int((is_narrow & ~is_wide).sum()),
        }
        self._by_width: dict[str, tuple[Indices, NDArray[np.float32], NDArray[np.float64]]] = {}
        for name in SOURCES:
            of_name = of_source(name, pieces.categories)
            indices = np.flatnonzero(of_name & ~is_wide & ~is_narrow)
            indices = indices[np.argsort(widths[indices], kind="stable")]
            kinds = pieces.donors[indices] * len(CATEGORIES) + pieces.categories[indices]
            _, kind, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
            weights = 1 / np.sqrt(sizes[kind])  # a donor's are, in all, the root of its size
            if len(indices):
                self._by_width[name] = indices, widths[indices], weights
        with_ink = self._by_width.keys() | makers.keys()
        self.sources = [name for name, share in shares.items() if share > 0 and name in with_ink]
        if not self.sources:
            raise DataError("no ink to train on is left")
        self._shares = np.cumsum([shares[name] for name in self.sources])

    def draw(
        self, random: np.random.Generator, source: str | None = None, share: float = 1.0
    ) -> list[LineSample]:
        """Draw the lines of a batch; real ink is of about one width before augmentation.

        They come from the named source if it has ink, else from one drawn by its share. `share`
        is the part of the usual number of columns that they should have.
        """
        if source not in self.sources:
            at = random.random() * self._shares[-1]
            source = self.sources[int(np.searchsorted(self._shares, at, "right"))]
        columns = share * self._columns
        if source not in self._makers:
            return self._real(source, columns, random)
        drawn: list[LineSample] = []
        while sum(map(width, drawn)) < columns:
            drawn.append(self._makers[source](random))
        return drawn

    def _real(self, source: str, columns: float, random: np.random.Generator) -> list[LineSample]:
        """Draw pieces of about one width, near one that is drawn in proportion to its width."""
        indices, widths, weights = self._by_width[source]
        sums = np.cumsum(weights * widths)
        anchor = int(np.searchsorted(sums, random.random() * sums[-1], "right"))
        reach = max(1, round(0.02 * len(indices) / 2))  # pieces on either side
        low, high = max(0, anchor - reach), min(len(indices), anchor + reach + 1)
        n_pieces = max(1, int(columns / (1.05 * widths[anchor])))  # augmentation widens by 5 %
        chance = weights[low:high] / weights[low:high].sum()
        drawn = []
        for index in indices[low + random.choice(high - low, n_pieces, p=chance)]:
            piece = self._pieces.ink.piece(self._pieces.indices[index])
            frame = self._pieces.frame(index, tight=random.random() < 0.25)  # as in cropped images
            drawn.append(self._render(piece, frame, random))
        return drawn


def degraded(
    lines: Sequence[LineSample], share: float, random: np.random.Generator, column_height: int
) -> list[LineSample]:
    """Give a share of lines the looks of paper, scanners and cameras, and take their directions.

    Some get blank columns behind their ink first, since a sheet goes on where its writing ends.
    """
    degradation, neighbours = Degradation(), [line.columns[:, :column_height] for line in lines]
    drawn = []
    for line in lines:
        columns = line.columns
        if random.random() < share:
            after = int(random.integers(32)) if random.random() < 0.3 else 0
            columns = np.pad(columns[:, :column_height], ((0, after), (0, 0)))
            columns = degradation(columns, random, neighbours)
        drawn.append(replace(line, columns=columns))
    return drawn


def without_directions(
    lines: Sequence[LineSample], share: float, random: np.random.Generator, column_height: int
) -> list[LineSample]:
    """Take their directions from a share of lines: columns of clients have none."""
    return [
        replace(line, columns=line.columns[:, :column_height]) if random.random() < share else line
        for line in lines
    ]


def width(line: LineSample) -> int:
    """Return the columns of a line with the blank columns that it needs after it."""
    return len(line.columns) + FLUSH_COLUMNS


def render_composed(
    composer: LineComposer, renderer: AugmentedRenderer, random: np.random.Generator
) -> LineSample:
    """Compose a line, augment and draw it.

    Half of the lines without small letters get the frame of writers who write none.
    """
    line = composer.draw(random)
    is_block = line.label == line.label.upper() and random.random() < 0.5
    return renderer(line, frame_of(line.points, 1.5 if is_block else MADE_FRAME), random)


def draw_number(digits: Dataset, column_height: int, random: np.random.Generator) -> LineSample:
    """Draw a number of images of digits, each of any writer, somewhere in the rows."""
    rows = round(column_height * (0.45 + 0.55 * random.random()))
    top = int(random.integers(column_height - rows + 1))
    widening = math.exp(random.uniform(math.log(0.75), math.log(1.35)))
    shear = math.tan(math.radians(random.uniform(-12, 12)))  # MNIST's own digits slant already
    # Edges of every second number or more are as sharp as those of drawn ink.
    steep = random.uniform(1, 6) if random.random() < 0.6 else 1.0
    chosen = random.integers(len(digits), size=random.integers(1, 7))
    blank = int(random.integers(2, 20))  # columns before the first digit
    parts: list[NDArray[np.uint8]] = []
    for index in chosen:
        digit = _scaled(digits.columns[index].T, rows, widening, shear, steep)
        if parts:
            blank = round(rows * random.uniform(0.02, 0.35))
        parts.append(np.pad(digit.T, ((blank, 0), (top, column_height - rows - top))))
    label = "".join(digits.labels[digits.answers[index]] for index in chosen)
    ends = np.cumsum([len(part) for part in parts]) - 1
    return LineSample(np.concatenate(parts), label, ends.astype(np.float32))


def draw_scan(
    image: Grey,
    text: str,
    column_height: int,
    random: np.random.Generator,
    *,
    to_columns: Callable[[Grey, int], NDArray[np.uint8]],
    widths: tuple[float, float],
) -> LineSample:
    """Distort the grey image [h, w] of a line, and return its columns; letters' ends are unknown.

    `to_columns` and `widths` are those of its `PaperSource`. What lies outside of the image has the
    tones of its edge.
    """
    height, width = image.shape
    added = random.uniform(0, 0.3)  # heights: neighbours' rows are not always cut away
    above = height * (random.uniform(-0.06, 0) + added * random.random())
    below = height * (random.uniform(-0.06, 0) + added / 2)
    rows = max(2, round(height + above + below))
    shear = math.tan(math.radians(random.uniform(-12, 12)))
    wider = math.exp(random.uniform(*np.log(widths)))
    slope = random.uniform(-1, 1) * min(0.05, 0.12 * height / width)  # one end above the other
    margin = math.ceil(height * abs(shear)) + height // 2
    padded = Image.fromarray(np.pad(image, (height // 2, margin), mode="edge"))
    size = max(2, round((width + margin) * wider)), rows
    # Pillow asks for where each pixel comes from: x' = a x + b y + c, y' = d x + e y + f.
    left = margin / 2 - shear * rows / 2
    top = height // 2 - above - slope * width / 2
    matrix = (1 / wider, shear, left, slope / wider, 1.0, top)
    moved = padded.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    columns = to_columns(np.asarray(moved), column_height)
    return LineSample(columns, text, np.full(len(text), np.nan, np.float32))


def _scaled(image: Grey, rows: int, widening: float, shear: float, steep: float) -> Grey:
    """Crop an image to its ink, shear and scale it, and raise its contrast `steep` times."""
    down, across = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    top, bottom, left, right = down[0], down[-1] + 1, across[0], across[-1] + 1
    scale = (bottom - top) / rows
    slant = abs(shear) * (bottom - top)
    width = max(2, round(((right - left) + slant) * widening / scale))
    step_x = ((right - left) + slant) / width
    # Pillow asks for where each pixel comes from: x' = a x + b y + c, y' = e y + f.
    lean = shear * scale
    start = left - slant / 2 - shear * (bottom - top) / 2
    matrix = (step_x, lean, start, 0.0, scale, float(top))
    moved = Image.fromarray(np.ascontiguousarray(image)).transform(
        (width, rows), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    tones = (np.asarray(moved) - np.float32(127.5)) * steep + 127.5
    pixels = tones.clip(0, 255).astype(np.uint8)
    inked = np.flatnonzero(pixels.any(0))
    scaled: Grey = pixels[:, inked[0] : inked[-1] + 1]
    return scaled


def draw_piece(
    pieces: InkPieces,
    index: int,
    column_height: int,
    *,
    size: float = 1.0,
    at: float = 0.5,
    tight: bool = False,
    directions: bool = False,
) -> LineSample:
    """Draw the piece at `index` without augmentation: what every evaluation reads.

    `size` and `at` (its position) are as for `fit`. If `tight`, the frame is that of its ink alone,
    as in a cropped image. With `directions` its columns also say where the pen goes.
    """
    piece = pieces.ink.piece(int(pieces.indices[index]))
    frame = pieces.frame(index, tight=tight)
    points = fit(piece.points, frame, column_height, size=size, position=at)
    return _sample(piece, points, column_height, directions=directions)


def _sample(
    line: InkLine,
    points: Points,
    column_height: int,
    pen_width: float = PEN_WIDTH,
    *,
    directions: bool,
) -> LineSample:
    """Draw a line whose points [P, 2] have been brought into the rows."""
    columns = rasterise(points, line.stroke_starts, column_height, pen_width, directions=directions)
    # The column in which each letter's ink ends; NaN where not known.
    ends = np.full(len(line.label), -np.inf, np.float32)
    known = line.letter_of_point >= 0
    np.maximum.at(ends, line.letter_of_point[known], points[known, 0])
    ends = np.where(np.isfinite(ends), np.floor(ends), np.float32(np.nan))
    return LineSample(columns, line.label, ends)


def collate(drawn: Sequence[LineSample]) -> LineBatch:
    """Pad lines to one batch, with the blank columns that each needs after it."""
    steps = [math.ceil(width(line) / STEP_COLUMNS) for line in drawn]
    labels = tuple(line.label for line in drawn)
    size = max(line.columns.shape[1] for line in drawn)
    columns = np.zeros((len(drawn), STEP_COLUMNS * max(steps), size), np.uint8)
    letters = np.full((len(drawn), max(map(len, labels))), np.nan, np.float32)
    for row, line in enumerate(drawn):
        columns[row, : len(line.columns), : line.columns.shape[1]] = line.columns
        letters[row, : len(line.ends)] = line.ends
    return LineBatch(columns, np.array(steps, np.int64), labels, letters)


def split_by_width(lines: Sequence[LineSample], n_parts: int) -> list[LineBatch]:
    """Split lines into parts of neighbours in width, so that the largest part is the smallest.

    A part is as wide as its widest line. With fewer lines than parts some lines are used more than
    once. Raises `DataError` for no lines.
    """
    if not lines:
        raise DataError("no lines to split, expected one or more")
    ordered = sorted(lines, key=width)
    least, largest = width(ordered[-1]), len(ordered) * width(ordered[-1])
    limit = least + bisect_left(
        range(least, largest), True, key=lambda limit: len(_filled(ordered, limit)) <= n_parts
    )
    parts = _filled(ordered, limit)
    while len(parts) < n_parts:
        index = max(range(len(parts)), key=lambda at: len(parts[at]) * width(parts[at][-1]))
        part = parts[index]
        middle = len(part) // 2
        parts[index : index + 1] = [part[:middle] or part, part[middle:]]
    return [collate(part) for part in parts]


def _filled(ordered: Sequence[LineSample], limit: int) -> list[Sequence[LineSample]]:
    """Split into the fewest parts of neighbours of which none exceeds `limit` columns."""
    parts, start = [], 0
    for end, line in enumerate(ordered):
        if (end + 1 - start) * width(line) > limit:
            parts.append(ordered[start:end])
            start = end
    return [*parts, ordered[start:]]


T = TypeVar("T")


def prefetched(make: Callable[[int], T]) -> Callable[[int], T]:
    """Return `make`, called once for each step, one step ahead, in a thread.

    Steps are asked for in order, each as often as wanted, by one thread or several.
    """
    thread, lock = ThreadPoolExecutor(1), Lock()
    made: dict[int, Future[T]] = {}

    def of_step(step: int) -> T:
        nonlocal made
        with lock:
            made = {near: made.get(near) or thread.submit(make, near) for near in (step, step + 1)}
            wanted = made[step]
        return wanted.result()

    return of_step
