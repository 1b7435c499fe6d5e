"""The messages about decided letters, marks and words."""

from typing import Literal

from inkstream.service.protocol.client_messages import Message


class Character(Message):
    """A character and how probable it is."""

    char: str
    p: float


class Spelling(Message):
    """A text and how probable it is."""

    text: str
    p: float


class Span(Message):
    """A part of a stroke of the pen."""

    id: int | str
    """The stroke's, as the client gave it."""
    start: int
    """Its first point, from 0."""
    end: int
    """The point after the last one."""


class Decided(Message):
    """Something that is decided: final, only a rewind withdraws it."""

    type: str
    id: int
    """From 0 in every line. Letters and marks share one numbering, words have their own."""
    start: int
    """The first column."""
    end: int
    """The column after the last one."""
    column: int
    """The column at which it was decided: a rewind to it or to one before withdraws this."""
    confidence: float
    """The probability that it is right."""
    strokes: tuple[Span, ...] | None = None
    """The parts of strokes with ids that it consists of; null in a line of columns."""


class Letter(Decided):
    """A letter or digit that has ended."""

    type: Literal["letter"] = "letter"
    char: str
    alternatives: tuple[Character, ...]
    """Other readings, the most probable first."""


class Punctuation(Decided):
    """A mark, which is neither letter nor digit."""

    type: Literal["punctuation"] = "punctuation"
    char: str
    alternatives: tuple[Character, ...]
    """Other readings, the most probable first."""


class Word(Decided):
    """A word that a space or a flush has ended; marks that touch it belong to it."""

    type: Literal["word"] = "word"
    text: str
    alternatives: tuple[Spelling, ...]
    """Other readings, the most probable first."""


Event = Letter | Punctuation | Word
