"""Measure how real paper is read: `inkstream evaluate pages --real` and `inkstream evaluate wills`.

Our net and the baselines read the same images in the same run. Ruled pages are whole, so lines are
found too; wills, registers and words are cut already. Accents are folded; of a net that knows them,
all recognisers are measured with accents too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.sources.paper import ACCENTED, PaperLines, fold, knows_accents, spelt
from inkstream.model.data.split import Part, table_digest
from inkstream.model.decoding.hints import Hints
from inkstream.model.decoding.ngrams import LanguageFile
from inkstream.model.evaluation.baselines import Baseline, FoundLine, plain_text, processor_s
from inkstream.model.evaluation.pages import FOUND, JOINT, MISSED, NO_LINE, OVERLAP, match
from inkstream.model.evaluation.report import Report
from inkstream.model.evaluation.ruled import Half, Points, RuledLine, RuledPage, RuledPages
from inkstream.model.metrics import (
    Figures,
    bootstrap,
    character_f1,
    error_ratios,
    errors,
    f1,
    quantiles,
)
from inkstream.model.pages import find_page
from inkstream.model.preprocess.image import Grey
from inkstream.model.recognizer import Recognizer

OURS: Final = "inkstream"
OUR_METHOD: Final = "its own lines and recognition, {} language model"
ALL_ACCENTED: Final = "all"
SCALE: Final = 0.5  # of the pixels on which overlaps are counted
# Drawings
EXCERPTS: Final = {"best": 0.0, "median": 0.5, "worst": 1.0}  # share of the pages with a lower CER
EXCERPT_LINES: Final = 4
MARGIN: Final = 20  # pixels about them
TITLE: Final = 50  # pixels above each excerpt
FONT_SIZE: Final = 30
READINGS: Final = 0.6  # of a page's width, for what was read, beside it
QUALITY: Final = 80
ATTRIBUTION: Final = (
    "Excerpts of Copiste d'un jour (BAnQ, 2024), CC BY 4.0; boxes and readings are added."
)

# Pillow's own font has ASCII alone.
FONT: Final = ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), FONT_SIZE)

Mask = NDArray[np.uint8]  # [h, w], 0 or 1
Recognise = Callable[[Grey], list[FoundLine]]


@dataclass(frozen=True, slots=True, eq=False)
class ReadPage:
    """A ruled page and what one recogniser read of it."""

    page: RuledPage
    lines: list[FoundLine]
    hits: dict[int, int]  # index of the found line by that of the written one
    seconds: float  # of processor time

    @property
    def text(self) -> str:
        """What was read, in its order."""
        return JOINT.join(line.text for line in self.lines)

    @property
    def label(self) -> str:
        """What is written."""
        return JOINT.join(line.text for line in self.page.lines)

    @property
    def cer(self) -> float:
        """The CER with accents folded."""
        cer: float = errors([fold(self.text)], [fold(self.label)])["cer"]
        return cer


def ruled_report(
    checkpoint: Checkpoint,
    ruled: RuledPages,
    *,
    part: Half = "test",
    limit: int | None = None,
    language: LanguageFile | None = None,
    baselines: Sequence[Baseline] = (),
    overlays: Path | None = None,
) -> Report:
    """Measure a transcriber, and baselines, on real pages of ruled paper.

    Args:
        checkpoint: of the net.
        ruled: all pages.
        part: whose pages are read.
        limit: pages at most, spread over the part; None is all.
        language: that our net reads the pages in once more.
        baselines: other recognisers, which find lines by themselves.
        overlays: folder to draw every page in, with what our net found without a language; None
            draws excerpts alone.

    Raises `InputError` for a language with letters that the net lacks.
    """
    pages = _spread(ruled.part(part), limit)
    recognisers = {OURS: (OUR_METHOD.format("no"), partial(_our_lines, Recognizer(checkpoint)))}
    if language is not None:
        guided = partial(_our_lines, Recognizer(checkpoint, Hints(language.language)))
        name = language.about.name
        recognisers[f"{OURS} with {name}"] = (OUR_METHOD.format(f"the {name}"), guided)
    for baseline in baselines:
        recognisers[baseline.name] = (baseline.page_method, partial(_their_lines, baseline))
    read = {
        name: [read_page(recognise, page) for page in pages]
        for name, (_, recognise) in recognisers.items()
    }
    accents = knows_accents(checkpoint.metadata.config.labels)
    readers = {
        name: _page_figures(method, read[name], accents=accents)
        for name, (method, _) in recognisers.items()
    }
    contents = {
        "model": checkpoint.metadata.name,
        "model_digest": checkpoint.digest,
        "data_digest": ruled.digest,
        "language": None if language is None else language.about.name,
        "language_digest": None if language is None else language.digest,
        "part": part,
        "limit": limit,
        "pages": len(pages),
        "copies": len({page.copy for page in pages}),
        "lines": sum(len(page.lines) for page in pages),
        "overlap": OVERLAP,
        "attribution": ATTRIBUTION,
        "readers": _compared(readers),
    }
    return Report("ruled", contents, partial(_draw, read[OURS], overlays))


def lines_report(
    checkpoint: Checkpoint,
    lines: PaperLines,
    *,
    part: Part = "test",
    limit: int | None = None,
    language: LanguageFile | None = None,
    baselines: Sequence[Baseline] = (),
) -> Report:
    """Measure a transcriber, and baselines, on lines or words by the writers of a part.

    `limit` is the number of lines at most, spread over the part; None is all. With a `language` our
    net reads the lines in it once more.

    Raises `InputError` for a language with letters that the net lacks.
    """
    indices = _spread(lines.part(part).tolist(), limit)
    labels = [lines.texts[index] for index in indices]
    writers = [lines.writers[index] for index in indices]
    recognizer = Recognizer(checkpoint)
    recognizers = {OURS: recognizer}
    if language is not None:
        guided = Recognizer(checkpoint, Hints(language.language))
        recognizers[f"{OURS} with {language.about.name}"] = guided
    columns = [lines.columns(index, recognizer.column_height) for index in indices]
    read = {
        name: [result.text for result in reader.read_all(columns)] if columns else []
        for name, reader in recognizers.items()
    }
    for baseline in baselines:
        read[baseline.name] = baseline.read(
            [lines.images[index] for index in indices], "text", None
        )
    with_accents = [lines.spelt[index] for index in indices]
    accents = knows_accents(recognizer.labels)
    accented = lines.source.accented
    readers = {
        name: {"folded": _errors([fold(text) for text in texts], labels, writers)}
        | (accent_figures(texts, with_accents, writers, accented) if accents else {})
        | {"without_spaces": _errors(_joined(texts), _joined(with_accents), writers)}
        for name, texts in read.items()
    }
    contents = {
        "model": checkpoint.metadata.name,
        "model_digest": checkpoint.digest,
        "source": lines.source.name,
        "data_digest": lines.digest,
        "split_digest": table_digest(lines.parts),
        "language": None if language is None else language.about.name,
        "language_digest": None if language is None else language.digest,
        "part": part,
        "limit": limit,
        "writers": len(set(writers)),
        "lines": len(labels),
        "left_out": lines.n_left_out,
        "readers": _compared(readers),
    }
    return Report("wills", contents)


def _joined(texts: Sequence[str]) -> list[str]:
    """Return texts without spaces, for labels that lack some."""
    return ["".join(text.split()) for text in texts]


def _spread(items: Sequence[Any], limit: int | None) -> list[Any]:
    """Return `limit` items at most, in equal steps."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[index * len(items) // limit] for index in range(limit)]


