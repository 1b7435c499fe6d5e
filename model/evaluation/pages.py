"""Measure how well pages are read, on unseen writers: `inkstream evaluate pages`.

A line of a page is one or several pieces of UNIPEN by one writer, concatenated. Each line is read
twice: as strokes, and from a synthetic scan or photo of the page. The difference is what finding,
cleaning and straightening lines costs.
"""

import os
import statistics
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress, islice
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.augmentation import frame_of
from inkstream.model.data.batches import NO_ENDS, LineSample
from inkstream.model.data.ink_set import TEXT, WORDS, InkSet
from inkstream.model.data.split import Part
from inkstream.model.evaluation.baselines import Baseline
from inkstream.model.evaluation.evaluation_set import GAP, EvaluationSet
from inkstream.model.evaluation.report import Report
from inkstream.model.evaluation.sheets import Look, Sheet, WrittenLine, any_look, sheet
from inkstream.model.metrics import Figures, errors, f1
from inkstream.model.pages import Page, find_page
from inkstream.model.preprocess.ink import PEN_WIDTH, flatten, rasterise
from inkstream.model.reader import Reader
from inkstream.model.recognizer import Recognizer

Box = NDArray[np.float64]  # [4, 2], corners
JOINT: Final = " "  # between the lines of a page's text: line ends do not count
OVERLAP: Final = 0.5  # least intersection over union of a line and the one that was found
# Which ink pages are made of
SEED: Final = 0
LEAST_LETTERS: Final = 2  # of a piece: a mark alone does not tell where its line runs
WIDEST: Final = 18.0  # frames, of a piece
WIDEST_GAP: Final = 1.5  # frames: some pieces are form fields that lie far apart
LEAST_LINES: Final = 4  # of a page
MOST_LINES: Final = 25
PAGES_A_WRITER: Final = 2
ONE_BLOCK: Final = (8.0, 15.0)  # frames, width of a full line
TWO_BLOCKS: Final = (6.0, 9.0)
TWO_SHARE: Final = 0.3  # of the pages have two columns of text
FULL_LINE: Final = 6.0  # frames, least width of a line on the timed page
BAND: Final = 0.4  # frames: about the x-height
# Drawn pages
FOUND: Final = (5, 150, 105)
MISSED: Final = (220, 38, 38)
NO_LINE: Final = (37, 99, 235)
SHOWN: Final = 6
HEIGHT: Final = 640  # pixels, of each page
QUALITY: Final = 80
# The report
ALONE: Final = {"word": WORDS, "line": TEXT}
N_ALONE: Final = 300  # images of each, about
ALONE_ROWS: Final = 96
TIMED: Final = 5  # repetitions
TIMED_LINES: Final = 25
GROUPS: Final[dict[str, Callable[[Look, int], str]]] = {
    "taken": lambda look, _: look.take,
    "paper": lambda look, _: look.ruling,
    "pen": lambda look, _: look.pen,
    "desk": lambda look, _: "on a desk" if look.desk else "paper alone",
    "blocks": lambda _, n_blocks: "one block" if n_blocks == 1 else "two blocks",
}


@dataclass(frozen=True, slots=True, eq=False)
class WrittenPage:
    """A page and its lines as line samples."""

    sheet: Sheet
    samples: list[LineSample]
    writer: str

    @property
    def n_blocks(self) -> int:
        """Columns of text."""
        return 1 + max(line.block for line in self.sheet.lines)


@dataclass(frozen=True, slots=True, eq=False)
class ReadPage:
    """One page and what was read of it."""

    written: WrittenPage
    page: Page
    texts: list[str]  # of the lines that were found
    strokes: list[str]  # of the lines that were written, read as ink
    hits: dict[int, int]  # index of the found line by that of the written one

    @property
    def labels(self) -> list[str]:
        """Labels of the written lines."""
        return [line.label for line in self.written.sheet.lines]


