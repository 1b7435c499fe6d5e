"""Read pages of printed ruled paper on which volunteers copied French texts.

They are `pages.jsonl` and the images in `pages/` (Copiste d'un jour, Bibliothèque et Archives
nationales du Québec, 2024, CC BY 4.0). The sheets' own line of consent speaks of non-commercial
use, so nothing trains on them: texts with even numbers validate, those with odd numbers test.

In transcriptions `>word<` is crossed out and `><` is unreadable. Neither is part of a page's text:
any recogniser that reads it makes an error.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inkstream.model.data.sources import json_lines
from inkstream.model.data.sources.paper import MARKED, decoded, read_file
from inkstream.model.errors import DataError
from inkstream.model.preprocess.image import Grey

Half = Literal["validation", "test"]
Points = NDArray[np.float64]  # [n, 2], x right, y down, in pixels

PAGE_FORM: Final = (
    '{"page": "name with the number of its text", '
    '"lines": [{"text": "text", "polygon": [x, y, ...], "baseline": [x, y, ...]}, ...]}'
)


class LineRow(Struct):
    """A line of a page, as it is listed."""

    text: str
    polygon: list[float]  # x, y, x, y, ...
    baseline: list[float]


class PageRow(Struct):
    """A page, as it is listed."""

    page: str  # the name of its image
    lines: list[LineRow]


@dataclass(frozen=True, slots=True, eq=False)
class RuledLine:
    """A line of a ruled page."""

    text: str  # without what is crossed out or unreadable
    polygon: Points  # around its ink
    baseline: Points  # from left to right


@dataclass(frozen=True, slots=True, eq=False)
class RuledPage:
    """A ruled page and its lines, from the top down."""

    path: Path
    text_number: int  # of the text that was copied
    lines: list[RuledLine]

    @property
    def copy(self) -> str:
        """The name of the copy of one text, which fills one page or several, by one writer."""
        return re.sub(r"_\d\Z", "", self.path.stem)

    def image(self) -> Grey:
        """Return the pixels; raise `DataError` when there is no such image."""
        return decoded(read_file(self.path), str(self.path))


@dataclass(frozen=True, slots=True, eq=False)
class RuledPages:
    """Ruled pages, whose images are read when they are asked for."""

    pages: list[RuledPage]
    digest: str  # SHA-256 of all files

    def part(self, name: Half) -> list[RuledPage]:
        """Return the pages with even text numbers for validation, with odd ones for the test."""
        odd = name == "test"
        return [page for page in self.pages if page.text_number % 2 == odd]


def load_pages(folder: Path) -> RuledPages:
    """Load the transcriptions of all ruled pages of a folder.

    Raises `DataError` when a file is missing, or the list is damaged.
    """
    path = folder / "pages.jsonl"
    listed = read_file(path)
    digest, pages = hashlib.sha256(listed), []
    for position, row in json_lines.rows(path, listed.splitlines(), PageRow, PAGE_FORM):
        try:
            page = _ruled_page(row, folder)
        except ValueError as error:
            raise DataError(f"{position}: {error}, expected {PAGE_FORM}") from error
        digest.update(read_file(page.path))
        pages.append(page)
    return RuledPages(pages, digest.hexdigest())


def _ruled_page(row: PageRow, folder: Path) -> RuledPage:
    """Return a page; raise `ValueError` if its name has no number, or its lines no points."""
    number = re.search(r"\d+", row.page)
    if number is None:
        raise ValueError(f"{row.page} has no number")
    lines = [
        RuledLine(
            " ".join(MARKED.sub("", line.text).split()),
            _points(line.polygon),
            _points(line.baseline),
        )
        for line in row.lines
    ]
    return RuledPage(folder / "pages" / row.page, int(number[0]), lines)


def _points(numbers: list[float]) -> Points:
    """Return x, y, x, y, ... as points; raise `ValueError` unless these are two points or more."""
    points = np.array(numbers).reshape(-1, 2)
    if len(points) < 2:
        raise ValueError(f"{numbers} are no points")
    return points
