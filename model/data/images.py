"""Labelled images, and the loader of a user's own: a folder for each class.

Images go through the same preprocessing as those that will be recognised.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import DataError, ImageError
from inkstream.model.preprocess.columns import digit_columns


@dataclass(frozen=True, slots=True)
class Dataset:
    """N labelled images, all T columns wide."""

    name: str
    columns: NDArray[np.uint8]  # [N, T, H], 0 = paper, 255 = ink
    answers: NDArray[np.int64]  # [N], index into labels
    labels: tuple[str, ...]  # K

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def digest(self) -> str:
        """SHA-256 of pixels, answers and labels: the same data give the same digest."""
        digest = hashlib.sha256("\n".join(self.labels).encode())
        digest.update(np.ascontiguousarray(self.columns).tobytes())
        digest.update(self.answers.astype("<i8").tobytes())
        return digest.hexdigest()

    def take(self, indices: NDArray[np.int64]) -> "Dataset":
        """Return the images at `indices`, in that order."""
        return Dataset(self.name, self.columns[indices], self.answers[indices], self.labels)

    def joined(self, others: Iterable["Dataset"]) -> "Dataset":
        """Return all images in order; raise `DataError` for other labels or another size."""
        sets = [self, *others]
        if len({(dataset.labels, dataset.columns.shape[1:]) for dataset in sets}) > 1:
            names = ", ".join(dataset.name for dataset in sets)
            raise DataError(f"{names} have different labels or sizes: train on one of them")
        return Dataset(
            ", ".join(dict.fromkeys(dataset.name for dataset in sets)),
            np.concatenate([dataset.columns for dataset in sets]),
            np.concatenate([dataset.answers for dataset in sets]),
            self.labels,
        )

    def split(self, held_out: int, seed: int) -> tuple["Dataset", "Dataset"]:
        """Return (training, held out); raise `DataError` when nothing is left to train on."""
        if not 0 < held_out < len(self):
            raise DataError(f"cannot hold out {held_out} of {len(self)} images")
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(np.sort(order[held_out:])), self.take(np.sort(order[:held_out]))


COLUMN_HEIGHT: Final = 28  # as MNIST, so that a net can start from either
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm")


def load(folder: Path) -> Dataset:
    """Read a folder of images for each class; raises `DataError` naming what can't be used."""
    paths = [path for path in sorted(folder.glob("*/*")) if path.suffix.lower() in SUFFIXES]
    labels, answers = np.unique([path.parent.name for path in paths], return_inverse=True)
    if len(labels) < 2:
        raise DataError(
            f"{folder} has {len(paths)} images of {len(labels)} classes, expected a folder with 2 "
            f"classes or more: a folder for each class with {', '.join(SUFFIXES)} files"
        )
    columns = np.stack([_columns(path) for path in paths])
    return Dataset(folder.name, columns, answers.astype(np.int64), tuple(labels.tolist()))


def _columns(path: Path) -> NDArray[np.uint8]:
    """Return the columns of one image; an error names it."""
    try:
        return digit_columns(path, COLUMN_HEIGHT)
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error
