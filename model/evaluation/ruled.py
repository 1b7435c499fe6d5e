"""Read pages of printed ruled paper on which volunteers copied French texts.

They are `pages.jsonl` and the images in `pages/` (Copiste d'un jour, Bibliothèque et Archives
nationales du Québec, 2024, CC BY 4.0). The sheets' own line of consent speaks of non-commercial
use, so nothing trains on them: texts with even numbers validate, those with odd numbers test.

In transcriptions `>word<` is crossed out and `><` is unreadable. Neither is part of a page's text:
any recogniser that reads it makes an error.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from inkstream.model.data.sources import json_lines
from inkstream.model.data.sources.paper import MARKED, read_file

Half = Literal["validation", "test"]

PAGE_FORM: Final = (
    '{"page": "name with the number of its text", '
    '"lines": [{"text": "text", "polygon": [x, y, ...], "baseline": [x, y, ...]}, ...]}'
)


class RuledLine(Struct):
    """A line of a ruled page, as it is listed."""

    text: str
    polygon: list[float]  # x, y, x, y, ... around its ink
    baseline: list[float]  # from left to right

    def __post_init__(self) -> None:
        for numbers in (self.polygon, self.baseline):
            if len(numbers) < 4 or len(numbers) % 2:
                raise ValueError(f"{numbers} are no points")

    @property
    def label(self) -> str:
        """Its text without what is crossed out or unreadable."""
        return " ".join(MARKED.sub("", self.text).split())


class RuledPage(Struct):
    """A ruled page and its lines, from the top down."""

    page: str  # the name of its image
    lines: list[RuledLine]

    def __post_init__(self) -> None:
        if not re.search(r"\d", self.page):
            raise ValueError(f"{self.page} has no number")

    @property
    def is_for_test(self) -> bool:
        """Whether the number of the text that was copied is odd; even ones validate."""
        return int(re.findall(r"\d+", self.page)[0]) % 2 == 1

    @property
    def copy(self) -> str:
        """The name of the copy of one text, which fills one page or several, by one writer."""
        return re.sub(r"_\d\Z", "", Path(self.page).stem)


@dataclass(frozen=True, slots=True, eq=False)
class RuledPages:
    """Ruled pages, whose images are read when they are asked for."""

    folder: Path
    pages: list[RuledPage]
    digest: str  # SHA-256 of all files

    def part(self, name: Half) -> list[RuledPage]:
        """Return the pages of a part."""
        return [page for page in self.pages if page.is_for_test == (name == "test")]

    def path(self, page: RuledPage) -> Path:
        """Return the path of a page's image."""
        return self.folder / "pages" / page.page


def load_pages(folder: Path) -> RuledPages:
    """Load the transcriptions of all ruled pages of a folder.

    Raises `DataError` when a file is missing, or the list is damaged.
    """
    path = folder / "pages.jsonl"
    listed = read_file(path)
    rows = json_lines.rows(path, listed.splitlines(), RuledPage, PAGE_FORM)
    pages = RuledPages(folder, [page for _, page in rows], "")
    digest = hashlib.sha256(listed)
    for page in pages.pages:
        digest.update(read_file(pages.path(page)))
    return replace(pages, digest=digest.hexdigest())
