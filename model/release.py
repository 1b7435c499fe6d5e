"""From a training run to a checkpoint that can be served: calibrate, describe, export."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from model import checkpoint
from model.calibrate import columns_since_ink, fit_temperatures
from model.config import ModelConfig
from model.data.dataset import Dataset
from model.network import ColumnLSTM
from model.run_folder import RunFolder, network_weights

VERSION: Final = "1"  # of the recipe; a retrained net with other figures gets another one
LICENCE: Final = "Apache-2.0"
CALIBRATION_BLANKS: Final = (0, 4, 10)  # calibrated with blank columns before the ink as well
BATCH: Final = 500


def release(run: RunFolder, config: ModelConfig, held_out: Dataset, name: str) -> Path:
    """Write `name`.onnx into the run folder and return its path.

    The temperatures are fitted on the held-out images, and the figures that the file carries are
    theirs too: test images are for `inkstream evaluate` alone.
    """
    network = ColumnLSTM(config)
    weights = network_weights(run.path)
    network.load_state_dict(weights)
    network.eval()
    scores = held_out_scores(network, held_out, blanks=0)
    right = scores[:, -1].argmax(1) == held_out.answers
    configuration: dict[str, Any] = json.loads((run.path / "config.json").read_text())
    metadata = checkpoint.Metadata(
        name=name,
        version=VERSION,
        config=config,
        licence=LICENCE,
        data=configuration["data"],
        data_digest=configuration["data_digest"],
        config_digest=configuration["config_digest"],
        metrics={"held_out_accuracy": float(right.mean())},
        parameters=sum(weight.numel() for weight in network.parameters()),
        temperatures=calibration(network, held_out),
    )
    path = run.path / f"{name}{checkpoint.SUFFIX}"
    checkpoint.export(path, {key: value.numpy() for key, value in weights.items()}, metadata)
    return path


def calibration(network: ColumnLSTM, held_out: Dataset) -> tuple[float, ...]:
    """Temperatures by columns since the first ink, with and without blank columns before it."""
    scores, counts, answers = [], [], []
    for blanks in CALIBRATION_BLANKS:
        own = held_out_scores(network, held_out, blanks)  # [N, T, K]
        scores.append(own.reshape(-1, own.shape[2]))
        counts.append(columns_since_ink(_after_blanks(held_out, blanks)).ravel())
        answers.append(np.repeat(held_out.answers, own.shape[1]))
    return fit_temperatures(np.concatenate(scores), np.concatenate(counts), np.concatenate(answers))


@torch.no_grad()
def held_out_scores(network: ColumnLSTM, held_out: Dataset, blanks: int) -> NDArray[np.float64]:
    """Scores [N, T, K] before the softmax, with `blanks` blank columns first."""
    parts = torch.split(torch.from_numpy(_after_blanks(held_out, blanks)), BATCH)
    scores = torch.cat([network(part.float() / 255)[0] for part in parts])
    doubles: NDArray[np.float64] = scores.double().numpy()
    return doubles


def _after_blanks(dataset: Dataset, blanks: int) -> NDArray[np.uint8]:
    return np.pad(dataset.columns, ((0, 0), (blanks, 0), (0, 0)))
