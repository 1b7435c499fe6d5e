"""Scores -> answers, column by column."""

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.errors import InputError


class ClassifierDecoder:
    """Reads the scores of one stream and remembers its newest answer."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._allowed: NDArray[np.float32] | None = None  # [K], 0 or minus infinity; None is all
        self._newest: NDArray[np.float32] | None = None  # [K], probabilities; None before any

    @property
    def label(self) -> str | None:
        """The most probable label after the newest column; None before any column."""
        return None if self._newest is None else self._labels[self._newest.argmax()]

    def allow(self, characters: str | None) -> None:
        """From now on answer only labels that `characters` can spell; None allows all.

        Raises `InputError`, and changes nothing, if a character is in no label or no label is left.
        """
        if characters is None:
            self._allowed = None
            return
        if unknown := set(characters) - set("".join(self._labels)):
            raise InputError(
                f"characters holds {''.join(sorted(unknown))!r}, "
                f"allowed: those of the labels {' '.join(self._labels)}"
            )
        spelt = [set(label) <= set(characters) for label in self._labels]
        if not any(spelt):
            raise InputError(f"characters is {characters!r}, which spells no label")
        self._allowed = np.where(spelt, 0, -np.inf).astype(np.float32)

    def step(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the log-probabilities [n, K] of n new columns and give their probabilities [n, K].

        Those of allowed labels sum to 1; the others are 0.
        """
        if self._allowed is not None:
            scores = scores + self._allowed
            scores -= scores.max(1, keepdims=True)
            probabilities = np.exp(scores)
            probabilities /= probabilities.sum(1, keepdims=True)
        else:
            probabilities = np.exp(scores)
        self._newest = probabilities[-1]
        return probabilities

    def reset(self) -> None:
        """Forget the answer; what is allowed stays."""
        self._newest = None

    def copy(self) -> "ClassifierDecoder":
        """An independent decoder in the same state."""
        return copy.copy(self)
