"""Measure how real paper is read: `inkstream evaluate pages --real` and `inkstream evaluate wills`.

Our net and the baselines read the same images in the same run. Ruled pages are whole, so lines are
found too; wills, registers and words are cut already. Accents count, and are also folded.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.sources.paper import (
    ACCENTED,
    PaperLines,
    decoded,
    fold,
    read_file,
    spelt,
)
from inkstream.model.data.split import Part, table_digest
from inkstream.model.decoding.hints import Hints
from inkstream.model.decoding.ngrams import LanguageFile, open_all
from inkstream.model.evaluation.baselines import Baseline, ReadLine, processor_s
from inkstream.model.evaluation.page_reading import (
    OVERLAP,
    ReadPage,
    draw_pages,
    lines_found,
    match,
    read_lines,
    spread,
)
from inkstream.model.evaluation.report import Contents, Report, of_net
from inkstream.model.evaluation.ruled import Half, RuledLine, RuledPage, RuledPages
from inkstream.model.metrics import (
    Figures,
    character_f1,
    error_ratios,
    errors_with_bootstrap,
    quantiles,
)
from inkstream.model.preprocess.image import Grey
from inkstream.model.recognizer import Recognizer

OURS: Final = "inkstream"
ATTRIBUTION: Final = (
    "Excerpts of Copiste d'un jour (BAnQ, 2024), CC BY 4.0; boxes and readings are added."
)

Recognise = Callable[[Grey], list[ReadLine]]


def ruled_report(
    checkpoint: Checkpoint,
    ruled: RuledPages,
    *,
    part: Half = "test",
    limit: int | None = None,
    languages: Sequence[str] = (),
    baselines: Sequence[Baseline] = (),
    overlays: Path | None = None,
) -> Report:
    """Measure a transcriber, and baselines, on real pages of ruled paper; see `lines_report`.

    `overlays` is a folder to draw every page in, with what our net found without a language.
    """
    pages = spread(ruled.part(part), limit)
    opened = _open(checkpoint, languages)
    readers: dict[str, Figures] = {}
    read: dict[str, list[ReadPage]] = {}
    recognisers: dict[str, tuple[str, Recognise]] = {
        name: (f"its own lines and recognition, {words} language model", partial(read_lines, net))
        for name, words, net in _recognizers(checkpoint, opened)
    }
    for baseline in baselines:
        recognisers[baseline.name] = baseline.page_method, partial(_their_lines, baseline)
    for name, (method, recognise) in recognisers.items():
        read[name] = [read_page(recognise, page, ruled.path(page)) for page in pages]
        texts, labels = [page.text for page in read[name]], [page.label for page in read[name]]
        copies = [page.writer for page in read[name]]
        readers[name] = {
            "method": method,
            **text_errors(texts, labels, copies),
            "found": lines_found(read[name]),
            "seconds": quantiles(np.array([page.seconds for page in read[name]])),
        }
    contents = _head(checkpoint, opened) | {
        "data_digest": ruled.digest,
        "part": part,
        "limit": limit,
        "pages": len(pages),
        "copies": len({page.copy for page in pages}),
        "lines": sum(len(page.lines) for page in pages),
        "overlap": OVERLAP,
        "attribution": ATTRIBUTION,
        "readers": _compared(readers),
    }
    draw = partial(
        draw_pages, read[OURS], "excerpts.jpg", attribution=ATTRIBUTION, overlays=overlays
    )
    return Report("ruled", contents, draw)


def lines_report(
    checkpoint: Checkpoint,
    lines: PaperLines,
    *,
    part: Part = "test",
    limit: int | None = None,
    languages: Sequence[str] = (),
    baselines: Sequence[Baseline] = (),
) -> Report:
    """Measure a transcriber, and baselines, on lines or words by the writers of a part.

    `limit` is the number of lines at most, spread over the part; None is all. With each of
    `languages`, as `open_all` takes them, our net reads the lines once more.

    Raises `InputError` for a language with letters that the net lacks.
    """
    indices = spread(lines.part(part).tolist(), limit)
    opened = _open(checkpoint, languages)
    labels, writers, images = (
        [values[index] for index in indices]
        for values in (lines.texts, lines.writers, lines.images)
    )
    column_height = checkpoint.metadata.config.column_height
    columns = [lines.columns(index, column_height) for index in indices]
    read = {
        name: [result.text for result in reader.read_all(columns)] if columns else []
        for name, _, reader in _recognizers(checkpoint, opened)
    }
    read |= {baseline.name: baseline.read(images, "text", None) for baseline in baselines}
    readers = {
        name: text_errors(texts, labels, writers, lines.source.accented)
        | {"without_spaces": errors_with_bootstrap(_joined(texts), _joined(labels), writers)}
        for name, texts in read.items()
    }
    contents = _head(checkpoint, opened) | {
        "source": lines.source.name,
        "data_digest": lines.digest,
        "split_digest": table_digest(lines.parts),
        "part": part,
        "limit": limit,
        "writers": len(set(writers)),
        "lines": len(labels),
        "left_out": lines.n_left_out,
        "readers": _compared(readers),
    }
    return Report("wills", contents)


Opened = Mapping[str, list[LanguageFile]]  # by the names of reports


def _open(checkpoint: Checkpoint, languages: Sequence[str]) -> Opened:
    labels = checkpoint.metadata.config.labels
    opened = {given: open_all(given, labels) for given in languages}
    return {
        files[0].about.name if len(files) == 1 else given: files for given, files in opened.items()
    }


def _recognizers(checkpoint: Checkpoint, opened: Opened) -> list[tuple[str, str, Recognizer]]:
    """Return recognisers without a language and with each of `opened`: name, description, net."""
    recognizers = [(OURS, "no", Recognizer(checkpoint))]
    for name, files in opened.items():
        hints = Hints(tuple(file.language for file in files))
        recognizers.append((f"{OURS} with {name}", f"the {name}", Recognizer(checkpoint, hints)))
    return recognizers


def _head(checkpoint: Checkpoint, opened: Opened) -> Figures:
    digests = [file.digest for files in opened.values() for file in files]
    return of_net(checkpoint) | {
        "language": "; ".join(opened) or None,
        "language_digest": " ".join(dict.fromkeys(digests)) or None,
    }


def _joined(texts: Sequence[str]) -> list[str]:
    """Return texts without spaces, for labels that lack some."""
    return ["".join(text.split()) for text in texts]


def _their_lines(baseline: Baseline, image: Grey) -> list[ReadLine]:
    return baseline.read_page(np.repeat(image[:, :, None], 3, 2))


def read_page(recognise: Recognise, page: RuledPage, path: Path) -> ReadPage:
    """Read one page and match the lines that were found with those that are written."""

    def load() -> Grey:
        return decoded(read_file(path), str(path))

    image = load()
    begun_s = processor_s()
    read = recognise(image)
    seconds = processor_s() - begun_s
    return ReadPage(
        name=path.stem,
        writer=page.copy,
        image=load,  # again when it is drawn: all pages together are gigabytes
        labels=[line.label for line in page.lines],
        outlines=[np.reshape(line.polygon, (-1, 2)) for line in page.lines],
        lines=read,
        hits=match(overlaps(read, page.lines, image.shape)),
        seconds=seconds,
    )


def overlaps(
    read: Sequence[ReadLine], lines: Sequence[RuledLine], shape: tuple[int, ...]
) -> list[list[float]]:
    """Return how well each found line covers each written one: a row for each written one.

    It is the intersection over union of the polygons or, where that is more, of the columns of the
    baseline and of the found box: in the box lies how much of the baseline, less what lies in it of
    other baselines, over the width of both. `shape` is that of the image.
    """
    boxes = np.zeros((len(read), shape[0] // 2 + 1, shape[1] // 2 + 1), np.uint8)  # [n, h, w]
    for box, line in zip(boxes, read, strict=True):
        cv2.fillPoly(box, [_reduced(line.box, box)], 1)
    areas, columns = boxes.sum((1, 2)), boxes.any(1)
    polygons, along, width = (np.zeros((len(lines), len(read))) for _ in range(3))
    for index, written in enumerate(lines):
        polygon, baseline = np.zeros((2, *boxes.shape[1:]), np.uint8)
        cv2.fillPoly(polygon, [_reduced(written.polygon, polygon)], 1)
        cv2.polylines(baseline, [_reduced(written.baseline, baseline)], False, 1)
        near = np.flatnonzero((polygon | baseline).any(1))
        rows = slice(near[0], near[-1] + 1)
        shared = (boxes[:, rows] & polygon[rows]).sum((1, 2))
        polygons[index] = shared / (areas + polygon.sum() - shared)
        along[index] = (boxes[:, rows] & baseline[rows]).any(1).sum(1)
        width[index] = (columns | baseline.any(0)).sum(1)
    others = along.sum(0) - along
    baselines = (along - others) / np.maximum(width, 1)
    best: list[list[float]] = np.maximum(polygons, baselines).tolist()
    return best


def _reduced(points: ArrayLike, mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return points as pixels of a mask of half the image's size, moved into it."""
    height, width = mask.shape
    return np.clip((np.reshape(points, (-1, 2)) / 2).round(), 0, (width - 1, height - 1)).astype(
        np.int32
    )


