"""How much one person's own ink teaches a net: `inkstream train hand`, tried on several writers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from inkstream.model.checkpoint import Checkpoint, read
from inkstream.model.evaluation.material import SEED, WORDS, Material
from inkstream.model.metrics import Figures, errors
from inkstream.model.reader import Reader
from inkstream.model.train import train
from inkstream.model.training.config import HAND, LineKnobs, Place

LEAST_WORDS: Final = 100  # of a writer
INK: Final = "ink.jsonl"
START: Final = "start.onnx"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a second half."""

    before: str  # as it was read before training on the first half
    after: str
    written: str
    new: bool  # the first half has no such word


def hands(
    checkpoint: Checkpoint, material: Material, n_writers: int, knobs: LineKnobs = HAND
) -> Figures:
    """Train on the first half of each writer's words, and read the second half before and after.

    Training goes the user's way: by a file of ink, of which a tenth is held out. Of the second
    halves those words whose text the first half has not are told apart.

    Args:
        checkpoint: of the net that each hand's training begins with.
        material: whose writers are taken.
        n_writers: how many at most, drawn from those with enough words.
        knobs: of the training.
    """
    writers: list[Figures] = []
    words: list[Word] = []
    for places in _writers(material, n_writers):
        first, second = places[: len(places) // 2], places[len(places) // 2 :]
        with TemporaryDirectory() as scratch:
            trained = _trained(checkpoint, material, first, Path(scratch), knobs)
        own = _read_twice(material, second, (checkpoint, trained), material.labels(first))
        words += own
        writers.append(
            {
                "donor": material.donors(second)[0],
                "trained_on": len(first),
                "all": _fall(own),
                "new_texts": _fall([word for word in own if word.new]),
            }
        )
    return {
        "config_digest": knobs.digest,
        "writers": writers,
        "all": _fall(words),
        "new_texts": _fall([word for word in words if word.new]),
    }


def _writers(material: Material, n_writers: int) -> list[list[int]]:
    """Places of the words of writers with enough of them, in the order of the data."""
    indices = material.pieces.indices
    own = [
        sorted(places, key=lambda place: int(indices[place]))
        for _, places in sorted(material.by_writer(material.places(WORDS)).items())
        if len(places) >= LEAST_WORDS
    ]
    chosen = np.random.default_rng(SEED).permutation(len(own))[:n_writers]
    return [own[number] for number in sorted(chosen.tolist())]


def _trained(
    checkpoint: Checkpoint,
    material: Material,
    places: Sequence[int],
    scratch: Path,
    knobs: LineKnobs,
) -> Checkpoint:
    """What training on the ink at `places` makes of a net."""
    pieces = material.pieces
    with (scratch / INK).open("w") as file:
        for place in places:
            piece = pieces.ink.piece(int(pieces.indices[place]))
            strokes = [stroke.tolist() for stroke in piece.strokes]
            file.write(json.dumps({"strokes": strokes, "label": piece.label}) + "\n")
    (scratch / START).write_bytes(checkpoint.content)
    path = train(knobs, Place(run=scratch / "run", data=scratch / INK, init=scratch / START))
    assert path is not None  # no time limit was set
    return read(path)


def _read_twice(
    material: Material,
    places: Sequence[int],
    checkpoints: tuple[Checkpoint, Checkpoint],
    known: Sequence[str],
) -> list[Word]:
    """The words at `places` as both nets read them; those that are not `known` are new."""
    lines, labels = material.drawn(places), material.labels(places)
    before, after = (
        [reading.text for reading in Reader(checkpoint).read(lines)] for checkpoint in checkpoints
    )
    new = [label not in known for label in labels]
    return [Word(*values) for values in zip(before, after, labels, new, strict=True)]


def _fall(words: Sequence[Word]) -> Figures:
    """Errors before and after, and the share of the former that is gone."""
    labels = [word.written for word in words]
    before = errors([word.before for word in words], labels)
    after = errors([word.after for word in words], labels)
    fall = 1 - after["error"] / before["error"] if before["error"] else None
    return {"before": before, "after": after, "fall": fall}
