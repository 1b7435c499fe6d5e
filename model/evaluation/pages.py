"""Measures of pages: which lines were found, and the errors of whole pages' texts.

What the report on pages reads: lines of one writer's ink, laid out on paper.

A line of a page is one or several pieces of UNIPEN by one writer, one behind the other. The very
same line is read as strokes too, in the frame that every evaluation gives such ink.

One page, read twice: as the ink that was written, and from a made-up scan or photo of it.

Pictures of pages with the lines that were found on them.

Measure how well pages are read, on writers whom no choice has seen: `inkstream evaluate pages`.

Each line of a page is read twice: as the ink that was written, and from a made-up scan or photo of
the page. So the difference is what finding, cleaning and straightening lines costs.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rapidfuzz.distance import Levenshtein

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.augmentation import frame_of
from inkstream.model.data.batches import LineSample
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.split import Part
from inkstream.model.data.synthesis.paper import Look, Sheet, WrittenLine, any_look, sheet
from inkstream.model.evaluation.baselines import PagePeer
from inkstream.model.evaluation.material import GAP, NO_ENDS, TEXT, WORDS, Material
from inkstream.model.evaluation.report import document, figures
from inkstream.model.metrics import Figures, f1
from inkstream.model.pages.page import Page, find_page
from inkstream.model.preprocess.ink import PEN_WIDTH, flatten, rasterise
from inkstream.model.reader import Reader
from inkstream.model.recognizer import Recognizer

Box = NDArray[np.float64]  # [4, 2], corners

JOINT = " "  # stands between the lines of a page's text: where a line ends is not judged


def overlap(one: Box, other: Box) -> float:
    """The area that two convex boxes share over the area that they cover."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    shared, _ = cv2.intersectConvexConvex(first, second)
    covered = cv2.contourArea(first) + cv2.contourArea(second) - shared
    return float(shared / covered) if covered > 0 else 0.0


def found(boxes: Sequence[Box], wanted: Sequence[Box], least: float) -> dict[int, int]:
    """Which box was found for each that is wanted, by place: those that overlap most, each once."""
    pairs = sorted(
        (
            (-share, place, number)
            for place, box in enumerate(wanted)
            for number, other in enumerate(boxes)
            if (share := overlap(box, other)) >= least
        )
    )
    hits: dict[int, int] = {}
    for _, place, number in pairs:
        if place not in hits and number not in hits.values():
            hits[place] = number
    return hits


def page_error(texts: Sequence[str], labels: Sequence[str]) -> tuple[int, int]:
    """Characters to change so that a page's lines read as they should, and those written."""
    label = JOINT.join(labels)
    return Levenshtein.distance(JOINT.join(texts), label), len(label)


def share_wrong(counts: Sequence[tuple[int, int]]) -> Figures:
    """The character error of several pages together."""
    wrong, written = (sum(each) for each in zip(*counts, strict=True)) if counts else (0, 0)
    return {
        "pages": len(counts),
        "characters": written,
        "error": wrong / written if written else None,
    }


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
    drawn: list[LineSample]
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


def _written(material: Material, places: Sequence[int]) -> tuple[WrittenLine, LineSample]:
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
    return written, LineSample(columns, label, NO_ENDS)


def _body(strokes: Sequence[NDArray[np.float64]], frame: float) -> float:
    """The middle of the band in which a piece has most of its ink: its small letters."""
    ways = [np.hypot(*np.diff(stroke, axis=0, prepend=stroke[:1]).T) for stroke in strokes]
    y, way = np.concatenate(strokes)[:, 1], np.concatenate(ways)
    order = np.argsort(y)
    y, walked = y[order], np.concatenate([[0.0], np.cumsum(way[order])])
    ends = np.searchsorted(y, y + BAND * frame, "right")
    most = int((walked[ends] - walked[: len(y)]).argmax())
    return float(y[most]) + BAND / 2 * frame


OVERLAP: Final = 0.5  # of a line's box and the one that was found, over both


