"""The served graph of a transcriber: a `LineLSTM` with its calibration, in ONNX operators.

    columns uint8 [T, B, 2H], state [B, D] -> scores [T, B, 1 + K + 1], state_after [B, D]

A step reads two columns that lie one behind the other, the older one first. `scores` are
log-probabilities: of the blank, of the K labels, and, by itself, of a letter's end. Convolutions
are written as one matrix product each, over all streams and rows at once.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from model.config import KERNEL_STEPS, STEP_COLUMNS, ModelConfig
from model.graph.nodes import Graph, Weights

EPSILON: Final = 1e-5  # torch's, of a layer normalisation


def build(config: ModelConfig, weights: Weights, temperatures: Sequence[float]) -> onnx.ModelProto:
    """The graph of `weights` (names and shapes as in `LineLSTM.state_dict()`).

    Args:
        config: the dimensions.
        weights: of the net.
        temperatures: of the scores and of the letter ends.
    """
    graph = Graph()
    pasts = [1] + [KERNEL_STEPS - 1] * (len(config.channels) - 1)  # steps kept
    maps = zip(config.state_parts[:-2], pasts, strict=True)
    sizes = [size // steps for size, steps in maps for _ in range(steps)]
    sizes += [config.units] * (2 * config.layers)
    state = graph.add("Unsqueeze", "state", graph.integers(0))
    parts = graph.several("Split", state, graph.integers(*sizes), outputs=len(sizes), axis=2)
    hidden, cell = parts[-2 * config.layers : -config.layers], parts[-config.layers :]
    past = iter(parts)

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    sequence = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, 2H], 1 = ink
    kept: list[str] = []
    for index, steps in enumerate(pasts):
        shifted, after = graph.delayed(sequence, [next(past) for _ in range(steps)])
        sequence = _convolution(graph, config, weights, index, shifted)  # [T, B, rows * C]
        kept += after
    features = graph.product(sequence, *_features(config, weights))
    scale, shift = (graph.constant(weights[f"norm.{name}"]) for name in ("weight", "bias"))
    normal = graph.add("LayerNormalization", features, scale, shift, axis=-1, epsilon=EPSILON)
    sequence = graph.add("Relu", normal)
    for layer in range(config.layers):
        before = (hidden[layer], cell[layer])
        names = f"lstm.{layer}.{{}}_l0"
        more, hidden[layer], cell[layer] = graph.lstm(weights, names, sequence, before)
        sequence = graph.add("Add", sequence, more)
    _scores(graph, weights, sequence, temperatures)
    state = graph.add("Concat", *kept, *hidden, *cell, axis=2)
    graph.add("Squeeze", state, graph.integers(0), output="state_after")
    columns = STEP_COLUMNS * config.column_height
    return graph.model(config.kind, columns, config.n_scores, sum(config.state_parts))


def _convolution(
    graph: Graph, config: ModelConfig, weights: Weights, index: int, shifted: list[str]
) -> str:
    """One convolution of what each step sees, a list of [T, B, .], the oldest first."""
    rows = config.column_height >> index
    if index == 0:  # pairs of columns: pixels of a row, in the order of their columns
        apart = [graph.reshape(step, 0, 0, STEP_COLUMNS, rows) for step in shifted]
        seen = [graph.add("Transpose", step, perm=(0, 1, 3, 2)) for step in apart]
    else:
        seen = [graph.reshape(step, 0, 0, rows, -1) for step in shifted]
    around = graph.add("Concat", *seen, axis=3)  # [T, B, rows, steps * C]
    around = graph.add("Pad", around, graph.integers(1, 1), graph.constant(0.0), graph.integers(2))
    # A window is four rows, every second row one begins: two pairs of rows that follow each other.
    matrix = weights[f"convolutions.{index}.weight"].transpose(2, 3, 1, 0)  # [4, steps, C, C after]
    matrix = matrix.reshape(-1, matrix.shape[3])
    pairs = graph.reshape(around, 0, 0, rows // 2 + 1, matrix.shape[0] // 2)
    upper, lower = graph.slice(pairs, 0, -1, 2), graph.slice(pairs, 1, rows, 2)
    windows = graph.add("Concat", upper, lower, axis=3)  # [T, B, rows / 2, 4 * steps * C]
    maps = graph.product(windows, matrix, weights[f"convolutions.{index}.bias"])
    return graph.reshape(graph.add("Relu", maps), 0, 0, rows // 2 * config.channels[index])


def _features(
    config: ModelConfig, weights: Weights
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrix and bias of the features, for maps whose channels lie side by side in a row."""
    weight = weights["features.weight"]  # [F, C * rows]
    by_map = weight.reshape(len(weight), config.channels[-1], -1)  # [F, C, rows]
    return by_map.transpose(2, 1, 0).reshape(-1, len(weight)), weights["features.bias"]


def _scores(graph: Graph, weights: Weights, outputs: str, temperatures: Sequence[float]) -> None:
    """The log-probabilities that the graph gives, of the last layer's outputs [T, B, U]."""
    of_labels, of_ends = map(graph.constant, map(float, temperatures))
    raw = graph.add("Div", graph.linear(weights, "head", outputs), of_labels)
    ends = graph.add("Div", graph.linear(weights, "ends", outputs), of_ends)
    ended = graph.add("Neg", graph.add("Softplus", graph.add("Neg", ends)))  # of a sigmoid, its log
    graph.add("Concat", graph.add("LogSoftmax", raw, axis=2), ended, output="scores", axis=2)
