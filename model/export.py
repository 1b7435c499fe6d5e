"""Write a net as a checkpoint, and read its weights back.

The graphs are built by hand, operator by operator, and not traced: a step of them takes less time,
they take any T and B, keep one row of state a stream, and hold nothing that a step does not need.

The initialisers are the net's `state_dict()`: same names and shapes. What ONNX wants in another
layout, transposed or with the gates in another order, is rearranged by operators, which ONNX
Runtime carries out once, when it loads the graph. So a training goes on from a checkpoint by a
lookup: `weights_of`.

`scores` are calibrated log-probabilities (temperature scaling: Guo et al., ICML 2017).
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from inkstream.model.checkpoint import METADATA_KEY, Checkpoint, Metadata, sealed
from inkstream.model.config import ModelConfig
from inkstream.model.errors import CheckpointError
from inkstream.model.files import write_whole
from inkstream.model.graphs.int8 import Int8Net, Ranges, dequantised
from inkstream.model.graphs.nets import Net, Weights
from inkstream.model.network import empty_net


def export(path: Path, weights: Weights, metadata: Metadata, ranges: Ranges | None = None) -> None:
    """Write a checkpoint; an older one at `path` is replaced only when the new one is on the disk.

    Args:
        path: where the file goes.
        weights: the net's `state_dict()` as arrays.
        metadata: its `config` gives the dimensions, its `temperatures` the calibration.
        ranges: of what is multiplied in 8 bits; None writes 32-bit numbers.

    Raises:
        CheckpointError: the weights do not fit the dimensions or are not finite.
        OSError: the file cannot be written.
    """
    config, temperatures = metadata.config, metadata.temperatures
    expected = weight_shapes(config)
    if wrong := weights.keys() ^ expected.keys():
        raise CheckpointError(f"weights are missing or unknown: {', '.join(sorted(wrong))}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise CheckpointError(f"{name} is {weights[name].shape}, expected {shape}")
        if not np.isfinite(weights[name]).all():
            raise CheckpointError(f"{name} holds numbers that are not finite")
    net = Net(config, weights, temperatures)
    if ranges is not None:
        net = Int8Net(config, weights, temperatures, ranges)
    model = net.model()
    model.metadata_props.add(key=METADATA_KEY, value=metadata.to_json())
    write_whole(path, sealed(model.SerializeToString(deterministic=True)))


def weights_of(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]]:
    """Return the net's `state_dict()`, as arrays.

    Raises `CheckpointError` for a file whose weights have other names, as those of the first
    version had.
    """
    graph = onnx.load_model_from_string(checkpoint.content).graph
    arrays = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    names = weight_shapes(checkpoint.metadata.config)
    if missing := names.keys() - arrays.keys():
        raise CheckpointError(
            f"{checkpoint.path.name} holds no weights {', '.join(sorted(missing))}: it was "
            "exported by another version of inkstream, which can train it further"
        )
    return dequantised(arrays, [*names])


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a net's weights."""
    return {name: tuple(value.shape) for name, value in empty_net(config).state_dict().items()}
