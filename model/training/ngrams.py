"""Texts -> a character n-gram model, by interpolated Witten-Bell smoothing.

Witten & Bell, IEEE Trans. Inf. Theory 37(4), 1991: the more different characters have followed a
context, the likelier is one that has not. Rare n-grams are left out, and the back-off weights are
such that the probabilities of what may follow still add up to 1.

Models of characters in ARPA's format, as KenLM and SRILM write them -> our trie.

A token is one character; the space, which parts tokens, goes by a name. Behind a text's beginning
and before its end a space is taken to stand, so what the file says of `<s>`, `</s>` and `<unk>` is
left out, and so are its back-off weights: they follow from the probabilities.

Builds the character n-gram model of a language: `inkstream train language`.
"""

import gzip
import hashlib
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.synthesis.texts import CHARACTERS, ENGLISH_SOURCE, texts
from inkstream.model.data.synthesis.texts import english as english_words
from inkstream.model.decoding.base import SPACE
from inkstream.model.decoding.ngrams import NODE, About, Language
from inkstream.model.errors import ConfigError, DataError

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

BITS: Final = 7  # of a character in a key
MOST_CHARACTERS: Final = (1 << BITS) - 1
MOST_ORDER: Final = 63 // BITS
LEAST: Final = 1e-9  # probability: where a weight would be of nothing or by nothing


@dataclass(frozen=True, slots=True)
class Level:
    """N-grams of one length, in the order of their keys."""

    keys: Keys  # characters, the newest lowest; 0 is none
    weights: Floats  # how often each was seen
    log_p: Floats  # probability of its last character after the others

    def kept(self, least: float) -> "Level":
        keep = self.weights >= least
        return Level(self.keys[keep], self.weights[keep], self.log_p[keep])


def build(
    texts: Iterable[tuple[str, float]], characters: str, order: int, most: int
) -> NDArray[Any]:
    """Count n-grams, smooth them, and lay them out as `decoding/ngrams.py` reads them.

    Args:
        texts: each with its weight, without the space that is taken to stand before and after it;
            other characters than these part a text in two.
        characters: the alphabet, the space among them.
        order: characters of the longest n-grams.
        most: n-grams in all; the rarest long ones are left out.

    Raises:
        DataError: the alphabet or the order is beyond what a key holds, or there is no text.
    """
    if " " not in characters or not 2 <= len(set(characters)) <= MOST_CHARACTERS:
        got = f"{len(set(characters))} characters"
        raise DataError(f"{got}, expected 2..{MOST_CHARACTERS} with the space among them")
    if not 2 <= order <= MOST_ORDER:
        raise DataError(f"order is {order}, allowed: 2..{MOST_ORDER}")
    codes, weights, places = _encoded(texts, characters)
    levels: list[Level] = []
    for length in range(1, order + 1):
        keys, seen = _counted(codes, weights, places, length)
        if not len(keys):  # no text is so long
            break
        lower = levels[-1] if levels else None
        if lower is None:
            keys, seen = _with_all(keys, seen, len(characters))
        levels.append(Level(keys, seen, np.log(_smoothed(keys, seen, lower, len(characters)))))
    return laid_out(_pruned(levels, most))


def _encoded(
    texts: Iterable[tuple[str, float]], characters: str
) -> tuple[Keys, Floats, NDArray[np.int64]]:
    """All characters as codes from 1 on, the weight of each, and its place in its text."""
    table = np.zeros(0x110000, np.int64)
    table[[ord(character) for character in characters]] = np.arange(1, len(characters) + 1)
    parts, weights = [], []
    for text, weight in texts:
        if weight > 0:
            parts.append(f" {text} ")
            weights.append(weight)
    if not parts:
        raise DataError("there is no text to count n-grams in")
    lengths = np.array([len(part) for part in parts])
    points = np.frombuffer("".join(parts).encode("utf-32-le"), np.uint32)
    codes = table[points]
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.arange(len(codes)) - starts
    # behind a character of another alphabet a text begins anew
    newest = np.maximum.accumulate(np.where(codes == 0, np.arange(len(codes)), -1))
    places = np.minimum(places, np.arange(len(codes)) - newest - 1)
    return codes, np.repeat(np.array(weights, np.float64), lengths), places


