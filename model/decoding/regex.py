r"""A regular expression as a guide: only texts that match it are read.

The expression becomes its position automaton (Glushkov, 1961): each character that it names is a
position, and a state is the set of positions at which a text may stand, as the bits of one number.
\d, \w and \s are those labels of the net that Unicode calls decimal digits, letters, digits and
the underscore, and white space; other characters are taken as `plain` writes them.
States are made when a text reaches them. A repeated part is read once, and its positions are
copied; an optional copy follows the copy before it alone. So no expression is expensive.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from operator import or_
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.decoding.base import MAX_SHOWN, NEVER, Allowed, mask_of
from inkstream.model.errors import InputError

Row = NDArray[np.float32]  # [K]

LONGEST: Final = 256  # characters of an expression
MOST_POSITIONS: Final = 128  # in it, each repetition counted
DEEPEST: Final = 32  # groups in one another
KEPT: Final = 256  # states whose rows are kept
BEGINNING: Final = 1  # the state before any character: position 0

SPECIAL: Final = frozenset("\\[]|().?*+{}^$")  # outside of classes; escaped, each stands for itself
SETS: Final[Mapping[str, Callable[[str], bool]]] = {
    "d": str.isdecimal, "s": str.isspace, "w": lambda label: label.isalnum() or label == "_",
}  # fmt: skip
CONTROLS: Final = dict(zip("tnvfr", "\t\n\v\f\r", strict=True))

# The pieces of an expression.
CHARACTER: Final = r"(?:\\x[0-9A-Fa-f]{2}|\\.|[^\\])"
ONE: Final = re.compile(CHARACTER, re.DOTALL)
CLASS: Final = re.compile(r"\[(\^?)((?:\\.|[^\\\]])*)\]", re.DOTALL)
IN_CLASS: Final = re.compile(f"({CHARACTER})(?:-({CHARACTER}))?", re.DOTALL)
GROUP: Final = re.compile(r"\((?:\?:|\?P<\w+>)?")
END: Final = re.compile(r"\$(?=\||\Z)")  # before an alternative or nothing
TIMES: Final = re.compile(r"(?:([?*+])|\{([0-9]+)(?:(,)([0-9]*))?\})\??")


class _Part(NamedTuple):
    """A part of an expression: whether it may be empty, and where it begins and ends."""

    empty: bool
    first: int
    last: int


NOTHING: Final = _Part(empty=True, first=0, last=0)


class _Positions:
    """The positions of an expression, and which may follow which."""

    def __init__(self, expression: str, labels: Sequence[str]) -> None:
        """Prepare to `read` the expression; labels are what a text consists of."""
        self.spelt: list[int] = [0]  # by position, labels as bits; nothing stands at 0
        self.after: list[int] = [0]  # positions, as bits, that may follow each
        self.unknown: set[str] = set()  # characters that the expression names and no label is
        self._expression = unicodedata.normalize("NFC", expression)
        self._read = 0  # characters of it
        self._labels = {label: 1 << i for i, label in enumerate(labels)}
        self._all = (1 << len(labels)) - 1

    def read(self) -> _Part:
        """Read all of it; raise `InputError` if it is too large, `ValueError` for bad syntax."""
        whole = self._choice(DEEPEST)
        if self._read < len(self._expression):
            raise ValueError(self._expression[self._read])
        return whole

    def follow(self, before: int, after: int) -> None:
        """Let the positions `after` follow each of those `before`."""
        for place in bits(before):
            self.after[place] |= after

    def at(self) -> list[int]:
        """Return the positions at which each label may stand, [K]."""
        places: dict[int, int] = {}  # by what they spell: few are different
        for place, spelt in enumerate(self.spelt):
            places[spelt] = places.get(spelt, 0) | 1 << place
        found = [0] * len(self._labels)
        for spelt, here in places.items():
            for label in bits(spelt):
                found[label] |= here
        return found

    def _skip(self, text: str) -> bool:
        is_next = self._expression.startswith(text, self._read)
        self._read += len(text) * is_next
        return is_next

    def _found(self, piece: re.Pattern[str]) -> re.Match[str] | None:
        """Return the piece that is next, and skip it; None if none is."""
        found = piece.match(self._expression, self._read)
        if found is not None:
            self._read = found.end()
        return found

    def _choice(self, depth: int) -> _Part:
        """Read alternatives, in which `depth` groups may lie in one another."""
        if depth < 0:
            raise InputError(f"pattern is nested too deep, allowed: {DEEPEST} groups")
        parts = [self._sequence(depth)]
        while self._skip("|"):
            parts.append(self._sequence(depth))
        return _Part(
            any(part.empty for part in parts),
            _union(part.first for part in parts),
            _union(part.last for part in parts),
        )

    def _sequence(self, depth: int) -> _Part:
        """Read parts, one after another; around an outermost sequence anchors change nothing."""
        whole, is_outermost = NOTHING, depth == DEEPEST
        if is_outermost:
            self._skip("^")
        while self._read < len(self._expression):
            if self._expression[self._read] in "|)" or (is_outermost and self._found(END)):
                break
            start = len(self.after)
            other = self._repeated(self._single(depth), start)
            self.follow(whole.last, other.first)
            whole = _Part(
                whole.empty and other.empty,
                whole.first | other.first * whole.empty,
                other.last | whole.last * other.empty,
            )
        return whole

    def _single(self, depth: int) -> _Part:
        """Read a group, a class or a character."""
        if self._found(GROUP):
            part = self._choice(depth - 1)
            if not self._skip(")"):
                raise ValueError("a group without end")
            return part
        if found := self._found(CLASS):
            spelt = self._of_class(found[2])
            spelt = ~spelt & self._all if found[1] else spelt
        elif self._skip("."):
            spelt = self._all
        else:
            found = self._found(ONE)
            if found is None or found[0] in SPECIAL:
                raise ValueError("a character that must be escaped")
            if found[0][1:].lower() not in SETS:
                return self._literal(_character(found[0]))
            spelt = self._of_one(found[0])
        return self._position(spelt)

    def _literal(self, text: str) -> _Part:
        """Return what a character is that `plain` writes as a text, of one character mostly."""
        whole = NOTHING
        for character in text:
            part = self._position(self._labelled(character))
            self.follow(whole.last, part.first)
            whole = part if whole is NOTHING else whole._replace(last=part.last)
        return whole

    def _position(self, spelt: int) -> _Part:
        """Return a new position, at which these labels may stand."""
        self._check(1)
        self.spelt.append(spelt)
        self.after.append(0)
        place = 1 << len(self.after) - 1
        return _Part(empty=False, first=place, last=place)

    def _labelled(self, character: str) -> int:
        """Return the label that a character is, or none."""
        if character not in self._labels:
            self.unknown.add(character)
        return self._labels.get(character, 0)

    def _of_class(self, text: str) -> int:
        """Return the labels of a class."""
        spelt = 0
        for one, other in IN_CLASS.findall(text):
            if not other:
                spelt |= self._of_one(one)
                continue
            first, last = _character(one), _character(other)
            if first > last:
                raise ValueError("a range that ends before it begins")
            spelt |= _union(bit for label, bit in self._labels.items() if first <= label <= last)
        return spelt

    def _of_one(self, piece: str) -> int:
        r"""Return the labels of a character, or of a set such as \d."""
        is_in_set = SETS.get(piece[1:].lower())
        if is_in_set is None:
            return _union(map(self._labelled, _character(piece)))
        spelt = _union(bit for label, bit in self._labels.items() if is_in_set(label))
        return ~spelt & self._all if piece[1].isupper() else spelt

    def _repeated(self, part: _Part, start: int) -> _Part:
        """Read how often a part comes, whose positions begin at `start`, and add its copies."""
        found = self._found(TIMES)
        if found is None:
            return part
        sign, low, comma, high = found.groups()
        least = int(low or sign == "+")
        is_endless = sign in ("*", "+") or (comma and not high)
        most = None if is_endless else int(high or low or 1)
        if most is not None and most < least:
            raise ValueError("a part that comes at most less often than at least")
        return self._copied(part, start, least, most)

    def _copied(self, part: _Part, start: int, least: int, most: int | None) -> _Part:
        """Return a part `least` to `most` times in a row; None is any number of times.

        Each copy has positions of its own. It follows the one before it and no other, since what a
        text leaves out may as well be the copies at the end. Any number of times is a loop.
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

    def _check(self, more: int) -> None:
        """Raise `InputError` if so many positions more are too many."""
        if len(self.after) + more > MOST_POSITIONS + 1:
            raise InputError(
                f"pattern names more than {MOST_POSITIONS} characters, repeated ones too"
            )


