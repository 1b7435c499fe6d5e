"""What the report on pages reads: lines of one writer's ink, laid out on paper.

A line of a page is one or several pieces of UNIPEN by one writer, one behind the other. The very
same line is read as strokes too, in the frame that every evaluation gives such ink.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data.line_batches import Drawn
from model.data.paper import Sheet, WrittenLine, any_look, sheet
from model.data.pen import frame_of
from model.ink import PEN_WIDTH, flatten, rasterise
from model.report.material import GAP, NO_ENDS, TEXT, WORDS, Material

SEED: Final = 0
LEAST_LETTERS: Final = 2  # of a piece: a mark alone says nothing of where its line runs
WIDEST: Final = 18.0  # frames, of a piece
WIDEST_GAP: Final = 1.5  # frames: some pieces are fields of forms, further apart than two columns
LEAST_LINES: Final = 4  # of a page
MOST_LINES: Final = 25
PAGES_A_WRITER: Final = 2
ONE_BLOCK: Final = (8.0, 15.0)  # frames, of a line that is filled up
TWO_BLOCKS: Final = (6.0, 9.0)
TWO_SHARE: Final = 0.3  # of pages, with two columns of text
FULL_LINE: Final = 6.0  # frames, of a line on the page that is timed
BAND: Final = 0.4  # frames: about what small letters are high


@dataclass(frozen=True, slots=True, eq=False)
class WrittenPage:
    """A page and the lines that stand on it, as they are read as strokes."""

    sheet: Sheet
    drawn: list[Drawn]
    writer: str

    @property
    def n_blocks(self) -> int:
        """How many columns of text stand on it."""
        return 1 + max(line.block for line in self.sheet.lines)


def pages(material: Material, limit: int | None = None) -> Iterator[WrittenPage]:
    """Pages of each writer who left enough ink, always the same ones."""
    places = material.places(TEXT) + material.places(WORDS)
    by_writer = material.by_writer(sorted(places))
    made = 0
    for number, writer in enumerate(sorted(by_writer)):
        random = np.random.default_rng((SEED, number))
        own = [place for place in by_writer[writer] if _is_fit(material, place)]
        for _ in range(PAGES_A_WRITER):
            if limit is not None and made >= limit:
                return
            blocks = _blocks(material, own, random)
            if sum(map(len, blocks)) < LEAST_LINES:
                break
            yield _on_paper(material, blocks, writer, random)
            made += 1


def full_page(material: Material, n_lines: int) -> WrittenPage | None:
    """A page of so many lines of one block, None where no writer left enough ink for it."""
    by_writer = material.by_writer(sorted(material.places(TEXT)))
    for writer in sorted(by_writer, key=lambda name: (-len(by_writer[name]), name)):
        own = [place for place in by_writer[writer] if _is_fit(material, place)]
        own = [place for place in own if material.pieces.aspect[place] >= FULL_LINE]
        if len(own) >= n_lines:
            lines = [[place] for place in own[:n_lines]]
            return _on_paper(material, [lines], writer, np.random.default_rng(SEED))
    return None


def _on_paper(
    material: Material,
    blocks: Sequence[Sequence[Sequence[int]]],
    writer: str,
    random: np.random.Generator,
) -> WrittenPage:
    written = [[_written(material, line) for line in block] for block in blocks]
    taken = sheet([[each for each, _ in block] for block in written], any_look(random), random)
    return WrittenPage(taken, [drawn for block in written for _, drawn in block], writer)


def _is_fit(material: Material, place: int) -> bool:
    (label,) = material.labels([place])
    letters = sum(map(str.isalnum, label))
    wide = float(material.pieces.aspect[place]) > WIDEST
    return letters >= LEAST_LETTERS and not wide and _widest_gap(material, place) <= WIDEST_GAP


def _widest_gap(material: Material, place: int) -> float:
    """Frames without ink between two strokes of a piece."""
    piece = material.pieces.ink.piece(int(material.pieces.indices[place]))
    bounds = np.array(sorted((s[:, 0].min(), s[:, 0].max()) for s in piece.strokes), np.float64)
    reached = np.maximum.accumulate(bounds[:, 1])
    gaps = bounds[1:, 0] - reached[:-1]
    return float(gaps.max(initial=0)) / float(material.pieces.height[place])


def _blocks(
    material: Material, places: Sequence[int], random: np.random.Generator
) -> list[list[list[int]]]:
    """Pieces for the lines of one block, or of two; none comes twice on a page."""
    two = random.random() < TWO_SHARE
    bounds = TWO_BLOCKS if two else ONE_BLOCK
    width = random.uniform(*bounds)
    n_lines = int(random.integers(6, MOST_LINES + 1))
    pool = [places[at] for at in random.permutation(len(places))]
    if two:
        pool = [place for place in pool if material.pieces.aspect[place] <= width]
    lines: list[list[int]] = []
    while pool and len(lines) < n_lines * (1 + two):
        line: list[int] = []
        filled = 0.0
        goal = width * random.uniform(0.6, 1) if random.random() < 0.85 else width * 0.3
        while pool and (not line or filled + float(material.pieces.aspect[pool[-1]]) < goal):
            filled += float(material.pieces.aspect[pool[-1]]) + GAP
            line.append(pool.pop())
        lines.append(line)
    if not two or len(lines) < 2 * LEAST_LINES:
        return [lines[:n_lines]]
    half = (len(lines) + 1) // 2
    return [lines[:half], lines[half:]]


def _written(material: Material, places: Sequence[int]) -> tuple[WrittenLine, Drawn]:
    """Pieces one behind the other in one frame: for the paper, and in the net's rows."""
    heights = [float(material.pieces.height[place]) for place in places]
    least = min(heights)
    strokes: list[NDArray[np.float64]] = []
    left = 0.0
    for place in places:
        piece = material.pieces.ink.piece(int(material.pieces.indices[place]))
        own = [stroke.astype(np.float64) for stroke in piece.strokes]
        baseline = float(piece.guides[1])
        middle = baseline if np.isfinite(baseline) else _body(own, least) + BAND / 2 * least
        own = [stroke + np.array([left, -middle]) for stroke in own]
        strokes += own
        left = max(float(stroke[:, 0].max()) for stroke in own) + GAP * least
    label = " ".join(material.labels(places))
    points, starts = flatten(strokes)
    top, bottom = frame_of(points, least)
    scaled = (points - [0, (top + bottom) / 2]) / (bottom - top)
    rows = material.column_height
    pixels = scaled * (rows - PEN_WIDTH) + [PEN_WIDTH / 2, rows / 2]
    columns = rasterise(pixels.astype(np.float32), starts, rows, PEN_WIDTH)
    written = WrittenLine(np.split(scaled, starts[1:-1]), label)
    return written, Drawn(columns, label, NO_ENDS)


def _body(strokes: Sequence[NDArray[np.float64]], frame: float) -> float:
    """The middle of the band in which a piece has most of its ink: its small letters."""
    ways = [np.hypot(*np.diff(stroke, axis=0, prepend=stroke[:1]).T) for stroke in strokes]
    y, way = np.concatenate(strokes)[:, 1], np.concatenate(ways)
    order = np.argsort(y)
    y, walked = y[order], np.concatenate([[0.0], np.cumsum(way[order])])
    ends = np.searchsorted(y, y + BAND * frame, "right")
    most = int((walked[ends] - walked[: len(y)]).argmax())
    return float(y[most]) + BAND / 2 * frame
