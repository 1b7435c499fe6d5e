"""What a decoder is, what it returns, and what guides it.

A `Decoder` follows one line of text, or one character. It takes the net's scores of new columns and
returns what they decide: `Letter`s and `Word`s are events and never taken back, `text` is what the
line says so far and may still change. A `Guide` tells a decoder which texts are possible and how
probable they are: a language model, a list of words, a regular expression.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.errors import InputError

Scores = NDArray[np.float32]  # [n, S], log-probabilities of n columns: see `Runtime.run`
# [n, H], 0 = paper, 255 = ink; of few columns also the bytes of each.
Columns = NDArray[np.uint8] | list[bytes]
Probabilities = NDArray[np.float32]  # [n, K]
Allowed = NDArray[np.float32] | None  # [K], 0 for an allowed label, else minus infinity; None: all
Spelling = tuple[str, float]  # a text and its probability

SPACE: Final = " "
NEVER: Final = -np.inf  # log-probability of what is impossible
N_ALTERNATIVES: Final = 4  # of a letter, and of a word
LEAST_ALTERNATIVE: Final = 0.001  # probability: what is less probable is no alternative
PAPER: Final = bytes(range(8))  # pixels that count as paper: a column of them alone is blank
MAX_SHOWN: Final = 40  # characters of a text that an error quotes
DECIMALS: Final = 6  # of probabilities in JSON
UNCERTAIN: Final = 0.8  # probability: a letter below it may well be another one


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter or a mark that was decided; its columns are `start` <= column < `end`."""

    id: int  # from 0; letters and marks are counted together
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

    @property
    def is_uncertain(self) -> bool:
        """Whether it may well be one of its alternatives."""
        return self.confidence < UNCERTAIN and bool(self.alternatives)

    def __repr__(self) -> str:
        return f"Letter({self.char!r}, {self.start}..{self.end}, {self.confidence:.3f})"

    def to_dict(self) -> dict[str, Any]:
        """Return what REST answers of it, in plain values for JSON."""
        return {
            "start": self.start,
            "end": self.end,
            "confidence": round(self.confidence, DECIMALS),
            "char": self.char,
            "mark": self.is_mark,
            "alternatives": _named("char", self.alternatives),
        }


@dataclass(frozen=True, slots=True)
class Word:
    """Letters and marks up to a space or a flush."""

    id: int  # from 0
    text: str
    start: int
    end: int
    column: int  # where it was decided
    confidence: float  # product of its letters'; of a beam search its share of the beam's weight
    alternatives: tuple[Spelling, ...]  # other texts, the most probable first

    def __repr__(self) -> str:
        return f"Word({self.text!r}, {self.start}..{self.end}, {self.confidence:.3f})"

    def to_dict(self) -> dict[str, Any]:
        """Return what REST answers of it, in plain values for JSON."""
        return {
            "start": self.start,
            "end": self.end,
            "confidence": round(self.confidence, DECIMALS),
            "text": self.text,
            "alternatives": _named("text", self.alternatives),
        }


Event = Letter | Word


def _named(name: str, spellings: Iterable[Spelling]) -> list[dict[str, str | float]]:
    return [{name: text, "p": round(p, DECIMALS)} for text, p in spellings]


class Decoded(NamedTuple):
    """What follows from n columns."""

    events: list[Event]  # in the order of their decision
    texts: list[str]  # [n], the line's text after each column; of a classifier none


