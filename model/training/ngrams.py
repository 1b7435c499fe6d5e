"""Build a character n-gram model: `inkstream train language`.

Texts are counted and smoothed by interpolated Witten-Bell smoothing (Witten & Bell, IEEE Trans.
Inf. Theory 37(4), 1991): the more different characters have followed a context, the likelier is a
new one. Rare n-grams are pruned, and the back-off weights follow from the probabilities, so that
those of all next characters add up to 1.

Models of characters in ARPA's format, as KenLM and SRILM write them, are converted. A token is one
character; the space, which separates tokens, has a name. Before a text's beginning and after its
end a space is assumed, so `<s>`, `</s>` and `<unk>` are left out.
"""

import gzip
import hashlib
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.data.synthesis.texts import CHARACTERS, characters_of, texts
from inkstream.model.data.synthesis.word_lists import sources as sources_of
from inkstream.model.data.synthesis.word_lists import words_of
from inkstream.model.decoding.base import SPACE
from inkstream.model.decoding.ngrams import NODE, About, Language
from inkstream.model.errors import ConfigError, DataError

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]
KEY_BITS: Final = 63  # of all characters of an n-gram together
MOST_CHARACTERS: Final = 255  # a node holds its character's number in a byte
NEEDED: Final = 1e-4  # of all characters: from that share on a language needs a letter
LEAST: Final = 1e-9  # probability mass, in a numerator or a denominator of a back-off weight
LOWEST: Final = float(np.finfo(NODE["log_p"]).min)  # log-probability that a file can hold
SPACES: Final = ("<space>", "\u2581", "|")  # names of the space, by priority
LEFT_OUT: Final = frozenset({"<s>", "</s>", "<unk>"})
HEADING: Final = re.compile(r"\\(\d+)-grams:")
MAX_SHOWN: Final = 40
Ngrams = dict[tuple[str, ...], float]  # natural logarithms of their probabilities
MOST_WORDS: Final = 300_000
LONGEST: Final = 20  # letters
N_SENTENCES: Final = 100_000


def train_language(
    files: Sequence[Path], weight: float, *, code: str | None, order: int, most: int, out: Path
) -> str:
    """Build a model, write it to `out`, and return a summary.

    Args:
        files: of text, each line of which has the weight `weight`.
        weight: of a line; a word that is used once in a million has the weight 1.
        code: of a language whose words and made-up sentences are counted too; None: of none.
        order: characters of the longest n-grams.
        most: n-grams that are kept.
        out: the file to write.

    Raises:
        ConfigError: the weight is not above 0, or infinite.
        DataError: there is nothing to count, or a file cannot be read.
    """
    if not 0 < weight < math.inf:
        raise ConfigError(f"text weight is {weight}, allowed: above 0")
    out.parent.mkdir(parents=True, exist_ok=True)  # before the work: so it cannot fail at its end
    lines = [line for file in files for line in _text_lines(file)]
    sources = list(map(_named, files))
    characters: Set[str] = CHARACTERS | {SPACE} | set("".join(lines))
    counted: Iterator[tuple[str, float]] = ((line, weight) for line in lines)
    if code is not None:
        sources = [*sources_of(code), *sources]
        words = words_of(code, MOST_WORDS, LONGEST)
        characters = _with_letters(characters | characters_of(code), words)
        counted = chain(texts(words, N_SENTENCES, code), counted)
    alphabet = "".join(sorted(characters))
    return _save(out, alphabet, order, build(counted, alphabet, order, most), sources)


def _with_letters(characters: Set[str], words: Mapping[str, float]) -> Set[str]:
    """Return the characters with those of words, of which the rarest are left out if need be.

    `words` are given with their frequencies. A list has foreign words, and Catalan 288 characters.
    """
    shares: dict[str, float] = defaultdict(float)
    for word, frequency in words.items():
        for character in word:
            shares[character] += frequency
    for character in sorted(shares, key=lambda each: -shares[each]):
        more = characters | {character, *character.upper()}
        if len(more) > MOST_CHARACTERS:
            break
        characters = more
    return characters