def report(
    checkpoint: Checkpoint,
    ink: InkSet,
    *,
    part: Part = "test",
    limit: int | None = None,
    baselines: Sequence[Baseline] = (),
) -> Report:
    """Measure a transcriber, and baselines, on pages of the ink of a part's writers.

    `limit` is the number of pages at most; None is all.
    """
    config = checkpoint.metadata.config
    pieces = EvaluationSet(ink, part, config.labels, config.column_height)
    recognizer = Recognizer(checkpoint, threads=os.cpu_count() or 1)
    reader = Reader(checkpoint)
    read = [read_page(recognizer, reader, page) for page in islice(pages(pieces), limit)]
    contents: dict[str, Any] = {
        "model": checkpoint.metadata.name,
        "model_digest": checkpoint.digest,
        "data_digest": ink.digest,
        "part": part,
        "limit": limit,
        "writers": len({page.written.writer for page in read}),
        "lines": sum(len(page.labels) for page in read),
        "overlap": OVERLAP,
        **_figures(read),
        "by": {name: _by(read, key) for name, key in GROUPS.items()},
        "alone": _alone(recognizer, pieces),
        "speed": _speed(recognizer, pieces),
        "baselines": {baseline.name: _baseline(baseline, read) for baseline in baselines},
    }
    return Report("pages", contents, partial(draw_pages, read))


def _figures(read: Sequence[ReadPage]) -> Figures:
    """Return the CER of pages and of the same ink as strokes, and the F1 of lines found."""
    n_found, n_wanted = sum(len(r.page.lines) for r in read), sum(len(r.labels) for r in read)
    return {
        "page": cer([(page.texts, page.labels) for page in read]),
        "strokes": cer([(page.strokes, page.labels) for page in read]),
        "found": f1(sum(len(page.hits) for page in read), n_found, n_wanted),
    }


def _by(read: Sequence[ReadPage], key: Callable[[Look, int], str]) -> Mapping[str, Figures]:
    """Return the `_figures` of each kind of page."""
    kinds: dict[str, list[ReadPage]] = {}
    for page in read:
        kinds.setdefault(key(page.written.sheet.look, page.written.n_blocks), []).append(page)
    return {kind: _figures(pages_of_kind) for kind, pages_of_kind in sorted(kinds.items())}


def _baseline(baseline: Baseline, read: Sequence[ReadPage]) -> Figures:
    """Return the CER of a baseline on the same images; of pages of one block apart.

    Some baselines read across two columns of text.
    """
    lines_by_page = [baseline.read_page(page.written.sheet.image) for page in read]
    texts = [[line.text for line in page_texts] for page_texts in lines_by_page]
    pages = [(page_texts, page.labels) for page_texts, page in zip(texts, read, strict=True)]
    one_block = [page.written.n_blocks == 1 for page in read]
    return {
        "method": baseline.page_method,
        **cer(pages),
        "one_block": cer(list(compress(pages, one_block))),
        "ours_one_block": cer([(page.texts, page.labels) for page in compress(read, one_block)]),
    }


