"""The exported graph holds the net's own weights, under their names, and they come back."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from inkstream.model import checkpoint as checkpoints
from inkstream.model.checkpoint import Checkpoint, find
from inkstream.model.config import ModelConfig
from inkstream.model.errors import CheckpointError
from inkstream.model.export import export, weight_shapes, weights_of
from inkstream.model.network import ColumnLSTM, LineLSTM, empty_net
from tests.helpers import builders

CONFIGS = [builders.config(), builders.line_config(), builders.line_config(directions=True)]


@pytest.mark.parametrize("of", CONFIGS, ids=lambda of: of.kind)
def test_weights_are_read_unchanged(tmp_path: Path, of: ModelConfig) -> None:
    weights = builders.weights(of, 5)
    export(tmp_path / "net.onnx", weights, builders.metadata(of, (1.5, 0.8)))
    taken = weights_of(checkpoints.read(tmp_path / "net.onnx"))
    assert list(taken) == list(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(taken[name], value)


@pytest.mark.parametrize("name", ["digits", "lines"])
def test_training_can_continue_from_a_shipped_model(name: str) -> None:
    checkpoint = checkpoints.read(find(name))
    config = checkpoint.metadata.config
    net = ColumnLSTM(config) if config.kind == "classifier" else LineLSTM(config)
    taken = {key: torch.from_numpy(value) for key, value in weights_of(checkpoint).items()}
    assert net.load_state_dict(taken)
    assert sum(value.numel() for value in taken.values()) == checkpoint.metadata.parameters


def test_a_graph_with_other_names_is_refused(tiny: Checkpoint) -> None:
    model = onnx.load_from_string(tiny.content)
    content = model.SerializeToString().replace(b"head.bias", b"constant1")
    renamed = Checkpoint(tiny.path, tiny.metadata, content, tiny.session)
    with pytest.raises(CheckpointError, match=r"tiny\.onnx holds no weights head\.bias"):
        weights_of(renamed)


def test_an_empty_net_has_shapes_without_values() -> None:
    for of in CONFIGS:
        assert {value.device.type for value in empty_net(of).state_dict().values()} == {"meta"}
        assert weight_shapes(of)["head.bias"] == (of.n_scores - (of.kind == "transcriber"),)