def _counted(
    codes: Keys, weights: Floats, places: NDArray[np.int64], length: int
) -> tuple[Keys, Floats]:
    """The n-grams of a length, and how often each was seen; a text's first space is only before."""
    ends = np.flatnonzero((places >= max(1, length - 1)) & (codes > 0))
    keys = np.zeros(len(ends), np.int64)
    for back in range(length - 1, -1, -1):
        keys = (keys << BITS) | codes[ends - back]
    found, index = np.unique(keys, return_inverse=True)
    return found, np.bincount(index, weights[ends], len(found)).astype(np.float64)


def _with_all(keys: Keys, seen: Floats, n_characters: int) -> tuple[Keys, Floats]:
    """Every character of the alphabet, also those that were never seen."""
    every = np.zeros(n_characters)
    every[keys - 1] = seen
    return np.arange(1, n_characters + 1), every


def _smoothed(keys: Keys, seen: Floats, lower: Level | None, n_characters: int) -> Floats:
    """The probability of each n-gram's last character after the others."""
    contexts, index = np.unique(keys >> BITS, return_inverse=True)
    totals = np.bincount(index, seen, len(contexts))[index]
    kinds = np.bincount(index, seen > 0, len(contexts))[index]
    if lower is None:
        below: Any = 1 / n_characters
    else:
        below = np.exp(lower.log_p[np.searchsorted(lower.keys, _suffixes(keys))])
    smoothed: Floats = (seen + kinds * below) / (totals + kinds)
    return smoothed


def _suffixes(keys: Keys) -> Keys:
    """N-grams without their first characters."""
    top = BITS * ((int(keys[-1]).bit_length() - 1) // BITS)
    return keys & ((1 << top) - 1)


def _pruned(levels: list[Level], most: int) -> list[Level]:
    """The n-grams that are seen most often, and all single characters."""
    longer = np.concatenate([level.weights for level in levels[1:]])
    room = most - len(levels[0].keys)
    if len(longer) <= room:
        return levels
    least = np.partition(longer, -room)[-room] if room > 0 else np.inf
    least = np.nextafter(least, np.inf)  # of those that are seen as often, none
    return [levels[0], *(level.kept(least) for level in levels[1:])]


def laid_out(levels: list[Level]) -> NDArray[Any]:
    """The trie of n-grams, in the order of their lengths and keys, between root and end.

    The first level holds every character, and each other one's n-grams begin and end with n-grams
    of the level before. Back-off weights follow from the probabilities.
    """
    levels = [level for level in levels if len(level.keys)]
    offsets = np.cumsum([1, *(len(level.keys) for level in levels)])
    nodes = np.zeros(offsets[-1] + 1, NODE)
    nodes["children"] = offsets[-1]
    nodes["children"][0] = 1
    for length, level in enumerate(levels):
        own = nodes[offsets[length] : offsets[length + 1]]
        own["character"] = (level.keys & MOST_CHARACTERS) - 1
        own["log_p"] = level.log_p
        if length:
            lower = levels[length - 1]
            places = np.searchsorted(lower.keys, _suffixes(level.keys))
            own["suffix"] = offsets[length - 1] + places
            parents = nodes[offsets[length - 1] : offsets[length]]
            _back_off(parents, level, lower, places)
        if length + 1 < len(levels):
            first = np.searchsorted(levels[length + 1].keys, level.keys << BITS)
            own["children"] = offsets[length + 1] + first
    return nodes


def _back_off(parents: NDArray[Any], level: Level, lower: Level, places: Keys) -> None:
    """Set the weights of what is no child of the nodes of one level."""
    index = np.searchsorted(lower.keys, level.keys >> BITS)
    own = np.bincount(index, _as_written(level.log_p), len(parents))
    below = np.bincount(index, _as_written(lower.log_p[places]), len(parents))
    parents["back_off"] = np.log(np.maximum(1 - own, LEAST) / np.maximum(1 - below, LEAST))


def _as_written(log_p: Floats) -> Floats:
    """Probabilities as the file's short numbers have them, so that all still add up to 1."""
    return np.exp(log_p.astype(NODE["log_p"]).astype(np.float64))


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
    lines = [line for file in files for line in _language_texts_lines(file)]
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


def _language_texts_lines(file: Path) -> list[str]:
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
