"""Letter ends of joined writing by more writers than the report has: folds that nets do without."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import read
from model.data import split
from model.data.inkset import InkSet
from model.data.line_batches import Pieces, plain
from model.errors import DataError
from model.line_reading import Reader
from model.report.endings import letter_ends, tells
from model.report.measures import Figures
from model.training.knobs import LineKnobs
from model.training.line_release import NAME
from model.training.line_runs import trained


def folds(runs: Sequence[Path], ink: InkSet) -> Figures:
    """Letter ends as nets find them that `train lines --fold` left, each in the fold it had not.

    Beside it stand those of the report's writers by the same nets: how far they fall short of a
    longer run's. Both are of pieces with joined letters.

    Raises `DataError` when a folder has no such net, when two of them have the same fold, or when
    one was trained for longer than another.
    """
    knobs = [_knobs(run) for run in runs]
    twice = [fold for fold, count in Counter(own.fold for own in knobs).items() if count > 1]
    if twice:
        raise DataError(f"fold {twice[0]} comes twice, expected a run of each")
    steps = sorted({own.cycles * own.steps for own in knobs})
    if len(steps) > 1:
        raise DataError(
            f"runs are of {steps[0]:,} to {steps[-1]:,} steps, expected as many of each"
        )
    parts = {"left out": [split.joined_fold(ink, own.fold) for own in knobs]}
    parts["report"] = [split.parts(ink)["report"]] * len(knobs)
    return {"config_digests": [own.digest for own in knobs], "steps": steps[0]} | {
        name: _joined(runs, own, ink) for name, own in parts.items()
    }


def _knobs(run: Path) -> LineKnobs:
    knobs = trained(run).knobs
    if not knobs.fold:
        raise DataError(f"{run} holds a net that saw all folds, expected one of --fold")
    return knobs


def _joined(runs: Sequence[Path], parts: Sequence[NDArray[np.int64]], ink: InkSet) -> Figures:
    """Letter ends in what each run's net reads of its part: the pieces with joined letters."""
    told, writers = [], set()
    for run, indices in zip(runs, parts, strict=True):
        reader = Reader(read(run / f"{NAME}.onnx"))
        pieces = Pieces(ink, indices, reader.config.labels)  # all: they tell the writers' frames
        places = np.flatnonzero(ink.joined()[pieces.indices]).tolist()
        lines = [plain(pieces, place, reader.config.column_height) for place in places]
        for reading, index in zip(reader.read(lines), pieces.indices[places], strict=True):
            if tells(reading):
                told.append(reading)
                writers.add(ink.writers[index])
    return {"pieces": len(told), "writers": len(writers), **letter_ends(told)}
