"""Select what the reports read: pieces by the writers of one part, as line samples for a net."""

import string
from collections.abc import Sequence
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.data import split
from inkstream.model.data.augmentation import fit
from inkstream.model.data.batches import NO_ENDS, InkPieces, LineSample, draw_piece
from inkstream.model.data.images import Dataset
from inkstream.model.data.ink_set import CATEGORIES, InkSet, Piece
from inkstream.model.metrics import Figures, bootstrap, errors, errors_by

CHARACTERS: Final = {  # labels that are allowed in the categories of single characters
    "1a": string.digits,
    "1b": string.ascii_uppercase,
    "1c": string.ascii_lowercase,
}

SEED: Final = 0  # for the choice of pieces and writers, positions in the rows, and portions
GAP: Final = 0.6  # rows' heights between pieces that are concatenated: about the gap of words


class EvaluationSet:
    """The pieces of one part whose labels a net can spell; a piece goes by its index."""

    def __init__(
        self,
        ink: InkSet,
        part: split.Part,
        labels: Sequence[str],
        column_height: int,
        limit: int | None = None,
        *,
        directions: bool = False,
    ) -> None:
        """Select the pieces, `limit` of a category at most, drawn at random; None is all.

        With `directions` their columns tell where the pen goes. `ink` is all of it: the texts of
        the training writers decide which texts are unseen.
        """
        parts = split.parts(ink)
        self.pieces = InkPieces(ink, parts[part], labels)
        self.column_height = column_height
        self._directions = directions
        self.n_left_out = len(parts[part]) - len(self.pieces.indices)  # labels that cannot be spelt
        self._limit = limit
        self._trained = frozenset(ink.labels[index] for index in parts["train"])

    @property
    def split_digest(self) -> str:
        """SHA-256 of the table of the writers' parts."""
        return split.table_digest(split.part_of_writer(self.pieces.ink.writer_names))

    def indices(self, category: str) -> list[int]:
        """Return the pieces of a category, narrow ones first."""
        of_category = np.flatnonzero(self.pieces.categories == CATEGORIES.index(category))
        chosen = np.random.default_rng(SEED).permutation(of_category)[: self._limit]
        return sorted(chosen.tolist(), key=lambda index: float(self.pieces.aspect[index]))

    def samples(
        self,
        indices: Sequence[int],
        size: float = 1.0,
        *,
        tight: bool = False,
        directions: bool = True,
    ) -> list[LineSample]:
        """Return pieces as line samples, whose frames fill a share `size` of the rows.

        Smaller ones lie anywhere in the rows. If `tight`, the ink fills the rows instead. Without
        `directions` they are as in images, whatever this set was made for.
        """
        rng = np.random.default_rng(SEED)
        height, directions = self.column_height, directions and self._directions
        return [
            draw_piece(
                self.pieces, index, height,
                size=size, at=rng.random(), tight=tight, directions=directions,
            )
            for index in indices
        ]  # fmt: skip

    def columns(self, index: int, rows: int) -> NDArray[np.uint8]:
        """Return one piece as [T, rows], which its frame fills."""
        return draw_piece(self.pieces, index, rows).columns

    def piece(self, index: int) -> Piece:
        """Return the ink of one piece."""
        return self.pieces.ink.piece(int(self.pieces.indices[index]))

    def strokes(self, index: int) -> list[NDArray[np.float32]]:
        """Return the strokes of one piece, each [n, 2], in pixels of the rows."""
        piece = self.piece(index)
        fitted = fit(piece.points, self.pieces.frame(index), self.column_height)
        return np.split(fitted, piece.stroke_starts[1:-1])

    def labels(self, indices: Sequence[int]) -> list[str]:
        """Return the label of each piece."""
        return [self.pieces.ink.labels[self.pieces.indices[index]] for index in indices]

    def writers(self, indices: Sequence[int]) -> list[str]:
        """Return the writer of each piece, as "donor/writer"."""
        ink = self.pieces.ink
        return [ink.writer_names[ink.writers[self.pieces.indices[index]]] for index in indices]

    def unseen(self, indices: Sequence[int]) -> list[bool]:
        """Return whether no training writer wrote the text of each piece."""
        return [label not in self._trained for label in self.labels(indices)]

    def by_writer(self, indices: Sequence[int]) -> dict[str, list[int]]:
        """Return the same pieces by their writers."""
        by_writer: dict[str, list[int]] = {}
        for index, writer in zip(indices, self.writers(indices), strict=True):
            by_writer.setdefault(writer, []).append(index)
        return by_writer

    def errors(self, indices: Sequence[int], texts: Sequence[str]) -> Figures:
        """Return the errors of pieces that were read as `texts`: of all, of unseen and seen ones.

        `bootstrap` has the bootstrap of all and of unseen ones; each is left out without pieces.
        """
        labels, writers, unseen = self.labels(indices), self.writers(indices), self.unseen(indices)
        kinds = ["unseen" if is_unseen else "seen" for is_unseen in unseen]
        groups = {
            "all": (texts, labels, writers),
            "unseen": [list(compress(values, unseen)) for values in (texts, labels, writers)],
        }
        return {
            **errors(texts, labels),
            **errors_by(kinds, texts, labels, ("unseen", "seen")),
            "bootstrap": {name: bootstrap(*group) for name, group in groups.items() if group[0]},
        }


def concatenated(lines: Sequence[LineSample], column_height: int) -> LineSample:
    """Return lines as one, with a gap and a space between each and the next."""
    gap = np.zeros((round(GAP * column_height), lines[0].columns.shape[1]), np.uint8)
    parts = [part for line in lines for part in (gap, line.columns)]
    return LineSample(np.concatenate(parts[1:]), " ".join(line.label for line in lines), NO_ENDS)


def digit_lines(dataset: Dataset, column_height: int) -> list[LineSample]:
    """Return images of digits as lines: a blank column, then the box of their ink in all rows."""
    lines = []
    for columns, answer in zip(dataset.columns, dataset.answers, strict=True):
        x, y = np.flatnonzero(columns.any(1)), np.flatnonzero(columns.any(0))
        ink = Image.fromarray(np.ascontiguousarray(columns[x[0] : x[-1] + 1, y[0] : y[-1] + 1]))
        width = max(1, round(ink.height * column_height / ink.width))  # the image lies on its side
        scaled = np.asarray(ink.resize((column_height, width), Image.Resampling.BILINEAR))
        padded = np.pad(scaled, ((1, 0), (0, 0)))
        lines.append(LineSample(padded, dataset.labels[answer], NO_ENDS))
    return lines
