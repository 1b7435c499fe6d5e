"""The 8-bit graphs of the two nets, which are served.

    columns uint8 [T, B, .], seen uint8 [B, M], cells float32 [B, N]
      -> scores float32 [T, B, S], seen_after, cells_after

Every product is one of integers: bytes times weights of 7 bits, summed in 32 bits, with a scale for
each output of a layer (Jacob et al., CVPR 2018). All scales are constants. So the sums depend on
nothing but a stream's own columns, and a stream gets the same scores alone and in any batch, to the
bit. Weights have 7 bits and not 8 because processors without VNNI add two products in 16 bits:
2 * 255 * 63 has room there, 2 * 255 * 127 has not.

`seen` holds what the convolutions saw of earlier steps, and the hidden states; `cells` holds the
cells of the LSTM layers and, of a classifier, the number of columns since the first ink. A stream
begins with zeros.

The LSTM layers stand in a graph twice: for a single step, without a loop over time, and for more.

The initialisers have the names and layouts of the net's `state_dict()`, and beside each weight lies
its scale: `dequantised` gives the net back. ONNX Runtime rearranges them once, when it loads the
graph.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from inkstream.model.config import ModelConfig
from inkstream.model.errors import ConfigError
from inkstream.model.graphs.base import (
    CONTRIBUTED,
    NORM_EPSILON,
    Graph,
    Value,
    columns_since_ink,
    convolution_matrix,
    convolution_windows,
    seen_columns,
)
from inkstream.model.network import empty_net

WEIGHT_LIMIT: Final = 63  # of a weight's integer, either way
BYTE: Final = 255  # the greatest, for what is never negative
MIDDLE: Final = 128  # the byte that stands for 0 where there are negative numbers
EITHER_WAY: Final = 127  # bytes above it and below
LARGEST_HIDDEN: Final = 1.0  # hidden states are in (-1, 1)
GATES: Final = (0, 1, 3, 2)  # input, forget, output, cell among torch's i, f, cell, o
SCALE: Final = "{}.scale"  # name of a weight's scale

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Ranges:
    """How large what is multiplied becomes; what is greater is cut off there.

    Raises `ConfigError` unless all are positive numbers.
    """

    convolutions: tuple[float, ...]  # outputs of each convolution, behind its ReLU
    layers: tuple[float, ...] = ()  # of a transcriber: inputs of each LSTM layer, and of the heads

    def __post_init__(self) -> None:
        if not all(0 < value < math.inf for value in (*self.convolutions, *self.layers)):
            raise ConfigError(f"ranges are {self}, expected positive numbers")


def is_product(name: str) -> bool:
    """Whether weights of this name take part in a product: neither a bias nor a norm's."""
    return "weight" in name and not name.startswith("norm.")


