"""Weights that a run on lines begins with: a net that reads already, of these labels or others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from model.checkpoint import find, read
from model.errors import DataError
from model.network import LineLSTM
from model.training.restore import weights_of
from model.training.run_folder import (
    CONFIGURATION,
    configuration_of,
    network_digest,
    network_weights,
)

BACKWARDS: Final = "backwards."  # names of the weights of layers that read from the end
FORWARDS: Final = "lstm."  # of those that read from the start
SHOWN: Final = 4  # names of weights that an error lists

Temperatures = tuple[float, float]  # of the letters and of their ends
UNCHANGED: Final = (1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A net to begin with."""

    labels: tuple[str, ...]
    weights: dict[str, Tensor]
    digest: str  # SHA-256 of its file
    temperatures: Temperatures = UNCHANGED

    @property
    def layers(self) -> int:
        """LSTM layers that read from the start."""
        return len({name.split(".")[1] for name in self.weights if name.startswith(FORWARDS)})

    @property
    def units(self) -> int:
        """Cells of each layer."""
        return self.weights["head.weight"].shape[1]


def start_from(source: Path) -> Start:
    """The net of a run folder, or of a checkpoint by its name or path.

    Raises `DataError` or `CheckpointError` if there is none that can be used.
    """
    if (source / CONFIGURATION).is_file():
        labels = configuration_of(source, "lines")["labels"]
        return Start(tuple(labels), network_weights(source), network_digest(source))
    checkpoint = read(find(source), "transcriber")
    weights = {name: torch.from_numpy(value) for name, value in weights_of(checkpoint).items()}
    metadata = checkpoint.metadata
    of_letters, of_ends = metadata.temperatures
    return Start(metadata.config.labels, weights, checkpoint.digest, (of_letters, of_ends))


def begin_with(network: LineLSTM, start: Start) -> None:
    """Give `network` the weights of `start`; rows of labels that it did not know stay drawn.

    Layers that read from the end, which `start` may lack, begin by adding nothing to what they
    read: the larger net reads as the other did (Chen et al., Net2Net, ICLR 2016).

    Raises `DataError` if its dimensions are others.
    """
    own = network.state_dict()
    rows = [0, *(1 + network.config.labels.index(label) for label in start.labels)]  # 0: the blank
    units = network.config.units
    weights = {}
    for name, value in own.items():
        if name.startswith(BACKWARDS):
            weights[name] = value.clone()
            weights[name][2 * units : 3 * units] = 0  # what a cell would take in
    weights |= start.weights
    for name in ("head.weight", "head.bias"):
        if name in weights and weights[name].shape[1:] == own[name].shape[1:]:
            widened = own[name].clone()
            widened[rows] = weights[name]
            weights[name] = widened
    wrong = [
        name for name in own.keys() | weights.keys()
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    ]  # fmt: skip
    if wrong:
        has, asked = (start.layers, start.units), (network.config.layers, units)
        names = f"{', '.join(sorted(wrong)[:SHOWN])}{', ...' if len(wrong) > SHOWN else ''}"
        raise DataError(
            "the net to begin with has other dimensions (layers, units): "
            f"{has}, asked for: {asked}; weights that do not fit: {names}"
        )
    network.load_state_dict(weights)
