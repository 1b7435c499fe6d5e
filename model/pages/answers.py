"""Letters, words and lines that were read, as answers have them, and where they are on a page.

A box is four corners and not x, y, width and height: a page may be askew by up to 15 degrees, and
upright boxes around its lines would cover their neighbours.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes

from inkstream.model.decoding import base as decoding
from inkstream.model.decoding.base import DECIMALS
from inkstream.model.messages import Character, Message, Spelling
from inkstream.model.pages import Page as Layout
from inkstream.model.pages import PageLine

Corner = tuple[float, float]
Box = tuple[Corner, Corner, Corner, Corner]


class Reading(Message):
    """A letter or a word on columns."""

    start: int
    """The first column."""
    end: int
    """The column after the last one."""
    confidence: float
    """The probability that it is right."""


class Letter(Reading):
    """A letter, a digit or a mark."""

    char: str
    mark: bool
    """Whether it is a mark: neither letter nor digit."""
    alternatives: tuple[Character, ...]
    """Other readings, the most probable first."""


class Word(Reading):
    """A word, with the marks that touch it."""

    text: str
    alternatives: tuple[Spelling, ...]
    """Other readings, the most probable first."""


class Boxed(Message):
    """Something on a page."""

    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""


class BoxedLetter(Boxed, Letter):
    """A letter, a digit or a mark, and where it is."""


class BoxedWord(Boxed, Word):
    """A word and where it is."""


class ReadLine(Message):
    """One line of a page."""

    text: str
    """Its text; "" if nothing was read."""
    confidence: float
    """The product of its words' confidences; 0 if there are none."""
    box: Box
    """Corners of its ink on the image, clockwise from the writing's upper left."""
    block: int
    """The number of its block of text, from 0."""
    letters: tuple[BoxedLetter, ...]
    """Its letters and marks."""
    words: tuple[BoxedWord, ...]
    """Its words."""
    columns: int
    """How many columns were read."""

    def __repr__(self) -> str:
        return f"ReadLine({self.text!r}, confidence={self.confidence}, block={self.block})"


class LineColumns(Boxed):
    """One line of a page, before it is read."""

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


def reading_of(event: decoding.Event) -> Letter | Word:
    """Return a letter or a word of a decoder as answers have it."""
    kind = Word if isinstance(event, decoding.Word) else Letter
    return kind.model_validate(event.to_dict())


def read_line(line: PageLine, text: str, readings: Iterable[Letter | Word]) -> ReadLine:
    """Return one line of a page with its text, letters and words."""
    letters, words = [], []
    for reading in readings:
        fields = dict(reading) | {"box": corners(line.box_of(reading.start, reading.end))}
        if isinstance(reading, Word):
            words.append(BoxedWord(**fields))
        else:
            letters.append(BoxedLetter(**fields))
    return ReadLine(
        text=text,
        confidence=round(math.prod(word.confidence for word in words), DECIMALS) if words else 0.0,
        box=corners(line.box),
        block=line.block,
        letters=tuple(letters),
        words=tuple(words),
        columns=len(line.columns),
    )


def columns_of(page: Layout, column_height: int) -> PageColumns:
    """Return the lines of a page as columns."""
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
    """Return four corners [4, 2] as JSON has them."""
    one, two, three, four = ((round(x, 1), round(y, 1)) for x, y in box.tolist())
    return one, two, three, four
