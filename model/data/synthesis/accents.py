"""Compose letters with accents, and marks beyond ASCII, out of a writer's own glyphs.

UNIPEN's labels are ASCII. An `é` is written as the writer's `e` with a stroke above it, `«` as two
`<`, `¿` as a `?` that is turned. Accents are drawn of the writer's own dots, commas, apostrophes,
carets, tildes, hyphens and rings where there are some, else of a few shapes. An accent is written
right after its letter or, like the dot of an i, after the word: its ink belongs to its letter in
both cases.

Lengths are x-heights, y down from the baseline.
"""

import math
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import LETTERS, MARKS
from inkstream.model.data.ink_set import InkLine
from inkstream.model.data.synthesis.glyphs import Glyphs, Part, WriterStyle

Stroke = NDArray[np.float64]  # [n, 2], x right, y down
Random = np.random.Generator
Line = TypeVar("Line", bound=InkLine)

# What characters are made of. One with a single letter beneath keeps this letter's place in the
# writer's runs, so it may be joined to its neighbours.
LETTER_BENEATH: Final = {
    **{char: unicodedata.normalize("NFD", char)[0] for char in LETTERS if len(
        unicodedata.normalize("NFD", char)) > 1},
    "ø": "o", "Ø": "O", "€": "C", "£": "L",
}  # fmt: skip
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
_ACUTE: Final = "\N{COMBINING ACUTE ACCENT}"
_GRAVE: Final = "\N{COMBINING GRAVE ACCENT}"
_CEDILLA: Final = "\N{COMBINING CEDILLA}"
COMPOSED: Final = frozenset(LETTERS + MARKS)


def composable(own: Set[str]) -> frozenset[str]:
    """Return the characters that can be composed of a writer's `own`, which are not among them."""
    found = {char for char, letter in LETTER_BENEATH.items() if letter in own}
    found |= {
        char for char, parts in PARTS.items()
        if all(not own.isdisjoint(part.bases) for part in parts)
    }  # fmt: skip
    return frozenset(found - own)


# A writer's own strokes that can be accents

MOST_OWN: Final = 12  # glyphs of a character
LARGEST_DOT: Final = 0.5  # x-heights
SLANTING: Final = "',/`"
STRAIGHT: Final = 0.7  # least share of a stroke's length that lies between its ends
LEAST_SLANT: Final = 0.1  # x-heights between its ends
FLATTEST_HAT: Final = 0.25  # least share of a caret's width that it is high


@dataclass(frozen=True, slots=True)
class AccentStrokes:
    """Strokes of one writer by what they can be, each with its middle at 0."""

    dots: tuple[Stroke, ...] = ()
    slants: tuple[Stroke, ...] = ()
    hats: tuple[Stroke, ...] = ()
    waves: tuple[Stroke, ...] = ()
    flats: tuple[Stroke, ...] = ()
    rings: tuple[Stroke, ...] = ()
    commas: tuple[Stroke, ...] = ()


def accent_strokes(glyphs: Glyphs, style: WriterStyle) -> AccentStrokes:
    """Find the strokes of a writer that can be accents."""

    def single(chars: str) -> list[Stroke]:
        """Return the glyphs of these characters that were written in one stroke."""
        found = [own for char in chars for own in _glyphs_of(glyphs, style, char)]
        return [_centred(strokes[0]) for strokes in found if len(strokes) == 1]

    dotted = [own for char in "ij" for own in _glyphs_of(glyphs, style, char)]
    dots = [*single("."), *(_centred(own[at]) for own in dotted for at in _dots(own))]
    flats = [own for own in single("-") if np.ptp(own[:, 0]) > 2 * np.ptp(own[:, 1])]
    return AccentStrokes(
        dots=tuple(dot for dot in dots if np.ptp(dot, 0).max() < LARGEST_DOT),
        slants=tuple(filter(_is_slant, single(SLANTING))),
        hats=tuple(filter(_is_hat, single("^"))),
        waves=tuple(own for own in single("~") if np.ptp(own[:, 0]) > np.ptp(own[:, 1])),
        flats=tuple(flats),
        rings=tuple(own for own in single("o") if _is_ring(own)),
        commas=tuple(own for own in single(",") if np.ptp(own[:, 1]) > LEAST_SLANT),
    )


