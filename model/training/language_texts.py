"""Builds the character n-gram model of a language: `inkstream train language`."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from model.data.english import CHARACTERS, texts
from model.data.words import ENGLISH_SOURCE
from model.data.words import english as english_words
from model.errors import ConfigError, DataError
from model.events import SPACE
from model.language.arpa import read_arpa
from model.language.counts import build
from model.language.ngrams import About, Language

MOST_WORDS: Final = 300_000
LONGEST: Final = 20  # letters
N_SENTENCES: Final = 100_000


def train_language(
    files: Sequence[Path], weight: float, *, english: bool, order: int, most: int, out: Path
) -> str:
    """Build a model and write it to `out`; gives what to say of it.

    Args:
        files: of text, each line of which counts `weight`.
        weight: where a word that is used once in a million counts 1.
        english: whether words and made-up sentences of English are counted too.
        order: characters of the longest n-grams.
        most: n-grams that are kept.
        out: where it is written.

    Raises:
        ConfigError: the weight is not above 0, or endless.
        DataError: there is nothing to count, or a file cannot be read.
    """
    if not 0 < weight < math.inf:
        raise ConfigError(f"text weight is {weight}, allowed: above 0")
    out.parent.mkdir(parents=True, exist_ok=True)  # before the work, lest it fail at the end
    lines = [line for file in files for line in _lines(file)]
    sources = [f"{file.name}, sha256 {_digest(file)}" for file in files]
    characters = CHARACTERS | {SPACE} | set("".join(lines))
    counted: Iterator[tuple[str, float]] = ((line, weight) for line in lines)
    if english:
        sources.insert(0, ENGLISH_SOURCE)
        counted = chain(texts(english_words(MOST_WORDS, LONGEST), N_SENTENCES), counted)
    alphabet = "".join(sorted(characters))
    nodes = build(counted, alphabet, order, most)
    language = Language(About(out.stem, alphabet, order, tuple(sources)), nodes)
    language.save(out)
    told = [f"{out}: {len(language):,} n-grams of up to {order} characters, counted in"]
    return "\n  ".join(told + sources)


def convert_arpa(file: Path, out: Path) -> str:
    """Write a model of characters in ARPA's format as one of ours; gives what to say of it.

    Raises `DataError` as `read_arpa` does.
    """
    alphabet, order, nodes = read_arpa(file)
    source = f"{file.name}, sha256 {_digest(file)}"
    language = Language(About(out.stem, alphabet, order, (source,)), nodes)
    out.parent.mkdir(parents=True, exist_ok=True)
    language.save(out)
    return f"{out}: {len(language):,} n-grams of up to {order} characters, of\n  {source}"


def _lines(file: Path) -> list[str]:
    """Its lines, with single spaces and without other white space; raises `DataError`."""
    try:
        lines = [" ".join(line.split()) for line in file.read_text("utf-8-sig").splitlines()]
    except OSError as error:
        raise DataError(f"cannot read text {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"text {file} is not UTF-8: {error.reason} at {error.start}") from None
    return [line for line in lines if line]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
