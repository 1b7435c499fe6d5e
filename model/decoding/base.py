"""What ends while a line is being read: letters, marks and words.

Scores -> answers of a classifier, column by column; what may be answered, of any net.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import InputError

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


NOTHING: Final = Heard([], [])


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


Scores = NDArray[np.float32]  # log-probabilities, columns or steps first
Allowed = NDArray[np.float32] | None  # [K], 0 for what may be answered, else minus infinity

MAX_SHOWN: Final = 40  # characters of a text that an error quotes
LEAST: Final = 1e-30  # stands for no probability where a logarithm is taken


def allowed_labels(labels: Sequence[str], characters: str | None) -> Allowed:
    """What is added to the log-probabilities [K] so that `characters` can spell what is answered.

    None allows all. Raises `InputError` if a character is in no label or no label is left.
    """
    if characters is None:
        return None
    if unknown := set(characters) - set("".join(labels)):
        raise InputError(
            f"characters holds {''.join(sorted(unknown))[:MAX_SHOWN]!r}, "
            f"allowed: those of the labels {' '.join(labels)}"
        )
    spelt = [set(label) <= set(characters) for label in labels]
    if not any(spelt):
        raise InputError(f"characters is {characters[:MAX_SHOWN]!r}, which spells no label")
    return np.where(spelt, 0, -np.inf).astype(np.float32)


def shares(scores: Scores, mask: Allowed) -> NDArray[np.float32]:
    """Probabilities [n, K] that sum to 1, of labels' log-probabilities with a mask on them."""
    if mask is not None:
        scores = scores + mask
    chances: NDArray[np.float32] = np.exp(scores - scores.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    return chances


def probabilities(scores: Scores, mask: Allowed) -> NDArray[np.float32]:
    """Return probabilities [n, K] of a classifier; those of allowed labels sum to 1."""
    return np.exp(scores) if mask is None else shares(scores, mask)


def masked(symbols: Scores, mask: NDArray[np.float32], space: int) -> Scores:
    """Log-probabilities [m, 1 + K] of blank and labels when only labels whose `mask` is 0 are said.

    Letters that are not leave their probability to those that are, and a space, the symbol of this
    number, leaves its own to the blank.
    """
    chances = np.exp(symbols, dtype=np.float64)
    letters = np.arange(1, chances.shape[1]) != space
    before = chances[:, 1:][:, letters].sum(1, keepdims=True)
    chances[:, 1:][:, mask < 0] = 0
    after = chances[:, 1:][:, letters].sum(1, keepdims=True)
    chances[:, 1:][:, letters] *= before / np.maximum(after, LEAST)
    chances[:, 0] = 1 - chances[:, 1:].sum(1)
    return np.log(np.maximum(chances, LEAST)).astype(np.float32)


class ClassifierDecoder:
    """Reads the scores of one stream and remembers its newest answer.

    It has what the decoders of lines have, too: it decides no letters and holds nothing back.
    """

    flush_columns: Final = 0
    settled: Final = True
    letters: Final = 0
    words: Final = 0
    text: Final = None

    def __init__(self, labels: Sequence[str]) -> None:
        self.allowed: Allowed = None  # what may be answered from now on
        self._labels = tuple(labels)
        self._newest: NDArray[np.float32] | None = None  # [K], scores; None before any
        self._newest_allowed: Allowed = None  # what could be answered then

    @property
    def label(self) -> str | None:
        """The most probable label after the newest column; None before any column."""
        if self._newest is None:
            return None
        return self._labels[probabilities(self._newest[None], self._newest_allowed).argmax()]

    @property
    def mask(self) -> Allowed:
        """What is added to the labels' log-probabilities: 0, or minus infinity."""
        return self.allowed

    def allow(self, characters: str | None) -> None:
        """From now on answer only labels that `characters` can spell; None allows all.

        Raises `InputError`, and changes nothing, as `allowed_labels` does.
        """
        self.allowed = allowed_labels(self._labels, characters)

    def shares(self, scores: Scores) -> NDArray[np.float32]:
        """Return the probabilities [n, K] of labels' scores, as `probabilities` does."""
        return probabilities(scores, self.allowed)

    def step(self, scores: Scores, columns: NDArray[np.uint8]) -> Heard:
        """Take the log-probabilities [n, K] of n new columns; no letter or word is ever decided."""
        self._newest, self._newest_allowed = scores[-1].copy(), self.allowed
        return NOTHING

    def step_beyond(self, scores: Scores) -> list[Event]:
        """Take the scores of blank columns, which no flush brings."""
        return []

    def flush(self) -> list[Event]:
        """Decide all that is open: nothing."""
        return []

    def reset(self) -> None:
        """Forget the answer; what is allowed stays."""
        self._newest = None

    def copy(self) -> "ClassifierDecoder":
        """Return an independent decoder in the same state."""
        return copy.copy(self)
