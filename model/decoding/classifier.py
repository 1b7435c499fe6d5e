"""Scores of one character -> its label, column by column."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inkstream.model.decoding.base import (
    Allowed,
    Columns,
    Decoded,
    Decoder,
    Probabilities,
    Scores,
    label_probabilities,
)


class ClassifierDecoder(Decoder):
    """Answers the most probable label; no answer depends on an earlier one."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._newest: Scores | None = None  # [1, K]; None before any column
        self._newest_mask: Allowed = None  # what was allowed then

    @property
    def label(self) -> str | None:
        if self._newest is None:
            return None
        return self._labels[_probabilities(self._newest, self._newest_mask).argmax()]

    def step(self, scores: Scores, columns: Columns) -> Decoded:
        self._newest, self._newest_mask = scores[-1:].copy(), self.allowed
        return Decoded([], [])

    def probabilities(self, scores: Scores) -> Probabilities:
        return _probabilities(scores, self.allowed)

    def restore(self, known: Mapping[str, Any]) -> None:
        """Go on: the next answer depends on its own scores alone."""


def _probabilities(scores: Scores, mask: Allowed) -> Probabilities:
    """Return probabilities [n, K] of a classifier's scores; those of allowed labels sum to 1."""
    return np.exp(scores) if mask is None else label_probabilities(scores, mask)
