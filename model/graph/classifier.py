"""The served graph of a classifier: a `ColumnLSTM` with its calibration, in ONNX operators.

    columns uint8 [T, B, H], state [B, D] -> scores [T, B, K], state_after [B, D]

`scores` are log-probabilities after temperature scaling (Guo et al., ICML 2017) with one
temperature for each number of columns since the first ink.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from model.config import ModelConfig
from model.graph.nodes import TO_THE_END, Graph, Weights


def build(config: ModelConfig, weights: Weights, temperatures: Sequence[float]) -> onnx.ModelProto:
    """The graph of `weights` (names and shapes as in `ColumnLSTM.state_dict()`).

    Inside, the state is [1, B, D]: so its parts fit the axis of columns and the LSTM's axis of
    directions as they are, and a step of one column needs no other shuffling.
    """
    graph = Graph()
    sizes = [config.column_height] * (config.context - 1)
    sizes += [config.units] * (2 * config.layers) + [1]
    state = graph.add("Unsqueeze", "state", graph.integers(0))
    parts = graph.several("Split", state, graph.integers(*sizes), outputs=len(sizes), axis=2)
    seen = parts.pop()  # [1, B, 1]
    hidden, cell = parts[-2 * config.layers : -config.layers], parts[-config.layers :]
    tail = parts[: -2 * config.layers]  # [1, B, H] each

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    pixels = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, H], 1 = ink
    windows = pixels
    if tail:
        shifted, tail = graph.delayed(pixels, tail)
        windows = graph.add("Concat", *shifted, axis=2)  # [T, B, context * H]
    sequence = graph.add("Relu", graph.linear(weights, "convolution", windows))  # [T, B, F]
    for layer in range(config.layers):
        before = (hidden[layer], cell[layer])
        names = f"lstm.{{}}_l{layer}"
        sequence, hidden[layer], cell[layer] = graph.lstm(weights, names, sequence, before)
    count, seen = _columns_since_ink(graph, pixels, seen)
    raw = graph.add("Div", graph.linear(weights, "head", sequence), _at(graph, temperatures, count))
    graph.add("LogSoftmax", raw, output="scores", axis=2)
    after = graph.add("Concat", *tail, *hidden, *cell, seen, axis=2)
    graph.add("Squeeze", after, graph.integers(0), output="state_after")
    return graph.model(config.kind, config.column_height, config.n_scores, config.state_size)


def _columns_since_ink(graph: Graph, pixels: str, seen: str) -> tuple[str, str]:
    """Count [T, B, 1] of columns since the first ink, that one included, and the last [1, B, 1].

    `seen` [1, B, 1] counts those of earlier runs: the first ink has come where it is above 0.
    """
    first_axis = graph.integers(0)
    ink = graph.add("ReduceMax", pixels, graph.integers(2))  # [T, B, 1]
    ink = graph.add("Add", graph.add("CumSum", ink, first_axis), seen)  # above 0 from first ink on
    count = graph.add("Add", graph.add("CumSum", graph.add("Sign", ink), first_axis), seen)
    return count, graph.slice(count, -1, TO_THE_END)


def _at(graph: Graph, temperatures: Sequence[float], count: str) -> str:
    """The temperature [T, B, 1] that holds at each count; the last one holds from there on."""
    last = graph.constant(float(len(temperatures) - 1))
    index = graph.add("Cast", graph.add("Min", count, last), to=TensorProto.INT64)
    return graph.add("Gather", graph.constant(np.array(temperatures, np.float32)), index)
