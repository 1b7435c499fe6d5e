"""Which pieces of a user's ink choose: a tenth, spread over the labels, of ink that does not train.

Of many writers whole writers choose. A tenth is drawn by chance: who writes all digits in turn
would find one of them in every tenth place.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data.inkset import InkSet
from model.data.split import Parts

Indices = NDArray[np.int64]

ENOUGH_WRITERS: Final = 20  # from here on whole writers choose; of fewer, pieces do
ONE_IN: Final = 10  # chooses
SEED: Final = 0


def parts(ink: InkSet, kin: Indices) -> Parts:
    """Indices of the pieces that train and that choose, ascending; none choose of too few.

    Args:
        ink: N pieces.
        kin: [N], the same number where pieces have ink in common, as a line and its words.
    """
    keys: list[tuple[Hashable, ...]] = [(number,) for number in kin.tolist()]
    if len(np.unique(ink.writers)) >= ENOUGH_WRITERS:
        names = (ink.writer_names[writer] for writer in ink.writers)
        keys = [(*own, name) for own, name in zip(keys, names, strict=True)]
    number = together(keys)
    order = np.argsort(number, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    chooses = np.zeros(len(ink), np.bool_)
    if len(ink) >= ONE_IN and len(groups) > 1:
        for group in _held_out([[ink.labels[piece] for piece in group] for group in groups]):
            chooses[groups[group]] = True
    return {"train": np.flatnonzero(~chooses), "choose": np.flatnonzero(chooses)}


def together(keys: Sequence[Collection[Hashable]]) -> Indices:
    """A number for each collection, the same for those that a chain of common keys connects."""
    parents = list(range(len(keys)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    first: dict[Hashable, int] = {}
    for number, own in enumerate(keys):
        for key in own:
            parents[root(number)] = root(first.setdefault(key, number))
    return np.array([root(number) for number in range(len(keys))], np.int64)


def _held_out(labels: Sequence[Sequence[str]]) -> list[int]:
    """A tenth of the groups, by the labels of each: of ten with like labels one.

    None that alone has a character, as long as there are others.
    """
    random = np.random.default_rng(SEED)
    characters = [set().union(*own) for own in labels]
    n_training = Counter(chain.from_iterable(characters))  # groups that have a character

    def n_lost(group: int) -> int:
        return sum(n_training[character] == 1 for character in characters[group])

    order = random.permutation(len(labels)).tolist()
    order.sort(key=[sorted(own) for own in labels].__getitem__)
    held_out = []
    for alike in np.array_split(order, max(1, len(order) // ONE_IN)):
        group = min(random.permutation(alike).tolist(), key=n_lost)
        if not n_lost(group):
            held_out.append(group)
            n_training.subtract(characters[group])
    return held_out or [min(order, key=n_lost)]
