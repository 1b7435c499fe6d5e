"""The weights of a checkpoint, taken back out of its graph, for training to go on with.

A graph holds them transposed, reordered and merged. Where each one went is found by building the
same graph of weights that are numbers in a row, and looking where the numbers are.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from model.checkpoint import Checkpoint, build_graph
from model.errors import CheckpointError

MOST_WEIGHTS = 1 << 23  # numbers up to twice as many are whole in float32


def weights_of(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]]:
    """Weights named and shaped as the net's `state_dict()`, which answer as the checkpoint does.

    The two biases of an LSTM come back as one and zeros. Raises `CheckpointError` for a graph that
    this version would not have built.
    """
    shapes = checkpoint.metadata.config.weight_shapes()
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    total = sum(sizes.values())
    if total > MOST_WEIGHTS:
        raise CheckpointError(f"{total} weights, at most {MOST_WEIGHTS} can be taken back")
    places, moved = _constants_of_numbers(checkpoint, 0), _constants_of_numbers(checkpoint, total)
    actual = _constants(onnx.load_model_from_string(checkpoint.content))
    if actual.keys() != places.keys():
        raise CheckpointError(f"{checkpoint.path.name}: its graph is another version's")
    flat = np.zeros(total, np.float32)
    for name, place in places.items():
        ours = moved[name] != place  # all else is no weight: a temperature, a shape
        flat[place[ours].astype(np.int64)] = actual[name][ours]
    cuts = np.split(flat, np.cumsum([*sizes.values()])[:-1])
    return {
        name: cut.reshape(shape) for (name, shape), cut in zip(shapes.items(), cuts, strict=True)
    }


def _constants_of_numbers(checkpoint: Checkpoint, first: int) -> dict[str, NDArray[np.float32]]:
    """The constants of the graph whose weights are the numbers from `first` on, in their order."""
    config = checkpoint.metadata.config
    weights = {}
    for name, shape in config.weight_shapes().items():
        size = int(np.prod(shape))
        numbers = np.arange(first, first + size, dtype=np.float32).reshape(shape)
        weights[name] = np.zeros_like(numbers) if "bias_hh" in name else numbers
        first += size
    return _constants(build_graph(config, weights, checkpoint.metadata.temperatures))


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    arrays = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    return {name: array for name, array in arrays.items() if array.dtype == np.float32}
