"""A regular expression as a guide: only texts that match it are read.

The expression becomes its position automaton (Glushkov, 1961): each character that it names is a
position, and a state is the set of positions at which a text may stand, as the bits of one number.
States are made when a text reaches them, so no expression is expensive.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, reduce
from operator import or_
from typing import Final, NamedTuple

import greenery  # type: ignore[import-untyped]
import numpy as np
from greenery.charclass import Charclass  # type: ignore[import-untyped]
from greenery.parse import NoMatch  # type: ignore[import-untyped]
from greenery.rxelems import Conc, Mult, Pattern  # type: ignore[import-untyped]
from numpy.typing import NDArray

from inkstream.model.decoding.base import MAX_SHOWN, NEVER, Allowed, mask_of
from inkstream.model.errors import InputError

Row = NDArray[np.float32]  # [K]

LONGEST: Final = 256  # characters of an expression
MOST_POSITIONS: Final = 256  # in it, each repetition counted
KEPT: Final = 256  # states whose rows are kept
BEGINNING: Final = 1  # the state before any character: position 0


class _Part(NamedTuple):
    """A part of an expression: whether it may be empty, and where it begins and ends."""

    empty: bool
    first: int
    last: int


NOTHING: Final = _Part(empty=True, first=0, last=0)


class _Positions:
    """The positions of an expression, and which may follow which."""

    def __init__(self) -> None:
        self.spelt: list[Charclass] = [Charclass()]  # by position; nothing stands at 0
        self.after: list[int] = [0]  # positions, as bits, that may follow each

    def add(self, spelt: Charclass) -> _Part:
        place = len(self.spelt)
        if place > MOST_POSITIONS:
            raise InputError(
                f"pattern names more than {MOST_POSITIONS} characters, repeated ones too"
            )
        self.spelt.append(spelt)
        self.after.append(0)
        return _Part(empty=False, first=1 << place, last=1 << place)

    def follow(self, before: int, after: int) -> None:
        for place in bits(before):
            self.after[place] |= after

    def pattern(self, pattern: Pattern) -> _Part:
        parts = [self.conc(conc) for conc in sorted(pattern.concs, key=str)]
        return _Part(
            any(part.empty for part in parts),
            _union(part.first for part in parts),
            _union(part.last for part in parts),
        )

    def conc(self, conc: Conc) -> _Part:
        whole = NOTHING
        for mult in conc.mults:
            whole = self.joined(whole, self.mult(mult))
        return whole

    def joined(self, one: _Part, other: _Part) -> _Part:
        self.follow(one.last, other.first)
        return _Part(
            one.empty and other.empty,
            one.first | other.first * one.empty,
            other.last | one.last * other.empty,
        )

    def mult(self, mult: Mult) -> _Part:
        """Add a part so many times, each with its own positions; an endless last one loops."""
        least, most = mult.multiplier.min.v, mult.multiplier.max.v
        endless = most is None
        times = max(least, 1) if endless else most
        whole = NOTHING
        for time in range(times):
            piece = mult.multiplicand
            part = self.add(piece) if isinstance(piece, Charclass) else self.pattern(piece)
            if not part.first:  # nothing, however often
                return part
            if endless and time == times - 1:
                self.follow(part.last, part.first)
            if time >= least:
                part = part._replace(empty=True)
            whole = self.joined(whole, part)
        return whole


class PatternGuide:
    """Allows only texts that a regular expression matches from end to end."""

    def __init__(self, expression: str, labels: tuple[str, ...]) -> None:
        """Prepare the expression for labels.

        Raises `InputError` for one that cannot be understood, is too large, or describes no text
        that the labels can spell.
        """
        positions, whole = _parsed(expression)
        positions.follow(BEGINNING, whole.first)
        self._after = positions.after
        self._ends = whole.last | BEGINNING * whole.empty
        self._at = [  # [K], positions at which a label may stand
            sum(1 << i for i, spelt in enumerate(positions.spelt) if i and spelt.accepts(label))
            for label in labels
        ]
        useful = self._useful(_union(self._at))
        self._at = [here & useful for here in self._at]
        if not self.can_be(np.zeros(len(labels), np.float32)):
            raise InputError(
                f"pattern {expression[:MAX_SHOWN]!r} describes no text of the characters "
                f"{''.join(labels)}"
            )
        self.spells: Allowed = mask_of(map(bool, self._at))
        self._labels = labels
        self.row: Callable[[int], Row] = lru_cache(KEPT)(self._row)
        self._next = lru_cache(KEPT)(self._following)

    def _useful(self, spelt: int) -> int:
        """Return the positions, of those that can be spelt, from which an end is reached."""
        useful = self._ends & spelt
        while True:
            more = useful | _union(
                1 << place for place in bits(spelt) if self._after[place] & useful
            )
            if more == useful:
                return useful
            useful = more

    def can_be(self, allowed: Row) -> bool:
        """Whether an end is reached from the beginning over such labels."""
        spelt = _union(here for here, mask in zip(self._at, allowed, strict=True) if mask == 0)
        reached, new = 0, self._after[0] & spelt
        while new:  # each position once: clients may ask often
            reached |= new
            new = self._following(new) & spelt & ~reached
        return bool(reached & self._ends)

    def begin(self, text: str) -> int:
        """Return the state behind a text; 0, where nothing may follow, if it does not match."""
        state = BEGINNING
        for character in text:
            label = self._labels.index(character) if character in self._labels else None
            state = 0 if label is None else self.follow(state, label)
        return state

    def _following(self, state: int) -> int:
        """Return the positions that may follow those of a state."""
        return _union(self._after[place] for place in bits(state))

    def _row(self, state: int) -> Row:
        """Return 0 for the labels that may follow, else minus infinity."""
        after = self._next(state)
        return mask_of(bool(here & after) for here in self._at)

    def follow(self, state: int, label: int) -> int:
        """Return the positions at which a text may stand behind a label."""
        return self._next(state) & self._at[label]

    def end(self, state: int) -> float:
        """Return 0 where the expression is matched, else minus infinity."""
        return 0.0 if state & self._ends else NEVER


def _parsed(expression: str) -> tuple[_Positions, _Part]:
    """Return the positions of an expression; raise `InputError` as `PatternGuide` does."""
    shown = expression[:MAX_SHOWN]
    if not 0 < len(expression) <= LONGEST:
        raise InputError(f"pattern has {len(expression)} characters, allowed: 1..{LONGEST}")
    positions = _Positions()
    try:
        return positions, positions.pattern(greenery.parse(_plain(expression)))
    except RecursionError:
        raise InputError(f"pattern {shown!r} is nested too deep") from None
    except (NoMatch, ValueError, IndexError) as error:  # the others: {3,2}, and an end too early
        raise InputError(
            f"pattern {shown!r} cannot be understood, allowed: characters, classes like [0-9] or "
            r"\d, groups, |, ?, *, + and {2,4}"
        ) from error


def _plain(expression: str) -> str:
    """Return an expression as greenery wants it, without what changes nothing.

    `^` and `$` are implied, as in a browser's forms; marks may be escaped that need not be, and a
    hyphen at either end of a class stands for itself.
    """
    expression = re.sub(r"^\^|(?<!\\)\$$", "", expression)
    written, in_class = "", False
    pieces = re.findall(r"\\?.", expression, re.DOTALL)
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        special = Charclass.classSpecial if in_class else Charclass.allSpecial
        at_edge = following == "]" or re.search(r"(?<!\\)\[\^?$", written)
        if in_class and piece == "-" and at_edge:
            written += "\\-"
        elif len(piece) == 2 and not piece[1].isalnum() and piece[1] not in special:
            written += piece[1]
        else:
            written += piece
        in_class = piece == "[" if piece in ("[", "]") else in_class
    return written


def bits(number: int) -> list[int]:
    """Return the places of the bits that are set."""
    places = []
    while number:
        lowest = number & -number
        places.append(lowest.bit_length() - 1)
        number ^= lowest
    return places


def _union(sets: Iterable[int]) -> int:
    """Return all bits of all numbers."""
    return reduce(or_, sets, 0)
