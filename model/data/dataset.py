"""What every loader of labelled images gives: columns, labels, and a digest of both."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError


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
        """The images at `indices`, in that order."""
        return Dataset(self.name, self.columns[indices], self.answers[indices], self.labels)

    def split(self, held_out: int, seed: int) -> tuple["Dataset", "Dataset"]:
        """(training, held out): `held_out` images drawn at random, the same ones for a seed.

        Raises `DataError` when nothing would be left to train on.
        """
        if not 0 < held_out < len(self):
            raise DataError(f"cannot hold out {held_out} of {len(self)} images")
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(np.sort(order[held_out:])), self.take(np.sort(order[:held_out]))