class Decoder(Protocol):
    """Follows one line: `step` takes its columns, `flush` decides what they leave open.

    The defaults suit a decoder that decides nothing and that nothing guides.
    """

    allowed: Allowed = None  # labels that may be answered from now on
    column_cost: int = 1  # the time that a column takes, in those of a greedy decoder
    flush_columns: int = 0  # blank ones whose scores a flush takes: then the net holds nothing back
    letters: int = 0  # letters and marks that were decided
    words: int = 0  # that were decided

    @property
    def mask(self) -> Allowed:
        """What is added to labels' log-probabilities: by `allowed`, and by what guides it."""
        return self.allowed

    @property
    def label(self) -> str | None:
        """Of a classifier the most probable label, None before any column; else None."""
        return None

    @property
    def text(self) -> str | None:
        """Of a transcriber everything so far, decided or not; of a classifier None."""
        return None

    @property
    def settled(self) -> bool:
        """Whether a flush would decide nothing: no column has come since the last one."""
        return True

    def step(self, scores: Scores, columns: Columns) -> Decoded:
        """Take the scores [n, S] of n new columns [n, H]."""

    def flush(self, scores: Scores | None = None, *, last: bool = True) -> list[Event]:
        """Decide all that is open; columns may follow, and a new word begins with them.

        `scores` are those of `flush_columns` blank columns, which are no part of the line. They may
        come in several calls, of which only the last one decides all.
        """
        return []

    def probabilities(self, scores: Scores) -> Probabilities:
        """Return the labels' probabilities [n, K], which sum to 1; 0 for what isn't allowed."""

    def can_read(self, allowed: Allowed) -> bool:
        """Whether any text is left if only these labels are allowed."""
        return True

    def copy(self) -> Self:
        """Return an independent decoder in the same state."""
        made = object.__new__(type(self))
        # An object whose `vars` were asked for is slower ever after: step the copy, not `self`.
        for name, value in vars(self).items():
            setattr(made, name, value)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return all that it knows of the line, in plain values for MessagePack; {} is nothing.

        What guides it, and which labels are allowed, is no part of that.
        """
        return {}

    def restore(self, known: Mapping[str, Any]) -> None:
        """Take over another decoder's state; raise `InputError` for what isn't `to_dict`'s."""


def decode_line(decoder: Decoder, scores: Scores, columns: Columns) -> list[Event]:
    """Decode all columns [T, H] of a line, and flush it.

    The scores [T + flush_columns, S] are those of the line and of the blank columns behind it.
    """
    events = decoder.step(scores[: len(columns)], columns).events
    return events + decoder.flush(scores[len(columns) :])


class Guide(Protocol):
    """Weighs what may follow a text; its states are small, plain and never changed."""

    spells: Allowed = None  # the labels that some text of it holds; None is all
    is_form: bool = False  # whether it says what a text looks like, not how probable it is
    beam_cost: int = 1  # the time that a beam with it takes, in those of one with a language

    def can_be(self, allowed: NDArray[np.float32]) -> bool:
        """Whether a text, and not the empty one, can be of labels alone whose `allowed` is 0."""
        return True

    def begin(self, text: str) -> Hashable:
        """Return the state behind the text of a line, at which a new word begins."""

    def row(self, state: Any) -> NDArray[np.float32]:
        """Return what each of the K labels adds to the logarithm of a text's weight, or NEVER."""

    def follow(self, state: Any, label: int) -> Hashable:
        """Return the state behind a label, by its index, that may follow."""

    def end(self, state: Any) -> float:
        """Return what it adds to the logarithm of a text's weight that the text ends here."""


def allowed_labels(labels: Sequence[str], characters: str | None) -> Allowed:
    """Return which labels [K] `characters`, as `plain` writes them, can spell; None allows all.

    Raises `InputError` if a character is in no label or no label is left.
    """
    if characters is None:
        return None
    characters = plain(characters)
    if unknown := set(characters) - set("".join(labels)):
        raise InputError(
            f"characters holds {''.join(sorted(unknown))[:MAX_SHOWN]!r}, "
            f"allowed: those of the labels {' '.join(labels)}"
        )
    spelt = [set(label) <= set(characters) for label in labels]
    if not any(spelt):
        raise InputError(f"characters is {characters[:MAX_SHOWN]!r}, which spells no label")
    return mask_of(spelt)


def mask_of(possible: Iterable[bool]) -> NDArray[np.float32]:
    """Return what is added to log-probabilities [K]: 0 for what is possible, else NEVER."""
    return np.where(list(possible), 0, NEVER).astype(np.float32)


def label_probabilities(scores: Scores, allowed: Allowed) -> Probabilities:
    """Return probabilities [n, K] that sum to 1, of labels' log-probabilities [n, K]."""
    if allowed is not None:
        scores = scores + allowed
    probabilities: Probabilities = np.exp(scores - scores.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    return probabilities
