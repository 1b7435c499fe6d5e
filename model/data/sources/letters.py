"""Read single letters and marks as strokes, and give each the size that its label has in a line.

Samples of Detexify (Kirel; drawn by mouse and finger by unknown people, each fitted into a square)
and Chars74K's EnglishHnd (de Campos, Babu, Varma, VISAPP 2009; 40 writers on a tablet PC), both as
JSON lines. Name the sources; neither may be redistributed.

The ink alone does not distinguish ø from Ø, nor a comma from an apostrophe: its label says how high
and where it stands. Of several writers a fifth validates and a fifth tests. Where no writers are
known, an eighth of the letters validates and an eighth tests, by the hashes of their ink.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import WESTERN
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.sources import ink_files
from inkstream.model.data.split import PARTS, Part, Parts, part_of_few, table_digest
from inkstream.model.data.synthesis.glyphs import shapes_of
from inkstream.model.errors import DataError

X_HEIGHT: Final = 4000  # units of the points: fine enough for a dot, and 16 bits hold all letters


@dataclass(frozen=True, slots=True, eq=False)
class SingleLetters:
    """N letters and marks of one file."""

    name: str  # of the donor in the ink: the file's
    ink: InkSet  # N pieces; guides are y of the x-height line and the baseline of each
    parts: Parts
    writers: NDArray[np.int64]  # [N], numbers; where no writers are known, one for each piece
    anonymous: tuple[str, ...]  # writers' names that stand for many people
    split_digest: str  # SHA-256 of the table of all writers, or hashes of ink, and their parts
    n_left_out: int  # pieces whose label is no character of `WESTERN`


def load_letters(path: Path) -> SingleLetters:
    """Read a file of labelled ink; raise `DataError` if it cannot be read or has no letter."""
    given = ink_files.read(path).ink
    ink = given.take(np.flatnonzero([label in WESTERN for label in given.labels]))
    if not len(ink):
        raise DataError(
            f"{path} has labels such as {', '.join(sorted(set(given.labels))[:3])}; expected single"
            " letters, digits or marks of western Europe"
        )
    by_writer = len(ink.writer_names) > 1
    if by_writer:
        keys = [ink.writer_names[writer] for writer in ink.writers]
        parts = part_of_few(ink.writer_names)
    else:
        points = (ink.piece(at).points for at in range(len(ink)))
        keys = [hashlib.sha256(pen.tobytes()).hexdigest() for pen in points]
        held_out: dict[int, Part] = {0: "validation", 1: "test"}
        parts = {key: held_out.get(int(key, 16) % 8, "train") for key in keys}
    part = np.array([parts[key] for key in keys])
    return SingleLetters(
        name=ink.writer_names[0].partition("/")[0],
        ink=_sized(ink),
        parts={name: np.flatnonzero(part == name) for name in PARTS},
        writers=ink.writers.astype(np.int64) if by_writer else np.arange(len(ink)),
        anonymous=() if by_writer else ink.writer_names,
        split_digest=table_digest(parts),
        n_left_out=len(given) - len(ink),
    )


def _sized(ink: InkSet) -> InkSet:
    """Scale each letter to the height that `shapes_of` its label says, and set its guides.

    It keeps its proportions and its slant. Of ink more than twice as wide as high, the width shows
    the size; these marks are one x-height wide.
    """
    starts = ink.stroke_starts[ink.piece_starts]
    width, height = np.maximum.reduceat(ink.points, starts[:-1]).T.astype(np.float64)
    top, bottom, anchor = shapes_of(ink.labels).T
    of_height = (bottom - top) / np.maximum(np.maximum(height, width / 2), 1)
    of_width = 1 / np.maximum(np.maximum(height, width), 1)
    scale = X_HEIGHT * np.where(np.isin(ink.labels, list("-_~")), of_width, of_height)
    points = np.rint(ink.points * np.repeat(scale, np.diff(starts))[:, None]).astype(np.int16)
    baseline = anchor * height * scale - X_HEIGHT * (top + anchor * (bottom - top))
    guides = np.stack([baseline - X_HEIGHT, baseline], 1).astype(np.float32)
    return replace(ink, points=points, guides=guides)