def _our_lines(recognizer: Recognizer, image: Grey) -> list[FoundLine]:
    lines = find_page(image, recognizer.column_height).lines
    read = recognizer.read_all([line.columns for line in lines]) if lines else []
    return [FoundLine(result.text, line.box) for result, line in zip(read, lines, strict=True)]


def _their_lines(baseline: Baseline, image: Grey) -> list[FoundLine]:
    return baseline.read_page(np.repeat(image[:, :, None], 3, 2))


def read_page(recognise: Recognise, page: RuledPage) -> ReadPage:
    """Read one page and match the lines that were found with those that are written."""
    image = page.image()
    begun_s = processor_s()
    read = recognise(image)
    seconds = processor_s() - begun_s
    return ReadPage(page, read, match(overlaps(read, page.lines, image.shape)), seconds)


def overlaps(
    read: Sequence[FoundLine], lines: Sequence[RuledLine], shape: tuple[int, ...]
) -> list[list[float]]:
    """Return how well each found line covers each written one: a row for each written one.

    It is the intersection over union of the polygons or, where that is more, of the columns of the
    baseline and of the found box: in the box lies how much of the baseline, less what lies in it of
    other baselines, over the width of both.

    Args:
        read: n lines, as they were read.
        lines: as they are written.
        shape: height and width of the image.
    """
    masks = [_filled(line.box, shape) for line in read]
    boxes = np.array(masks, np.uint8).reshape(len(read), *_blank(shape).shape)  # [n, h, w]
    areas, columns = boxes.sum((1, 2)), boxes.any(1)
    polygons, along, width = (np.zeros((len(lines), len(read))) for _ in range(3))
    for index, line in enumerate(lines):
        polygon, baseline = _filled(line.polygon, shape), _drawn(line.baseline, shape)
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


