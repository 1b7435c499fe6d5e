"""A page and what was read of its lines -> the text of the answer, in a page worker.

It is apart from `answers` so that page workers need not import the engine and the sessions, which
would take 13 MB in each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import TypeAdapter

from inkstream.model.pages import Page
from inkstream.service import pages

PageForm = Literal["json", "hocr", "alto"]

_READINGS: Final = TypeAdapter(list[pages.Letter | pages.Word])


@dataclass(frozen=True, slots=True, eq=False)
class LineReading:
    """What a session read of one line of a page."""

    text: str
    events: bytes  # a JSON array


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """A page and what was read of its lines: a page worker makes the answer of it."""

    form: PageForm
    page: Page
    lines: list[LineReading]


def render(rendering: Rendering) -> str:
    """Return the answer about a page; its lines are made one by one, for their memory's sake."""
    forms: dict[PageForm, Callable[[Page, Iterable[pages.ReadLine]], str]] = {
        "json": pages.json_of,
        "hocr": pages.hocr,
        "alto": pages.alto,
    }
    lines = (
        pages.read_line(line, read.text, _READINGS.validate_json(read.events))
        for line, read in zip(rendering.page.lines, rendering.lines, strict=True)
    )
    return forms[rendering.form](rendering.page, lines)
