"""What is said of a page: lines, words and letters, each with its place on the image.

A box is four corners and not x, y, width and height: a page lies askew by up to 15 degrees, and
upright boxes around its lines would cover their neighbours.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes

from inkstream.model.pages.page import Page, PageLine
from inkstream.service.protocol.client_messages import Message
from inkstream.service.protocol.events import Event, Letter, Punctuation, Word

Corner = tuple[float, float]
Box = tuple[Corner, Corner, Corner, Corner]

DECIMALS: Final = 6  # of probabilities, as in the stream
PLACE_DECIMALS: Final = 1  # of pixels


class BoxedLetter(Letter):
    """A letter and where it is."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


class BoxedMark(Punctuation):
    """A mark and where it is."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


class BoxedWord(Word):
    """A word and where it is."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


class ReadLine(Message):
    """One line of a page."""

    text: str
    """What is written on it; "" where nothing was read."""
    confidence: float
    """How probable that is: the product of its words' confidences, 0 where there are none."""
    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""
    block: int
    """The number of its block of text, from 0."""
    letters: tuple[BoxedLetter | BoxedMark, ...]
    """Its letters and marks."""
    words: tuple[BoxedWord, ...]
    """Its words."""
    columns: int
    """How many columns were read."""


class PageTranscription(Message):
    """What was read on a page."""

    text: str
    """Its lines, one below the other, with a blank line between blocks of text."""
    width: int
    """Pixels of the image, upright."""
    height: int
    """Pixels of the image, upright."""
    lines: tuple[ReadLine, ...]
    """In the order in which they are read."""


class LineColumns(Message):
    """One line of a page, before it is read."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""
    block: int
    """The number of its block of text, from 0."""
    columns: Base64Bytes
    """Its columns in base64: once decoded, a binary message of a stream."""


class PageColumns(Message):
    """The lines of a page, before they are read."""

    width: int
    """Pixels of the image, upright."""
    height: int
    """Pixels of the image, upright."""
    column_height: int
    """Bytes of one column."""
    lines: tuple[LineColumns, ...]
    """In the order in which they are read."""


def read_line(line: PageLine, text: str, events: Sequence[Event]) -> ReadLine:
    """One line of a page with what was read on it."""
    words = [event for event in events if isinstance(event, Word)]
    letters = [event for event in events if not isinstance(event, Word)]
    return ReadLine(
        text=text,
        confidence=round(math.prod(word.confidence for word in words), DECIMALS) if words else 0.0,
        box=corners(line.box),
        block=line.block,
        letters=tuple(_boxed_letter(line, letter) for letter in letters),
        words=tuple(BoxedWord(**_fields(word), box=_box(line, word)) for word in words),
        columns=len(line.columns),
    )


def transcription(page: Page, lines: Sequence[ReadLine]) -> PageTranscription:
    """A page whose lines were read."""
    text = ""
    for place, line in enumerate(lines):
        if place:
            text += "\n" if line.block == lines[place - 1].block else "\n\n"
        text += line.text
    return PageTranscription(text=text, width=page.width, height=page.height, lines=tuple(lines))


def columns_of(page: Page, column_height: int) -> PageColumns:
    """The lines of a page as columns."""
    lines = tuple(
        LineColumns.model_construct(
            box=corners(line.box), block=line.block, columns=line.columns.tobytes()
        )
        for line in page.lines
    )
    return PageColumns(
        width=page.width, height=page.height, column_height=column_height, lines=lines
    )


def corners(box: NDArray[np.float64]) -> Box:
    """Four corners [4, 2] as they are told."""
    one, two, three, four = (
        (round(x, PLACE_DECIMALS), round(y, PLACE_DECIMALS)) for x, y in box.tolist()
    )
    return one, two, three, four


def _boxed_letter(line: PageLine, letter: Letter | Punctuation) -> BoxedLetter | BoxedMark:
    kind = BoxedMark if isinstance(letter, Punctuation) else BoxedLetter
    return kind(**_fields(letter), box=_box(line, letter))


def _box(line: PageLine, event: Event) -> Box:
    return corners(line.box_of(event.start, event.end))


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in type(event).model_fields}