def _filled(corners: Points, shape: tuple[int, ...]) -> Mask:
    """Return a reduced mask of a polygon, as far as it lies in an image of this shape."""
    mask = _blank(shape)
    cv2.fillPoly(mask, [_reduced(corners, mask)], 1)
    return mask


def _drawn(points: Points, shape: tuple[int, ...]) -> Mask:
    """Return a reduced mask of a line, as far as it lies in an image of this shape."""
    mask = _blank(shape)
    cv2.polylines(mask, [_reduced(points, mask)], False, 1)
    return mask


def _blank(shape: tuple[int, ...]) -> Mask:
    return np.zeros([int(side * SCALE) + 1 for side in shape[:2]], np.uint8)


def _reduced(points: Points, mask: Mask) -> NDArray[np.int32]:
    """Return points as pixels of a mask; those outside of it move to its edge."""
    height, width = mask.shape
    return np.clip((points * SCALE).round(), 0, (width - 1, height - 1)).astype(np.int32)


def _page_figures(method: str, read: Sequence[ReadPage], *, accents: bool) -> Figures:
    """Return errors, also with `accents`, lines found and seconds a page of one recogniser."""
    texts, labels = [page.text for page in read], [page.label for page in read]
    copies = [page.page.copy for page in read]
    n_hits, n_found = sum(len(page.hits) for page in read), sum(len(page.lines) for page in read)
    return {
        "method": method,
        "written": _errors(list(map(plain_text, texts)), list(map(plain_text, labels)), copies),
        "folded": _errors(list(map(fold, texts)), list(map(fold, labels)), copies),
        **(accent_figures(texts, labels, copies) if accents else {}),
        "found": f1(n_hits, n_found, sum(len(page.page.lines) for page in read)),
        "seconds": quantiles(np.array([page.seconds for page in read])),
    }


def accent_figures(
    texts: Sequence[str], labels: Sequence[str], writers: Sequence[str], accented: str = ACCENTED
) -> Figures:
    """Return the errors if accents count, and the F1 of letters with accents.

    Quotation marks, dashes and spaces are plain in both, see `alphabet.plain`.

    Returns:
        `cer_accents`: errors with their bootstrap over writers; `letters`: the F1 of each of
        `accented` that is written, and of all of these letters together.
    """
    read, written = list(map(spelt, texts)), list(map(spelt, labels))
    there = [letter for letter in accented if any(letter in label for label in written)]
    f1_of = partial(character_f1, read, written)
    return {
        "cer_accents": _errors(read, written, writers),
        "letters": {letter: f1_of(letter.__eq__) for letter in there}
        | {ALL_ACCENTED: f1_of(frozenset(accented).__contains__)},
    }