@dataclass(frozen=True, slots=True, eq=False)
class ReadPage:
    """One page and all that was read of it."""

    written: WrittenPage
    page: Page
    texts: list[str]  # of the lines that were found
    strokes: list[str]  # of the lines that were written, read as ink
    hits: dict[int, int]  # lines that were found, by those that were written

    @property
    def labels(self) -> list[str]:
        """What stands on its lines."""
        return [line.label for line in self.written.sheet.lines]

    @property
    def error(self) -> tuple[int, int]:
        """Characters wrong, and written."""
        return page_error(self.texts, self.labels)


def read_page(recognizer: Recognizer, reader: Reader, written: WrittenPage) -> ReadPage:
    """Find the lines of a page and read them; and read its ink."""
    page = find_page(written.sheet.image, recognizer.column_height)
    said = recognizer.read_all([line.columns for line in page.lines]) if page.lines else []
    boxes, wanted = [line.box for line in page.lines], [line.box for line in written.sheet.lines]
    return ReadPage(
        written,
        page,
        [each.text for each in said],
        [each.text for each in reader.read(written.drawn)],
        found(boxes, wanted, OVERLAP),
    )


FOUND: Final = (5, 150, 105)
MISSED: Final = (220, 38, 38)
NO_LINE: Final = (37, 99, 235)
SHOWN: Final = 6
HEIGHT: Final = 640  # pixels, of each page
QUALITY: Final = 80


def draw_pages(read: Sequence[ReadPage], folder: Path) -> None:
    """Write pages.jpg into `folder`: from the page that is read best to the worst."""
    ordered = sorted(read, key=lambda each: each.error[0] / max(1, each.error[1]))
    if not ordered:
        return
    places = np.linspace(0, len(ordered) - 1, min(SHOWN, len(ordered))).astype(int)
    pictures = [_drawn(ordered[place]) for place in places.tolist()]
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
    for place, line in enumerate(page.written.sheet.lines):
        if place not in page.hits:
            _outline(pen, line.box, MISSED, width)
    found = set(page.hits.values())
    for number, own in enumerate(page.page.lines):
        _outline(pen, own.box, FOUND if number in found else NO_LINE, width)
    return image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT))


def _outline(
    pen: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int], width: int
) -> None:
    corners = [(float(x), float(y)) for x, y in box]
    pen.line([*corners, corners[0]], fill=colour, width=width)


ALONE: Final = {"word": WORDS, "line": TEXT}
N_ALONE: Final = 300  # pictures of each, about
ALONE_ROWS: Final = 96
TIMED: Final = 5  # times that a page of many lines is read
TIMED_LINES: Final = 25

GROUPS: Final[dict[str, Callable[[Look, int], str]]] = {
    "taken": lambda look, _: look.take,
    "paper": lambda look, _: look.ruling,
    "pen": lambda look, _: look.pen,
    "desk": lambda look, _: "on a desk" if look.desk else "paper alone",
    "blocks": lambda _, n_blocks: "one block" if n_blocks == 1 else "two blocks",
}


