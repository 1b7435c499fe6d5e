"""Read whole pages, match the lines that are found with those that are written, and draw both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inkstream.model.data.sources.paper import fold
from inkstream.model.evaluation.baselines import ReadLine
from inkstream.model.metrics import Figures, errors, f1
from inkstream.model.pages import find_page
from inkstream.model.recognizer import Recognizer

Points = NDArray[np.float64]  # [n, 2], x right, y down, in pixels
Picture = NDArray[np.uint8]  # [h, w] or [h, w, 3]

OVERLAP: Final = 0.5  # least share of a written line that a line which was read must cover
FOUND: Final = (5, 150, 105)
MISSED: Final = (220, 38, 38)
NO_LINE: Final = (37, 99, 235)
MARGIN: Final = 20  # pixels
TITLE: Final = 50  # pixels above each excerpt
QUALITY: Final = 80
# Pillow's own font has ASCII alone.
FONT: Final = ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 30)


@dataclass(frozen=True, slots=True, eq=False)
class ReadPage:
    """A page, and what one recogniser read of it."""

    name: str
    writer: str
    image: Callable[[], Picture]
    labels: Sequence[str]  # of the written lines
    outlines: Sequence[Points]  # around their ink
    lines: Sequence[ReadLine]
    hits: dict[int, int]  # index of the found line by that of the written one
    seconds: float = 0.0  # of processor time
    strokes: str = ""  # what was read of the same ink as strokes
    kinds: dict[str, str] = field(default_factory=dict)  # of a made-up page

    @property
    def text(self) -> str:
        """What was read, in its order; line ends do not count."""
        return " ".join(line.text for line in self.lines)

    @property
    def label(self) -> str:
        """What is written."""
        return " ".join(self.labels)

    @property
    def cer(self) -> float:
        """The CER with accents folded."""
        cer: float = errors([fold(self.text)], [fold(self.label)])["cer"]
        return cer


def read_lines(recognizer: Recognizer, image: Picture) -> list[ReadLine]:
    """Find the lines of a page and read them with our net."""
    lines = find_page(image, recognizer.column_height).lines
    read = recognizer.read_all([line.columns for line in lines]) if lines else []
    return [ReadLine(result.text, line.box) for result, line in zip(read, lines, strict=True)]


def match(overlaps: Sequence[Sequence[float]]) -> dict[int, int]:
    """Return the index of the found line for each written one; the largest overlaps come first.

    `overlaps` has a row for each written line and in it a number for each found one.
    """
    pairs = [
        (-share, index, number)
        for index, row in enumerate(overlaps)
        for number, share in enumerate(row)
        if share >= OVERLAP
    ]
    hits: dict[int, int] = {}
    for _, index, number in sorted(pairs):
        if index not in hits and number not in hits.values():
            hits[index] = number
    return hits


def lines_found(read: Sequence[ReadPage]) -> Figures:
    """Return the F1 of the lines that were found."""
    n_hits, n_found = sum(len(page.hits) for page in read), sum(len(page.lines) for page in read)
    return f1(n_hits, n_found, sum(len(page.labels) for page in read))


def spread(items: Sequence[Any], limit: int | None) -> list[Any]:
    """Return `limit` items at most, in equal steps."""
    n = len(items) if limit is None else min(limit, len(items))
    return [items[index * len(items) // n] for index in range(n)]


def draw_pages(
    read: Sequence[ReadPage],
    name: str,
    folder: Path,
    *,
    attribution: str = "",
    overlays: Path | None = None,
) -> None:
    """Write lines from the pages with the lowest, the median and the highest CER as one image.

    Into `overlays` whole pages are written, the worst first.
    """
    ordered = sorted(read, key=lambda page: page.cer)
    if not ordered:
        return
    ranks = {"best": ordered[0], "median": ordered[round((len(ordered) - 1) / 2)]}
    excerpts = [_excerpt(page, rank) for rank, page in (ranks | {"worst": ordered[-1]}).items()]
    size = max(image.width for image in excerpts), sum(image.height for image in excerpts) + TITLE
    together, top = Image.new("RGB", size, "white"), 0
    for excerpt in excerpts:
        together.paste(excerpt, (0, top))
        top += excerpt.height
    ImageDraw.Draw(together).text((MARGIN, top), attribution, "black", FONT)
    together.save(folder / name, quality=QUALITY)
    if overlays is not None:
        overlays.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(reversed(ordered)):
            file_name = f"{number:03} {page.cer:.3f} {page.name}.jpg"
            overlay(page).save(overlays / file_name, quality=QUALITY)


def _excerpt(read: ReadPage, rank: str) -> Image.Image:
    """Return four lines from the middle of a page, below a title."""
    middle = max(0, (len(read.outlines) - 4) // 2)
    y = np.concatenate(read.outlines[middle : middle + 4])[:, 1]
    image = overlay(read)
    top, bottom = max(0, int(y.min()) - MARGIN), min(image.height, int(y.max()) + MARGIN)
    excerpt = Image.new("RGB", (image.width, bottom - top + TITLE), "white")
    excerpt.paste(image.crop((0, top, image.width, bottom)), (0, TITLE))
    text = f"{rank}: {read.name}, CER {read.cer:.1%}"
    ImageDraw.Draw(excerpt).text((MARGIN, 5), text, "black", FONT)
    return excerpt


def overlay(read: ReadPage) -> Image.Image:
    """Return a page with the lines that were found, missed, and found where there is none.

    What was read stands to the right of the page, in six tenths of its width.
    """
    page = Image.fromarray(read.image())
    image = Image.new("RGB", (round(page.width * 1.6), page.height), "white")
    image.paste(page)
    pen = ImageDraw.Draw(image)
    for index, outline in enumerate(read.outlines):
        if index not in read.hits:
            _outline(pen, outline, MISSED)
    for number, line in enumerate(read.lines):
        colour = FOUND if number in read.hits.values() else NO_LINE
        _outline(pen, line.box, colour)
        middle = (page.width + MARGIN, float(line.box[:, 1].mean()))
        pen.text(middle, line.text, colour, FONT, anchor="lm")
    return image


def _outline(pen: ImageDraw.ImageDraw, points: Points, colour: tuple[int, int, int]) -> None:
    corners = [(float(x), float(y)) for x, y in points]
    pen.line([*corners, corners[0]], fill=colour, width=3)