def _alone(recognizer: Recognizer, pieces: EvaluationSet) -> Figures:
    """Return the CER of images of one word or line each, read as pages and as lines."""
    measured = {}
    for name, category in ALONE.items():
        indices = pieces.indices(category)
        indices = indices[:: max(1, len(indices) // N_ALONE)]
        images = [255 - pieces.columns(index, ALONE_ROWS).T for index in indices]  # [h, w]
        labels = [[label] for label in pieces.labels(indices)]
        page_texts = [
            _texts(recognizer, find_page(image, recognizer.column_height)) for image in images
        ]
        read = [[recognizer.recognize(image).text] for image in images]
        measured[name] = {
            "pages": cer(list(zip(page_texts, labels, strict=True))),
            "lines": cer(list(zip(read, labels, strict=True))),
        }
    return measured


def _texts(recognizer: Recognizer, page: Page) -> list[str]:
    """Return the texts of the lines that were found on a page."""
    lines = [line.columns for line in page.lines]
    return [result.text for result in recognizer.read_all(lines)] if lines else []


def _speed(recognizer: Recognizer, pieces: EvaluationSet) -> Figures:
    """Return the seconds that a page of many lines takes from pixels to text."""
    written = full_page(pieces, TIMED_LINES)
    if written is None:
        return {}
    image, height = written.sheet.image, recognizer.column_height
    lines = find_page(image, height).lines
    taken_s = timeit.repeat(
        lambda: _texts(recognizer, find_page(image, height)), number=1, repeat=TIMED
    )
    return {
        "lines": len(lines),
        "columns": sum(len(line.columns) for line in lines),
        "pixels": image.shape[0] * image.shape[1],
        "cores": os.cpu_count(),
        "seconds": statistics.median(taken_s),
    }


def cer(pages: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Figures:
    """Return the CER of pages together, from the lines of each as read and as written."""
    texts, labels = ([JOINT.join(page[side]) for page in pages] for side in (0, 1))
    figures = errors(texts, labels)
    return {"pages": len(pages), "characters": figures["characters"], "cer": figures["cer"]}


def match_boxes(boxes: Sequence[Box], wanted: Sequence[Box]) -> dict[int, int]:
    """Return the index of the found box for each wanted one; the largest overlaps come first."""
    return match([[overlap(box, other) for other in boxes] for box in wanted])


def match(overlaps: Sequence[Sequence[float]]) -> dict[int, int]:
    """Return the index of the found line for each wanted one; the largest overlaps come first.

    `overlaps` has a row for each wanted line and in it a number for each found one.
    """
    pairs = sorted(
        (
            (-share, index, number)
            for index, row in enumerate(overlaps)
            for number, share in enumerate(row)
            if share >= OVERLAP
        )
    )
    hits: dict[int, int] = {}
    for _, index, number in pairs:
        if index not in hits and number not in hits.values():
            hits[index] = number
    return hits


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two convex boxes."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    shared, _ = cv2.intersectConvexConvex(first, second)
    covered = cv2.contourArea(first) + cv2.contourArea(second) - shared
    return float(shared / covered) if covered > 0 else 0.0


def read_page(recognizer: Recognizer, reader: Reader, written: WrittenPage) -> ReadPage:
    """Find the lines of a page and read them, and read the same lines as strokes."""
    page = find_page(written.sheet.image, recognizer.column_height)
    boxes, wanted = [line.box for line in page.lines], [line.box for line in written.sheet.lines]
    return ReadPage(
        written,
        page,
        _texts(recognizer, page),
        [reading.text for reading in reader.read(written.samples)],
        match_boxes(boxes, wanted),
    )


def pages(pieces: EvaluationSet) -> Iterator[WrittenPage]:
    """Yield the pages of each writer with enough ink; they are the same in each run."""
    indices = pieces.indices(TEXT) + pieces.indices(WORDS)
    by_writer = pieces.by_writer(sorted(indices))
    for number, writer in enumerate(sorted(by_writer)):
        rng = np.random.default_rng((SEED, number))
        fit = [index for index in by_writer[writer] if _is_fit(pieces, index)]
        for _ in range(PAGES_A_WRITER):
            blocks = _blocks(pieces, fit, rng)
            if sum(map(len, blocks)) < LEAST_LINES:
                break
            yield _on_paper(pieces, blocks, writer, rng)


def full_page(pieces: EvaluationSet, n_lines: int) -> WrittenPage | None:
    """Return a page of `n_lines` in one block, None where no writer has enough ink for it."""
    by_writer = pieces.by_writer(sorted(pieces.indices(TEXT)))
    for writer in sorted(by_writer, key=lambda name: (-len(by_writer[name]), name)):
        fit = [index for index in by_writer[writer] if _is_fit(pieces, index)]
        fit = [index for index in fit if pieces.pieces.aspect[index] >= FULL_LINE]
        if len(fit) >= n_lines:
            lines = [[index] for index in fit[:n_lines]]
            return _on_paper(pieces, [lines], writer, np.random.default_rng(SEED))
    return None


def _on_paper(
    pieces: EvaluationSet,
    blocks: Sequence[Sequence[Sequence[int]]],
    writer: str,
    rng: np.random.Generator,
) -> WrittenPage:
    written = [[_written(pieces, line) for line in block] for block in blocks]
    taken = sheet([[line for line, _ in block] for block in written], any_look(rng), rng)
    return WrittenPage(taken, [drawn for block in written for _, drawn in block], writer)


def _is_fit(pieces: EvaluationSet, index: int) -> bool:
    (label,) = pieces.labels([index])
    letters = sum(map(str.isalnum, label))
    wide = float(pieces.pieces.aspect[index]) > WIDEST
    return letters >= LEAST_LETTERS and not wide and _widest_gap(pieces, index) <= WIDEST_GAP


def _widest_gap(pieces: EvaluationSet, index: int) -> float:
    """Return the widest gap between two strokes of a piece, in frames."""
    piece = pieces.piece(index)
    bounds = np.array(sorted((s[:, 0].min(), s[:, 0].max()) for s in piece.strokes), np.float64)
    reached = np.maximum.accumulate(bounds[:, 1])
    gaps = bounds[1:, 0] - reached[:-1]
    return float(gaps.max(initial=0)) / float(pieces.pieces.height[index])


def _blocks(
    pieces: EvaluationSet, indices: Sequence[int], rng: np.random.Generator
) -> list[list[list[int]]]:
    """Choose pieces for the lines of one block or two; none comes twice on a page."""
    two = rng.random() < TWO_SHARE
    bounds = TWO_BLOCKS if two else ONE_BLOCK
    width = rng.uniform(*bounds)
    n_lines = int(rng.integers(6, MOST_LINES + 1))
    pool = [indices[at] for at in rng.permutation(len(indices))]
    if two:
        pool = [index for index in pool if pieces.pieces.aspect[index] <= width]
    lines: list[list[int]] = []
    while pool and len(lines) < n_lines * (1 + two):
        line: list[int] = []
        filled = 0.0
        goal = width * rng.uniform(0.6, 1) if rng.random() < 0.85 else width * 0.3
        while pool and (not line or filled + float(pieces.pieces.aspect[pool[-1]]) < goal):
            filled += float(pieces.pieces.aspect[pool[-1]]) + GAP
            line.append(pool.pop())
        lines.append(line)
    if not two or len(lines) < 2 * LEAST_LINES:
        return [lines[:n_lines]]
    half = (len(lines) + 1) // 2
    return [lines[:half], lines[half:]]


def _written(pieces: EvaluationSet, indices: Sequence[int]) -> tuple[WrittenLine, LineSample]:
    """Concatenate pieces in one frame: for the paper, and as a line sample."""
    heights = [float(pieces.pieces.height[index]) for index in indices]
    least = min(heights)
    strokes: list[NDArray[np.float64]] = []
    left = 0.0
    for index in indices:
        piece = pieces.piece(index)
        piece_strokes = [stroke.astype(np.float64) for stroke in piece.strokes]
        baseline = float(piece.guides[1])
        middle = (
            baseline if np.isfinite(baseline) else _body(piece_strokes, least) + BAND / 2 * least
        )
        piece_strokes = [stroke + np.array([left, -middle]) for stroke in piece_strokes]
        strokes += piece_strokes
        left = max(float(stroke[:, 0].max()) for stroke in piece_strokes) + GAP * least
    label = " ".join(pieces.labels(indices))
    points, starts = flatten(strokes)
    top, bottom = frame_of(points, least)
    scaled = (points - [0, (top + bottom) / 2]) / (bottom - top)
    rows = pieces.column_height
    pixels = scaled * (rows - PEN_WIDTH) + [PEN_WIDTH / 2, rows / 2]
    columns = rasterise(pixels.astype(np.float32), starts, rows, PEN_WIDTH)
    written = WrittenLine(np.split(scaled, starts[1:-1]), label)
    return written, LineSample(columns, label, NO_ENDS)


def _body(strokes: Sequence[NDArray[np.float64]], frame: float) -> float:
    """Return the middle of the band with most ink of a piece: its small letters."""
    ways = [np.hypot(*np.diff(stroke, axis=0, prepend=stroke[:1]).T) for stroke in strokes]
    y, way = np.concatenate(strokes)[:, 1], np.concatenate(ways)
    order = np.argsort(y)
    y, walked = y[order], np.concatenate([[0.0], np.cumsum(way[order])])
    ends = np.searchsorted(y, y + BAND * frame, "right")
    most = int((walked[ends] - walked[: len(y)]).argmax())
    return float(y[most]) + BAND / 2 * frame


def draw_pages(read: Sequence[ReadPage], folder: Path) -> None:
    """Write pages.jpg into `folder`: pages from the lowest CER to the highest."""
    ordered = sorted(read, key=lambda page: cer([(page.texts, page.labels)])["cer"])
    if not ordered:
        return
    chosen = np.linspace(0, len(ordered) - 1, min(SHOWN, len(ordered))).astype(int)
    pictures = [_drawn(ordered[index]) for index in chosen.tolist()]
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), HEIGHT), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    sheet.save(folder / "pages.jpg", quality=QUALITY)


def _drawn(page: ReadPage) -> Image.Image:
    image = Image.fromarray(page.written.sheet.image)
    pen = ImageDraw.Draw(image)
    width = max(2, image.height // 400)
    written, hits = enumerate(page.written.sheet.lines), page.hits
    boxes = [(line.box, MISSED) for index, line in written if index not in hits]
    for number, line in enumerate(page.page.lines):
        boxes.append((line.box, FOUND if number in hits.values() else NO_LINE))
    for box, colour in boxes:
        corners = [(float(x), float(y)) for x, y in box]
        pen.line([*corners, corners[0]], fill=colour, width=width)
    return image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT))
