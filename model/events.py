"""What ends while a line is being read: letters, marks and words."""

from dataclasses import dataclass
from typing import Final

Spelling = tuple[str, float]  # a text and its probability

SPACE: Final = " "
N_ALTERNATIVES: Final = 4  # of a letter, and of a word
LEAST_ALTERNATIVE: Final = 0.001  # probability: what is less probable is no alternative


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter or a mark that was decided; its columns are `start` <= column < `end`."""

    id: int  # from 0; letters and marks share one row
    char: str
    start: int
    end: int
    column: int  # where it was decided
    confidence: float  # probability of `char`
    alternatives: tuple[Spelling, ...]  # other characters, the most probable first

    @property
    def is_mark(self) -> bool:
        """Whether it is a punctuation mark or another sign, neither letter nor digit."""
        return not self.char.isalnum()


@dataclass(frozen=True, slots=True)
class Word:
    """Letters and marks up to a space or a flush."""

    id: int  # from 0
    text: str
    start: int
    end: int
    column: int  # where it was decided
    confidence: float  # product of its letters'; with hints the share of the texts weighed
    alternatives: tuple[Spelling, ...]  # other texts, the most probable first


Event = Letter | Word


@dataclass(frozen=True, slots=True)
class Heard:
    """What follows from n columns."""

    events: list[Event]  # in the order of their decision
    texts: list[str]  # [n], the line's text after each column


@dataclass(frozen=True, slots=True)
class OpenWord:
    """The word that is being written."""

    start: int
    end: int
    spellings: tuple[Spelling, ...]  # its text, then the most probable others

    @property
    def text(self) -> str:
        """What is written of it."""
        return self.spellings[0][0]

    def closed(self, number: int, column: int) -> Word:
        """The word as an event, the `number`-th of its line, decided at `column`."""
        (text, confidence), *others = self.spellings
        alternatives = tuple(spelling for spelling in others if spelling[1] >= LEAST_ALTERNATIVE)
        return Word(number, text, self.start, self.end, column, confidence, alternatives)


def extended(word: OpenWord | None, letter: Letter) -> OpenWord:
    """The word with one letter more; None is no letter yet.

    Beside its text, of the others that letters and their alternatives spell the most probable ones
    are kept: letters are taken to be independent, so no longer text can come from one that was left
    out.
    """
    spellings = (("", 1.0),) if word is None else word.spellings
    options = ((letter.char, letter.confidence), *letter.alternatives)
    own, *others = [(text + char, p * q) for text, p in spellings for char, q in options]
    others.sort(key=lambda spelling: -spelling[1])
    start = letter.start if word is None else word.start
    return OpenWord(start, letter.end, (own, *others[:N_ALTERNATIVES]))
