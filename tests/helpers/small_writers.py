"""Four little writers, and what is made up of their ink."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import CATEGORIES, InkSet
from inkstream.model.data.synthesis.composition import (
    KINDS,
    ComposedLine,
    Kind,
    LineComposer,
    Recipe,
)

# Who writes a letter is told by the number of its points; each writes in another size.
WRITERS = ("aaa/letters", "aaa/lines", "bbb/words", "zzz/hidden")
LETTERS, LINES, WORDS, HIDDEN = range(4)
SIZES = (100, 400, 20, 70)
N_POINTS = (6, 7, 8, 9)

CHARACTERS = string.ascii_letters + string.digits + ".,-'\"()?!:;/$%"
TEXTS = ("the quick brown fox jumps", "over a lazy dog", "Pack my box with five", "jugs of ale")


@dataclass(frozen=True)
class Glyph:
    """Ink, in strokes of all the same length, and the letter that each point belongs to."""

    label: str
    points: NDArray[np.int64]
    letters: NDArray[np.int64]
    stroke: int


def letter(character: str, writer: int, place: int = 0, wobble: int = 0) -> Glyph:
    """A zigzag as high as the character usually is, in the box at `place` of a line."""
    size, n = SIZES[writer], N_POINTS[writer]
    x = (1.25 * place + np.arange(n) / (n - 1)) * size
    high = character not in "acemnorsuvwxzgpqy,.-"
    top, bottom = (-1.75 if high else -1.0), (1.1 if character in "gpqyj" else 0.0)
    y = np.where(np.arange(n) % 2, bottom, top) * size
    y[0] += 0.01 * size * wobble
    if not character.isalnum():
        x = 1.25 * place * size + 0.3 * (x - x[0])
    if character == ".":
        y *= 0.1
    return Glyph(character, np.stack([x, y], 1).astype(np.int64), np.full(n, place), n)


def line(text: str, writer: int, cut: bool = True, joined: bool = False) -> Glyph:
    """A text, each letter in a box; known letter by letter if it is cut, one stroke if joined."""
    glyphs = [
        letter(one, writer, place, (7 * place + 31 * len(text)) % 50)
        for place, one in enumerate(text)
        if one != " "
    ]
    points = np.concatenate([glyph.points for glyph in glyphs])
    letters = np.concatenate([glyph.letters for glyph in glyphs])
    stroke = len(points) if joined else N_POINTS[writer]
    return Glyph(text, points, letters if cut else np.full_like(letters, -1), stroke)


def ink_set(pieces: Sequence[tuple[int, str, Glyph]]) -> InkSet:
    """Pieces, each of (writer, category, ink)."""
    glyphs = [glyph for _, _, glyph in pieces]
    strokes = [len(glyph.points) // glyph.stroke for glyph in glyphs]
    lengths = np.repeat([glyph.stroke for glyph in glyphs], strokes)
    return InkSet(
        points=np.concatenate([one.points - one.points.min(0) for one in glyphs]).astype(np.int16),
        letter_of_point=np.concatenate([glyph.letters for glyph in glyphs]).astype(np.int16),
        stroke_starts=np.cumsum([0, *lengths]),
        piece_starts=np.cumsum([0, *strokes]),
        labels=tuple(glyph.label for glyph in glyphs),
        categories=np.array([CATEGORIES.index(category) for _, category, _ in pieces], np.uint8),
        writers=np.array([writer for writer, _, _ in pieces], np.int32),
        writer_names=WRITERS,
        styles=np.zeros(len(pieces), np.uint8),
        guides=np.full((len(pieces), 2), np.nan, np.float32),
    )


def world() -> InkSet:
    """One writes letters, one lines that are known letter by letter, one words; one is hidden."""
    words = " ".join(TEXTS).split()
    pieces = [(LETTERS, "1c", letter(character, LETTERS)) for character in CHARACTERS]
    pieces += [(LINES, "8", line(text, LINES)) for text in TEXTS]
    pieces += [(LINES, "7", line("vexing", LINES, joined=True))]
    pieces += [(WORDS, "7", line(word, WORDS, cut=False)) for word in words if len(word) > 1]
    pieces += [(WORDS, "1d", letter(mark, WORDS)) for mark in ".,"]
    pieces += [(HIDDEN, "1c", letter(character, HIDDEN)) for character in CHARACTERS + "#&@"]
    pieces += [(HIDDEN, "7", line(word, HIDDEN, cut=False)) for word in words if len(word) > 1]
    return ink_set(pieces)


INK = world()
USED = np.flatnonzero(INK.writers != HIDDEN)
MAKER = LineComposer(INK, USED)


def drawn(n: int, kind: Kind | None = None, maker: LineComposer = MAKER) -> list[ComposedLine]:
    random = np.random.default_rng(0)
    return [maker.draw(random, kind) for _ in range(n)]


def ink_of(made: ComposedLine, place: int) -> NDArray[np.float32]:
    points: NDArray[np.float32] = made.points[made.letter_of_point == place]
    return points


def only(indices: NDArray[np.int64], **recipe: float) -> LineComposer:
    nothing: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    return LineComposer(INK, indices, Recipe(**(nothing | recipe)))  # type: ignore[arg-type]
