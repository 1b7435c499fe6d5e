"""Load nets of earlier runs and checkpoints, with which a run begins or from which it learns."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from inkstream.model.checkpoint import find, read
from inkstream.model.errors import DataError
from inkstream.model.export import weights_of
from inkstream.model.training.run_folder import (
    CONFIGURATION,
    NETWORK,
    network_weights,
    read_configuration,
)

# Labels that look like others, beside letters with accents, which look like those without.
LIKE: Final = {
    "ß": "B", "æ": "a", "Æ": "A", "œ": "o", "Œ": "O", "ø": "o", "Ø": "O", "«": "<", "»": ">",
    "„": '"', "¡": "!", "¿": "?", "°": "o", "º": "o", "ª": "a", "·": ".", "€": "E", "£": "L",
    "§": "S",
}  # fmt: skip
RARER: Final = 4.0  # nats by which a new label is less likely than its like at first


@dataclass(frozen=True, slots=True, eq=False)
class TrainedNet:
    """The labels and weights of a trained net."""

    labels: tuple[str, ...]
    weights: dict[str, Tensor]
    digest: str  # SHA-256 of its file
    temperatures: tuple[float, ...] = (1.0, 1.0)


def finished_run(path: Path, task: str) -> TrainedNet:
    """Load the net of a run folder; raise `DataError` if it has none of `task`."""
    if not (path / NETWORK).is_file():
        raise DataError(f"{path} has no {NETWORK}: train it first")
    configuration = read_configuration(path)
    if (of_run := configuration["config"]["task"]) != task:
        raise DataError(f"{path} holds a run of {of_run}, expected one of {task}")
    digest = hashlib.sha256((path / NETWORK).read_bytes()).hexdigest()
    return TrainedNet(tuple(configuration["labels"]), network_weights(path), digest)


def initial_net(source: Path, task: str) -> TrainedNet:
    """Load the net of a run folder, or of a checkpoint by its name or path.

    Raises `DataError` or `CheckpointError` if there is none of `task`.
    """
    if (source / CONFIGURATION).is_file():
        return finished_run(source, task)
    checkpoint = read(find(source), "classifier" if task == "digits" else "transcriber")
    weights = {name: torch.from_numpy(value) for name, value in weights_of(checkpoint).items()}
    metadata = checkpoint.metadata
    return TrainedNet(metadata.config.labels, weights, checkpoint.digest, metadata.temperatures)


def like_of(label: str) -> str:
    """Return the label that one looks like: `e` for `é`; itself where there is none."""
    return LIKE.get(label, unicodedata.normalize("NFD", label)[:1])


def initial_weights(
    initial: TrainedNet, random: Mapping[str, Tensor], new_labels: Sequence[str]
) -> dict[str, Tensor]:
    """Return the initial weights for a net with `random` weights, whose last labels are new.

    The head's row of a new label is that of its like in the initial net, see `LIKE`, but rarer;
    without one it stays random.
    """
    weights = dict(initial.weights)
    rows = {label: row for row, label in enumerate(initial.labels, 1)}  # 0 is the blank
    for name in ("head.weight", "head.bias"):
        if weights[name].shape[1:] != random[name].shape[1:]:
            continue  # `load_weights` refuses it
        head = [*weights[name], *random[name][len(weights[name]) :]]
        for row, label in enumerate(new_labels, 1 + len(rows)):
            if like := rows.get(like_of(label)):
                head[row] = head[like] - (RARER if name == "head.bias" else 0.0)
        weights[name] = torch.stack(head)
    return weights
