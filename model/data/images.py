"""Labelled images, and the loader of a user's own: a folder for each class, or a CSV of pixels.

Images go through the same preprocessing as those that will be recognised.
"""

import csv
import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import DataError, ImageError
from inkstream.model.preprocess.columns import digit_columns
from inkstream.model.preprocess.image import ImageSource


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


def load(source: Path) -> Dataset:
    """Read `source`, a folder or a CSV file; raises `DataError` naming what can't be used."""
    if source.is_dir():
        paths = [path for path in sorted(source.glob("*/*")) if path.suffix.lower() in SUFFIXES]
        samples = [(path.parent.name, _columns(path, str(path))) for path in paths]
    elif source.suffix.lower() == ".csv" and source.is_file():
        samples = list(_csv(source))
    else:
        raise DataError(f"{source} is neither a folder nor a CSV file")
    labels, answers = np.unique([label for label, _ in samples], return_inverse=True)
    if len(labels) < 2:
        raise DataError(
            f"{source} has {len(samples)} images of {len(labels)} classes, expected 2 classes or "
            f"more: a folder for each class with {', '.join(SUFFIXES)} files, or a CSV of "
            "label,pixel,pixel,..."
        )
    columns = np.stack([columns for _, columns in samples])
    return Dataset(source.name, columns, answers.astype(np.int64), tuple(labels.tolist()))


def _csv(source: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield a label and the pixels of a square image (0 = paper) for each row; skip a header."""
    with source.open(newline="") as file:
        for number, (label, *pixels) in enumerate(filter(None, csv.reader(file)), 1):
            where = f"{source}, row {number}"
            side = math.isqrt(len(pixels))
            if side == 0 or side * side != len(pixels):
                raise DataError(f"{where}: {len(pixels)} pixels, expected a square image's")
            try:
                image = np.array([int(pixel) for pixel in pixels])
            except ValueError as error:
                if number == 1:
                    continue
                raise DataError(f"{where}: {error}") from error
            if image.min() < 0 or image.max() > 255:
                raise DataError(f"{where}: pixels {image.min()}..{image.max()}, allowed: 0..255")
            yield label, _columns(image.astype(np.uint8).reshape(side, side), where)


def _columns(image: ImageSource, where: str) -> NDArray[np.uint8]:
    """Return the columns of one sample; an error says where it stands."""
    try:
        return digit_columns(image, COLUMN_HEIGHT)
    except ImageError as error:
        raise DataError(f"{where}: {error}") from error
