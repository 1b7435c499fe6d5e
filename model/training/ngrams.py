"""Build a character n-gram model: `inkstream train language`.

Texts are counted, except for one line in 50, which measures the model, and smoothed by interpolated
Witten-Bell smoothing (Witten & Bell, IEEE Trans. Inf. Theory 37(4), 1991): the more different
characters have followed a context, the likelier is a new one. n-grams that predict hardly better
than shorter ones are pruned, and the back-off weights follow from the probabilities, so that those
of all next characters add up to 1. Before a text's beginning and after its end a space is assumed.
"""

import gzip
import hashlib
import lzma
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import MARKS, plain
from inkstream.model.data.synthesis.texts import CHARACTERS, texts
from inkstream.model.data.synthesis.word_lists import sources as sources_of
from inkstream.model.data.synthesis.word_lists import words_of
from inkstream.model.decoding.base import SPACE
from inkstream.model.decoding.ngrams import NODE, ROOT, About, Language, load
from inkstream.model.errors import DataError

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]
BITS: Final = 7  # of a character in a key
MAX_CHARACTERS: Final = (1 << BITS) - 1
MAX_ORDER: Final = 9  # characters in 63 bits
# Texts
MAX_WORDS: Final = 300_000
LONGEST: Final = 20  # letters
N_SENTENCES: Final = 100_000
HELD_OUT: Final = 50  # of so many lines of texts, one measures the model
RARE: Final = 1e-6  # of all characters: up to that share one beyond ASCII is left out
NEEDED: Final = 1e-4  # of all characters: from that share on a language needs a letter
# Probabilities
LEAST: Final = 1e-9  # probability mass, in a numerator or a denominator of a back-off weight
LOWEST: Final = float(np.finfo(NODE["log_p"]).min)  # log-probability that a file can hold


def train_language(
    files: Sequence[Path],
    weight: float,
    *,
    source: str | None = None,
    code: str | None,
    order: int,
    most: int,
    out: Path,
) -> str:
    """Build a model of `most` n-grams, write it to `out`, and return a summary.

    Args:
        files: of text; one line in `HELD_OUT` is not counted and measures the model.
        weight: of a line; a word that is used once in a million has the weight 1.
        source: what the files are, and their licence.
        code: of a language whose words and made-up sentences are counted too.
        order: characters of the longest n-grams.

    Raises `DataError` if there is nothing to count, or a file cannot be read.
    """
    lines: list[str] = []
    for file in files:
        lines += filter(None, (" ".join(plain(line).split()) for line in _lines(file)))
    measures = {line for line in lines if zlib.crc32(line.encode()) % HELD_OUT == 0}
    if len(lines) < HELD_OUT:  # so few lines are all counted
        measures = set()
    held_out = [line for line in lines if line in measures]
    kept = [line for line in lines if line not in measures]
    # A line is followed by another one: small letters seldom come after a full stop.
    counted = [(SPACE.join(kept[i : i + 2]), weight) for i in range(0, len(kept), 2)]
    sources = [
        f"{file.name}, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files
    ]
    sources += [source] if source else []
    if code is not None:
        sources = [*sources_of(code), *sources]
        counted += texts(words_of(code, MAX_WORDS, LONGEST), N_SENTENCES, code)
    shares = _shares(counted)
    alphabet = "".join(sorted([SPACE, *CHARACTERS, *shares][:MAX_CHARACTERS]))
    nodes = build(counted, alphabet, order, most)
    language = Language(About(out.stem, alphabet, order, tuple(sources), _needed(shares)), nodes)
    language.save(out)
    first = f"{out}: {len(language):,} n-grams of up to {order} characters, of"
    summary = "\n  ".join([first, *sources])
    if held_out:
        bits = bits_a_character(load(out), held_out)
        summary += f"\n{bits:.2f} bits a character on {len(held_out):,} lines that were not counted"
    return summary


