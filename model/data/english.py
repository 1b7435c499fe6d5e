"""Texts of English to count n-grams in: words as often as they are used, and made-up sentences.

A list of words tells nothing of capitals, marks and numbers, nor of what follows a word's end. So
sentences are made of words drawn by their frequency, with the marks and numbers that made-up lines
for training have.
"""

import string
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from model.data.words import Choice, marks, number

CHARACTERS: Final = frozenset(string.printable) - frozenset(string.whitespace)

# Shares of words in sentences, and of the ways in which a word of the list is counted.
NUMBERS: Final = 0.06
CAPITAL: Final = 0.1
CAPITALS: Final = 0.02
SENTENCE: Final = 0.7  # of sentences, which begin with a capital
CASES: Final = {"small": 0.8, "capital": 0.15, "capitals": 0.05}
MOST_WORDS: Final = 9  # of a sentence

PER_MILLION: Final = 1e6
LEAST: Final = 0.3  # what a rare word counts, in a million words


def texts(words: Mapping[str, float], n_sentences: int) -> Iterator[tuple[str, float]]:
    """Texts, each with how much it counts: words in all cases, then sentences.

    Args:
        words: in small letters, and the frequency of each.
        n_sentences: how many are made up.
    """
    for word, frequency in words.items():
        weight = max(PER_MILLION * frequency, LEAST)
        for case, share in CASES.items():
            yield _cased(word, case), share * weight
    random, choice = np.random.default_rng(0), Choice(words.items())
    for _ in range(n_sentences):
        yield _sentence(choice, random), 1.0


def _sentence(words: Choice, random: np.random.Generator) -> str:
    n_words = int(random.integers(2, MOST_WORDS + 1))
    drawn = []
    for kind, case, at in random.random((n_words, 3)).tolist():
        word = number(CHARACTERS, random) if kind < NUMBERS else words(at)
        if case < CAPITALS + CAPITAL:
            word = _cased(word, "capitals" if case < CAPITALS else "capital")
        drawn.append(word)
    if random.random() < SENTENCE:
        drawn[0] = _cased(drawn[0], "capital")
    text, around = "", marks(n_words, CHARACTERS, random)
    for word, (before, after, spaced) in zip(drawn, around, strict=True):
        text += before + word + after + (" " if spaced else "")
    return text.strip()


def _cased(word: str, case: str) -> str:
    if case == "capitals":
        return word.upper()
    return word[0].upper() + word[1:] if case == "capital" else word
