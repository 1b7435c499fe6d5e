"""Lists of words as guides: a closed one (a lexicon), and a user's own words, which gain weight."""

from bisect import bisect_right
from collections.abc import Iterable, Set
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.decoding.base import MAX_SHOWN, NEVER, SPACE, Guide, mask_of
from inkstream.model.errors import InputError

Row = NDArray[np.float32]  # [K]
State = tuple[int, int, int]  # words from the first to before the second begin alike so far

KEPT: Final = 1024  # rows of a list: half a MB for a hundred labels

# Chosen on the validation writers: `docs/experiments.md`.
GAIN: Final = 1.0  # nats for each letter of a user's own word
NOWHERE: Final = (0, 0, 0)  # in no word of the list, until the next one begins


class WordListGuide(Guide):
    """Follows sorted words: those that begin alike stand side by side."""

    def __init__(self, words: Iterable[str], labels: tuple[str, ...]) -> None:
        """Keep words, as `plain` writes them; raise `InputError` for none or unspellable ones."""
        self._words = sorted(set(map(plain, words)))
        self._labels = {label: i for i, label in enumerate(labels)}
        self._space = self._labels[SPACE]
        spelt = self._labels.keys() - {SPACE}
        for word in self._words:
            check_word(word, spelt)
        if not self._words:
            raise InputError("a list of words has none, expected at least one")
        self._start = (0, len(self._words), 0)
        self._following = lru_cache(KEPT)(self._go_on)

    def begin(self, text: str) -> State:
        """Return the state before a word."""
        return self._start

    def _complete(self, state: State) -> bool:
        """Whether the text so far is one of the words."""
        first, end, length = state
        return first < end and 0 < length == len(self._words[first])

    def _go_on(self, state: State) -> dict[int, State]:
        """Return the labels, by index, with which a word goes on, and the states behind them."""
        first, end, length = state
        following: dict[int, State] = {}
        first += self._complete(state)
        while first < end:
            begun = self._words[first][: length + 1]
            after = bisect_right(self._words, begun + chr(0x10FFFF), first, end)  # above any word
            following[self._labels[begun[-1]]] = (first, after, length + 1)
            first = after
        return following


def check_word(word: str, allowed: Set[str]) -> None:
    """Raise `InputError` for a word that is empty or holds a character that is not allowed."""
    if not word or not allowed >= set(word):
        unknown = ", ".join(map(repr, sorted(set(word) - allowed))) or "no character"
        raise InputError(
            f"word {word[:MAX_SHOWN]!r} cannot be read, it holds {unknown[:MAX_SHOWN]}, "
            f"allowed: one or more of {''.join(sorted(allowed))}"
        )


class LexiconGuide(WordListGuide):
    """A closed list: every word of a line is one of it, letter for letter."""

    def __init__(self, words: Iterable[str], labels: tuple[str, ...]) -> None:
        super().__init__(words, labels)
        spelt = {SPACE}.union(*self._words)
        self.spells = mask_of(label in spelt for label in labels)
        self._row = lru_cache(KEPT)(self._made)

    def can_be(self, allowed: Row) -> bool:
        """Whether any word is made of allowed labels."""
        spelt = {label for label, i in self._labels.items() if allowed[i] == 0}
        return any(spelt.issuperset(word) for word in self._words)

    def row(self, state: State) -> Row:
        return self._row(state)

    def _made(self, state: State) -> Row:
        """Return 0 for the labels that may follow, else minus infinity."""
        possible = set(self._following(state))
        if self._complete(state):
            possible.add(self._space)
        return mask_of(i in possible for i in range(len(self._labels)))

    def follow(self, state: State, label: int) -> State:
        return self._start if label == self._space else self._following(state)[label]

    def end(self, state: State) -> float:
        return 0.0 if self._complete(state) or state == self._start else NEVER


class WordsGuide(WordListGuide):
    """A user's own words gain weight; all others stay as probable as they were."""

    def __init__(self, words: Iterable[str], labels: tuple[str, ...]) -> None:
        super().__init__(words, labels)
        self._marks = [i for i, label in enumerate(labels) if not label.isalnum()]
        self._nothing = np.zeros(len(labels), np.float32)

    def row(self, state: State) -> Row:
        """Return what the next letters of words gain, and what leaving those words loses."""
        if state == NOWHERE:
            return self._nothing
        row = np.full(len(self._labels), -GAIN * state[2], np.float32)
        if self._complete(state):
            row[self._marks] = 0  # the space among them
        row[list(self._following(state))] = GAIN
        return row

    def follow(self, state: State, label: int) -> State:
        if label == self._space:
            return self._start
        return NOWHERE if state == NOWHERE else self._following(state).get(label, NOWHERE)

    def end(self, state: State) -> float:
        return 0.0 if self._complete(state) else -GAIN * state[2]
