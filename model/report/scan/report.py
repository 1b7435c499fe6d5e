"""Measure how well pages are read, on writers whom no choice has seen: `inkstream evaluate pages`.

Each line of a page is read twice: as the ink that was written, and from a made-up scan or photo of
the page. So the difference is what finding, cleaning and straightening lines costs.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model.checkpoint import Checkpoint
from model.data.inkset import InkSet
from model.data.paper_light import Look
from model.data.split import Part
from model.line_reading import Reader
from model.recognizer import Recognizer
from model.report.material import TEXT, WORDS, Material
from model.report.measures import Figures, f1
from model.report.scan.document import document, table
from model.report.scan.material import full_page, pages
from model.report.scan.measures import page_error, share_wrong
from model.report.scan.peers import PagePeer
from model.report.scan.pictures import draw_pages
from model.report.scan.reading import OVERLAP, ReadPage, read_page
from model.scan.page import find_page

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
        (folder / "figures.md").write_text(table(self.contents))
        draw_pages(self.read, folder)
        path.write_text(document(self.contents, os.path.relpath(folder, path.parent)))


def report(
    checkpoint: Checkpoint,
    ink: InkSet,
    *,
    part: Part = "report",
    limit: int | None = None,
    peers: Sequence[PagePeer] = (),
) -> PageReport:
    """Measure a net on pages.

    Args:
        checkpoint: of a transcriber.
        ink: all of UNIPEN.
        part: whose pieces are read; "choose" while anything is still being chosen.
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
    figures = {}
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
        figures[name] = {way: share_wrong(own) for way, own in counts.items()}
    return figures


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
