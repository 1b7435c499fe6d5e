"""Weights come back out of a checkpoint."""

from pathlib import Path

import numpy as np
import pytest

from inkstream.model import checkpoint as checkpoints
from inkstream.model.config import ModelConfig
from inkstream.model.runtime import Runtime
from inkstream.model.training.run_folder import weights_of
from tests import builders


@pytest.mark.parametrize("of", [builders.config(), builders.line_config()], ids=lambda of: of.kind)
def test_a_net_of_the_weights_of_a_checkpoint_is_the_same_net(
    tmp_path: Path, of: ModelConfig
) -> None:
    temperatures = (1.5, 0.8)
    weights, metadata = builders.weights(of, 5), builders.metadata(of, temperatures)
    checkpoints.export(tmp_path / "first.onnx", weights, metadata)
    taken = weights_of(checkpoints.read(tmp_path / "first.onnx"))
    checkpoints.export(tmp_path / "second.onnx", taken, metadata)
    columns = np.random.default_rng(0).integers(0, 256, (9, 2, of.column_height), np.uint8)
    first, second = (
        Runtime(checkpoints.read(tmp_path / f"{name}.onnx")) for name in ("first", "second")
    )
    scores = first.run(columns, first.initial_state(2))[0]
    np.testing.assert_array_equal(second.run(columns, second.initial_state(2))[0], scores)
    for name, value in weights.items():
        if "bias_" not in name:
            np.testing.assert_array_equal(taken[name], value)
