"""Measure adaptation to one writer: `inkstream train hand`, tried on several writers."""

import json
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from inkstream.model.checkpoint import Checkpoint, read
from inkstream.model.evaluation.evaluation_set import SEED, WORDS, EvaluationSet
from inkstream.model.metrics import Figures
from inkstream.model.reader import Reader, Reading, reading_errors
from inkstream.model.train import train
from inkstream.model.training.config import HAND, LinesConfig, RunOptions

LEAST_WORDS: Final = 100  # of a writer


def adaptation(
    checkpoint: Checkpoint, pieces: EvaluationSet, n_writers: int, config: LinesConfig = HAND
) -> Figures:
    """Train on the first half of each writer's words; read the second half before and after.

    Training takes the user's way: a file of ink, of which a tenth is held out. Words of the second
    half whose text the first half lacks (`new_words`) are counted apart too. Of the writers with
    enough words `n_writers` are drawn, or all if there are fewer.
    """
    writers: list[Figures] = []
    words: list[tuple[Reading, Reading]] = []  # before and after
    is_new: list[bool] = []
    for indices in _writers(pieces, n_writers):
        first, second = indices[: len(indices) // 2], indices[len(indices) // 2 :]
        with TemporaryDirectory() as scratch:
            trained = _trained(checkpoint, pieces, first, Path(scratch), config)
        lines, known = pieces.samples(second), set(pieces.labels(first))
        own = list(zip(*(Reader(net).read(lines) for net in (checkpoint, trained)), strict=True))
        own_new = [line.label not in known for line in lines]
        words += own
        is_new += own_new
        donor = pieces.donors(second)[0]
        writers.append({"donor": donor, "trained_on": len(first), **_reductions(own, own_new)})
    return {"config_digest": config.digest, "writers": writers, **_reductions(words, is_new)}


def _writers(pieces: EvaluationSet, n_writers: int) -> list[list[int]]:
    """Return the words of each chosen writer, in the order of the data."""
    order = pieces.pieces.indices
    own = [
        sorted(indices, key=lambda index: int(order[index]))
        for _, indices in sorted(pieces.by_writer(pieces.indices(WORDS)).items())
        if len(indices) >= LEAST_WORDS
    ]
    chosen = np.random.default_rng(SEED).permutation(len(own))[:n_writers]
    return [own[number] for number in sorted(chosen.tolist())]


def _trained(
    checkpoint: Checkpoint,
    pieces: EvaluationSet,
    indices: Sequence[int],
    scratch: Path,
    config: LinesConfig,
) -> Checkpoint:
    """Train the net of `checkpoint` on some pieces; `scratch` is an empty folder."""
    ink = scratch / "ink.jsonl"
    with ink.open("w") as file:
        for index in indices:
            piece = pieces.piece(index)
            strokes = [stroke.tolist() for stroke in piece.strokes]
            file.write(json.dumps({"strokes": strokes, "label": piece.label}) + "\n")
    path = train(config, RunOptions(run=scratch / "run", data=ink, init=checkpoint.path))
    assert path is not None  # no time limit was set
    return read(path)


def _reductions(words: Sequence[tuple[Reading, Reading]], is_new: Sequence[bool]) -> Figures:
    """Return errors before and after, and by what share they fell: of all and of new words."""
    found: Figures = {}
    for name, own in (("all", words), ("new_words", list(compress(words, is_new)))):
        before, after = (reading_errors([pair[side] for pair in own]) for side in (0, 1))
        reduction = 1 - after["cer"] / before["cer"] if before["cer"] else None
        found[name] = {"before": before, "after": after, "reduction": reduction}
    return found