def _shares(texts: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the characters beyond ASCII that are not too rare, and their shares of all."""
    counts = defaultdict[str, float](float)
    for text, weight in texts:
        if not text.isascii():
            for character in text:
                counts[character] += weight
    total = sum(len(text) * weight for text, weight in texts)
    others = sorted(counts.keys() - CHARACTERS - {SPACE}, key=lambda char: (-counts[char], char))
    return {char: counts[char] / total for char in others if counts[char] > RARE * total}


def bits_a_character(language: Language, lines: Sequence[str]) -> float:
    """Return the bits a character of lines and the spaces after them, without unknown ones."""
    nats, n_characters = 0.0, 0
    for line in lines:
        node = language.after(SPACE)
        for character in f"{line} ":
            if (index := language.index.get(character)) is None:
                node = ROOT
                continue
            log_p, following = language.rows(node)
            nats, n_characters, node = nats - log_p[index], n_characters + 1, int(following[index])
    return nats / max(n_characters, 1) / math.log(2)


def _lines(file: Path) -> list[str]:
    """Read the lines of a text, packed or not; raise `DataError` where it cannot be read."""
    opened: Any = {".gz": gzip.open, ".xz": lzma.open}.get(file.suffix, open)
    try:
        with opened(file, "rt", encoding="utf-8-sig") as text:
            return list(text)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {file}: {reason}") from None


def _needed(shares: Mapping[str, float]) -> str:
    """Return the letters beyond ASCII that are frequent, small and capital ones together."""
    sums: dict[str, float] = defaultdict(float)
    for character, share in shares.items():
        if character.isalpha() and not character.isascii() and character not in MARKS:
            sums[character.lower()] += share
    return "".join(sorted(letter for letter, share in sums.items() if share > NEEDED))


@dataclass(frozen=True, slots=True)
class Level:
    """N-grams of one length, in the order of their keys."""

    keys: Keys  # characters, the newest lowest; 0 is none
    log_p: Floats  # probability of its last character after the others
    gains: Floats  # in nats over all texts, beside the n-gram without the first character


def build(
    texts: Iterable[tuple[str, float]], characters: str, order: int, most: int
) -> NDArray[Any]:
    """Count n-grams, smooth them, and return the nodes of a language model (see `decoding.ngrams`).

    Texts come with their weights, and without the spaces that are assumed around them; characters
    beyond the alphabet `characters` split a text. Of all n-grams of up to `order` characters the
    `most` are kept that predict best. Raises `DataError` if the alphabet or the order exceeds what
    a key holds, or there is no text.
    """
    n = len(set(characters))
    if SPACE not in characters or not 2 <= n <= MAX_CHARACTERS:
        raise DataError(f"{n} characters, expected 2..{MAX_CHARACTERS} with the space among them")
    if not 2 <= order <= MAX_ORDER:
        raise DataError(f"order is {order}, allowed: 2..{MAX_ORDER}")
    levels: list[Level] = []
    for keys, seen in _counted(texts, characters, order):
        below: Any = -math.log(len(characters))
        if levels:
            below = levels[-1].log_p[np.searchsorted(levels[-1].keys, _suffixes(keys))]
        log_p = _smoothed(keys >> BITS, seen, np.exp(below))
        levels.append(Level(keys, log_p, seen * (log_p - below)))
    return trie(_pruned(levels, most))


def _counted(
    texts: Iterable[tuple[str, float]], characters: str, order: int
) -> list[tuple[Keys, Floats]]:
    """Return the n-grams of each length and how often they were seen, the shortest first.

    All windows of `order` characters are sorted once: shorter n-grams are their beginnings. A
    window that holds the end of a text, or another character, has zeros from there on.
    """
    table = np.zeros(0x110000, np.uint8)
    table[[ord(character) for character in characters]] = np.arange(1, len(characters) + 1)
    counted = [(f" {text} \0", weight) for text, weight in texts if text and weight > 0]
    if not counted:
        raise DataError("there is no text to count n-grams in")
    lengths = [len(text) for text, _ in counted]
    weights = np.array([weight for _, weight in counted], np.float32)
    starts = weights.sum(dtype=np.float64)
    points = np.frombuffer("".join(text for text, _ in counted).encode("utf-32-le"), np.uint32)
    codes = np.append(table[points], np.zeros(order, np.uint8))
    weights = np.repeat(weights, lengths)
    keys = np.zeros(len(points), np.int64)
    within = np.ones(len(points), np.bool_)
    for offset in range(order):
        code = codes[offset : offset + len(points)]
        within &= code > 0
        keys <<= BITS
        keys |= code * within
    ranks = np.argsort(keys)
    keys, seen = keys[ranks], weights[ranks].astype(np.float64)
    del ranks, weights, points, within
    counts: list[tuple[Keys, Floats]] = []
    for _ in range(order):
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        keys, seen = keys[first], np.add.reduceat(seen, first)
        if (whole := (keys & ((1 << BITS) - 1)) > 0).any():
            counts.insert(0, (keys[whole], seen[whole]))
        keys = keys >> BITS
    singles = np.zeros(len(characters))  # every character of the alphabet has a node
    singles[counts[0][0] - 1] = counts[0][1]
    singles[characters.index(SPACE)] -= starts  # which are only contexts
    counts[0] = (np.arange(1, 1 + len(characters)), singles)
    return counts


def _smoothed(contexts: Keys, seen: Floats, below: Floats) -> Floats:
    """Return log-probabilities of characters after their contexts, which lie side by side.

    `below` are their probabilities after the contexts without the first character.
    """
    first = np.flatnonzero(np.diff(contexts, prepend=-1))
    lengths = np.diff(first, append=len(contexts))
    totals = np.repeat(np.add.reduceat(seen, first), lengths)
    kinds = np.repeat(np.add.reduceat((seen > 0).astype(np.float64), first), lengths)
    smoothed: Floats = np.log((seen + kinds * below) / (totals + kinds))
    return smoothed


def _suffixes(keys: Keys) -> Keys:
    """Return n-grams without their first characters."""
    top = BITS * ((int(keys[-1]).bit_length() - 1) // BITS)
    return keys & ((1 << top) - 1)


def _pruned(levels: list[Level], most: int) -> list[Level]:
    """Return the n-grams that gain most, and all single characters.

    An n-gram is worth as much as the best of those that begin or end with it, which need it.
    """
    room = most - len(levels[0].keys)
    if room <= 0:
        return levels[:1]
    if sum(len(level.keys) for level in levels[1:]) <= room:
        return levels
    for shorter, longer in reversed(list(pairwise(levels[1:]))):
        for part in (longer.keys >> BITS, _suffixes(longer.keys)):
            np.maximum.at(shorter.gains, np.searchsorted(shorter.keys, part), longer.gains)
    gains = np.concatenate([level.gains for level in levels[1:]])
    least = np.partition(gains, -room - 1)[-room - 1]
    pruned = levels[:1]
    for level in levels[1:]:
        keep = level.gains > least
        pruned.append(Level(level.keys[keep], level.log_p[keep], level.gains[keep]))
    return pruned


def trie(levels: list[Level]) -> NDArray[Any]:
    """Return the nodes of a trie, in the order of n-grams' lengths and keys, between root and end.

    The first level holds every character, and the n-grams of each other level begin and end with
    n-grams of the level before.
    """
    levels = [level for level in levels if len(level.keys)]
    offsets = np.cumsum([1, *(len(level.keys) for level in levels)])
    nodes = np.zeros(offsets[-1] + 1, NODE)
    nodes["children"] = offsets[-1]
    nodes["children"][0] = 1
    parts = [nodes[start:end] for start, end in pairwise(offsets)]
    for part, level in zip(parts, levels, strict=True):
        part["character"] = (level.keys & ((1 << BITS) - 1)) - 1
        part["log_p"] = np.maximum(level.log_p, LOWEST)
    for length, (lower, level) in enumerate(pairwise(levels), 1):
        suffixes = np.searchsorted(lower.keys, _suffixes(level.keys))
        parts[length]["suffix"] = offsets[length - 1] + suffixes
        parents, contexts = parts[length - 1], np.searchsorted(lower.keys, level.keys >> BITS)
        parents["children"] = offsets[length] + np.searchsorted(level.keys, lower.keys << BITS)
        # Probabilities in the file's precision, so that their sums are still 1.
        stored = (p.astype(NODE["log_p"]) for p in (level.log_p, lower.log_p[suffixes]))
        remaining, remaining_below = (
            np.maximum(1 - np.bincount(contexts, np.exp(p.astype(float)), len(parents)), LEAST)
            for p in stored
        )
        parents["back_off"] = np.log(remaining / remaining_below)
    return nodes
