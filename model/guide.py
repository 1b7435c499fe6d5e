"""What a language model says to a beam of hypotheses."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.events import SPACE
from model.language import ROOT, Language

# Chosen on writers who choose: `docs/experiments.md`.
WEIGHT: Final = 0.5  # of the language's log-probabilities, against the net's
BONUS: Final = 1.0  # for each character, without which short texts would win
LEAST: Final = -9.0  # log-probability of a character, at the least: nothing is impossible
MOST_ROWS: Final = 20_000  # kept: 25 MB


class LanguageGuide:
    """Weighs the labels of a net by a language; a state is a node of the language's trie."""

    def __init__(self, language: Language, labels: tuple[str, ...]) -> None:
        self._language = language
        places = {character: i for i, character in enumerate(language.about.characters)}
        self._places = np.array([places.get(label, -1) for label in labels])  # [K]
        self._known = self._places >= 0
        self._begin = language.after(SPACE)
        self._space = labels.index(SPACE) if SPACE in labels else None
        self._kept_rows = lru_cache(MOST_ROWS)(self._rows)

    def begin(self) -> int:
        """Behind a space."""
        return self._begin

    def rows(self, state: int) -> tuple[NDArray[np.float32], list[int]]:
        """What is added to the log-probability of each label [K], and the states behind them."""
        return self._kept_rows(state)

    def _rows(self, state: int) -> tuple[NDArray[np.float32], list[int]]:
        log_p, following = self._language.rows(state)
        log_p = np.where(self._known, np.maximum(log_p[self._places], LEAST), LEAST)
        states: list[int] = np.where(self._known, following[self._places], ROOT).tolist()
        return (WEIGHT * log_p + BONUS).astype(np.float32), states

    def end(self, state: int) -> float:
        """What is added where a word ends."""
        return 0.0 if self._space is None else float(self.rows(state)[0][self._space]) - BONUS
