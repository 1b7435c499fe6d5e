"""Which ink a run on lines reads: UNIPEN's, or the user's own, and who chooses."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data import inkfiles, own_split, split, unipen
from model.data.inkset import InkSet
from model.errors import DataError

ASCII: Final = tuple(map(chr, range(32, 127)))  # printable: what UNIPEN's labels are made of
UNIPEN: Final = "UNIPEN train_r01_v07"


@dataclass(frozen=True, slots=True, eq=False)
class LineData:
    """Labelled ink, and which pieces train and choose."""

    name: str
    ink: InkSet
    training: NDArray[np.int64]
    choosing: NDArray[np.int64]
    characters: tuple[str, ...]  # that its labels are made of, in order
    skipped: Mapping[str, int] = field(default_factory=dict)  # pieces that it lacks, by reason


def load(source: Path | None) -> LineData:
    """UNIPEN's ink (None, its archive, its folder), or the user's own (.jsonl, .inkml, a folder).

    Raises `DataError` when it can't be read, or is too little to hold some out.
    """
    if source is not None and inkfiles.holds(source):
        found = inkfiles.read(source)
        skipped = Counter[str]()
        for (reason, *_), count in found.census.skipped.items():
            skipped[reason] += count
        return replace(own(source.name, found.ink, found.kin), skipped=skipped)
    try:
        ink, _ = unipen.read(source)
    except DataError as error:
        if source is None or not source.is_dir():
            raise
        raise DataError(f"{error}, and no {' or '.join(inkfiles.SUFFIXES)} file") from error
    parts = split.parts(ink)
    return LineData(UNIPEN, ink, parts["train"], parts["choose"], ASCII)


def own(name: str, ink: InkSet, kin: NDArray[np.int64] | None = None) -> LineData:
    """A user's ink, of which a tenth chooses; `kin` is as in `own_split.parts`, None no two.

    Raises `DataError` when it is too little to hold some out.
    """
    if len(ink) < own_split.ONE_IN:
        raise DataError(
            f"{name} has {len(ink)} labelled pieces, expected at least {own_split.ONE_IN}"
        )
    parts = own_split.parts(ink, np.arange(len(ink)) if kin is None else kin)
    if not len(parts["choose"]):
        raise DataError(
            f"{name} has {len(ink)} labelled pieces that all have ink in common,"
            " expected some apart from the others, to hold out"
        )
    characters = tuple(sorted({" ", *"".join(ink.labels)}))
    return LineData(name, ink, parts["train"], parts["choose"], characters)
