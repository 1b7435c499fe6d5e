"""Load the weights that a training run begins with: of an earlier run, or of a checkpoint."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor

from inkstream.model.checkpoint import find, read
from inkstream.model.config import Kind
from inkstream.model.export import weights_of
from inkstream.model.training.run_folder import CONFIGURATION, finished_run

KINDS: Final[dict[str, Kind]] = {"digits": "classifier", "lines": "transcriber"}  # of a task's net


# Labels that look like others, beside letters with accents, which look like those without.
LIKE: Final = {
    "ß": "B", "æ": "a", "Æ": "A", "œ": "o", "Œ": "O", "ø": "o", "Ø": "O", "«": "<", "»": ">",
    "„": '"', "¡": "!", "¿": "?", "°": "o", "º": "o", "ª": "a", "·": ".", "€": "E", "£": "L",
    "§": "S",
}  # fmt: skip
RARER: Final = 4.0  # nats by which a new label is less likely than its like at first


def like_of(label: str) -> str:
    """Return the label that one looks like: `e` for `é`; itself where there is none."""
    return LIKE.get(label, unicodedata.normalize("NFD", label)[:1])


@dataclass(frozen=True, slots=True, eq=False)
class InitialNet:
    """A net with whose weights a run begins."""

    labels: tuple[str, ...]
    weights: dict[str, Tensor]
    digest: str  # SHA-256 of its file
    temperatures: tuple[float, ...] = (1.0, 1.0)


def initial_net(source: Path, task: Literal["digits", "lines"]) -> InitialNet:
    """Load the net of a run folder, or of a checkpoint by its name or path.

    Raises `DataError` or `CheckpointError` if there is none of `task`.
    """
    if (source / CONFIGURATION).is_file():
        configuration, weights, digest = finished_run(source, task)
        return InitialNet(tuple(configuration["labels"]), weights, digest)
    checkpoint = read(find(source), KINDS[task])
    weights = {name: torch.from_numpy(value) for name, value in weights_of(checkpoint).items()}
    metadata = checkpoint.metadata
    return InitialNet(metadata.config.labels, weights, checkpoint.digest, metadata.temperatures)
