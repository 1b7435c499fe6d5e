"""How far an error would move with other writers: the bootstrap over writers.

Pieces by one hand are read alike, so writers are drawn, not pieces, as Bisani and Ney draw speakers
(Bootstrap estimates for confidence intervals in ASR performance evaluation, ICASSP 2004).
"""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.evaluation.material import Material
from inkstream.model.metrics import Figures, errors, errors_by

DRAWS: Final = 10_000  # of as many writers as there are, with replacement
SHARE: Final = 0.95  # of the draws: so many lie within an interval
SEED: Final = 0
QUARTERS: Final = (0.25, 0.5, 0.75)


def overall(material: Material, places: Sequence[int], texts: Sequence[str]) -> Figures:
    """Errors of all pieces at `places`, read as `texts`, of fresh and of seen ones.

    `spread` has the `spread` of all and of fresh ones; where there are no pieces there is none.
    """
    labels, writers = material.labels(places), material.writers(places)
    fresh = material.fresh(places)
    kinds = ["fresh" if own else "seen" for own in fresh]
    own = [list(compress(each, fresh)) for each in (texts, labels, writers)]
    parts = {"all": (texts, labels, writers), "fresh": own}
    return {
        **errors(texts, labels),
        **errors_by(kinds, texts, labels, ("fresh", "seen")),
        "spread": {name: spread(*part) for name, part in parts.items() if part[0]},
    }


def spread(texts: Sequence[str], labels: Sequence[str], writers: Sequence[str]) -> Figures:
    """How far the error of texts would move with other writers.

    Args:
        texts: N, as they were read; one at least.
        labels: N, what was written.
        writers: N, by whom.

    Returns:
        `wrong` and `characters` of each writer, in the order of their names; `interval`: bounds of
        the character error within which 95 % of the draws lie; `quarters`: what a quarter, a half
        and three quarters of the writers' own errors do not exceed.
    """
    each = errors_by(writers, texts, labels).values()
    characters = [own["characters"] for own in each]
    wrong = [round(own["error"] * own["characters"]) for own in each]
    return {
        "wrong": wrong,
        "characters": characters,
        "interval": _interval(_drawn(wrong) / _drawn(characters)),
        "quarters": np.quantile(np.divide(wrong, characters), QUARTERS).tolist(),
    }


def times(theirs: Mapping[str, Figures], ours: Mapping[str, Figures]) -> dict[str, Figures]:
    """How many times as many characters others get wrong as we do; `spread`s of the same pieces.

    A draw has the same writers for both, as a hard hand is hard for both. There is no such figure
    where a draw has writers without a mistake alone.
    """
    found = {}
    for name, own in ours.items():
        other = theirs[name]["wrong"]
        if (drawn := _drawn(own["wrong"])).all():
            interval = _interval(_drawn(other) / drawn)
            found[name] = {"times": sum(other) / sum(own["wrong"]), "interval": interval}
    return found


def _drawn(values: Sequence[int]) -> NDArray[np.int64]:
    """[DRAWS], sums over the writers who are drawn: the same ones for as many values."""
    equal = np.full(len(values), 1 / len(values))
    random = np.random.default_rng(SEED)
    sums: NDArray[np.int64] = random.multinomial(len(values), equal, DRAWS) @ np.array(values)
    return sums


def _interval(values: NDArray[np.float64]) -> list[float]:
    """The bounds of the most usual values."""
    beyond = (1 - SHARE) / 2
    bounds: list[float] = np.quantile(values, [beyond, 1 - beyond]).tolist()
    return bounds
