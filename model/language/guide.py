"""What a language model says to a beam of hypotheses, and how several guides speak as one."""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.decode import Allowed
from model.events import SPACE
from model.language.beam import Guide
from model.language.ngrams import ROOT, Language

# Chosen on writers who choose: `docs/experiments.md`.
WEIGHT: Final = 0.5  # of the language's log-probabilities, against the net's
BONUS: Final = 1.0  # for each character, without which short texts would win
LEAST: Final = -9.0  # log-probability of a character, at the least: nothing is impossible
MOST_ROWS: Final = 20_000  # kept: 25 MB
MOST_LANGUAGES: Final = 8  # whose rows are kept
LONGEST_BEFORE: Final = 64  # characters before a text that are looked at: more than any n-gram has

Row = NDArray[np.float32]  # [K]


class LanguageRows:
    """What a language says to the labels of a net, kept for all lines that follow it."""

    def __init__(self, language: Language, labels: tuple[str, ...]) -> None:
        self._language = language
        places = {character: i for i, character in enumerate(language.about.characters)}
        self._places = np.array([places.get(label, -1) for label in labels])  # [K]
        self._known = self._places >= 0
        self.space = labels.index(SPACE) if SPACE in labels else None
        self.at = lru_cache(MOST_ROWS)(self._at)

    def behind(self, text: str) -> int:
        """The node of the language's trie at which a new word begins behind a text."""
        return self._language.after(SPACE + text[-LONGEST_BEFORE:] + SPACE * bool(text))

    def _at(self, node: int) -> tuple[Row, NDArray[np.int64]]:
        """What is added to the log-probability of each label [K], and the nodes behind them."""
        log_p, following = self._language.rows(node)
        log_p = np.where(self._known, np.maximum(log_p[self._places], LEAST), LEAST)
        nodes = np.where(self._known, following[self._places], ROOT)
        return (WEIGHT * log_p + BONUS).astype(np.float32), nodes


rows_of = lru_cache(MOST_LANGUAGES)(LanguageRows)


class LanguageGuide:
    """Weighs the labels of a net by a language; a state is a node of the language's trie."""

    spells: Allowed = None

    def __init__(self, language: Language, labels: tuple[str, ...], context: str = "") -> None:
        """Follow a language; `context` is the text before a line."""
        self._rows = rows_of(language, labels)
        self._context = context

    def can_be(self, allowed: Row) -> bool:
        """Nothing is impossible."""
        return True

    def begin(self, text: str) -> int:
        """Behind a space."""
        return self._rows.behind(f"{self._context} {text}".strip())

    def row(self, state: int) -> Row:
        """What is added to the log-probability of each label."""
        return self._rows.at(state)[0]

    def follow(self, state: int, label: int) -> int:
        """The node behind a label."""
        return int(self._rows.at(state)[1][label])

    def end(self, state: int) -> float:
        """What is added where a word ends."""
        space = self._rows.space
        return 0.0 if space is None else float(self.row(state)[space]) - BONUS


class Together:
    """Guides that speak as one: what they add is added up; a state is one of each."""

    def __init__(self, guides: Sequence[Guide]) -> None:
        """Take one guide or more."""
        self._guides = tuple(guides)
        masks = [guide.spells for guide in guides if guide.spells is not None]
        self.spells: Allowed = sum(masks[1:], masks[0]) if masks else None

    def can_be(self, allowed: Row) -> bool:
        """Whether each of them alone can be, which is no promise that all can be together."""
        return all(guide.can_be(allowed) for guide in self._guides)

    def begin(self, text: str) -> Hashable:
        """The states behind a text."""
        return tuple(guide.begin(text) for guide in self._guides)

    def row(self, state: Any) -> Row:
        """What all of them add to the logarithm of each label's weight."""
        first, *others = (
            guide.row(own) for guide, own in zip(self._guides, state, strict=True)
        )  # fmt: skip
        return sum(others, first)

    def follow(self, state: Any, label: int) -> Hashable:
        """The states behind a label."""
        pairs = zip(self._guides, state, strict=True)
        return tuple(guide.follow(own, label) for guide, own in pairs)

    def end(self, state: Any) -> float:
        """What all of them add that the text ends here."""
        return sum(guide.end(own) for guide, own in zip(self._guides, state, strict=True))
