"""The ink of four made-up writers, and lines that are composed of it."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import InkSet, Piece
from inkstream.model.data.synthesis.composition import (
    KINDS,
    ComposedLine,
    LineComposer,
    Recipe,
)

# The writers differ in the size and the number of points of their letters.
WRITERS = ("aaa/letters", "aaa/lines", "bbb/words", "zzz/hidden")
LETTERS, LINES, WORDS, HIDDEN = range(4)
SIZES = (100, 400, 20, 70)
N_POINTS = (6, 7, 8, 9)

CHARACTERS = string.ascii_letters + string.digits + ".,-'\"()?!:;/$%"
TEXTS = ("the quick brown fox jumps", "over a lazy dog", "Pack my box with five", "jugs of ale")


@dataclass(frozen=True)
class Glyph:
    """Ink in strokes of the same length, and the letter that each point belongs to."""

    label: str
    points: NDArray[np.int64]
    letters: NDArray[np.int64]
    stroke: int


def letter_glyph(character: str, writer: int, index: int = 0, wobble: int = 0) -> Glyph:
    """Return a zigzag as high as the character, in the box number `index` of a line."""
    size, n = SIZES[writer], N_POINTS[writer]
    x = (1.25 * index + np.arange(n) / (n - 1)) * size
    high = character not in "acemnorsuvwxzgpqy,.-"
    top, bottom = (-1.75 if high else -1.0), (1.1 if character in "gpqyj" else 0.0)
    y = np.where(np.arange(n) % 2, bottom, top) * size
    y[0] += 0.01 * size * wobble
    if not character.isalnum():
        x = 1.25 * index * size + 0.3 * (x - x[0])
    if character == ".":
        y *= 0.1
    return Glyph(character, np.stack([x, y], 1).astype(np.int64), np.full(n, index), n)


def line_glyph(text: str, writer: int, cut: bool = True, joined: bool = False) -> Glyph:
    """Return a text with a letter in each box, segmented if `cut`, in one stroke if `joined`."""
    glyphs = [
        letter_glyph(character, writer, index, (7 * index + 31 * len(text)) % 50)
        for index, character in enumerate(text)
        if character != " "
    ]
    points = np.concatenate([glyph.points for glyph in glyphs])
    letters = np.concatenate([glyph.letters for glyph in glyphs])
    stroke = len(points) if joined else N_POINTS[writer]
    return Glyph(text, points, letters if cut else np.full_like(letters, -1), stroke)


def ink_set(pieces: Sequence[tuple[int, str, Glyph]]) -> InkSet:
    """Return an ink set of pieces, each of (writer, category, ink)."""
    return InkSet.of(
        Piece(
            glyph.points,
            np.arange(0, len(glyph.points) + 1, glyph.stroke),
            glyph.letters.astype(np.int16),
            glyph.label,
            category=category,
            writer=WRITERS[writer],
        )
        for writer, category, glyph in pieces
    )


def four_writers() -> InkSet:
    """Return letters by one writer, segmented lines by one, words by one; one is hidden."""
    words = " ".join(TEXTS).split()
    pieces = [(LETTERS, "1c", letter_glyph(character, LETTERS)) for character in CHARACTERS]
    pieces += [(LINES, "8", line_glyph(text, LINES)) for text in TEXTS]
    pieces += [(LINES, "7", line_glyph("vexing", LINES, joined=True))]
    pieces += [(WORDS, "7", line_glyph(word, WORDS, cut=False)) for word in words if len(word) > 1]
    pieces += [(WORDS, "1d", letter_glyph(mark, WORDS)) for mark in ".,"]
    pieces += [(HIDDEN, "1c", letter_glyph(character, HIDDEN)) for character in CHARACTERS + "#&@"]
    pieces += [
        (HIDDEN, "7", line_glyph(word, HIDDEN, cut=False)) for word in words if len(word) > 1
    ]
    return ink_set(pieces)


INK = four_writers()
USED = np.flatnonzero(INK.writers != HIDDEN)
COMPOSER = LineComposer(INK, USED)


def composed(
    n: int, kind: str | None = None, composer: LineComposer = COMPOSER
) -> list[ComposedLine]:
    """Make up lines of one kind, or of those of a composer."""
    random = np.random.default_rng(0)
    composer = composer if kind is None else only(USED, **{kind: 1.0})
    return [composer.draw(random) for _ in range(n)]


def ink_of(composed_line: ComposedLine, letter_index: int) -> NDArray[np.float32]:
    points: NDArray[np.float32] = composed_line.points[
        composed_line.letter_of_point == letter_index
    ]
    return points


def only(indices: NDArray[np.int64], **recipe: float) -> LineComposer:
    nothing: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    return LineComposer(INK, indices, Recipe(**(nothing | recipe)))
