"""Measure how well pages are read, on unseen writers: `inkstream evaluate pages`.

A line of a page is one or several pieces of UNIPEN by one writer, concatenated. Each line is read
twice: as strokes, and from a synthetic scan or photo of the page. The difference is what finding,
cleaning and straightening lines costs.
"""

import os
import statistics
import timeit
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.augmentation import frame_of
from inkstream.model.data.batches import NO_ENDS, LineSample
from inkstream.model.data.ink_set import TEXT, WORDS, InkSet
from inkstream.model.data.split import Part
from inkstream.model.evaluation.baselines import Baseline
from inkstream.model.evaluation.evaluation_set import GAP, SEED, EvaluationSet
from inkstream.model.evaluation.page_reading import (
    OVERLAP,
    Points,
    ReadPage,
    draw_pages,
    lines_found,
    match,
    read_lines,
)
from inkstream.model.evaluation.report import Report, of_net
from inkstream.model.evaluation.sheets import Sheet, WrittenLine, any_look, sheet
from inkstream.model.metrics import Figures, errors
from inkstream.model.pages import find_page
from inkstream.model.preprocess.ink import PEN_WIDTH, flatten, rasterise
from inkstream.model.reader import Reader
from inkstream.model.recognizer import Recognizer

LEAST_LINES: Final = 4  # of a page
ONE_BLOCK: Final = "one block"


@dataclass(frozen=True, slots=True, eq=False)
class WrittenPage:
    """A page and its lines as line samples."""

    sheet: Sheet
    samples: list[LineSample]
    writer: str

    @property
    def kinds(self) -> dict[str, str]:
        """What kind of page it is, by what the report tells apart."""
        look, two_blocks = self.sheet.look, any(line.block for line in self.sheet.lines)
        return {
            "taken": look.take,
            "paper": look.ruling,
            "pen": look.pen,
            "desk": "on a desk" if look.desk else "paper alone",
            "blocks": "two blocks" if two_blocks else ONE_BLOCK,
        }


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
    by: dict[str, dict[str, list[ReadPage]]] = {}
    for page in read:
        for name, kind in page.kinds.items():
            by.setdefault(name, {}).setdefault(kind, []).append(page)
    contents: dict[str, Any] = of_net(checkpoint) | {
        "data_digest": ink.digest,
        "part": part,
        "limit": limit,
        "writers": len({page.writer for page in read}),
        "lines": sum(len(page.labels) for page in read),
        "overlap": OVERLAP,
        **_figures(read),
        "by": {
            name: {kind: _figures(kinds[kind]) for kind in sorted(kinds)}
            for name, kinds in by.items()
        },
        "alone": _alone(recognizer, pieces),
        "speed": _speed(recognizer, pieces),
        "baselines": {baseline.name: _baseline(baseline, read) for baseline in baselines},
    }
    return Report("pages", contents, partial(draw_pages, read, "pages.jpg"))


def _figures(read: Sequence[ReadPage]) -> Figures:
    """Return the CER of pages and of the same ink as strokes, and the F1 of lines found."""
    labels = [page.label for page in read]
    return {
        "page": cer([page.text for page in read], labels),
        "strokes": cer([page.strokes for page in read], labels),
        "found": lines_found(read),
    }


def _baseline(baseline: Baseline, read: Sequence[ReadPage]) -> Figures:
    """Return the CER of a baseline on the same images; of pages of one block apart.

    Some baselines read across two columns of text.
    """
    texts = [" ".join(line.text for line in baseline.read_page(page.image())) for page in read]
    labels = [page.label for page in read]
    one_block = [index for index, page in enumerate(read) if page.kinds["blocks"] == ONE_BLOCK]
    labels_of_one = [labels[index] for index in one_block]
    return {
        "method": baseline.page_method,
        **cer(texts, labels),
        "one_block": cer([texts[index] for index in one_block], labels_of_one),
        "ours_one_block": cer([read[index].text for index in one_block], labels_of_one),
    }


