"""The graphs of 32-bit numbers: the reference for those of bytes, and for the nets in torch.

    classifier:  columns uint8 [T, B, H],  state [B, D] -> scores [T, B, K],         state_after
    transcriber: columns uint8 [T, B, 2H], state [B, D] -> scores [T, B, 1 + K + 1], state_after

A transcriber that knows directions takes 6H bytes a step.

Inside a graph the state is [1, B, D]: its parts fit the axis of columns and the LSTM's axis of
directions.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.graphs.base import (
    NORM_EPSILON,
    Graph,
    columns_since_ink,
    convolution_matrix,
    convolution_windows,
    seen_columns,
)
from inkstream.model.network import empty_net

GATES: Final = (0, 3, 1, 2)  # ONNX's input, output, forget, cell among torch's i, f, cell, o

Weights = Mapping[str, NDArray[np.float32]]


def float32_model(
    config: ModelConfig, weights: Weights, temperatures: Sequence[float]
) -> onnx.ModelProto:
    """Return the graph of a net."""
    build = _transcriber if config.kind == "transcriber" else _classifier
    return build(_FloatGraph(config, weights), temperatures)


class _FloatGraph(Graph):
    """Adds the layers of a net of 32-bit numbers."""

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        super().__init__()
        self.config = config
        self._net = empty_net(config)
        for name, value in weights.items():
            self.initialiser(name, value)
        rows = np.arange(4 * config.units).reshape(4, config.units)
        self._gate_order = self.constant(rows[list(GATES)].reshape(1, -1))  # [1, 4U]

    def linear(self, inputs: str, name: str) -> str:
        """Return `inputs` [..., n] through a linear layer, [..., m]."""
        return self.product(inputs, self.add("Transpose", f"{name}.weight", perm=(1, 0)), name)

    def product(self, inputs: str, matrix: str, name: str) -> str:
        """Return `inputs` [..., n] times `matrix` [n, m], plus the bias of a layer [m]."""
        return self.add("Add", self.add("MatMul", inputs, matrix), f"{name}.bias")

    def lstm(self, names: str, sequence: str, hidden: str, cell: str) -> tuple[str, str, str]:
        """Return outputs [T, B, U], hidden and cell [1, B, U] of a layer over `sequence` [T, B, .].

        `names` is the pattern of its weights' names, such as "lstm.{}_l0".
        """
        inputs, recurrent, *biases = (
            self.add("Gather", names.format(name), self._gate_order)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        outputs, hidden, cell = self.several(
            "LSTM", sequence, inputs, recurrent, self.add("Concat", *biases, axis=1), "",
            hidden, cell, outputs=3, hidden_size=self.config.units,
        )  # fmt: skip
        return self.add("Squeeze", outputs, self.integers(1)), hidden, cell

    def split_state(self) -> list[list[str]]:
        """Return the state's parts, of each its steps or layers, [1, B, .] each."""
        shapes = self._net.state_shapes
        sizes = [math.prod(own[1:]) for own in shapes for _ in range(own[0])]
        state = self.add("Unsqueeze", "state", self.integers(0))
        rows = self.several("Split", state, self.integers(*sizes), outputs=len(sizes), axis=2)
        return [[rows.pop(0) for _ in range(own[0])] for own in shapes]

    def finish(self, parts: Sequence[str], columns_a_step: int) -> onnx.ModelProto:
        """Return the model, checked by ONNX itself; `parts` make up the state after."""
        after = self.add("Concat", *parts, axis=2)
        self.add("Squeeze", after, self.integers(0), output="state_after")
        size, state_size = self.config.column_size, self._net.state_size
        return self.model(
            self.config.kind,
            inputs=[
                ("columns", np.uint8, ("T", "B", columns_a_step * size)),
                ("state", np.float32, ("B", state_size)),
            ],
            outputs=[
                ("scores", np.float32, ("T", "B", self.config.n_scores)),
                ("state_after", np.float32, ("B", state_size)),
            ],
        )


