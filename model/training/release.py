"""From a training run to a checkpoint that can be served: calibrate, describe, export."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from inkstream.model import checkpoint
from inkstream.model.calibration import columns_since_ink, fit_temperatures
from inkstream.model.config import ModelConfig
from inkstream.model.data.images import Dataset
from inkstream.model.export import export
from inkstream.model.network import ColumnLSTM
from inkstream.model.training.run_folder import CONFIGURATION, RunFolder, network_weights

VERSION: Final = "1"  # of the recipe; a retrained net with other figures gets another one
LICENCE: Final = "Apache-2.0"
BLANKS_AFTER: Final = 10  # columns, so that answers stay calibrated when nothing more comes
BATCH: Final = 500


def release(folder: RunFolder, config: ModelConfig, held_out: Dataset, name: str) -> Path:
    """Write `name`.onnx into the run folder and return its path.

    The temperatures are fitted on the held-out images, and the figures that the file carries are
    theirs too: test images are for `inkstream evaluate` alone.
    """
    network = ColumnLSTM(config)
    weights = network_weights(folder.path)
    network.load_state_dict(weights)
    network.eval()
    right = run(network, held_out.columns)[:, -1].argmax(1) == held_out.answers
    metrics = {"held_out_accuracy": float(right.mean())}
    metadata = describe_run(folder, name, config, metrics, calibration(network, held_out))
    return write(folder, metadata)


def describe_run(
    folder: RunFolder,
    name: str,
    config: ModelConfig,
    metrics: dict[str, float],
    temperatures: tuple[float, ...],
) -> checkpoint.Metadata:
    """What a checkpoint of the run's net says of itself."""
    configuration: dict[str, Any] = json.loads((folder.path / CONFIGURATION).read_text())
    return checkpoint.Metadata(
        name=name,
        version=VERSION,
        config=config,
        licence=LICENCE,
        data=configuration["data"],
        data_digest=configuration["data_digest"],
        config_digest=configuration["config_digest"],
        metrics=metrics,
        parameters=sum(weight.numel() for weight in network_weights(folder.path).values()),
        temperatures=temperatures,
    )


def write(folder: RunFolder, metadata: checkpoint.Metadata, to: Path | None = None) -> Path:
    """Export the run's net into its folder, or another, and return the checkpoint's path."""
    path = (to or folder.path) / f"{metadata.name}{checkpoint.SUFFIX}"
    weights = {name: value.numpy() for name, value in network_weights(folder.path).items()}
    export(path, weights, metadata)
    return path


def calibration(network: ColumnLSTM, held_out: Dataset) -> tuple[float, ...]:
    """Temperatures by columns since the first ink, with blank columns after the image."""
    columns = np.pad(held_out.columns, ((0, 0), (0, BLANKS_AFTER), (0, 0)))
    scores = run(network, columns)  # [N, T, K]
    answers = np.repeat(held_out.answers, columns.shape[1])
    counts = columns_since_ink(columns).ravel()
    return fit_temperatures(scores.reshape(-1, scores.shape[2]), counts, answers)


@torch.no_grad()
def run(network: ColumnLSTM, columns: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Scores [N, T, K] before the softmax, of columns [N, T, H]."""
    parts = torch.split(torch.from_numpy(columns), BATCH)
    scores = torch.cat([network(part.float() / 255)[0] for part in parts])
    doubles: NDArray[np.float64] = scores.double().numpy()
    return doubles
