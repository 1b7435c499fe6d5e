"""Which ink a run on lines reads: UNIPEN's, or the user's own, and who chooses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data import inkfiles, split, unipen
from model.data.inkset import InkSet
from model.errors import DataError

ASCII: Final = tuple(map(chr, range(32, 127)))  # printable: what UNIPEN's labels are made of
UNIPEN: Final = "UNIPEN train_r01_v07"
ENOUGH_WRITERS: Final = 20  # from here on whole writers choose; of fewer, pieces do
ONE_IN: Final = 10  # pieces chooses


@dataclass(frozen=True, slots=True, eq=False)
class LineData:
    """Labelled ink, and which pieces train and choose."""

    name: str
    ink: InkSet
    training: NDArray[np.int64]
    choosing: NDArray[np.int64]
    characters: tuple[str, ...]  # that its labels are made of, in order


def load(source: Path | None) -> LineData:
    """UNIPEN's ink (None, its archive, its folder), or the user's own (.jsonl, .inkml, a folder).

    Raises `DataError` when it can't be read, or is too little to hold some out.
    """
    if source is None or not inkfiles.holds(source):
        ink, _ = unipen.read(source)
        parts = split.parts(ink)
        return LineData(UNIPEN, ink, parts["train"], parts["choose"], ASCII)
    ink, _ = inkfiles.read(source)
    return own(source.name, ink)


def own(name: str, ink: InkSet) -> LineData:
    """A user's ink: of many writers a tenth choose, of few a tenth of the pieces."""
    if len(set(ink.writers.tolist())) >= ENOUGH_WRITERS:
        parts = split.parts(ink)
        training, choosing = np.concatenate([parts["train"], parts["report"]]), parts["choose"]
    else:
        every = np.arange(len(ink))
        choosing = every[every % ONE_IN == ONE_IN - 1]
        training = every[every % ONE_IN != ONE_IN - 1]
    if not len(choosing) or not len(training):
        raise DataError(f"{name} has {len(ink)} labelled pieces, expected at least {ONE_IN}")
    characters = tuple(sorted({" ", *"".join(ink.labels)}))
    return LineData(name, ink, np.sort(training), choosing, characters)