class PatternGuide:
    """Allows only texts that a regular expression matches from end to end."""

    is_form = True

    def __init__(self, expression: str, labels: tuple[str, ...]) -> None:
        """Prepare the expression for labels.

        Raises `InputError` for one that cannot be understood, is too large, or describes no text
        that the labels can spell.
        """
        positions, whole = _parsed(expression, labels)
        positions.follow(BEGINNING, whole.first)
        self._after = positions.after
        self._ends = whole.last | BEGINNING * whole.empty
        self._at = positions.at()  # [K], positions at which a label may stand
        useful = self._useful(_union(self._at))
        self._at = [here & useful for here in self._at]
        if not self.can_be(np.zeros(len(labels), np.float32)):
            unknown = "".join(sorted(positions.unknown))[:MAX_SHOWN]
            raise InputError(
                f"pattern {expression[:MAX_SHOWN]!r} describes no text of the characters "
                f"{''.join(labels)}" + (f"; it holds {unknown}" if unknown else "")
            )
        self.spells: Allowed = mask_of(map(bool, self._at))
        self._labels = labels
        self.row: Callable[[int], Row] = lru_cache(KEPT)(self._row)
        self._next = lru_cache(KEPT)(self._following)

    def _useful(self, spelt: int) -> int:
        """Return the positions, of those that can be spelt, from which an end is reached."""
        useful, before = 0, -1
        while useful != before:
            before = useful
            for place in reversed(bits(spelt & ~useful)):  # most ways lead to later positions
                if (self._ends >> place) & 1 or self._after[place] & useful:
                    useful |= 1 << place
        return useful

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


def _parsed(expression: str, labels: Sequence[str]) -> tuple[_Positions, _Part]:
    """Return the positions of an expression; raise `InputError` as `PatternGuide` does."""
    if not 0 < len(expression) <= LONGEST:
        raise InputError(f"pattern has {len(expression)} characters, allowed: 1..{LONGEST}")
    positions = _Positions(expression, labels)
    try:
        return positions, positions.read()
    except ValueError as error:
        raise InputError(
            f"pattern {expression[:MAX_SHOWN]!r} cannot be understood, allowed: characters, "
            r"classes like [0-9] or \d, groups, |, ?, *, + and {2,4}, ^ and $ around all"
        ) from error


def _character(piece: str) -> str:
    """Return the text that a piece of an expression stands for: a character, written plainly."""
    if len(piece) == 4:  # \x41
        return chr(int(piece[2:], 16))
    if len(piece) == 2:
        if piece[1].isalnum() and piece[1] not in CONTROLS:
            raise ValueError("a letter or digit that may not be escaped")
        return CONTROLS.get(piece[1], plain(piece[1]))
    return plain(piece)


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
