"""Digits written with a pen, drawn as MNIST's images are: `digits` learns and is measured on them.

They come from UNIPEN's category 1a and from a file of labelled ink, Alpaydin and Alimoglu's
"Pen-Based Recognition of Handwritten Digits" (1998, UCI 81, CC BY 4.0) as JSON lines. Its writers
are few, so a fifth of them is for validation and a fifth for the test, by the order of their
names' hashes; UNIPEN's writers are in the parts that they have for all of its ink.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import ModelConfig
from inkstream.model.data.augmentation import Points, Random, augmented, frame_of
from inkstream.model.data.images import COLUMN_HEIGHT, Dataset
from inkstream.model.data.ink_set import CATEGORIES, InkLine, InkSet
from inkstream.model.data.sources import ink_files, unipen
from inkstream.model.data.sources.mnist import LABELS
from inkstream.model.data.split import Part, part_of_few, part_of_writer, table_digest
from inkstream.model.errors import DataError
from inkstream.model.preprocess.columns import BOX_SHARE
from inkstream.model.preprocess.ink import rasterise, stroke_columns


@dataclass(frozen=True, slots=True)
class PenDigits:
    """Digits of one part, and the writer of each image."""

    images: Dataset
    writers: NDArray[np.int64]  # [N], numbers of persons
    split_digest: str  # SHA-256 of the table of all writers and their parts


@cache
def load(path: Path, part: Part) -> dict[str, PenDigits]:
    """Read the pen digits of a part by source, those of the file first.

    They are drawn as a client's ink; for training each is drawn once more, in one of many shapes
    and thicknesses. Raises `DataError` for a file that cannot be read or has no digits of this
    part, or without UNIPEN.
    """
    file, release = ink_files.read(path).ink, unipen.read()[0]
    return {
        "pen digits": _drawn("pen digits", file, part_of_few(file.writer_names), part),
        "UNIPEN 1a": _drawn("UNIPEN 1a", release, part_of_writer(release.writer_names), part),
    }


def _drawn(name: str, ink: InkSet, parts: dict[str, Part], part: Part) -> PenDigits:
    """Draw the digits by the writers of a part; raise `DataError` if they wrote none."""
    is_digit = np.array([label in LABELS for label in ink.labels])
    is_digit &= ink.categories == CATEGORIES.index("1a")
    in_part = np.array([parts[writer] == part for writer in ink.writer_names])
    chosen = np.flatnonzero(is_digit & in_part[ink.writers])
    if not len(chosen):
        raise DataError(
            f"{name}: of {is_digit.sum()} digits by {len(parts)} writers none is for {part},"
            " expected digits by five writers or more"
        )
    classifier = ModelConfig(  # of any net that reads such columns
        labels=LABELS, column_height=COLUMN_HEIGHT, context=1, features=1, layers=1, units=1
    )
    random, columns = np.random.default_rng(0), []
    for index in chosen:
        piece = ink.piece(int(index))
        columns.append(stroke_columns(piece.strokes, classifier))
        if part == "train":
            columns.append(drawn_digit(piece, random))
    repeats = 2 if part == "train" else 1
    answers = np.array([LABELS.index(ink.labels[index]) for index in chosen], np.int64)
    return PenDigits(
        Dataset(name, np.array(columns), answers.repeat(repeats), LABELS),
        ink.writers[chosen].astype(np.int64).repeat(repeats),
        table_digest(parts),
    )


def drawn_digit(piece: InkLine, random: Random) -> NDArray[np.uint8]:
    """Draw a digit [T, H] as MNIST's are, its centre of mass in the middle, by another hand."""
    pen_width = float(np.exp(random.uniform(np.log(1.2), np.log(4.8))))  # MNIST's are 2 to 4 wide
    points, _ = augmented(
        piece.points, piece.stroke_starts, frame_of(piece.points, 1.0), COLUMN_HEIGHT, random,
        strength=0.6,  # of its largest changes: training also distorts the images
    )  # fmt: skip
    low, extent = points.min(0), float(np.ptp(points, axis=0).max())
    points = (points - low) * ((COLUMN_HEIGHT * BOX_SHARE - pen_width) / max(extent, 1e-6))
    ink = _ink(points, piece, pen_width, (pen_width / 2,) * 2)
    mass = np.array([ink.sum(1) @ np.arange(len(ink)), ink.sum(0) @ np.arange(COLUMN_HEIGHT)])
    middle = mass / ink.sum() + 0.5 - pen_width / 2  # of the ink, in the units of the points
    return _ink(points, piece, pen_width, tuple(COLUMN_HEIGHT / 2 - middle))


def _ink(
    points: Points, piece: InkLine, pen_width: float, shift: tuple[float, ...]
) -> NDArray[np.uint8]:
    """Rasterise moved points into a square image; what lies beyond it is cut off."""
    moved = np.maximum(points + shift, 0)
    columns = rasterise(moved, piece.stroke_starts, COLUMN_HEIGHT, pen_width)[:COLUMN_HEIGHT]
    return np.pad(columns, ((0, COLUMN_HEIGHT - len(columns)), (0, 0)))
