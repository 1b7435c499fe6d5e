"""Words and lines are made up of one writer's ink, and where each letter is in them is known."""

import string
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.inkset import CATEGORIES, InkSet
from model.data.lines import KINDS, LineMaker, MadeLine, Recipe
from model.errors import DataError

Glyph = tuple[str, NDArray[np.int64], NDArray[np.int64]]  # label, points [n, 2], letters [n]

PRINTABLE = set(map(chr, range(32, 127)))
HANDS = ("aaa/printed", "aaa/joined", "bbb/words", "zzz/hidden")


def box(label: str, left: int, letter: int, size: int) -> Glyph:
    """A letter as a zigzag that fills its box; ascenders and descenders reach out of it."""
    top = -size if label in "acemnorsuvwxzgpqy" else -2 * size
    bottom = size if label in "gpqyj" else 0
    x = left + np.arange(6) * size // 5
    y = np.array([top, bottom] * 3)
    return label, np.stack([x, y], 1), np.full(6, letter)


def written(text: str, size: int) -> Glyph:
    """A text of such letters, a quarter of their size apart."""
    letters = [
        box(letter, place * size * 5 // 4, place, size)
        for place, letter in enumerate(text)
        if letter != " "
    ]
    _, points, indices = zip(*letters, strict=True)
    return text, np.concatenate(points), np.concatenate(indices)


def ink_set(pieces: Sequence[tuple[str, str, Glyph]]) -> InkSet:
    """Pieces, each of (writer, category, ink); every letter is one stroke."""
    lengths = [len(points) for _, _, (_, points, _) in pieces]
    return InkSet(
        points=np.concatenate([p - p.min(0) for _, _, (_, p, _) in pieces]).astype(np.int16),
        letter_of_point=np.concatenate([letters for _, _, (_, _, letters) in pieces]).astype(
            np.int16
        ),
        stroke_starts=np.arange(0, sum(lengths) + 1, 6),
        piece_starts=np.cumsum([0, *lengths]) // 6,
        labels=tuple(label for _, _, (label, _, _) in pieces),
        categories=np.array([CATEGORIES.index(category) for _, category, _ in pieces], np.uint8),
        writers=np.array([HANDS.index(writer) for writer, _, _ in pieces], np.int32),
        writer_names=HANDS,
        styles=np.zeros(len(pieces), np.uint8),
        guides=np.full((len(pieces), 2), np.nan, np.float32),
    )


TEXTS = ("the quick brown fox jumps", "over a lazy dog, twice", "Pack my box with five", "jugs.")


def uncut(text: str, size: int) -> Glyph:
    label, points, letters = written(text, size)
    return label, points, np.full_like(letters, -1)


def world() -> InkSet:
    """Letters of one writer, lines known letter by letter of another, words of a third."""
    marks = ".,-'\"()?!:;/$%"
    characters = string.ascii_letters + string.digits + marks
    pieces = [(HANDS[0], "1c", box(character, 0, 0, 100)) for character in characters]
    pieces += [(HANDS[1], "8", written(text, 40)) for text in TEXTS]
    pieces += [
        (HANDS[2], "7", uncut(word, 10)) for text in TEXTS for word in text.rstrip(".").split()
    ]
    pieces += [(HANDS[2], "1d", box(mark, 0, 0, 10)) for mark in marks]
    pieces += [(HANDS[3], category, glyph) for _, category, glyph in pieces]
    return ink_set(pieces)


INK = world()
USED = np.flatnonzero(INK.writers < 3)
MAKER = LineMaker(INK, USED)


def drawn(n: int, seed: int = 0, maker: LineMaker = MAKER, **kind: str) -> list[MadeLine]:
    random = np.random.default_rng(seed)
    return [maker.draw(random, **kind) for _ in range(n)]  # type: ignore[arg-type]


def test_every_letter_has_points_and_a_space_has_none() -> None:
    for line in drawn(300):
        places = set(line.letter_of_point.tolist())
        if -1 in places:
            continue
        assert places == {at for at, character in enumerate(line.label) if character != " "}


def test_letters_end_in_the_order_of_the_text() -> None:
    for line in drawn(300):
        known = sorted(set(line.letter_of_point.tolist()) - {-1})
        ends = [line.points[line.letter_of_point == place, 0].max() for place in known]
        assert all(before < after for before, after in pairwise(ends))
