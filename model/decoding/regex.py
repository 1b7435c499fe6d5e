r"""A regular expression as a guide: only texts that match it are read.

Python's own parser reads the expression, which then becomes its position automaton (Glushkov,
1961): each character that it names is a position, and a state is the set of positions at which a
text may stand, as the bits of one number. \d, \w and \s are those labels of the net that Unicode
calls decimal digits, letters, digits and the underscore, and white space; other characters are
taken as `plain` writes them.
States are made when a text reaches them. A repeated part is read once, and its positions are
copied; an optional copy follows the copy before it alone. So no expression is expensive, while a
library that builds the whole deterministic automaton needs 2^40 states for `(a|b)*a(a|b){40}`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from operator import or_
from re import _parser  # type: ignore[attr-defined]  # what `re.compile` itself begins with
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.decoding.base import MAX_SHOWN, NEVER, Allowed, mask_of
from inkstream.model.errors import InputError

Row = NDArray[np.float32]  # [K]

MAX_CHARACTERS: Final = 256  # characters of an expression
MAX_POSITIONS: Final = 128  # in it, each repetition counted
BEGINNING: Final = 1  # the state before any character: position 0

CATEGORIES: Final[Mapping[str, Callable[[str], bool]]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda label: label.isalnum() or label == "_",
}
TOO_LARGE: Final = f"pattern names more than {MAX_POSITIONS} characters, repeated ones too"


class _Part(NamedTuple):
    """A part of an expression: whether it may be empty, and where it begins and ends."""

    empty: bool
    first: int  # positions, as bits
    last: int


NOTHING: Final = _Part(empty=True, first=0, last=0)


class _Positions:
    """The positions of an expression, and which may follow which."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Prepare to read an expression; labels are what a text consists of."""
        self.spelt: list[int] = [0]  # by position, labels as bits; nothing stands at 0
        self.after: list[int] = [0]  # positions, as bits, that may follow each
        self.unknown: set[str] = set()  # characters that the expression names and no label is
        self._labels = {label: 1 << i for i, label in enumerate(labels)}
        self._all = (1 << len(labels)) - 1

    def follow(self, before: int, after: int) -> None:
        """Let the positions `after` follow each of those `before`."""
        for position in bits(before):
            self.after[position] |= after

    def of_labels(self) -> list[int]:
        """Return the positions at which each label may stand, [K]."""
        by_spelt: dict[int, int] = {}  # few positions differ in what they spell
        for position, spelt in enumerate(self.spelt):
            by_spelt[spelt] = by_spelt.get(spelt, 0) | 1 << position
        positions = [0] * len(self._labels)
        for spelt, standing in by_spelt.items():
            for label in bits(spelt):
                positions[label] |= standing
        return positions

    def sequence(self, items: Any, *, is_first: bool = False, is_last: bool = False) -> _Part:
        """Read items of Python's parser, one after another.

        Anchors are allowed, and change nothing, where all of the expression begins or ends with
        the first or the last item; else `ValueError` is raised, as for items that we lack.
        """
        whole = NOTHING
        for index, (kind, value) in enumerate(items):
            begins, ends = is_first and index == 0, is_last and index == len(items) - 1
            if kind.name == "AT" and {"AT_BEGINNING": begins, "AT_END": ends}.get(value.name):
                continue
            if kind.name == "BRANCH":
                part = _choice([self.sequence(s, is_first=begins, is_last=ends) for s in value[1]])
            else:
                part = self._item(kind.name, value)
            self.follow(whole.last, part.first)
            whole = _Part(
                whole.empty and part.empty,
                whole.first | part.first * whole.empty,
                part.last | whole.last * part.empty,
            )
        return whole

    def _item(self, kind: str, value: Any) -> _Part:
        """Read a group, a repeated part, a class or a character."""
        match kind, value:
            case "SUBPATTERN", (_, 0, 0, items):  # without flags of its own
                return self.sequence(items)
            case "MAX_REPEAT" | "MIN_REPEAT", (least, most, items):
                start = len(self.after)
                part = self.sequence(items)
                return self._copied(part, start, least, None if most == _parser.MAXREPEAT else most)
            case "LITERAL", _:
                return self._text(plain(chr(value)))
            case "NOT_LITERAL", _:
                return self._class([(_parser.NEGATE, None), (_parser.LITERAL, value)])
            case "ANY", _:
                return self._position(self._all)
            case "IN", _:
                return self._class(value)
        raise ValueError(f"{kind} is not allowed")

    def _text(self, text: str) -> _Part:
        """Return what a character is that `plain` writes as a text, of one character mostly."""
        whole = NOTHING
        for character in text:
            part = self._position(self._labelled(character))
            self.follow(whole.last, part.first)
            whole = part if whole is NOTHING else whole._replace(last=part.last)
        return whole

    def _class(self, members: Sequence[tuple[Any, Any]]) -> _Part:
        """Return what a class is; a member that `plain` writes as several characters is a text."""
        spelt, texts = 0, []
        for kind, value in members:
            if kind.name == "LITERAL":
                text = plain(chr(value))
                spelt |= self._labelled(text) if len(text) == 1 else 0
                texts += [text] * (len(text) > 1)
            elif kind.name == "RANGE":
                low, high = (plain(chr(end)) for end in value)
                spelt |= _union(bit for label, bit in self._labels.items() if low <= label <= high)
            elif kind.name == "CATEGORY":
                _, *negation, name = value.name.split("_")
                is_member = CATEGORIES[name]
                category = _union(bit for label, bit in self._labels.items() if is_member(label))
                spelt |= ~category & self._all if negation else category
        if members[0][0].name == "NEGATE":
            return self._position(~spelt & self._all)
        return _choice([self._position(spelt), *map(self._text, texts)])

    def _labelled(self, character: str) -> int:
        """Return the label that a character is, or none."""
        if character not in self._labels:
            self.unknown.add(character)
        return self._labels.get(character, 0)

    def _position(self, spelt: int) -> _Part:
        """Return a new position, at which these labels may stand."""
        self._check(1)
        self.spelt.append(spelt)
        self.after.append(0)
        position = 1 << len(self.after) - 1
        return _Part(empty=False, first=position, last=position)

    def _copied(self, part: _Part, start: int, least: int, most: int | None) -> _Part:
        """Return a part, whose positions begin at `start`, `least` to `most` times in a row.

        `most` None is any number of times, a loop. Each copy has positions of its own. It follows
        the one before it and no other, since what a text leaves out may as well be the copies at
        the end.
        """
        if most == 0:
            del self.spelt[start:], self.after[start:]
            return NOTHING
        if not part.first:  # nothing, however often
            return part
        least = 0 if part.empty else least
        times = most or max(least, 1)
        size = len(self.after) - start
        self._check((times - 1) * size)
        spelt, after = self.spelt[start:], self.after[start:]
        whole = _Part(least == 0, part.first, part.last if least < 2 else 0)
        for copy in range(1, times):
            shift = copy * size
            self.spelt += spelt
            self.after += [following << shift for following in after]
            self.follow(part.last << shift - size, part.first << shift)
            if copy + 1 >= least:
                whole = whole._replace(last=whole.last | part.last << shift)
        if most is None:
            shift = (times - 1) * size
            self.follow(part.last << shift, part.first << shift)
        return whole

    def _check(self, n_more: int) -> None:
        """Raise `InputError` if so many positions more are too many."""
        if len(self.after) + n_more > MAX_POSITIONS + 1:
            raise InputError(TOO_LARGE)


