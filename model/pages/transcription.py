"""A page that was read: its text, its lines, and the formats that it can be had in."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Literal

from inkstream.model.messages import Message
from inkstream.model.pages import Page as Layout
from inkstream.model.pages import formats
from inkstream.model.pages.answers import ReadLine


class Page(Message):
    """The text of a page."""

    type: Literal["page"] = "page"
    text: str
    """Its lines, one below the other, with a blank line between blocks of text."""
    width: int
    """Pixels of the image, upright."""
    height: int
    """Pixels of the image, upright."""
    lines: tuple[ReadLine, ...]
    """In the order in which they are read."""

    @property
    def blocks(self) -> list[list[ReadLine]]:
        """The lines of each block of text."""
        return [[*lines] for _, lines in groupby(self.lines, attrgetter("block"))]

    @property
    def confidence(self) -> float:
        """The mean of its letters' confidences: the share of them that is right; without any, 0."""
        letters = [letter.confidence for line in self.lines for letter in line.letters]
        return sum(letters) / max(1, len(letters))

    def to_dict(self) -> dict[str, Any]:
        """Return the page as `POST /v1/page` answers it, for `json.dumps`."""
        return self.model_dump(mode="json")

    def to_hocr(self, name: str = "") -> str:
        """Return the page as hOCR 1.2; `name` is that of the image."""
        return formats.hocr(self, self.lines, name)

    def to_alto(self, name: str = "") -> str:
        """Return the page as ALTO 4.2; `name` is that of the image."""
        return formats.alto(self, self.lines, name)

    def to_page_xml(self, name: str = "") -> str:
        """Return the page as PAGE XML of 2019-07-15; `name` is that of the image."""
        return formats.page_xml(self, self.lines, name)

    def __repr__(self) -> str:
        start = self.text if len(self.text) <= 40 else f"{self.text[:40]}..."
        return f"Page({start!r}, {len(self.lines)} lines, {self.width} x {self.height} pixels)"


def transcription(page: Layout, lines: Sequence[ReadLine]) -> Page:
    """Return a page whose lines were read."""
    text = _text((line.block, line.text) for line in lines)
    return Page(text=text, width=page.width, height=page.height, lines=tuple(lines))


def _text(lines: Iterable[tuple[int, str]]) -> str:
    """Return the text of a page of the blocks and texts of its lines."""
    blocks = groupby(lines, key=itemgetter(0))
    return "\n\n".join("\n".join(text for _, text in block) for _, block in blocks)


def json_of(page: Layout, lines: Iterable[ReadLine]) -> str:
    """Return what `transcription` does, as JSON; each line is needed only until the next comes."""
    texts, parts = [], []
    for line in lines:
        texts.append((line.block, line.text))
        parts.append(line.model_dump_json())
    empty = Page(text=_text(texts), width=page.width, height=page.height, lines=())
    return empty.model_dump_json().removesuffix("]}") + ",".join(parts) + "]}"