def _classifier(graph: _FloatGraph, temperatures: Sequence[float]) -> onnx.ModelProto:
    """Return the graph of a `ColumnLSTM`, with a temperature for each count of columns."""
    config = graph.config
    earlier, hidden, cell, (since_ink,) = graph.split_state()

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    pixels = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, H], 1 = ink
    windows = pixels
    if earlier:
        shifted, earlier = graph.delayed(pixels, earlier)
        windows = graph.add("Concat", *shifted, axis=2)  # [T, B, context * H]
    sequence = graph.add("Relu", graph.linear(windows, "convolution"))  # [T, B, F]
    for i in range(config.layers):
        names = f"lstm.{{}}_l{i}"
        sequence, hidden[i], cell[i] = graph.lstm(names, sequence, hidden[i], cell[i])
    count, since_ink = columns_since_ink(graph, pixels, since_ink)
    last = graph.constant(float(len(temperatures) - 1))  # holds for all greater counts
    index = graph.add("Cast", graph.add("Min", count, last), to=TensorProto.INT64)
    temperature = graph.add("Gather", graph.constant(np.array(temperatures, np.float32)), index)
    raw = graph.add("Div", graph.linear(sequence, "head"), temperature)
    graph.add("LogSoftmax", raw, output="scores", axis=2)
    return graph.finish([*earlier, *hidden, *cell, since_ink], columns_a_step=1)


def _transcriber(graph: _FloatGraph, temperatures: Sequence[float]) -> onnx.ModelProto:
    """Return the graph of a `LineLSTM`, with the temperatures of labels and of letter ends.

    A step reads two columns that lie one behind the other, the older one first.
    """
    config = graph.config
    *earlier, hidden, cell = graph.split_state()

    pixels = graph.add("Cast", seen_columns(graph, config), to=TensorProto.FLOAT)
    sequence = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, .], 1 = ink
    after: list[str] = []
    for index, before in enumerate(earlier):
        shifted, kept = graph.delayed(sequence, before)
        sequence = _convolution(graph, index, shifted)  # [T, B, rows * C]
        after += kept
    # The maps lie row by row: weight [F, C * rows] as matrix [rows * C, F].
    by_map = graph.reshape("features.weight", config.features, config.channels[-1], -1)
    by_row = graph.add("Transpose", by_map, perm=(2, 1, 0))
    matrix = graph.reshape(by_row, -1, config.features)
    sequence = graph.product(sequence, matrix, "features")
    norm = ("norm.weight", "norm.bias")
    sequence = graph.add("LayerNormalization", sequence, *norm, axis=-1, epsilon=NORM_EPSILON)
    sequence = graph.add("Relu", sequence)  # [T, B, U]
    for i in range(config.layers):
        more, hidden[i], cell[i] = graph.lstm(f"lstm.{i}.{{}}_l0", sequence, hidden[i], cell[i])
        sequence = graph.add("Add", sequence, more)

    of_labels, of_ends = map(graph.constant, map(float, temperatures))
    raw = graph.add("Div", graph.linear(sequence, "head"), of_labels)
    ends = graph.add("Div", graph.linear(sequence, "ends"), of_ends)
    ends = graph.add("Neg", graph.add("Softplus", graph.add("Neg", ends)))  # log of a sigmoid
    labels = graph.add("LogSoftmax", raw, axis=2)
    graph.add("Concat", labels, ends, output="scores", axis=2)
    return graph.finish([*after, *hidden, *cell], columns_a_step=STEP_COLUMNS)


def _convolution(graph: _FloatGraph, index: int, shifted: list[str]) -> str:
    """Return one convolution of what each step sees, a list of [T, B, .], oldest first.

    It is one matrix product over all streams and rows.
    """
    config = graph.config
    windows = convolution_windows(graph, config, index, shifted, graph.constant(0.0))
    matrix = convolution_matrix(graph, config, index)
    maps = graph.add("Relu", graph.product(windows, matrix, f"convolutions.{index}"))
    return graph.reshape(maps, 0, 0, (config.column_height >> index) // 2 * config.channels[index])
