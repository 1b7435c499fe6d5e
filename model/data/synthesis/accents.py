"""Draw accents onto made-up lines whose labels stay without them.

Nets whose labels are ASCII read `é` as `e`. UNIPEN has no accents, and a net that saw none reads
them as apostrophes and dots. So any vowel of some lines gets an accent of any kind: the net learns
that what stands above a letter, or hangs below it, does not change how it is read.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.synthesis.composition import ComposedLine

Stroke = NDArray[np.float64]  # [n, 2], x right, y down
Random = np.random.Generator

LETTERS: Final = {"a": 0.35, "e": 0.5, "o": 0.25, "u": 0.3, "c": 0.15, "n": 0.1}  # share with one
CAPITALS: Final = 0.5  # of that share

# Lengths are in x-heights.
HEIGHT: Final = (0.12, 0.5)
WIDTH: Final = (0.12, 0.6)
GAP: Final = (0.05, 0.5)  # between letter and accent
ASIDE: Final = 0.2  # standard deviation of its place along the line
TREMOR: Final = 0.03  # standard deviation of each point


def accented(line: ComposedLine, random: Random) -> ComposedLine:
    """Return a line with accents at some of its letters; label and letter ends stay as they are."""
    points, letters = line.points, line.letter_of_point
    added = []
    for place, char in enumerate(line.label):
        share = LETTERS.get(char.lower(), 0.0) * (CAPITALS if char.isupper() else 1)
        own = points[letters == place]
        if random.random() < share and len(own):
            added += _accent(char.lower(), own, random)
    if not added:
        return line
    lengths = [len(stroke) for stroke in added]
    drawn = np.concatenate([points, *added]).astype(points.dtype)
    drawn[:, 0] -= min(0, float(drawn[:, 0].min()))
    return replace(
        line,
        points=drawn,
        stroke_starts=np.append(line.stroke_starts, len(points) + np.cumsum(lengths)),
        letter_of_point=np.append(letters, np.full(sum(lengths), -1, letters.dtype)),
    )


def _accent(char: str, letter: NDArray[Any], random: Random) -> list[Stroke]:
    """Return the strokes of an accent that fits a small letter with the points `letter` [n, 2]."""
    left, right = letter[:, 0].min(), letter[:, 0].max()
    width, height = random.uniform(*WIDTH), random.uniform(*HEIGHT)
    if char == "c":
        shapes, middle = [_CEDILLA], letter[:, 1].max() + height / 2
    else:
        kinds = _TILDES if char == "n" else _ACCENTS
        shapes = kinds[int(random.integers(len(kinds)))]
        middle = letter[:, 1].min() - random.uniform(*GAP) - height / 2
    place = (left + right) / 2 + ASIDE * random.standard_normal(), middle
    return [
        shape * (width, height) + place + TREMOR * random.standard_normal(shape.shape)
        for shape in shapes
    ]


def _stroke(*places: float) -> Stroke:
    """Return x and y, x and y, and so on, as a stroke in a square from -0.5 to 0.5."""
    return np.array(places, np.float64).reshape(-1, 2)


_ACUTE: Final = [_stroke(0.5, -0.5, -0.5, 0.5)]
_GRAVE: Final = [_stroke(-0.5, -0.5, 0.5, 0.5)]
_FLAT: Final = [_stroke(-0.5, 0, 0.5, 0)]  # as an acute or a grave in a hurry
_UPRIGHT: Final = [_stroke(0, -0.5, 0, 0.5)]
_CIRCUMFLEX: Final = [_stroke(-0.5, 0.5, 0, -0.5, 0.5, 0.5)]
_DIAERESIS: Final = [_stroke(-0.5, -0.1, -0.5, 0.1), _stroke(0.5, -0.1, 0.5, 0.1)]
_TILDES: Final = [[_stroke(-0.5, 0.3, -0.25, -0.3, 0.25, 0.3, 0.5, -0.3)], _FLAT]
_CEDILLA: Final = _stroke(0, -0.5, 0, -0.2, 0.4, 0.1, 0.2, 0.5, -0.4, 0.4)
_ACCENTS: Final = [_ACUTE, _ACUTE, _GRAVE, _GRAVE, _CIRCUMFLEX, _DIAERESIS, _FLAT, _UPRIGHT]
