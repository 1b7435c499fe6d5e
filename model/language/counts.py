"""Texts -> a character n-gram model, by interpolated Witten-Bell smoothing.

Witten & Bell, IEEE Trans. Inf. Theory 37(4), 1991: the more different characters have followed a
context, the likelier is one that has not. Rare n-grams are left out, and the back-off weights are
such that the probabilities of what may follow still add up to 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.language.ngrams import NODE

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
    """Count n-grams, smooth them, and lay them out as `model.language.ngrams` reads them.

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
