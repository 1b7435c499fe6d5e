"""Labelled ink in flat arrays: what every reader of pen points gives; its file loads fast."""

import hashlib
import io
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import DataError
from inkstream.model.files import write_whole

CATEGORY_NAMES: Final = {  # of UNIPEN's categories
    "1a": "digits", "1b": "capitals", "1c": "small letters", "1d": "signs",
    "3": "letters of words", "7": "words", "8": "lines",
}  # fmt: skip
CATEGORIES: Final = tuple(CATEGORY_NAMES)
WORDS: Final = "7"
TEXT: Final = "8"
STYLES: Final = ("unknown", "printed", "cursive", "mixed")

OF_PIECES: Final = ("categories", "writers", "styles", "guides")  # arrays with a row for each piece
ARRAYS: Final = ("points", "letter_of_point", "stroke_starts", "piece_starts", *OF_PIECES)
TEXTS: Final = ("labels", "writer_names")


@dataclass(frozen=True, slots=True, eq=False)
class InkLine:
    """A label and its ink: P points in S strokes."""

    points: NDArray[Any]  # [P, 2], x right, y down
    stroke_starts: NDArray[np.int64]  # [S + 1], into points
    letter_of_point: NDArray[np.int16]  # [P], see `InkSet.letter_of_point`
    label: str

    @property
    def strokes(self) -> list[NDArray[Any]]:
        """The points of each stroke, S arrays [n, 2]."""
        return np.split(self.points, self.stroke_starts[1:-1])

    @property
    def letters(self) -> list[NDArray[np.int16]]:
        """The letter of each point of each stroke, S arrays [n]."""
        return np.split(self.letter_of_point, self.stroke_starts[1:-1])


@dataclass(frozen=True, slots=True, eq=False)
class Piece(InkLine):
    """One labelled piece of ink: a character, a word or a line."""

    category: str
    writer: str
    style: str = STYLES[0]
    guides: NDArray[np.floating[Any]] = field(  # [2], see `InkSet.guides`
        default_factory=lambda: np.full(2, np.nan)
    )


