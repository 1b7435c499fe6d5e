"""What the report on lines reads: pieces by writers of one part, brought into the net's rows."""

import string
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.data import split
from inkstream.model.data.augmentation import fit
from inkstream.model.data.batches import InkPieces, LineSample, draw_piece
from inkstream.model.data.images import Dataset
from inkstream.model.data.ink_set import CATEGORIES, STYLES, InkSet

WORDS: Final = "7"
TEXT: Final = "8"
CHARACTERS: Final = {  # what may be answered in the categories of single characters
    "1a": string.digits,
    "1b": string.ascii_uppercase,
    "1c": string.ascii_lowercase,
}

SEED: Final = 0  # of samples, places and portions
GAP: Final = 0.6  # of the rows, between pieces put one behind the other: about what words have
NO_ENDS: Final = np.empty(0, np.float32)


class Material:
    """The pieces of one part that a net can spell."""

    def __init__(
        self,
        ink: InkSet,
        part: split.Part,
        labels: Sequence[str],
        column_height: int,
        limit: int | None = None,
    ) -> None:
        """Prepare.

        Args:
            ink: all of it; what the writers who train wrote tells which texts are fresh.
            part: whose pieces are read.
            labels: of the net.
            column_height: H.
            limit: pieces of a category at most, drawn at random; None is all.
        """
        parts = split.parts(ink)
        self.pieces = InkPieces(ink, parts[part], labels)
        self.column_height = column_height
        self.n_left_out = len(parts[part]) - len(self.pieces.indices)  # labels that cannot be spelt
        self._limit = limit
        self._trained = frozenset(ink.labels[index] for index in parts["train"])

    @cached_property
    def data_digest(self) -> str:
        """SHA-256 of all ink."""
        return self.pieces.ink.digest

    @cached_property
    def split_digest(self) -> str:
        """SHA-256 of the table that says to which part each writer belongs."""
        writers = split.part_of_writer(self.pieces.ink.writer_names)
        with tempfile.TemporaryDirectory() as folder:
            return split.write_table(writers, Path(folder) / "writers.tsv")

    def places(self, category: str) -> list[int]:
        """Places among the pieces of those of a category, narrow ones first."""
        own = np.flatnonzero(self.pieces.categories == CATEGORIES.index(category))
        chosen = np.random.default_rng(SEED).permutation(own)[: self._limit]
        return sorted(chosen.tolist(), key=lambda place: float(self.pieces.aspect[place]))

    def drawn(
        self, places: Sequence[int], size: float = 1.0, *, tight: bool = False
    ) -> list[LineSample]:
        """Pieces in rows; smaller ones lie anywhere in them. `tight` ones fill them with ink."""
        random = np.random.default_rng(SEED)
        height = self.column_height
        return [
            draw_piece(self.pieces, place, height, size=size, at=random.random(), tight=tight)
            for place in places
        ]

    def columns(self, place: int, rows: int, *, tight: bool = False) -> NDArray[np.uint8]:
        """One piece in so many rows, [T, rows], which its frame fills or, `tight`, its ink."""
        return draw_piece(self.pieces, place, rows, tight=tight).columns

    def strokes(self, place: int) -> list[NDArray[np.float32]]:
        """The strokes of one piece as they were written, each [n, 2], in pixels of the rows."""
        piece = self.pieces.ink.piece(int(self.pieces.indices[place]))
        points = np.concatenate(piece.strokes).astype(np.float32)
        fitted = fit(points, self.pieces.frame(place), self.column_height)
        return np.split(fitted, np.cumsum([len(stroke) for stroke in piece.strokes])[:-1])

    def labels(self, places: Sequence[int]) -> list[str]:
        """What each piece says."""
        return [self.pieces.ink.labels[self.pieces.indices[place]] for place in places]

    def donors(self, places: Sequence[int]) -> list[str]:
        """Who collected each piece."""
        return [writer.partition("/")[0] for writer in self.writers(places)]

    def writers(self, places: Sequence[int]) -> list[str]:
        """Who wrote each piece, as "donor/writer"."""
        ink = self.pieces.ink
        return [ink.writer_names[ink.writers[self.pieces.indices[place]]] for place in places]

    def styles(self, places: Sequence[int]) -> list[str]:
        """How each piece is written, as the data say."""
        return [STYLES[self.pieces.ink.styles[self.pieces.indices[place]]] for place in places]

    def joined(self, places: Sequence[int]) -> list[bool]:
        """Whether a stroke of each piece goes on from one letter to another, as the data tell."""
        joined: list[bool] = self.pieces.ink.joined()[self.pieces.indices[places]].tolist()
        return joined

    def fresh(self, places: Sequence[int]) -> list[bool]:
        """Whether no writer who trains wrote a piece's text."""
        return [label not in self._trained for label in self.labels(places)]

    def by_writer(self, places: Sequence[int]) -> dict[str, list[int]]:
        """The same places, by who wrote them."""
        found: dict[str, list[int]] = {}
        for place, writer in zip(places, self.writers(places), strict=True):
            found.setdefault(writer, []).append(place)
        return found


def one_behind_the_other(lines: Sequence[LineSample]) -> LineSample:
    """Lines as one, a gap and a space between each and the next."""
    height = lines[0].columns.shape[1]
    gap = np.zeros((round(GAP * height), height), np.uint8)
    parts = [part for line in lines for part in (gap, line.columns)]
    return LineSample(np.concatenate(parts[1:]), " ".join(line.label for line in lines), NO_ENDS)


def digit_lines(dataset: Dataset, column_height: int) -> list[LineSample]:
    """Images of digits as lines: the box of their ink fills the rows, its proportions kept."""
    return [
        LineSample(_filling(columns, column_height), dataset.labels[answer], NO_ENDS)
        for columns, answer in zip(dataset.columns, dataset.answers, strict=True)
    ]


def _filling(columns: NDArray[np.uint8], column_height: int) -> NDArray[np.uint8]:
    """Columns [T, H] of one image, cut to its ink and scaled to other rows; a blank one before."""
    x, y = np.flatnonzero(columns.any(1)), np.flatnonzero(columns.any(0))
    ink = Image.fromarray(np.ascontiguousarray(columns[x[0] : x[-1] + 1, y[0] : y[-1] + 1]))
    width = max(1, round(ink.height * column_height / ink.width))  # of an image on its side
    scaled = np.asarray(ink.resize((column_height, width), Image.Resampling.BILINEAR))
    return np.pad(scaled, ((1, 0), (0, 0)))