def _text_lines(file: Path) -> list[str]:
    """Return the lines of a text by `plain`, white space as single spaces; raise `DataError`."""
    try:
        lines = [" ".join(line.split()) for line in plain(file.read_text("utf-8-sig")).splitlines()]
    except OSError as error:
        raise DataError(f"cannot read text {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"text {file} is not UTF-8: {error.reason} at {error.start}") from None
    return [line for line in lines if line]


def convert_arpa(file: Path, out: Path) -> str:
    """Convert a model of characters in ARPA's format, and return a summary.

    Raises `DataError` as `read_arpa` does.
    """
    out.parent.mkdir(parents=True, exist_ok=True)  # before the work: so it cannot fail at its end
    return _save(out, *read_arpa(file), [_named(file)])


def _named(file: Path) -> str:
    """Return the name of a source, and its digest."""
    return f"{file.name}, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}"


def _save(out: Path, alphabet: str, order: int, nodes: NDArray[Any], sources: Sequence[str]) -> str:
    """Write a model to `out`, and return a summary."""
    about = About(out.stem, alphabet, order, tuple(sources), _needed(alphabet, nodes))
    language = Language(about, nodes)
    language.save(out)
    summary = f"{out}: {len(language):,} n-grams of up to {order} characters, of"
    return "\n  ".join([summary, *sources])


def _needed(alphabet: str, nodes: NDArray[Any]) -> str:
    """Return the letters beyond ASCII that are frequent in a language, small and capital together.

    `nodes` begins with the root and all single characters, as `trie` returns it.
    """
    shares: dict[str, float] = defaultdict(float)
    singles = nodes[1 : 1 + len(alphabet)]
    for number, log_p in zip(singles["character"], singles["log_p"], strict=True):
        character = alphabet[number]
        if character.isalpha() and not character.isascii():
            shares[character.lower()] += math.exp(log_p)
    return "".join(sorted(letter for letter, share in shares.items() if share > NEEDED))


@dataclass(frozen=True, slots=True)
class Level:
    """N-grams of one length, in the order of their keys."""

    bits: int  # of a character in a key
    keys: Keys  # characters, the newest lowest; 0 is none
    weights: Floats  # how often each was seen
    log_p: Floats  # probability of its last character after the others


def build(
    texts: Iterable[tuple[str, float]], characters: str, order: int, most: int
) -> NDArray[Any]:
    """Count n-grams, smooth them, and return the nodes of a language model (see `decoding.ngrams`).

    Args:
        texts: each with its weight, without the spaces that are assumed before and after it;
            other characters than `characters` split a text.
        characters: the alphabet, the space among them.
        order: characters of the longest n-grams.
        most: n-grams in all; the rarest long ones are pruned.

    Raises:
        DataError: the alphabet or the order exceeds what a key holds, or there is no text.
    """
    if " " not in characters or not 2 <= len(set(characters)) <= MOST_CHARACTERS:
        got = f"{len(set(characters))} characters"
        raise DataError(f"{got}, expected 2..{MOST_CHARACTERS} with the space among them")
    bits = _bits(len(characters))
    if not 2 <= order <= KEY_BITS // bits:
        raise DataError(
            f"order is {order}, allowed with {len(characters)} characters: 2..{KEY_BITS // bits}"
        )
    codes, weights, places = _encoded(texts, characters)
    levels: list[Level] = []
    for length in range(1, order + 1):
        keys, seen = _counted(codes, weights, places, length, bits)
        if not len(keys):  # no text is so long
            break
        lower = levels[-1] if levels else None
        if lower is None:  # every character of the alphabet, also those with a count of 0
            every = np.zeros(len(characters))
            every[keys - 1] = seen
            keys, seen = np.arange(1, len(characters) + 1), every
        smoothed = _smoothed(keys, seen, lower, len(characters), bits)
        levels.append(Level(bits, keys, seen, np.log(smoothed)))
    return trie(_pruned(levels, most))


def _bits(n_characters: int) -> int:
    """Return the bits of a character in a key: 7 for up to 127 characters, so that order 9 fits."""
    return max(7, n_characters.bit_length())


def _encoded(
    texts: Iterable[tuple[str, float]], characters: str
) -> tuple[Keys, Floats, NDArray[np.int64]]:
    """Return all characters as codes from 1 on, with their weights and positions in their texts."""
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
    # After a character of another alphabet the positions start again.
    newest = np.maximum.accumulate(np.where(codes == 0, np.arange(len(codes)), -1))
    places = np.minimum(places, np.arange(len(codes)) - newest - 1)
    return codes, np.repeat(np.array(weights, np.float64), lengths), places


def _counted(
    codes: Keys, weights: Floats, places: NDArray[np.int64], length: int, bits: int
) -> tuple[Keys, Floats]:
    """Return the n-grams of a length and their counts; a text's first space is only a context."""
    ends = np.flatnonzero((places >= max(1, length - 1)) & (codes > 0))
    keys = np.zeros(len(ends), np.int64)
    for back in range(length - 1, -1, -1):
        keys = (keys << bits) | codes[ends - back]
    found, index = np.unique(keys, return_inverse=True)
    return found, np.bincount(index, weights[ends], len(found)).astype(np.float64)


def _smoothed(
    keys: Keys, seen: Floats, lower: Level | None, n_characters: int, bits: int
) -> Floats:
    """Return the probability of each n-gram's last character after the others."""
    contexts, index = np.unique(keys >> bits, return_inverse=True)
    totals = np.bincount(index, seen, len(contexts))[index]
    kinds = np.bincount(index, seen > 0, len(contexts))[index]
    if lower is None:
        below: Any = 1 / n_characters
    else:
        below = np.exp(lower.log_p[np.searchsorted(lower.keys, _suffixes(keys, bits))])
    smoothed: Floats = (seen + kinds * below) / (totals + kinds)
    return smoothed


def _suffixes(keys: Keys, bits: int) -> Keys:
    """Return n-grams without their first characters."""
    top = bits * ((int(keys[-1]).bit_length() - 1) // bits)
    return keys & ((1 << top) - 1)


def _pruned(levels: list[Level], most: int) -> list[Level]:
    """Return the most frequent n-grams, and all single characters."""
    longer = np.concatenate([level.weights for level in levels[1:]])
    room = most - len(levels[0].keys)
    if len(longer) <= room:
        return levels
    least = np.partition(longer, -room)[-room] if room > 0 else np.inf
    least = np.nextafter(least, np.inf)  # none of those with the same count
    pruned = [levels[0]]
    for level in levels[1:]:
        keep = level.weights >= least
        pruned.append(Level(level.bits, level.keys[keep], level.weights[keep], level.log_p[keep]))
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
    for length, level in enumerate(levels):
        own = nodes[offsets[length] : offsets[length + 1]]
        own["character"] = (level.keys & ((1 << level.bits) - 1)) - 1
        own["log_p"] = np.maximum(level.log_p, LOWEST)
        if length:
            lower = levels[length - 1]
            places = np.searchsorted(lower.keys, _suffixes(level.keys, level.bits))
            own["suffix"] = offsets[length - 1] + places
            parents = nodes[offsets[length - 1] : offsets[length]]
            _back_off(parents, level, lower, places)
        if length + 1 < len(levels):
            first = np.searchsorted(levels[length + 1].keys, level.keys << level.bits)
            own["children"] = offsets[length + 1] + first
    return nodes


def _back_off(parents: NDArray[Any], level: Level, lower: Level, places: Keys) -> None:
    """Set the back-off weights of the nodes of one level."""
    index = np.searchsorted(lower.keys, level.keys >> level.bits)
    own = np.bincount(index, _as_stored(level.log_p), len(parents))
    below = np.bincount(index, _as_stored(lower.log_p[places]), len(parents))
    parents["back_off"] = np.log(np.maximum(1 - own, LEAST) / np.maximum(1 - below, LEAST))


def _as_stored(log_p: Floats) -> Floats:
    """Return probabilities in the file's precision, so that their sums are still 1."""
    return np.exp(log_p.astype(NODE["log_p"]).astype(np.float64))


def read_arpa(path: Path) -> tuple[str, int, NDArray[Any]]:
    """Return the alphabet, the order and the nodes of a model in ARPA's format, gzipped or not.

    Raises `DataError` for another format, a model of words, or one that is too large.
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
    most_order = KEY_BITS // _bits(len(tokens))
    if not 2 <= len(tokens) <= MOST_CHARACTERS or len(levels) > most_order:
        raise DataError(
            f"{path} has {len(tokens)} characters and n-grams of up to {len(levels)}, "
            f"allowed: 2..{MOST_CHARACTERS} and, with so many, up to {most_order}"
        )
    alphabet = "".join(sorted(characters.values()))
    codes = {token: 1 + alphabet.index(character) for token, character in characters.items()}
    return alphabet, len(levels), trie(_keyed(path, levels, codes))


def _levels(path: Path) -> list[Ngrams]:
    """Read the n-grams of each length."""
    levels: list[Ngrams] = []
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(map(str.strip, file), 1):
            if heading := HEADING.fullmatch(line):
                levels.append({})
                if int(heading[1]) != len(levels):
                    raise DataError(
                        f"{path}, line {number}: {len(levels)}-grams are expected first"
                    )
            elif levels and line and not line.startswith("\\"):
                ngram, log_p = _ngram(path, number, line, len(levels))
                if LEFT_OUT.isdisjoint(ngram):
                    levels[-1][ngram] = log_p
    if not levels or not levels[0]:
        raise DataError(f"{path} is no ARPA file: it has no \\1-grams:")
    return [level for level in levels if level]


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
    """Return the same n-grams in the order of their keys."""
    bits = _bits(len(codes))
    keyed: list[Level] = []
    before: Ngrams = {}
    for level in levels:
        values = {}
        for ngram, log_p in level.items():
            if before and (ngram[:-1] not in before or ngram[1:] not in before):
                raise DataError(f"{path} has {' '.join(ngram)!r} but not both of its parts")
            key = 0
            for token in ngram:
                key = key << bits | codes[token]
            values[key] = log_p
        keys = np.array(sorted(values), np.int64)
        keyed.append(
            Level(bits, keys, np.ones(len(keys)), np.array([values[k] for k in keys.tolist()]))
        )
        before = level
    return keyed