@dataclass(frozen=True, slots=True)
class PageReport:
    """What was found; `contents` is plain JSON."""

    contents: dict[str, Any]
    read: list[ReadPage]

    def save(self, folder: Path, path: Path) -> None:
        """Write report.json, figures.md and pictures into `folder`, and the document."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(self.contents, indent=2) + "\n")
        (folder / "figures.md").write_text(figures("pages", self.contents))
        draw_pages(self.read, folder)
        path.write_text(document("pages", self.contents, os.path.relpath(folder, path.parent)))


def report(
    checkpoint: Checkpoint,
    ink: InkSet,
    *,
    part: Part = "test",
    limit: int | None = None,
    peers: Sequence[PagePeer] = (),
) -> PageReport:
    """Measure a net on pages.

    Args:
        checkpoint: of a transcriber.
        ink: all of UNIPEN.
        part: whose pieces are read; "validation" while anything is still being chosen.
        limit: pages at most; None is all.
        peers: others that read the same images.
    """
    config = checkpoint.metadata.config
    material = Material(ink, part, config.labels, config.column_height)
    recognizer, reader = Recognizer(checkpoint), Reader(checkpoint)
    read = [read_page(recognizer, reader, each) for each in pages(material, limit)]
    contents: dict[str, Any] = {
        "model": checkpoint.metadata.name,
        "model_digest": checkpoint.digest,
        "data_digest": material.data_digest,
        "part": part,
        "limit": limit,
        "writers": len({each.written.writer for each in read}),
        "lines": sum(len(each.labels) for each in read),
        "overlap": OVERLAP,
        **_figures(read),
        "by": {name: _by(read, key) for name, key in GROUPS.items()},
        "alone": _alone(recognizer, material),
        "speed": _speed(recognizer, material),
        "peers": {peer.name: _peer(peer, read) for peer in peers},
    }
    return PageReport(contents, read)


def _figures(read: Sequence[ReadPage]) -> Figures:
    """Errors of pages, of the same ink as strokes, and lines found."""
    n_found, n_wanted = sum(len(r.page.lines) for r in read), sum(len(r.labels) for r in read)
    return {
        "page": share_wrong([each.error for each in read]),
        "strokes": share_wrong([page_error(each.strokes, each.labels) for each in read]),
        "found": f1(sum(len(each.hits) for each in read), n_found, n_wanted),
    }


def _by(read: Sequence[ReadPage], key: Callable[[Look, int], str]) -> Mapping[str, Figures]:
    """The same of each kind of page."""
    kinds: dict[str, list[ReadPage]] = {}
    for each in read:
        kinds.setdefault(key(each.written.sheet.look, each.written.n_blocks), []).append(each)
    return {kind: _figures(own) for kind, own in sorted(kinds.items())}


def _peer(peer: PagePeer, read: Sequence[ReadPage]) -> Figures:
    """Errors of a peer on the same images; of pages of one block apart, as peers mix up columns."""
    counts = [page_error(peer.read_page(each.written.sheet.image), each.labels) for each in read]
    whole = [c for c, r in zip(counts, read, strict=True) if r.written.n_blocks == 1]
    ours = [each.error for each in read if each.written.n_blocks == 1]
    return {
        "way": peer.way,
        **share_wrong(counts),
        "one_block": share_wrong(whole),
        "ours_one_block": share_wrong(ours),
    }


def _alone(recognizer: Recognizer, material: Material) -> Figures:
    """Errors of pictures of one word or line each, read as pages and as the lines that they are."""
    measured = {}
    for name, category in ALONE.items():
        places = material.places(category)
        places = places[:: max(1, len(places) // N_ALONE)]
        pictures = [255 - material.columns(place, ALONE_ROWS).T for place in places]  # [h, w]
        counts: dict[str, list[tuple[int, int]]] = {"pages": [], "lines": []}
        for picture, label in zip(pictures, material.labels(places), strict=True):
            lines = find_page(picture, recognizer.column_height).lines
            said = recognizer.read_all([line.columns for line in lines]) if lines else []
            counts["pages"].append(page_error([each.text for each in said], [label]))
            whole = recognizer.recognize(picture)
            counts["lines"].append(page_error([whole.text], [label]))
        measured[name] = {way: share_wrong(own) for way, own in counts.items()}
    return measured


def _speed(recognizer: Recognizer, material: Material) -> Figures:
    """Seconds that a page of many lines takes from pixels to text."""
    written = full_page(material, TIMED_LINES)
    if written is None:
        return {}
    image, taken_s, n_lines, n_columns = written.sheet.image, [], 0, 0
    for _ in range(TIMED):
        started_s = time.perf_counter()
        page = find_page(image, recognizer.column_height)
        recognizer.read_all([line.columns for line in page.lines])
        taken_s.append(time.perf_counter() - started_s)
        n_lines, n_columns = len(page.lines), sum(len(line.columns) for line in page.lines)
    return {
        "lines": n_lines,
        "columns": n_columns,
        "pixels": image.shape[0] * image.shape[1],
        "cores": os.cpu_count(),
        "seconds": statistics.median(taken_s),
    }