class PatternGuide:
    """Allows only texts that a regular expression matches from end to end."""

    is_form, beam_cost = True, 1

    def __init__(self, expression: str, labels: tuple[str, ...]) -> None:
        """Prepare the expression for labels.

        Raises `InputError` for one that cannot be understood, is too large, or describes no text
        that the labels can spell.
        """
        positions = _Positions(labels)
        whole = _parsed(expression, positions)
        positions.follow(BEGINNING, whole.first)
        self._after = positions.after
        self._ends = whole.last | BEGINNING * whole.empty
        self._at = positions.of_labels()  # [K], positions at which a label may stand
        useful = self._useful(_union(self._at))
        self._at = [standing & useful for standing in self._at]
        if not self.can_be(np.zeros(len(labels), np.float32)):
            unknown = "".join(sorted(positions.unknown))[:MAX_SHOWN]
            raise InputError(
                f"pattern {expression[:MAX_SHOWN]!r} describes no text of the characters "
                f"{''.join(labels)}" + (f"; it holds {unknown}" if unknown else "")
            )
        self.spells: Allowed = mask_of(map(bool, self._at))
        self._labels = labels
        self.row: Callable[[int], Row] = lru_cache(256)(self._row)
        self._next = lru_cache(256)(self._following)

    def _useful(self, spelt: int) -> int:
        """Return the positions, of those that can be spelt, from which an end is reached."""
        useful, before = 0, -1
        while useful != before:
            before = useful
            for position in reversed(bits(spelt & ~useful)):  # most ways lead to later positions
                if (self._ends >> position) & 1 or self._after[position] & useful:
                    useful |= 1 << position
        return useful

    def can_be(self, allowed: Row) -> bool:
        """Whether an end is reached from the beginning over such labels."""
        spelt = _union(at for at, mask in zip(self._at, allowed, strict=True) if mask == 0)
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
        return _union(self._after[position] for position in bits(state))

    def _row(self, state: int) -> Row:
        """Return 0 for the labels that may follow, else minus infinity."""
        after = self._next(state)
        return mask_of(bool(standing & after) for standing in self._at)

    def follow(self, state: int, label: int) -> int:
        """Return the positions at which a text may stand behind a label."""
        return self._next(state) & self._at[label]

    def end(self, state: int) -> float:
        """Return 0 where the expression is matched, else minus infinity."""
        return 0.0 if state & self._ends else NEVER


def _parsed(expression: str, positions: _Positions) -> _Part:
    """Read an expression; raise `InputError` as `PatternGuide` does."""
    if not 0 < len(expression) <= MAX_CHARACTERS:
        raise InputError(f"pattern has {len(expression)} characters, allowed: 1..{MAX_CHARACTERS}")
    try:
        items = _parser.parse(unicodedata.normalize("NFC", expression))
        if items.state.flags & ~re.UNICODE:
            raise ValueError("flags such as (?i) are not allowed")
        return positions.sequence(items, is_first=True, is_last=True)
    except OverflowError as error:
        raise InputError(TOO_LARGE) from error
    except (ValueError, re.error, RecursionError, Warning) as error:  # where warnings are errors
        raise InputError(
            f"pattern {expression[:MAX_SHOWN]!r} cannot be understood, allowed: characters, "
            r"classes like [0-9] or \d, groups, |, ?, *, + and {2,4}, ^ and $ around all"
        ) from error


def _choice(parts: Sequence[_Part]) -> _Part:
    """Return a part that is any one of several."""
    return _Part(
        any(part.empty for part in parts),
        _union(part.first for part in parts),
        _union(part.last for part in parts),
    )


def bits(number: int) -> list[int]:
    """Return the indices of the bits that are set."""
    indices = []
    while number:
        lowest = number & -number
        indices.append(lowest.bit_length() - 1)
        number ^= lowest
    return indices


def _union(sets: Iterable[int]) -> int:
    """Return all bits of all numbers."""
    return reduce(or_, sets, 0)