@dataclass(frozen=True, slots=True, eq=False)
class InkSet:
    """N labelled pieces of ink, of P points in S strokes, without a Python object for each.

    A point of the pen in the air is not stored. Each piece has its own origin: the left and upper
    bound of its ink is (0, 0).
    """

    points: NDArray[np.int16]  # [P, 2], x right, y down
    letter_of_point: NDArray[np.int16]  # [P], index into the label's characters; -1 = not known
    stroke_starts: NDArray[np.int64]  # [S + 1], into points
    piece_starts: NDArray[np.int64]  # [N + 1], into strokes
    labels: tuple[str, ...]  # N
    categories: NDArray[np.uint8]  # [N], index into CATEGORIES
    writers: NDArray[np.int32]  # [N], index into writer_names
    writer_names: tuple[str, ...]  # "donor/writer"
    styles: NDArray[np.uint8]  # [N], index into STYLES
    guides: NDArray[np.float32]  # [N, 2], y of (x-height line, baseline); NaN where not known

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> "InkSet":
        """Collect pieces, whose points lie anywhere.

        The ink of a writer who has a piece larger than 16 bits is halved until that fits.
        """
        kept, limit = [], np.iinfo(np.int16).max
        for piece in pieces:  # may be read one by one, and are kept in 16 bits
            origin = piece.points.min(0)
            moved = np.rint(piece.points - origin)
            moved = moved.astype(np.int16 if moved.max() <= limit else np.int64)
            kept.append(replace(piece, points=moved, guides=piece.guides - origin[1]))
        lengths = [np.diff(piece.stroke_starts) for piece in kept]
        piece_writers = np.array([piece.writer for piece in kept], np.str_)
        names, writers = np.unique(piece_writers, return_inverse=True)
        largest = np.zeros(len(names))
        np.maximum.at(largest, writers, [piece.points.max() for piece in kept])
        scales = 0.5 ** np.ceil(np.log2(np.maximum(largest / limit, 1)))[writers]
        scaled = [
            np.rint(piece.points * scale).astype(np.int16) if scale < 1 else piece.points
            for piece, scale in zip(kept, scales, strict=True)
        ]
        letters = [piece.letter_of_point for piece in kept]
        guides = np.array([piece.guides for piece in kept]).reshape(-1, 2)
        return cls(
            points=np.concatenate([np.empty((0, 2), np.int16), *scaled]),
            letter_of_point=np.concatenate([np.empty(0, np.int16), *letters]),
            stroke_starts=np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64),
            piece_starts=np.cumsum([0, *map(len, lengths)], dtype=np.int64),
            labels=tuple(piece.label for piece in kept),
            categories=np.array([CATEGORIES.index(piece.category) for piece in kept], np.uint8),
            writers=writers.astype(np.int32),
            writer_names=tuple(names.tolist()),
            styles=np.array([STYLES.index(piece.style) for piece in kept], np.uint8),
            guides=(guides * scales[:, None]).astype(np.float32),
        )

    @classmethod
    def concatenated(cls, sets: Sequence["InkSet"]) -> "InkSet":
        """Return all pieces of sets without a writer in common, in their order."""
        names = sorted(name for ink in sets for name in ink.writer_names)
        arrays = {name: np.concatenate([getattr(ink, name) for ink in sets]) for name in ARRAYS}
        for name in ("stroke_starts", "piece_starts"):
            lengths = [np.diff(getattr(ink, name)) for ink in sets]
            arrays[name] = np.cumsum(np.concatenate([[0], *lengths]))
        numbers = [np.searchsorted(names, ink.writer_names)[ink.writers] for ink in sets]
        arrays["writers"] = np.concatenate(numbers).astype(np.int32)
        labels = tuple(label for ink in sets for label in ink.labels)
        return cls(**arrays, labels=labels, writer_names=tuple(names))

    def __len__(self) -> int:
        return len(self.labels)

    def piece(self, index: int) -> Piece:
        """Return the piece at `index`; its points are views."""
        first, end = self.piece_starts[index : index + 2]
        starts = self.stroke_starts[first : end + 1]
        cut = slice(starts[0], starts[-1])
        return Piece(
            points=self.points[cut],
            stroke_starts=starts - starts[0],
            letter_of_point=self.letter_of_point[cut],
            label=self.labels[index],
            category=CATEGORIES[self.categories[index]],
            writer=self.writer_names[self.writers[index]],
            style=STYLES[self.styles[index]],
            guides=self.guides[index],
        )

    def take(self, indices: NDArray[np.int64]) -> "InkSet":
        """Return the pieces at `indices`, in that order; all writer names stay."""
        strokes, piece_starts = expand(self.piece_starts[indices], self.piece_starts[indices + 1])
        points, stroke_starts = expand(self.stroke_starts[strokes], self.stroke_starts[strokes + 1])
        return replace(
            self,
            points=self.points[points],
            letter_of_point=self.letter_of_point[points],
            stroke_starts=stroke_starts,
            piece_starts=piece_starts,
            labels=tuple(self.labels[index] for index in indices),
            **{name: getattr(self, name)[indices] for name in OF_PIECES},
        )

    @property
    def donors(self) -> NDArray[np.str_]:
        """The donor of each piece, [N]."""
        names = np.array([name.partition("/")[0] for name in self.writer_names], np.str_)
        return names[self.writers]

    def joined(self) -> NDArray[np.bool_]:
        """Mark the pieces, [N], in which a stroke joins two letters according to the data."""
        known = np.flatnonzero(self.letter_of_point >= 0)
        letters = self.letter_of_point[known]
        strokes = np.searchsorted(self.stroke_starts, known, "right") - 1
        on = (strokes[1:] == strokes[:-1]) & (letters[1:] != letters[:-1])
        joined = np.zeros(len(self), bool)
        joined[np.searchsorted(self.piece_starts, strokes[1:][on], "right") - 1] = True
        return joined

    @property
    def digest(self) -> str:
        """SHA-256 of all that is in it: the same data give the same digest."""
        digest = hashlib.sha256()
        for name, array in self._arrays().items():
            digest.update(f"{name} {array.shape} {array.dtype.str} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write one .npz file, whole or not at all."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **self._arrays())
        write_whole(path, content.getbuffer())

    @classmethod
    def load(cls, path: Path) -> "InkSet":
        """Read what `save` wrote; raises `DataError` when the file is not that."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                fields: dict[str, Any] = {name: stored[name] for name in ARRAYS}
                for name in TEXTS:
                    content, starts = stored[f"{name}_bytes"].tobytes(), stored[f"{name}_starts"]
                    fields[name] = tuple(
                        content[start:stop].decode() for start, stop in itertools.pairwise(starts)
                    )
        except (BadZipFile, EOFError, KeyError, ValueError, TypeError, OSError) as error:
            raise DataError(f"{path} is no file of ink: {error}") from error
        return cls(**fields)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays as they are stored: texts as UTF-8 bytes and where each one starts."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in ARRAYS}
        for name in TEXTS:
            encoded = [text.encode() for text in getattr(self, name)]
            arrays[f"{name}_bytes"] = np.frombuffer(b"".join(encoded), np.uint8)
            arrays[f"{name}_starts"] = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return arrays


def expand(
    starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all numbers of ranges, and where among them a range starts, [ranges + 1]."""
    lengths = stops - starts
    new_starts = np.concatenate([[0], np.cumsum(lengths)])
    members = np.arange(new_starts[-1]) + np.repeat(starts - new_starts[:-1], lengths)
    return members, new_starts