def _alone(recognizer: Recognizer, pieces: EvaluationSet) -> Figures:
    """Return the CER of about 300 images each of one word or line, read as pages and as lines."""
    measured = {}
    for name, category in {"word": WORDS, "line": TEXT}.items():
        indices = pieces.indices(category)
        indices = indices[:: max(1, len(indices) // 300)]
        images = [255 - pieces.columns(index, 96).T for index in indices]  # [h, w]
        labels = pieces.labels(indices)
        measured[name] = {
            "pages": cer([_text(recognizer, image) for image in images], labels),
            "lines": cer([recognizer.recognize(image).text for image in images], labels),
        }
    return measured


def _text(recognizer: Recognizer, image: NDArray[np.uint8]) -> str:
    return " ".join(line.text for line in read_lines(recognizer, image))


def _speed(recognizer: Recognizer, pieces: EvaluationSet) -> Figures:
    """Return the seconds that a page of many lines takes from pixels to text."""
    written = full_page(pieces, 25)
    if written is None:
        return {}
    image = written.sheet.image
    lines = find_page(image, recognizer.column_height).lines
    taken_s = timeit.repeat(lambda: _text(recognizer, image), number=1, repeat=5)
    return {
        "lines": len(lines),
        "columns": sum(len(line.columns) for line in lines),
        "pixels": image.shape[0] * image.shape[1],
        "cores": os.cpu_count(),
        "seconds": statistics.median(taken_s),
    }


def cer(texts: Sequence[str], labels: Sequence[str]) -> Figures:
    """Return the CER of pages together."""
    figures = errors(texts, labels)
    return {
        "pages": figures["pieces"],
        "characters": figures["characters"],
        "cer": figures["cer"],
    }


def match_boxes(boxes: Sequence[Points], wanted: Sequence[Points]) -> dict[int, int]:
    """Return the index of the found box for each wanted one; see `page_reading.match`."""
    return match([[overlap(box, other) for other in boxes] for box in wanted])


def overlap(one: Points, other: Points) -> float:
    """Return the intersection over union of two convex boxes."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    shared, _ = cv2.intersectConvexConvex(first, second)
    covered = cv2.contourArea(first) + cv2.contourArea(second) - shared
    return float(shared / covered) if covered > 0 else 0.0


def read_page(recognizer: Recognizer, reader: Reader, written: WrittenPage) -> ReadPage:
    """Find the lines of a page and read them, and read the same lines as strokes."""
    image, outlines = written.sheet.image, [line.box for line in written.sheet.lines]
    lines = read_lines(recognizer, image)
    return ReadPage(
        name=written.writer,
        writer=written.writer,
        image=lambda: image,
        labels=[line.label for line in written.sheet.lines],
        outlines=outlines,
        lines=lines,
        hits=match_boxes([line.box for line in lines], outlines),
        strokes=" ".join(reading.text for reading in reader.read(written.samples)),
        kinds=written.kinds,
    )


# Pages, made of ink


def pages(pieces: EvaluationSet) -> Iterator[WrittenPage]:
    """Yield two pages of each writer with enough ink; they are the same in each run."""
    by_writer = pieces.by_writer(sorted(pieces.indices(TEXT) + pieces.indices(WORDS)))
    for number, writer in enumerate(sorted(by_writer)):
        rng = np.random.default_rng((SEED, number))
        fit = [index for index in by_writer[writer] if _is_fit(pieces, index)]
        for _ in range(2):
            blocks = _blocks(pieces, fit, rng)
            if sum(map(len, blocks)) < LEAST_LINES:
                break
            yield _on_paper(pieces, blocks, writer, rng)


def full_page(pieces: EvaluationSet, n_lines: int) -> WrittenPage | None:
    """Return a page of `n_lines` in one block, None where no writer has enough ink for it."""
    by_writer = pieces.by_writer(sorted(pieces.indices(TEXT)))
    for writer in sorted(by_writer, key=lambda name: (-len(by_writer[name]), name)):
        wide = [index for index in by_writer[writer] if pieces.pieces.aspect[index] >= 6]  # frames
        fit = [index for index in wide if _is_fit(pieces, index)]
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
    """Return whether a piece is text in one line: some are form fields that lie far apart.

    A mark alone does not tell where its line runs. A piece has 18 frames at most, a gap 1.5.
    """
    (label,) = pieces.labels([index])
    if sum(map(str.isalnum, label)) < 2 or float(pieces.pieces.aspect[index]) > 18:
        return False
    strokes = pieces.piece(index).strokes
    bounds = np.array(sorted((s[:, 0].min(), s[:, 0].max()) for s in strokes), np.float64)
    gaps = bounds[1:, 0] - np.maximum.accumulate(bounds[:, 1])[:-1]
    return float(gaps.max(initial=0)) / float(pieces.pieces.height[index]) <= 1.5


def _blocks(
    pieces: EvaluationSet, indices: Sequence[int], rng: np.random.Generator
) -> list[list[list[int]]]:
    """Choose pieces for the lines of one block or two; none comes twice on a page."""
    aspect = pieces.pieces.aspect
    two = rng.random() < 0.3
    width = rng.uniform(6, 9) if two else rng.uniform(8, 15)  # frames, of a full line
    n_lines = int(rng.integers(6, 26))
    pool = [indices[at] for at in rng.permutation(len(indices))]
    if two:
        pool = [index for index in pool if aspect[index] <= width]
    lines: list[list[int]] = []
    while pool and len(lines) < n_lines * (1 + two):
        line: list[int] = []
        filled = 0.0
        goal = width * rng.uniform(0.6, 1) if rng.random() < 0.85 else width * 0.3
        while pool and (not line or filled + float(aspect[pool[-1]]) < goal):
            filled += float(aspect[pool[-1]]) + GAP
            line.append(pool.pop())
        lines.append(line)
    if not two or len(lines) < 2 * LEAST_LINES:
        return [lines[:n_lines]]
    half = (len(lines) + 1) // 2
    return [lines[:half], lines[half:]]


def _written(pieces: EvaluationSet, indices: Sequence[int]) -> tuple[WrittenLine, LineSample]:
    """Concatenate pieces in one frame: for the paper, and as a line sample."""
    least = min(float(pieces.pieces.height[index]) for index in indices)
    strokes: list[NDArray[np.float64]] = []
    left = 0.0
    for index in indices:
        piece = pieces.piece(index)
        piece_strokes = [stroke.astype(np.float64) for stroke in piece.strokes]
        band = 0.4 * least  # about the x-height
        baseline = float(piece.guides[1])
        middle = baseline if np.isfinite(baseline) else _body(piece_strokes, band) + band / 2
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


def _body(strokes: Sequence[NDArray[np.float64]], band: float) -> float:
    """Return the middle of the band of this height with most ink of a piece: its small letters."""
    ways = [np.hypot(*np.diff(stroke, axis=0, prepend=stroke[:1]).T) for stroke in strokes]
    y, way = np.concatenate(strokes)[:, 1], np.concatenate(ways)
    order = np.argsort(y)
    y, walked = y[order], np.concatenate([[0.0], np.cumsum(way[order])])
    ends = np.searchsorted(y, y + band, "right")
    most = int((walked[ends] - walked[: len(y)]).argmax())
    return float(y[most]) + band / 2