def _errors(texts: Sequence[str], labels: Sequence[str], writers: Sequence[str]) -> Figures:
    """Return errors with their bootstrap over writers."""
    figures = errors(texts, labels)
    return figures | {"bootstrap": bootstrap(texts, labels, writers) if labels else None}


def _compared(readers: Mapping[str, Figures]) -> dict[str, Figures]:
    """Return the figures of all recognisers, the others' with their ratio to our errors."""
    ours = {"folded": readers[OURS]["folded"]["bootstrap"]}
    compared = {OURS: readers[OURS] | {"ratio": None}}
    for name, figures in readers.items():
        if name != OURS and ours["folded"]:
            ratios = error_ratios({"folded": figures["folded"]["bootstrap"]}, ours)
            compared[name] = figures | {"ratio": ratios.get("folded")}
    return compared


def _draw(read: Sequence[ReadPage], overlays: Path | None, folder: Path) -> None:
    """Write excerpts.jpg into `folder`, and whole pages into `overlays`, worst first."""
    ordered = sorted(read, key=lambda page: page.cer)
    if not ordered:
        return
    excerpts = [
        _excerpt(ordered[round(share * (len(ordered) - 1))], name)
        for name, share in EXCERPTS.items()
    ]
    width = max(excerpt.width for excerpt in excerpts)
    height = sum(excerpt.height for excerpt in excerpts) + TITLE
    sheet = Image.new("RGB", (width, height), "white")
    top = 0
    for excerpt in excerpts:
        sheet.paste(excerpt, (0, top))
        top += excerpt.height
    ImageDraw.Draw(sheet).text((MARGIN, top), ATTRIBUTION, "black", FONT)
    sheet.save(folder / "excerpts.jpg", quality=QUALITY)
    if overlays is not None:
        overlays.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(reversed(ordered)):
            name = f"{number:03} {page.cer:.3f} {page.page.path.stem}.jpg"
            overlay(page).save(overlays / name, quality=QUALITY)


def _excerpt(read: ReadPage, title: str) -> Image.Image:
    """Return a few lines from the middle of a page, below a title."""
    middle = max(0, (len(read.page.lines) - EXCERPT_LINES) // 2)
    polygons = [line.polygon for line in read.page.lines[middle : middle + EXCERPT_LINES]]
    y = np.concatenate(polygons)[:, 1]
    image = overlay(read)
    top, bottom = max(0, int(y.min()) - MARGIN), min(image.height, int(y.max()) + MARGIN)
    excerpt = Image.new("RGB", (image.width, bottom - top + TITLE), "white")
    excerpt.paste(image.crop((0, top, image.width, bottom)), (0, TITLE))
    text = f"{title}: {read.page.path.stem}, CER {read.cer:.1%}"
    ImageDraw.Draw(excerpt).text((MARGIN, 5), text, "black", FONT)
    return excerpt


def overlay(read: ReadPage) -> Image.Image:
    """Return a page with the lines that were found, missed, and found where there is none.

    What was read stands to the right of the page.
    """
    page = Image.fromarray(read.page.image())
    image = Image.new("RGB", (round(page.width * (1 + READINGS)), page.height), "white")
    image.paste(page)
    pen = ImageDraw.Draw(image)
    for index, line in enumerate(read.page.lines):
        if index not in read.hits:
            _outline(pen, line.polygon, MISSED)
    for number, reading in enumerate(read.lines):
        colour = FOUND if number in read.hits.values() else NO_LINE
        _outline(pen, reading.box, colour)
        middle = (page.width + MARGIN, float(reading.box[:, 1].mean()))
        pen.text(middle, reading.text, colour, FONT, anchor="lm")
    return image


def _outline(pen: ImageDraw.ImageDraw, points: Points, colour: tuple[int, int, int]) -> None:
    corners = [(float(x), float(y)) for x, y in points]
    pen.line([*corners, corners[0]], fill=colour, width=3)