def text_errors(
    texts: Sequence[str], labels: Sequence[str], writers: Sequence[str], accented: str = ACCENTED
) -> Figures:
    """Return the errors without and with accents, and the F1 of letters of `accented` and of all.

    Where accents count, quotation marks, dashes and spaces are plain in both, see `alphabet.plain`.
    """
    read, written = list(map(spelt, texts)), list(map(spelt, labels))
    there = [letter for letter in accented if any(letter in label for label in written)]
    f1_of = partial(character_f1, read, written)
    return {
        "folded": errors_with_bootstrap(list(map(fold, texts)), list(map(fold, labels)), writers),
        "cer_accents": errors_with_bootstrap(read, written, writers),
        "letters": {letter: f1_of(letter.__eq__) for letter in there}
        | {"all": f1_of(frozenset(accented).__contains__)},
    }


def _compared(readers: Mapping[str, Contents]) -> dict[str, Figures]:
    """Return the figures of all recognisers, the others' with their ratio to our errors."""
    compared: dict[str, Figures] = {OURS: {**readers[OURS], "ratio": None}}
    ours = readers[OURS]["folded"]["bootstrap"]
    for name, figures in readers.items():
        if name != OURS and ours:
            ratios = error_ratios({"folded": figures["folded"]["bootstrap"]}, {"folded": ours})
            compared[name] = {**figures, "ratio": ratios.get("folded")}
    return compared