def _glyphs_of(glyphs: Glyphs, style: WriterStyle, char: str) -> list[list[Stroke]]:
    """Return the strokes of some of the writer's glyphs of a character."""
    rows = style.letters.get(char, [])
    found = []
    for row in rows[:: max(1, len(rows) // MOST_OWN)][:MOST_OWN]:
        ranges = glyphs.ranges[glyphs.range_starts[row] : glyphs.range_starts[row + 1]]
        found.append(
            [
                (glyphs.points[start:stop] - np.array([0.0, glyphs.baseline[row]]))
                / glyphs.x_height[row]
                for start, stop in ranges
            ]
        )
    return found


def _dots(strokes: Sequence[Stroke]) -> list[int]:
    """Return which strokes of an i or j are its dot: short ones above its body."""
    if len(strokes) < 2:
        return []
    heights = [np.ptp(stroke[:, 1]) for stroke in strokes]
    body = strokes[int(np.argmax(heights))]
    limit = body[:, 1].min() + np.ptp(body[:, 1]) / 4
    return [
        at for at, stroke in enumerate(strokes)
        if stroke is not body
        and stroke[:, 1].max() < limit
        and np.ptp(stroke, 0).max() < LARGEST_DOT
    ]  # fmt: skip


def _centred(stroke: NDArray[Any]) -> Stroke:
    centred: Stroke = stroke - (stroke.min(0) + stroke.max(0)) / 2
    return centred


def _is_slant(stroke: Stroke) -> bool:
    chord = float(np.hypot(*(stroke[-1] - stroke[0])))
    length = float(np.hypot(*np.diff(stroke, axis=0).T).sum())
    return chord > LEAST_SLANT and chord > STRAIGHT * length


def _is_hat(stroke: Stroke) -> bool:
    """Tell whether a stroke goes up and down again."""
    top = int(stroke[:, 1].argmin())
    width, height = np.ptp(stroke, 0)
    ends_below = min(stroke[0, 1], stroke[-1, 1]) > 0
    return 0 < top < len(stroke) - 1 and ends_below and height > FLATTEST_HAT * width > 0


def _is_ring(stroke: Stroke) -> bool:
    """Tell whether the ends of a stroke are close to each other."""
    width, height = np.ptp(stroke, 0)
    return bool(np.hypot(*(stroke[-1] - stroke[0])) < 0.4 * max(width, height) and width > 0.2)


# Shapes that are drawn where the writer has none, each in a square from -0.5 to 0.5


def _places(*places: float) -> Stroke:
    """Return x and y, x and y, and so on, as points."""
    return np.array(places, np.float64).reshape(-1, 2)


_SLANT: Final = _places(0, -0.5, 0.06, 0, 0, 0.5)  # from the top down
_HAT: Final = _places(-0.5, 0.5, -0.2, 0, 0, -0.5, 0.2, 0, 0.5, 0.45)
_WAVE: Final = _places(-0.5, 0.3, -0.25, -0.4, 0.2, 0.35, 0.5, -0.4)
_FLAT: Final = _places(-0.5, 0.1, 0, 0, 0.5, 0)
_DOT: Final = _places(0, -0.5, 0.3, 0, 0, 0.5)
_CEDILLAS: Final = (
    _places(0.1, -0.5, 0, -0.2, 0.4, 0.05, 0.3, 0.45, -0.4, 0.45),
    _places(0.1, -0.5, 0.2, -0.1, 0, 0.3, -0.4, 0.5),  # a comma
)
_SHARP_S: Final = (  # x from 0 to 1, y from the baseline
    _places(0, 0, 0.08, -0.8, 0.15, -1.4, 0.4, -1.8, 0.72, -1.6, 0.7, -1.25, 0.4, -1.0,
            0.75, -0.8, 0.9, -0.4, 0.7, -0.05, 0.3, 0.0),
    _places(0, 0.7, 0.08, -0.5, 0.15, -1.35, 0.42, -1.75, 0.75, -1.55, 0.68, -1.2, 0.38, -0.98,
            0.7, -0.85, 0.95, -0.45, 0.8, -0.05, 0.45, 0.05, 0.3, -0.1),
    _places(0.1, 0, 0.12, -1.0, 0.2, -1.6, 0.55, -1.8, 0.8, -1.5, 0.6, -1.1, 0.5, -0.95,
            0.75, -0.7, 0.85, -0.3, 0.65, 0.0, 0.35, -0.05),
)  # fmt: skip
TREMOR: Final = 0.06  # standard deviation of a shape's points
PER_POINT: Final = 4  # points between two of a shape


def _curve(places: Stroke, random: Random) -> Stroke:
    """Return a smooth stroke through about these points (Catmull and Rom, 1974)."""
    places = places + TREMOR * random.standard_normal(places.shape)
    padded = np.concatenate([2 * places[:1] - places[1:2], places, 2 * places[-1:] - places[-2:-1]])
    share = (np.arange(PER_POINT) / PER_POINT)[:, None, None]
    before, start, end, after = (padded[at : len(padded) - 3 + at] for at in range(4))
    cubic = (
        start
        + 0.5 * share * (end - before)
        + share**2 * (before - 2.5 * start + 2 * end - 0.5 * after)
        + share**3 * (1.5 * (start - end) + 0.5 * (after - before))
    )
    smooth: Stroke = np.concatenate([cubic.transpose(1, 0, 2).reshape(-1, 2), places[-1:]])
    return smooth


# How the accents of one line are written
OWN: Final = 0.75  # share of lines in which they are the writer's own strokes
LATE: Final = 0.5  # share of lines whose accents follow the word
EXCEPTIONS: Final = 0.1  # share of accents that are the other way
SIZE: Final = (0.22, 0.8)
GAP: Final = (-0.05, 0.5)  # between letter and accent
LEAST_GAP: Final = -0.1
CAPITAL_GAP: Final = 0.6  # times the gap, above a capital
ASIDE: Final = 0.12  # standard deviation of an accent's place along the line
OVERSHOT: Final = 0.15  # by which a line's accents stand to the right, in the mean
LEANING: Final = 0.1  # by which an acute stands to the right, a grave to the left
BEYOND: Final = 0.6  # that an accent ends behind its letter, at most
ACUTE_DEG: Final = (5, 75)  # above the horizontal
GRAVE_DEG: Final = (10, 75)
TURN_DEG: Final = 6.0  # standard deviation between accents of a line
RESIZE: Final = 0.12  # the same, of their size
UMLAUTS: Final = {"dots": 0.72, "ticks": 0.2, "flat": 0.08}  # ways to write two dots
FLAT_TILDE: Final = 0.12  # share of lines with a flat stroke for a tilde
TICK: Final = (0.2, 0.45)  # lengths
DOT: Final = (0.03, 0.18)
UPWARD: Final = 0.15  # share of acutes that are written from their lower end
DRAWN_SHARP_S: Final = 0.85  # share of ß that are no changed B
NARROWED: Final = (0.65, 0.95)  # a B as an ß


@dataclass(frozen=True, slots=True)
class _Manner:
    """How the accents of one line are written."""

    own: AccentStrokes
    late: bool
    size: float
    gap: float
    overshot: float
    acute_deg: float
    grave_deg: float
    umlaut: str
    flat_tilde: bool


def _manner(own: AccentStrokes, random: Random) -> _Manner:
    return _Manner(
        own=own if random.random() < OWN else AccentStrokes(),
        late=bool(random.random() < LATE),
        size=random.uniform(*SIZE),
        gap=random.uniform(*GAP),
        overshot=random.exponential(OVERSHOT),
        acute_deg=random.uniform(*ACUTE_DEG),
        grave_deg=random.uniform(*GRAVE_DEG),
        umlaut=str(random.choice(list(UMLAUTS), p=list(UMLAUTS.values()))),
        flat_tilde=bool(random.random() < FLAT_TILDE),
    )


class _Ink:
    """The strokes of a line with the letter of each point, while accents are added."""

    def __init__(self, line: InkLine) -> None:
        self.strokes = [stroke.astype(np.float64) for stroke in line.strokes]
        self.letters = line.letters
        self._added: list[tuple[int, Stroke, int]] = []  # after which stroke, and of which letter

    def of(self, place: int) -> Stroke:
        """Return all points of a letter."""
        return np.concatenate(
            [own[at == place] for own, at in zip(self.strokes, self.letters, strict=True)]
        )

    def strokes_of(self, place: int) -> list[int]:
        """Return which strokes belong to a letter alone."""
        return [
            at
            for at, letters in enumerate(self.letters)
            if len(letters) and (letters == place).all()
        ]

    def leave_out(self, strokes: Iterable[int]) -> None:
        for at in strokes:
            self.strokes[at], self.letters[at] = self.strokes[at][:0], self.letters[at][:0]

    def change(self, place: int, moved: Stroke) -> None:
        """Set the points of a letter, in their order."""
        start = 0
        for stroke, letters in zip(self.strokes, self.letters, strict=True):
            own = letters == place
            stroke[own] = moved[start : start + int(own.sum())]
            start += int(own.sum())

    def add(self, strokes: Iterable[Stroke], place: int, behind: range) -> None:
        """Add strokes of a letter after the last stroke of the letters `behind`."""
        last = max(
            at for at, letters in enumerate(self.letters)
            if ((letters >= behind.start) & (letters < behind.stop)).any()
        )  # fmt: skip
        self._added += [(last, stroke, place) for stroke in strokes]

    def written(self, line: Line) -> Line:
        """Return the line with these strokes."""
        strokes, letters = [], []
        for at, (stroke, letter) in enumerate(zip(self.strokes, self.letters, strict=True)):
            added = [(own, place) for last, own, place in self._added if last == at]
            strokes += [stroke, *(own for own, _ in added)]
            letters += [letter, *(np.full(len(own), place, np.int16) for own, place in added)]
        points = np.concatenate(strokes).astype(np.float32)
        points[:, 0] -= points[:, 0].min()
        lengths = [len(stroke) for stroke in strokes if len(stroke)]
        return replace(
            line,
            points=points,
            stroke_starts=np.cumsum([0, *lengths]),
            letter_of_point=np.concatenate(letters),
        )


def completed(
    line: Line,
    native: Set[str],
    accents: AccentStrokes,
    random: Random,
    real: Set[int] = frozenset(),
) -> Line:
    """Return a line with all accents, whose letters are those beneath or the parts.

    Args:
        line: its label has the composed characters; points are in x-heights, y from the baseline.
        native: characters that the writer wrote, which are complete.
        accents: the writer's strokes for them.
        random: of how they are written.
        real: indices of characters that other people wrote, which are complete too.
    """
    places = [
        place for place, char in enumerate(line.label)
        if char in COMPOSED and char not in native and place not in real
    ]  # fmt: skip
    if not places:
        return line
    manner, ink = _manner(accents, random), _Ink(line)
    for place in places:
        char = line.label[place]
        if char in TURNED:
            ink.change(place, _turned(ink.of(place)))
        elif char == "ß":
            _write_sharp_s(ink, place, random)
        elif char in _LINES:
            box = ink.of(place)
            ink.add(_across(char, box, random), place, range(place, place + 1))
        elif char in LETTER_BENEATH:
            _write_accent(ink, line.label, place, manner, random)
    return ink.written(line)


def _turned(points: Stroke) -> Stroke:
    turned: Stroke = points.min(0) + points.max(0) - points
    return turned


def _write_sharp_s(ink: _Ink, place: int, random: Random) -> None:
    """Change the letter there, a B or another high one, to an ß."""
    points = ink.of(place)
    left, width = points[:, 0].min(), float(np.ptp(points[:, 0]))
    narrow = random.uniform(*NARROWED)
    if random.random() >= DRAWN_SHARP_S:
        points[:, 0] = left + (points[:, 0] - left) * narrow
        ink.change(place, points)
        return
    shape = _SHARP_S[int(random.integers(len(_SHARP_S)))]
    drawn = _curve(shape, random)
    drawn[:, 0] += random.uniform(-0.2, 0.1) * drawn[:, 1]  # its slant
    drawn[:, 0] = left + (drawn[:, 0] - drawn[:, 0].min()) * max(0.5, min(1.0, width))
    drawn[:, 1] *= random.uniform(0.85, 1.15)
    first, *others = ink.strokes_of(place)
    ink.strokes[first] = drawn
    ink.letters[first] = np.full(len(drawn), place, np.int16)
    ink.leave_out(others)


# Lines across a letter: x and y of both ends, as shares of its width and height.
_LINES: Final = {
    "ø": ((-0.15, 1.2, 1.15, -0.2),),
    "Ø": ((0.0, 1.1, 1.0, -0.1),),
    "€": ((-0.25, 0.42, 0.7, 0.4), (-0.25, 0.62, 0.65, 0.6)),
    "£": ((-0.25, 0.55, 0.6, 0.5),),
}
LINE_JITTER: Final = 0.07  # standard deviation, as a share


def _across(char: str, letter: Stroke, random: Random) -> list[Stroke]:
    """Return the lines across a letter."""
    low, size = letter.min(0), np.maximum(np.ptp(letter, 0), 0.3)
    strokes = []
    for left, top, right, bottom in _LINES[char]:
        ends = _places(left, top, (left + right) / 2, (top + bottom) / 2, right, bottom)
        ends = low + (ends + LINE_JITTER * random.standard_normal(ends.shape)) * size
        strokes.append(ends[::-1] if char in "øØ" and random.random() < 0.5 else ends)
    return strokes


def _write_accent(ink: _Ink, label: str, place: int, manner: _Manner, random: Random) -> None:
    """Add the accent of the letter at `place`; an i loses its dot."""
    letter, accent = iter(unicodedata.normalize("NFD", label[place]))
    if letter == "i":
        alone = ink.strokes_of(place)
        ink.leave_out([alone[at] for at in _dots([ink.strokes[at] for at in alone])])
    box = ink.of(place)
    low, high = box.min(0), box.max(0)
    size = manner.size * max(0.6, 1 + RESIZE * random.standard_normal())
    strokes = _ACCENTS[accent](manner, size, random)
    points = np.concatenate(strokes)
    half = float(points[:, 1].max()), float(points[:, 0].max())
    # A letter's last stroke leads on to the next one, so its ink is thicker where its body is.
    middle = (low[0] + high[0]) / 4 + float(np.median(box[:, 0])) / 2
    middle += ASIDE * random.standard_normal()
    if accent == _CEDILLA:
        y = high[1] + half[0] - random.uniform(0, 0.1)
    else:
        gap = (
            manner.gap * (CAPITAL_GAP if letter.isupper() else 1) + 0.05 * random.standard_normal()
        )
        y = low[1] - max(LEAST_GAP, gap) - half[0]
        middle += manner.overshot + {_ACUTE: LEANING, _GRAVE: -LEANING}.get(accent, 0.0)
    middle = min(middle, float(high[0]) + BEYOND - half[1])
    late = manner.late != (random.random() < EXCEPTIONS)
    start = label.rfind(" ", 0, place) + 1
    stop = label.find(" ", place)
    word = range(start, len(label) if stop < 0 else stop)
    behind = word if late else range(place, place + 1)
    ink.add([stroke + np.array([middle, y]) for stroke in strokes], place, behind)


def _one(own: Sequence[Stroke], shape: Stroke, random: Random) -> Stroke:
    """Return one of the writer's strokes, or else the shape, drawn smoothly."""
    if own:
        return own[int(random.integers(len(own)))]
    return _centred(_curve(shape, random))


def _slanted(manner: _Manner, size: float, degrees: float, random: Random) -> Stroke:
    """Return a stroke from the top down whose ends lie in this direction, [-90, 90]."""
    stroke = _one(manner.own.slants, _SLANT, random)
    if stroke[0, 1] > stroke[-1, 1]:
        stroke = stroke[::-1]
    way = stroke[-1] - stroke[0]
    wanted = math.radians(degrees)
    turn = wanted - math.atan2(way[1], way[0])
    cos, sin = math.cos(turn), math.sin(turn)
    length = max(float(np.hypot(*way)), 1e-3)
    return _centred(stroke @ np.array([[cos, sin], [-sin, cos]]) * (size / length))


def _sized(stroke: Stroke, width: float, height: float) -> Stroke:
    """Scale a stroke to a width, and to a height at most."""
    own = np.maximum(np.ptp(stroke, 0), 1e-3)
    scale = width / own[0]
    return _centred(stroke * (scale, min(scale, height / own[1])))


def _acute(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    degrees = 180 - manner.acute_deg + TURN_DEG * random.standard_normal()
    stroke = _slanted(manner, size, degrees, random)
    return [stroke[::-1] if random.random() < UPWARD else stroke]


def _grave(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    degrees = manner.grave_deg + TURN_DEG * random.standard_normal()
    return [_slanted(manner, size, degrees, random)]


def _circumflex(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    stroke = _one(manner.own.hats, _HAT, random)
    return [_sized(stroke, size * random.uniform(0.8, 1.3), size * random.uniform(0.5, 0.9))]


def _caron(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    return [stroke * (1, -1) for stroke in _circumflex(manner, size, random)]


def _tilde(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    flat = manner.flat_tilde
    stroke = (
        _one(manner.own.flats, _FLAT, random) if flat else _one(manner.own.waves, _WAVE, random)
    )
    return [_sized(stroke, size * random.uniform(0.9, 1.5), size * random.uniform(0.3, 0.6))]


def _diaeresis(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    if manner.umlaut == "flat":
        stroke = _one(manner.own.flats or manner.own.waves, _FLAT, random)
        return [_sized(stroke, size * random.uniform(0.9, 1.5), 0.2)]
    apart = max(0.22, size * random.uniform(0.5, 1.0))
    strokes = []
    for side in (-0.5, 0.5):
        if manner.umlaut == "ticks":
            degrees = 90 + 12 * random.standard_normal()
            mark = _slanted(manner, random.uniform(*TICK), degrees, random)
        else:
            mark = _one(manner.own.dots, _DOT, random)
            largest = max(float(np.ptp(mark, 0).max()), 1e-3)
            mark = mark * (min(max(largest, DOT[0]), DOT[1]) / largest)
        strokes.append(mark + np.array([side * apart, 0.05 * random.standard_normal()]))
    low = np.concatenate(strokes)
    middle = (low.min(0) + low.max(0)) / 2
    return [stroke - middle for stroke in strokes]


def _ring(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    turn = np.linspace(0, 2 * math.pi * random.uniform(0.95, 1.1), 12)
    drawn = 0.5 * np.stack([-np.sin(turn), -np.cos(turn)], 1)
    stroke = _one(manner.own.rings, drawn, random)
    width = size * random.uniform(0.5, 0.9)
    return [_sized(stroke, width, 1.3 * width)]


def _cedilla(manner: _Manner, size: float, random: Random) -> list[Stroke]:
    if manner.own.commas and random.random() < 0.5:
        stroke = manner.own.commas[int(random.integers(len(manner.own.commas)))]
    else:
        stroke = _centred(_curve(_CEDILLAS[int(random.integers(len(_CEDILLAS)))], random))
    height = random.uniform(0.3, 0.65)
    own = np.maximum(np.ptp(stroke, 0), 1e-3)
    return [stroke * (min(height / own[1], 0.5 / own[0]), height / own[1])]


_ACCENTS: Final = {
    _ACUTE: _acute,
    _GRAVE: _grave,
    _CEDILLA: _cedilla,
    "\N{COMBINING CIRCUMFLEX ACCENT}": _circumflex,
    "\N{COMBINING TILDE}": _tilde,
    "\N{COMBINING DIAERESIS}": _diaeresis,
    "\N{COMBINING RING ABOVE}": _ring,
    "\N{COMBINING CARON}": _caron,
}
