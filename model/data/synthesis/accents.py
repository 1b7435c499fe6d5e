"""Compose letters with accents, and marks beyond ASCII, out of a writer's glyphs.

UNIPEN's labels are ASCII. An `é` is written as the writer's `e` with a stroke above it, `«` as two
`<`, `¿` as a `?` that is turned. Accents are drawn of the writer's dots, commas, apostrophes,
carets, tildes, hyphens and rings where there are some, else of a few shapes. An accent is written
right after its letter or, like the dot of an i, after the word: its ink belongs to its letter in
both cases. Lengths are x-heights, y down from the baseline.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkstream.model.alphabet import LETTERS, MARKS
from inkstream.model.data.ink_set import InkLine
from inkstream.model.data.synthesis.glyphs import Glyphs, Part, WriterStyle

Stroke = NDArray[np.float64]  # [n, 2], x right, y down
Strokes = Mapping[str, Sequence[Stroke]]  # by what they can be, all with their middles at 0
Random = np.random.Generator
Line = TypeVar("Line", bound=InkLine)

# Characters are made of these. One with a single letter beneath takes this letter's part in the
# writer's runs, so it may be joined to its neighbours.
LETTER_BENEATH: Final = {
    char: letter for char in LETTERS if (letter := unicodedata.normalize("NFD", char)[0]) != char
} | {"ø": "o", "Ø": "O", "€": "C", "£": "L"}
PARTS: Final[dict[str, tuple[Part, ...]]] = {
    "æ": (Part("a"), Part("e", gap=-0.22)),
    "œ": (Part("o"), Part("e", gap=-0.15)),
    "Æ": (Part("A"), Part("E", gap=-0.45)),
    "Œ": (Part("O"), Part("E", gap=-0.3)),
    "ß": (Part("Bbh"),),
    "¡": (Part("!", rise=-0.5),),
    "¿": (Part("?", rise=-0.5),),
    "«": (Part("<(c", size=0.8, rise=0.1), Part("<(c", size=0.8, rise=0.1, gap=0.05)),
    "»": (Part(">)c", size=0.8, rise=0.1), Part(">)c", size=0.8, rise=0.1, gap=0.05)),
    "„": (Part(",'"), Part(",'", gap=0.12)),
    "°": (Part("o0", size=0.5, rise=1.15),),
    "º": (Part("o", size=0.6, rise=1.0),),
    "ª": (Part("a", size=0.6, rise=1.0),),
    "·": (Part(".", rise=0.5),),
    "§": (Part("Ss", size=0.62, rise=0.75), Part("Ss", size=0.62, rise=-0.15, centred=True)),
}
TURNED: Final = "¡¿"
COMPOSED: Final = frozenset(LETTERS + MARKS)


def composable(written: Set[str]) -> frozenset[str]:
    """Return the characters that can be composed of those that a writer has written."""
    chars = {char for char, letter in LETTER_BENEATH.items() if letter in written}
    chars |= {char for char, parts in PARTS.items() if all(written & {*p.bases} for p in parts)}
    return frozenset(chars - written)


def accent_strokes(glyphs: Glyphs, style: WriterStyle) -> Strokes:
    """Find the strokes of a writer that can be accents."""

    def single(chars: str) -> list[Stroke]:
        """Return the glyphs of these characters that were written in one stroke."""
        written = _glyphs_of(glyphs, style, chars)
        return [_centred(strokes[0]) for strokes in written if len(strokes) == 1]

    dotted = _glyphs_of(glyphs, style, "ij")
    dots = [*single("."), *(_centred(strokes[at]) for strokes in dotted for at in _dots(strokes))]
    return {
        "dot": [dot for dot in dots if np.ptp(dot, 0).max() < 0.5],
        "slant": list(filter(_is_slant, single("',/`"))),
        "hat": list(filter(_is_hat, single("^"))),
        "wave": [wave for wave in single("~") if np.ptp(wave[:, 0]) > np.ptp(wave[:, 1])],
        "flat": [flat for flat in single("-") if np.ptp(flat[:, 0]) > 2 * np.ptp(flat[:, 1])],
        "ring": list(filter(_is_ring, single("o"))),
        "comma": [comma for comma in single(",") if np.ptp(comma[:, 1]) > 0.1],
    }


def _glyphs_of(glyphs: Glyphs, style: WriterStyle, chars: str) -> list[list[Stroke]]:
    """Return the strokes of up to 12 of the writer's glyphs of each of these characters."""
    rows_of, segments = [style.letters.get(char, []) for char in chars], glyphs.segments
    return [
        [
            (glyphs.points[start:stop] - (0.0, glyphs.baseline[row])) / glyphs.x_height[row]
            for start, stop in segments.ranges[slice(*segments.range_starts[row : row + 2])]
        ]
        for rows in rows_of
        for row in rows[:: max(1, len(rows) // 12)][:12]
    ]


def _dots(strokes: Sequence[Stroke]) -> list[int]:
    """Return the numbers of the strokes that are the dot of an i or j: they lie above its body."""
    if len(strokes) < 2:
        return []
    body = max(strokes, key=lambda stroke: float(np.ptp(stroke[:, 1])))
    limit = body[:, 1].min() + np.ptp(body[:, 1]) / 4  # which the body itself exceeds
    is_dot = [stroke[:, 1].max() < limit and np.ptp(stroke, 0).max() < 0.5 for stroke in strokes]
    return np.flatnonzero(is_dot).tolist()


def _centred(stroke: NDArray[Any]) -> Stroke:
    centred: Stroke = stroke - (stroke.min(0) + stroke.max(0)) / 2
    return centred


def _is_slant(stroke: Stroke) -> bool:
    """Say whether a stroke is long enough and nearly straight."""
    chord = float(np.hypot(*(stroke[-1] - stroke[0])))
    length = float(np.hypot(*np.diff(stroke, axis=0).T).sum())
    return chord > 0.1 and chord > 0.7 * length


def _is_hat(stroke: Stroke) -> bool:
    """Say whether a stroke goes up and down again."""
    top = int(stroke[:, 1].argmin())
    width, height = np.ptp(stroke, 0)
    ends_below = min(stroke[0, 1], stroke[-1, 1]) > 0
    return 0 < top < len(stroke) - 1 and ends_below and height > 0.25 * width > 0


def _is_ring(stroke: Stroke) -> bool:
    """Say whether the ends of a stroke are close to each other."""
    width, height = np.ptp(stroke, 0)
    return bool(np.hypot(*(stroke[-1] - stroke[0])) < 0.4 * max(width, height) and width > 0.2)


# Shapes that are drawn where the writer has none, in a square from -0.5 to 0.5

_SLANT: Final = (0, -0.5, 0.06, 0, 0, 0.5)  # from the top down
_HAT: Final = (-0.5, 0.5, -0.2, 0, 0, -0.5, 0.2, 0, 0.5, 0.45)
_WAVE: Final = (-0.5, 0.3, -0.25, -0.4, 0.2, 0.35, 0.5, -0.4)
_FLAT: Final = (-0.5, 0.1, 0, 0, 0.5, 0)
_DOT: Final = (0, -0.5, 0.3, 0, 0, 0.5)
_CEDILLAS: Final = (  # the second is a comma
    (0.1, -0.5, 0, -0.2, 0.4, 0.05, 0.3, 0.45, -0.4, 0.45),
    (0.1, -0.5, 0.2, -0.1, 0, 0.3, -0.4, 0.5),
)
_SHARP_S: Final = (  # x from 0 to 1, y from the baseline
    (0, 0, 0.08, -0.8, 0.15, -1.4, 0.4, -1.8, 0.72, -1.6, 0.7, -1.25, 0.4, -1.0,
     0.75, -0.8, 0.9, -0.4, 0.7, -0.05, 0.3, 0.0),
    (0, 0.7, 0.08, -0.5, 0.15, -1.35, 0.42, -1.75, 0.75, -1.55, 0.68, -1.2, 0.38, -0.98,
     0.7, -0.85, 0.95, -0.45, 0.8, -0.05, 0.45, 0.05, 0.3, -0.1),
    (0.1, 0, 0.12, -1.0, 0.2, -1.6, 0.55, -1.8, 0.8, -1.5, 0.6, -1.1, 0.5, -0.95,
     0.75, -0.7, 0.85, -0.3, 0.65, 0.0, 0.35, -0.05),
)  # fmt: skip


def _curve(shape: ArrayLike, random: Random) -> Stroke:
    """Return a smooth stroke through about the points of a shape (Catmull and Rom, 1974)."""
    knots = np.reshape(shape, (-1, 2))  # of x, y, x, y and so on
    knots = knots + 0.06 * random.standard_normal(knots.shape)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    share = (np.arange(4) / 4)[:, None, None]  # of the way from one point to the next
    before, start, end, after = (padded[at : len(padded) - 3 + at] for at in range(4))
    cubic = (
        start
        + 0.5 * share * (end - before)
        + share**2 * (before - 2.5 * start + 2 * end - 0.5 * after)
        + share**3 * (1.5 * (start - end) + 0.5 * (after - before))
    )
    return np.concatenate([cubic.transpose(1, 0, 2).reshape(-1, 2), knots[-1:]])


class _Accents:
    """Draws the accents of one line, which have their manner in common."""

    def __init__(self, writer_strokes: Strokes, random: Random) -> None:
        """Draw the manner; in some lines the writer's strokes are not used."""
        self._random = random
        self._writer_strokes: Strokes = writer_strokes if random.random() < 0.75 else {}
        self.late = bool(random.random() < 0.5)  # they follow the word
        self.size = random.uniform(0.22, 0.8)
        self.gap = random.uniform(-0.05, 0.5)  # between letter and accent
        self.overshot = random.exponential(0.15)  # by which they stand to the right
        self._degrees = {"ACUTE": 180 - random.uniform(5, 75), "GRAVE": random.uniform(10, 75)}
        self._umlaut = random.choice(["dots", "ticks", "flat"], p=[0.72, 0.2, 0.08])
        self._tilde = (_FLAT, "flat") if random.random() < 0.12 else (_WAVE, "wave")

    def strokes(self, accent: str, size: float) -> list[Stroke]:
        """Return the strokes of an accent, by its name in Unicode."""
        random = self._random

        def sizes(low: float, high: float) -> float:
            return size * random.uniform(low, high)

        match accent:
            case "DIAERESIS":
                return self._diaeresis(size)
            case "ACUTE" | "GRAVE":
                stroke = self._slanted(size, self._degrees[accent] + 6 * random.standard_normal())
                if accent == "ACUTE" and random.random() < 0.15:
                    stroke = stroke[::-1]
            case "CIRCUMFLEX" | "CARON":
                stroke = _sized(self._stroke(_HAT, "hat"), sizes(0.8, 1.3), sizes(0.5, 0.9))
                stroke = stroke * (1, -1 if accent == "CARON" else 1)
            case "TILDE":
                stroke = _sized(self._stroke(*self._tilde), sizes(0.9, 1.5), sizes(0.3, 0.6))
            case "RING":
                turn = np.linspace(0, 2 * math.pi * random.uniform(0.95, 1.1), 12)
                shape = 0.5 * np.stack([-np.sin(turn), -np.cos(turn)], 1)
                stroke, width = self._stroke(shape, "ring"), sizes(0.5, 0.9)
                stroke = _sized(stroke, width, 1.3 * width)
            case "CEDILLA":
                if self._writer_strokes.get("comma") and random.random() < 0.5:
                    stroke = self._stroke(_DOT, "comma")
                else:
                    stroke = self._stroke(_CEDILLAS[int(random.integers(len(_CEDILLAS)))])
                height = random.uniform(0.3, 0.65)
                extent = np.maximum(np.ptp(stroke, 0), 1e-3)
                stroke = stroke * (min(height / extent[1], 0.5 / extent[0]), height / extent[1])
        return [stroke]

    def _diaeresis(self, size: float) -> list[Stroke]:
        random = self._random
        if self._umlaut == "flat":
            flat = self._stroke(_FLAT, "flat", "wave")
            return [_sized(flat, size * random.uniform(0.9, 1.5), 0.2)]
        apart = max(0.22, size * random.uniform(0.5, 1.0))
        strokes = []
        for side in (-0.5, 0.5):
            if self._umlaut == "ticks":
                degrees = 90 + 12 * random.standard_normal()
                mark = self._slanted(random.uniform(0.2, 0.45), degrees)
            else:
                mark = self._stroke(_DOT, "dot")
                largest = max(float(np.ptp(mark, 0).max()), 1e-3)
                mark = mark * (min(max(largest, 0.03), 0.18) / largest)
            strokes.append(mark + np.array([side * apart, 0.05 * random.standard_normal()]))
        return np.split(_centred(np.concatenate(strokes)), [len(strokes[0])])

    def _stroke(self, shape: ArrayLike, *names: str) -> Stroke:
        """Return one of the writer's strokes of these names, or else the shape, drawn smoothly."""
        for name in names:
            if strokes := self._writer_strokes.get(name):
                return strokes[int(self._random.integers(len(strokes)))]
        return _centred(_curve(shape, self._random))

    def _slanted(self, size: float, degrees: float) -> Stroke:
        """Return a stroke from the top down whose ends lie in this direction, [-90, 90]."""
        stroke = self._stroke(_SLANT, "slant")
        if stroke[0, 1] > stroke[-1, 1]:
            stroke = stroke[::-1]
        chord = stroke[-1] - stroke[0]
        turn = math.radians(degrees) - math.atan2(chord[1], chord[0])
        cos, sin = math.cos(turn), math.sin(turn)
        length = max(float(np.hypot(*chord)), 1e-3)
        return _centred(stroke @ np.array([[cos, sin], [-sin, cos]]) * (size / length))


def _sized(stroke: Stroke, width: float, height: float) -> Stroke:
    """Scale a stroke to a width, and to a height at most."""
    extent = np.maximum(np.ptp(stroke, 0), 1e-3)
    scale = width / extent[0]
    return _centred(stroke * (scale, min(scale, height / extent[1])))


class _Ink:
    """The P points of a line, while strokes are added and left out."""

    def __init__(self, line: InkLine) -> None:
        self.points = line.points.astype(np.float64)  # [P, 2]
        self.letters = line.letter_of_point  # [P]
        lengths = np.diff(line.stroke_starts)
        # [P], the number of a point's stroke: whole ones of the line, others of what is added.
        self.strokes = np.repeat(np.arange(len(lengths), dtype=np.float64), lengths)

    def strokes_of(self, letter: int) -> NDArray[np.float64]:
        """Return the numbers of the strokes that belong to a letter alone."""
        return np.setdiff1d(self.strokes, self.strokes[self.letters != letter])

    def leave_out(self, strokes: NDArray[np.float64]) -> None:
        """Leave out the strokes of these numbers."""
        kept = ~np.isin(self.strokes, strokes)
        self.points, self.letters = self.points[kept], self.letters[kept]
        self.strokes = self.strokes[kept]

    def add(self, stroke: Stroke, letter: int, number: float) -> None:
        """Add a stroke of a letter; strokes are written in the order of their numbers."""
        self.points = np.concatenate([self.points, stroke])
        self.letters = np.append(self.letters, np.full(len(stroke), letter, np.int16))
        self.strokes = np.append(self.strokes, np.full(len(stroke), number))

    def add_behind(self, letters: range, strokes: Sequence[Stroke], letter: int) -> None:
        """Add strokes of a letter after the line's last one of `letters` and what follows it."""
        numbers = self.strokes[np.isin(self.letters, letters)]
        last = numbers[numbers % 1 == 0].max()
        for stroke in strokes:
            self.add(stroke, letter, self.strokes[self.strokes < last + 1].max() + 2**-10)


def completed(
    line: Line, positions: Sequence[int], writer_strokes: Strokes, random: Random
) -> Line:
    """Return a line with the accents of the characters at these positions of its label.

    Their ink is that of the letter beneath, or of parts, in x-heights, y from the baseline.
    """
    accents, ink = _Accents(writer_strokes, random), _Ink(line)
    for position in positions:
        char, is_letter = line.label[position], ink.letters == position
        if char in TURNED:
            points = ink.points[is_letter]
            ink.points[is_letter] = points.min(0) + points.max(0) - points
        elif char == "ß":
            _write_sharp_s(ink, position, random)
        elif char in _LINES:
            strokes = _across(char, ink.points[is_letter], random)
            ink.add_behind(range(position, position + 1), strokes, position)
        elif char in LETTER_BENEATH:
            _write_accent(ink, line.label, position, accents, random)
    order = np.argsort(ink.strokes, kind="stable")
    points = ink.points[order].astype(np.float32)
    points[:, 0] -= points[:, 0].min()
    starts = np.flatnonzero(np.diff(ink.strokes[order], prepend=-1, append=np.inf))
    return replace(line, points=points, stroke_starts=starts, letter_of_point=ink.letters[order])


def _write_sharp_s(ink: _Ink, letter: int, random: Random) -> None:
    """Change a letter, a B or another high one, to an ß."""
    is_letter = ink.letters == letter
    x = ink.points[is_letter, 0]
    left, width = x.min(), float(np.ptp(x))
    narrow = random.uniform(0.65, 0.95)
    if random.random() >= 0.85:
        ink.points[is_letter, 0] = left + (x - left) * narrow
        return
    drawn = _curve(_SHARP_S[int(random.integers(len(_SHARP_S)))], random)
    drawn[:, 0] += random.uniform(-0.2, 0.1) * drawn[:, 1]  # its slant
    drawn[:, 0] = left + (drawn[:, 0] - drawn[:, 0].min()) * max(0.5, min(1.0, width))
    drawn[:, 1] *= random.uniform(0.85, 1.15)
    strokes = ink.strokes_of(letter)
    ink.leave_out(strokes)
    ink.add(drawn, letter, strokes[0])


# Lines across a letter: x and y of both ends, as shares of its width and height.
_LINES: Final = {
    "ø": ((-0.15, 1.2, 1.15, -0.2),),
    "Ø": ((0.0, 1.1, 1.0, -0.1),),
    "€": ((-0.25, 0.42, 0.7, 0.4), (-0.25, 0.62, 0.65, 0.6)),
    "£": ((-0.25, 0.55, 0.6, 0.5),),
}


def _across(char: str, letter: Stroke, random: Random) -> list[Stroke]:
    """Return the lines across a letter."""
    low, size = letter.min(0), np.maximum(np.ptp(letter, 0), 0.3)
    strokes = []
    for left, top, right, bottom in _LINES[char]:
        middle = (left + right) / 2, (top + bottom) / 2
        ends = np.array([(left, top), middle, (right, bottom)])
        ends = low + (ends + 0.07 * random.standard_normal((3, 2))) * size
        strokes.append(ends[::-1] if char in "øØ" and random.random() < 0.5 else ends)
    return strokes


def _write_accent(ink: _Ink, label: str, position: int, accents: _Accents, random: Random) -> None:
    """Add the accent of the letter at a position of the label; an i loses its dot."""
    letter, mark = iter(unicodedata.normalize("NFD", label[position]))
    accent = unicodedata.name(mark).split()[1]  # of "COMBINING ACUTE ACCENT"
    if letter == "i":
        alone = ink.strokes_of(position)
        ink.leave_out(alone[_dots([ink.points[ink.strokes == stroke] for stroke in alone])])
    box = ink.points[ink.letters == position]
    low, high = box.min(0), box.max(0)
    strokes = accents.strokes(accent, accents.size * max(0.6, 1 + 0.12 * random.standard_normal()))
    right, bottom = np.concatenate(strokes).max(0)
    # A letter's last stroke leads on to the next one, so its ink is thicker where its body is.
    x = (low[0] + high[0]) / 4 + np.median(box[:, 0]) / 2 + 0.12 * random.standard_normal()
    if accent == "CEDILLA":
        y = high[1] + bottom - random.uniform(0, 0.1)
    else:
        gap = accents.gap * (0.6 if letter.isupper() else 1) + 0.05 * random.standard_normal()
        y = low[1] - max(-0.1, gap) - bottom  # an accent touches its letter at most
        x += accents.overshot + {"ACUTE": 0.1, "GRAVE": -0.1}.get(accent, 0.0)
    x = min(x, high[0] + 0.6 - right)  # it ends 0.6 behind its letter at most
    behind = range(position, position + 1)
    if accents.late != (random.random() < 0.1):  # some are the other way
        end = label.find(" ", position)
        behind = range(label.rfind(" ", 0, position) + 1, len(label) if end < 0 else end)
    ink.add_behind(behind, [stroke + np.array([x, y]) for stroke in strokes], position)