def quantised(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return a weight [n, ...] as integers, and the scales of its outputs, [n, 1, ...]."""
    largest = np.abs(weight).max(tuple(range(1, weight.ndim)), keepdims=True)
    scales: Floats = (np.where(largest > 0, largest, 1) / WEIGHT_LIMIT).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales


def dequantised(arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, Floats]:
    """Return the weights of these names from a graph's initialisers, as 32-bit numbers."""
    return {
        name: (arrays[name] * arrays[SCALE.format(name)]).astype(np.float32)
        if SCALE.format(name) in arrays
        else arrays[name].copy()
        for name in names
    }


def int8_model(
    config: ModelConfig, weights: Weights, temperatures: Sequence[float], ranges: Ranges
) -> onnx.ModelProto:
    """Return the graph of a net."""
    net = _Transcriber if config.kind == "transcriber" else _Classifier
    return net(config, weights, temperatures, ranges).model()


@dataclass(frozen=True, slots=True)
class _Layer:
    """A linear layer: its weight as a matrix [n, m], scales [m] and bias [m]."""

    matrix: str
    scales: str
    bias: str  # "" is none


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Numbers as bytes: (byte - zero) * scale."""

    values: str
    scale: float
    zero: int


@dataclass(frozen=True, slots=True)
class _Read:
    """What comes out of a run: scores [T, B, S] and the parts of the state after."""

    scores: str
    seen: list[str]  # [1, B, .] each
    hidden: str  # [B, L * U]
    cells: list[str]  # [B, .] each


class _Net(ABC):
    """The graph of one net."""

    adds_inputs: bool  # whether each LSTM layer adds its output to its input

    def __init__(
        self, config: ModelConfig, weights: Weights, temperatures: Sequence[float], ranges: Ranges
    ) -> None:
        self.config = config
        self.temperatures = temperatures
        self.ranges = ranges
        self.graph = graph = Graph()
        for name, value in weights.items():
            if is_product(name):
                integers, scales = quantised(value)
                graph.initialiser(name, integers)
                graph.initialiser(SCALE.format(name), scales)
            else:
                graph.initialiser(name, value)
        rows = np.arange(4 * config.units).reshape(4, config.units)
        self._gate_order = graph.constant(rows[list(GATES)].ravel())
        n_convolutions = len(config.channels) or 1
        shapes = empty_net(config).state_shapes
        self._seen = [[math.prod(own[1:])] * own[0] for own in shapes[:n_convolutions]]
        self._hidden = math.prod(shapes[n_convolutions])
        self._cells = [config.units] * config.layers
        self._cells += [math.prod(own) for own in shapes[n_convolutions + 2 :]]

    def model(self) -> onnx.ModelProto:
        """Return the whole graph."""
        config, graph = self.config, self.graph
        sizes = [*(size for own in self._seen for size in own), self._hidden]
        *convolutions, hidden = graph.split("seen", sizes, 1)
        seen = [graph.add("Unsqueeze", part, graph.integers(0)) for part in convolutions]
        read = self.read(
            [[seen.pop(0) for _ in own] for own in self._seen],
            self._from_zero(hidden),
            graph.split("cells", self._cells, 1),
        )
        parts = [graph.add("Squeeze", part, graph.integers(0)) for part in read.seen]
        graph.add("Concat", *parts, self._from_zero(read.hidden), axis=1, output="seen_after")
        graph.add("Concat", *read.cells, axis=1, output="cells_after")
        n_bytes = config.step_columns * config.column_size
        of_seen, of_cells = ("B", sum(sizes)), ("B", sum(self._cells))
        return graph.model(
            config.kind,
            inputs=[
                ("columns", np.uint8, ("T", "B", n_bytes)),
                ("seen", np.uint8, of_seen),
                ("cells", np.float32, of_cells),
            ],
            outputs=[
                (read.scores, np.float32, ("T", "B", config.n_scores)),
                ("seen_after", np.uint8, of_seen),
                ("cells_after", np.float32, of_cells),
            ],
        )

    @abstractmethod
    def largest_input(self, layer: int) -> float:
        """Return how large the input of an LSTM layer becomes, by its index."""

    @abstractmethod
    def read(self, seen: list[list[str]], hidden: str, cells: list[str]) -> _Read:
        """Add the net, with the parts of a state [1, B, .], [B, L * U] and [B, .] each."""

    def _from_zero(self, hidden: str) -> str:
        """Return hidden states whose byte for 0 is 0 as ones where it is `MIDDLE`, or back."""
        return self.graph.add("BitwiseXor", hidden, self.graph.constant(np.uint8(MIDDLE)))

    # Layers

    def linear(self, name: str, matrix: str = "") -> _Layer:
        """Return the layer of this name; `matrix` [n, m] is its weight's, transposed by default."""
        weight = f"{name}.weight"
        matrix = matrix or self.graph.add("Transpose", weight, perm=(1, 0))
        return _Layer(matrix, self.graph.reshape(SCALE.format(weight), -1), f"{name}.bias")

    def numbers(self, graph: Graph, inputs: _Bytes, layer: _Layer) -> str:
        """Return `inputs` [..., n] through a layer, as numbers [..., m]."""
        scale, zero = graph.constant(inputs.scale), graph.constant(np.uint8(inputs.zero))
        optional = ["", layer.bias] if layer.bias else []
        return graph.add(
            "MatMulIntegerToFloat", inputs.values, layer.matrix, scale, layer.scales, zero,
            *optional, domain=CONTRIBUTED,
        )  # fmt: skip

    def rectified(self, inputs: _Bytes, layer: _Layer, size: int, largest: float) -> _Bytes:
        """Return `inputs` [n_rows, n] through a layer and a ReLU, as bytes [n_rows, size].

        The least byte stands for 0, so what is less becomes 0 by itself.
        """
        graph, scale = self.graph, largest / BYTE
        scale_in, zero = graph.constant(inputs.scale), graph.constant(np.uint8(inputs.zero))
        unit = graph.add("Mul", layer.scales, scale_in)  # of the sums, [m]
        bias = graph.add("Round", graph.add("Div", layer.bias, unit))
        values = graph.add(
            "QGemm", inputs.values, scale_in, zero, layer.matrix, layer.scales,
            graph.constant(np.zeros(size, np.int8)),
            graph.add("Cast", bias, to=TensorProto.INT32),
            graph.constant(scale), graph.constant(np.uint8(0)),
            domain=CONTRIBUTED,
        )  # fmt: skip
        return _Bytes(values, scale, 0)

    def as_bytes(self, graph: Graph, values: str, largest: float, output: str = "") -> _Bytes:
        """Return numbers from minus `largest` to `largest` as bytes."""
        scale = largest / EITHER_WAY
        parameters = graph.constant(scale), graph.constant(np.uint8(MIDDLE))
        values = graph.add("QuantizeLinear", values, *parameters, output=output)
        return _Bytes(values, scale, MIDDLE)

    # LSTM layers

    def lstm(
        self, first: _Bytes, numbers: str, names: str, hidden: str, cells: list[str]
    ) -> tuple[str, str, list[str]]:
        """Return outputs [T, B, U] and the states after of all LSTM layers.

        Args:
            first: what the first layer reads, [T, B, n].
            numbers: the same as numbers, if each layer adds its output to its input.
            names: the pattern of the names of weights, such as "lstm.{layer}.{name}_l0".
            hidden: [B, L * U].
            cells: [B, U] of each layer.
        """
        graph, config = self.graph, self.config
        units = ("B", config.units)
        hiddens = graph.split(hidden, [config.units] * config.layers, 1)
        branches = {}
        for branch, run in (("then_branch", self._one_step), ("else_branch", self._all_steps)):
            body, inputs, outputs = graph.body(), first, numbers
            after: list[tuple[str, str]] = []
            for i in range(config.layers):
                of_inputs, of_hidden = self._lstm_layer(body, names, i)
                if i:
                    inputs = self.as_bytes(body, outputs, self.largest_input(i))
                projected = self.numbers(body, inputs, of_inputs)  # [T, B, 4U]
                more, *states = run(body, projected, hiddens[i], cells[i], of_hidden)
                outputs = body.add("Add", outputs, more) if self.adds_inputs else more
                after.append((states[0], states[1]))
            hidden_after = body.add("Concat", *(own for own, _ in after), axis=1)
            values: list[Value] = [
                (outputs, np.float32, ("T", *units)),
                (hidden_after, np.uint8, ("B", self._hidden)),
                *((own, np.float32, units) for _, own in after),
            ]
            branches[branch] = body.as_body(branch, [], values)
        is_one = graph.add("Equal", graph.add("Shape", "columns", end=1), graph.integers(1))
        n_values = 2 + config.layers
        found = graph.several("If", is_one, outputs=n_values, **branches)
        return found[0], found[1], found[2:]

    def _lstm_layer(self, body: Graph, names: str, index: int) -> tuple[_Layer, _Layer]:
        """Return the two products of an LSTM layer: of its input, and of its hidden state.

        The operators that rearrange the weights stand in the branch and not before it: ONNX Runtime
        prepares weights for its products only where they are one level outside of them at most.
        """
        bias_ih, bias_hh, weight_ih, weight_hh = (
            names.format(layer=index, name=own)
            for own in ("bias_ih", "bias_hh", "weight_ih", "weight_hh")
        )
        biases = [body.add("Gather", own, self._gate_order) for own in (bias_ih, bias_hh)]
        bias = body.add("Add", *biases)
        return self._gates(body, weight_ih, bias), self._gates(body, weight_hh, "")

    def _gates(self, body: Graph, weight: str, bias: str) -> _Layer:
        """Return a layer whose outputs are gates, in the order of `GATES`."""
        rows, scales = (
            body.add("Gather", own, self._gate_order) for own in (weight, SCALE.format(weight))
        )
        matrix = body.add("Transpose", rows, perm=(1, 0))
        return _Layer(matrix, body.reshape(scales, -1), bias)

    def _one_step(
        self, body: Graph, of_inputs: str, hidden: str, cell: str, layer: _Layer
    ) -> tuple[str, str, str]:
        """Return output [1, B, U], hidden state and cell [B, U] of one layer after one step."""
        now = body.add("Squeeze", of_inputs, body.integers(0))
        output, hidden, cell = self._step(body, now, hidden, cell, layer)
        return body.add("Unsqueeze", output, body.integers(0)), hidden, cell

    def _all_steps(
        self, body: Graph, of_inputs: str, hidden: str, cell: str, layer: _Layer
    ) -> tuple[str, str, str]:
        """Return outputs [T, B, U], hidden state and cell [B, U] of one layer after T steps."""
        loop, units = body.body(), self.config.units
        inputs = [body.name(each) for each in ("hidden", "cell", "now")]
        output, *states = self._step(loop, inputs[2], inputs[0], inputs[1], layer)
        scan = loop.as_body(
            "step",
            [
                (inputs[0], np.uint8, ("B", units)),
                (inputs[1], np.float32, ("B", units)),
                (inputs[2], np.float32, ("B", 4 * units)),
            ],
            [
                (states[0], np.uint8, ("B", units)),
                (states[1], np.float32, ("B", units)),
                (output, np.float32, ("B", units)),
            ],
        )
        hidden, cell, outputs = body.several(
            "Scan", hidden, cell, of_inputs, outputs=3, body=scan, num_scan_inputs=1
        )
        return outputs, hidden, cell

    def _step(
        self, body: Graph, of_inputs: str, hidden: str, cell: str, layer: _Layer
    ) -> tuple[str, str, str]:
        """Return output, hidden state and cell [B, U] after one step.

        Args:
            body: where the nodes go.
            of_inputs: the gates' share of the inputs, [B, 4U].
            hidden: bytes [B, U].
            cell: [B, U].
            layer: the weights of the hidden state.
        """
        units = self.config.units
        before = _Bytes(hidden, LARGEST_HIDDEN / EITHER_WAY, MIDDLE)
        gates = body.add("Add", of_inputs, self.numbers(body, before, layer))
        opened, new = body.split(gates, [3 * units, units], 1)
        take, keep, show = body.split(body.add("Sigmoid", opened), [units] * 3, 1)
        kept, taken = body.add("Mul", keep, cell), body.add("Mul", take, body.add("Tanh", new))
        cell = body.add("Add", kept, taken)
        output = body.add("Mul", show, body.add("Tanh", cell))
        return output, self.as_bytes(body, output, LARGEST_HIDDEN).values, cell


class _Transcriber(_Net):
    """The graph of a `LineLSTM`, with the temperatures of labels and of letter ends.

    A step reads two columns that lie one behind the other, the older one first.
    """

    adds_inputs = True

    def largest_input(self, layer: int) -> float:
        return self.ranges.layers[layer]

    def read(self, seen: list[list[str]], hidden: str, cells: list[str]) -> _Read:
        config, graph = self.config, self.graph
        shape = graph.add("Shape", "columns", end=2)  # T, B
        values, after = _Bytes(seen_columns(graph, config), 1 / BYTE, 0), list[str]()
        for index, earlier in enumerate(seen):
            shifted, kept = graph.delayed(values.values, earlier)
            after += kept
            values = self._convolution(index, shifted, values, shape)
        # The maps lie row by row: weight [F, C * rows] as matrix [rows * C, F].
        by_map = graph.reshape("features.weight", config.features, config.channels[-1], -1)
        by_row = graph.add("Transpose", by_map, perm=(2, 1, 0))
        matrix = graph.reshape(by_row, -1, config.features)
        sequence = self.numbers(graph, values, self.linear("features", matrix))
        norm = ("norm.weight", "norm.bias")
        sequence = graph.add("LayerNormalization", sequence, *norm, axis=-1, epsilon=NORM_EPSILON)
        sequence = graph.add("Relu", sequence)  # [T, B, U]
        first = self.as_bytes(graph, sequence, self.largest_input(0))
        names = "lstm.{layer}.{name}_l0"
        sequence, hidden, cells = self.lstm(first, sequence, names, hidden, cells)
        return _Read(self._heads(sequence), after, hidden, cells)

    def _convolution(self, index: int, shifted: list[str], before: _Bytes, shape: str) -> _Bytes:
        """Return one convolution of what each step sees, a list of [T, B, .], oldest first.

        It is one matrix product over all steps, streams and rows.
        """
        graph, rows = self.graph, self.config.column_height >> index
        name, channels = f"convolutions.{index}", self.config.channels[index]
        paper = graph.constant(np.uint8(before.zero))
        windows = convolution_windows(graph, self.config, index, shifted, paper)
        matrix = convolution_matrix(graph, self.config, index)
        flat = graph.add("Flatten", windows, axis=3)  # [T * B * rows / 2, .]
        inputs = _Bytes(flat, before.scale, before.zero)
        maps = self.rectified(
            inputs, self.linear(name, matrix), channels, self.ranges.convolutions[index]
        )
        size = graph.integers(rows // 2 * channels)
        values = graph.add("Reshape", maps.values, graph.add("Concat", shape, size, axis=0))
        return _Bytes(values, maps.scale, maps.zero)

    def _heads(self, sequence: str) -> str:
        """Return scores [T, B, 1 + K + 1] of the last layer's outputs [T, B, U]."""
        graph, largest = self.graph, self.ranges.layers[-1]
        inputs = self.as_bytes(graph, sequence, largest)
        labels, ends = (
            graph.add("Div", self.numbers(graph, inputs, self.linear(name)), graph.constant(own))
            for name, own in zip(("head", "ends"), map(float, self.temperatures), strict=True)
        )
        labels = graph.add("LogSoftmax", labels, axis=2)
        # The logarithm of a sigmoid; `Softplus` has another last digit in a larger batch.
        pair = graph.add("Pad", ends, graph.integers(0, 1), graph.constant(0.0), graph.integers(2))
        ends = graph.slice(graph.add("LogSoftmax", pair, axis=2), 0, 1, 2)
        return graph.add("Concat", labels, ends, axis=2, output="scores")


class _Classifier(_Net):
    """The graph of a `ColumnLSTM`, with a temperature for each count of columns."""

    adds_inputs = False

    def largest_input(self, layer: int) -> float:
        return LARGEST_HIDDEN

    def read(self, seen: list[list[str]], hidden: str, cells: list[str]) -> _Read:
        config, graph = self.config, self.graph
        *cells, since_ink = cells
        windows, after = "columns", list[str]()
        if seen[0]:
            shifted, after = graph.delayed("columns", seen[0])
            windows = graph.add("Concat", *shifted, axis=2)  # [T, B, context * H]
        pixels = _Bytes(graph.add("Flatten", windows, axis=2), 1 / BYTE, 0)
        features = self.rectified(
            pixels, self.linear("convolution"), config.features, self.ranges.convolutions[0]
        )
        shape = graph.add("Shape", "columns", end=2)
        shape = graph.add("Concat", shape, graph.integers(config.features), axis=0)
        features = replace(features, values=graph.add("Reshape", features.values, shape))
        sequence, hidden, cells = self.lstm(features, "", "lstm.{name}_l{layer}", hidden, cells)
        ink = graph.add("Cast", "columns", to=TensorProto.FLOAT)
        count, since_ink = columns_since_ink(graph, ink, graph.reshape(since_ink, 1, -1, 1))
        last = graph.constant(float(len(self.temperatures) - 1))  # holds for all greater counts
        index = graph.add("Cast", graph.add("Min", count, last), to=TensorProto.INT64)
        of_counts = graph.constant(np.array(self.temperatures, np.float32))
        outputs = self.as_bytes(graph, sequence, LARGEST_HIDDEN)
        raw = self.numbers(graph, outputs, self.linear("head"))
        raw = graph.add("Div", raw, graph.add("Gather", of_counts, index))
        scores = graph.add("LogSoftmax", raw, output="scores", axis=2)
        return _Read(scores, after, hidden, [*cells, graph.reshape(since_ink, -1, 1)])
