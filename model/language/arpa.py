"""Models of characters in ARPA's format, as KenLM and SRILM write them -> our trie.

A token is one character; the space, which parts tokens, goes by a name. Behind a text's beginning
and before its end a space is taken to stand, so what the file says of `<s>`, `</s>` and `<unk>` is
left out, and so are its back-off weights: they follow from the probabilities.
"""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.events import SPACE
from model.language.counts import BITS, MOST_CHARACTERS, MOST_ORDER, Level, laid_out

SPACES: Final = ("<space>", "\u2581", "|")  # names of the space, the surest first
LEFT_OUT: Final = frozenset({"<s>", "</s>", "<unk>"})
HEADING: Final = re.compile(r"\\(\d+)-grams:")
MAX_SHOWN: Final = 40

Ngrams = dict[tuple[str, ...], float]  # natural logarithms of their probabilities


def read_arpa(path: Path) -> tuple[str, int, NDArray[Any]]:
    """The alphabet, the order and the nodes of a model; a file may be compressed by gzip.

    Raises `DataError` for a file that is no such model, one of words, or one that is too large.
    """
    try:
        levels = _levels(path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"cannot read ARPA file {path}: {error}") from None
    tokens = sorted(token for (token,) in levels[0])
    space = next((name for name in SPACES if name in tokens), None)
    if space is None:
        raise DataError(f"{path} has no token for the space, expected one of {' '.join(SPACES)}")
    characters = {token: SPACE if token == space else token for token in tokens}
    words = [token for token, character in characters.items() if len(character) != 1]
    if words:
        raise DataError(f"{path} has the token {words[0][:MAX_SHOWN]!r}, expected characters")
    if not 2 <= len(tokens) <= MOST_CHARACTERS or len(levels) > MOST_ORDER:
        raise DataError(
            f"{path} has {len(tokens)} characters and n-grams of up to {len(levels)}, "
            f"allowed: 2..{MOST_CHARACTERS} and up to {MOST_ORDER}"
        )
    alphabet = "".join(sorted(characters.values()))
    codes = {token: 1 + alphabet.index(character) for token, character in characters.items()}
    return alphabet, len(levels), laid_out(_keyed(path, levels, codes))


def _levels(path: Path) -> list[Ngrams]:
    """The n-grams of each length."""
    levels: list[Ngrams] = []
    for number, line in _lines(path):
        if heading := HEADING.fullmatch(line):
            levels.append({})
            if int(heading[1]) != len(levels):
                raise DataError(f"{path}, line {number}: {len(levels)}-grams are expected first")
        elif levels and line and not line.startswith("\\"):
            ngram, log_p = _ngram(path, number, line, len(levels))
            if LEFT_OUT.isdisjoint(ngram):
                levels[-1][ngram] = log_p
    if not levels or not levels[0]:
        raise DataError(f"{path} is no ARPA file: it has no \\1-grams:")
    return [level for level in levels if level]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            yield number, line.strip()


def _ngram(path: Path, number: int, line: str, length: int) -> tuple[tuple[str, ...], float]:
    log10_p, *tokens = line.split()
    if len(tokens) not in (length, length + 1):  # the last may be a back-off weight
        raise DataError(f"{path}, line {number}: {line[:MAX_SHOWN]!r} is no {length}-gram")
    try:
        log_p = float(log10_p) * math.log(10)
    except ValueError:
        log_p = math.nan
    if not log_p <= 0:
        raise DataError(f"{path}, line {number}: {log10_p[:MAX_SHOWN]!r} is no log-probability")
    return tuple(tokens[:length]), log_p


def _keyed(path: Path, levels: list[Ngrams], codes: dict[str, int]) -> list[Level]:
    """The same n-grams in the order of their keys."""
    keyed: list[Level] = []
    before: Ngrams = {}
    for level in levels:
        for ngram in level:
            if before and (ngram[:-1] not in before or ngram[1:] not in before):
                raise DataError(f"{path} has {' '.join(ngram)!r} but not both of its parts")
        values = {_key(ngram, codes): log_p for ngram, log_p in level.items()}
        keys = np.array(sorted(values), np.int64)
        log_p = np.array([values[key] for key in keys.tolist()])
        keyed.append(Level(keys, np.ones(len(keys)), log_p))
        before = level
    return keyed


def _key(ngram: tuple[str, ...], codes: dict[str, int]) -> int:
    key = 0
    for token in ngram:
        key = key << BITS | codes[token]
    return key
