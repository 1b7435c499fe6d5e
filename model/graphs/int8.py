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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from inkstream.model.config import ModelConfig
from inkstream.model.errors import ConfigError
from inkstream.model.graphs.base import CONTRIBUTED, Graph, Value
from inkstream.model.graphs.nets import Factor, Floats, Net, Weights

WEIGHT_LIMIT: Final = 63  # of a weight's integer, either way
BYTE: Final = 255  # the greatest, for what is never negative
MIDDLE: Final = np.uint8(128)  # the byte that stands for 0 where there are negative numbers
N_EITHER_WAY: Final = 127  # bytes above it, and as many below
LARGEST_HIDDEN: Final = 1.0  # hidden states are in (-1, 1)
SCALE: Final = "{}.scale"  # name of a weight's scale


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


@dataclass(frozen=True, slots=True)
class _Layer:
    """A linear layer: its weight as a matrix [n, m], scales [m] and bias [m]."""

    matrix: str
    scales: str
    bias: str  # "" is none


class Int8Net(Net):
    """The graph of a net of bytes."""

    def __init__(
        self, config: ModelConfig, weights: Weights, temperatures: Sequence[float], ranges: Ranges
    ) -> None:
        self.ranges = ranges
        super().__init__(config, weights, temperatures)
        # Our order of gates is input, forget, output, cell; torch's is i, f, cell, o.
        gates = np.arange(4 * config.units).reshape(4, config.units)[[0, 1, 3, 2]]
        self.gate_order = self.graph.constant(gates.ravel())
        self.n_hidden = config.layers * config.units

    def add_weight(self, name: str, value: Floats) -> None:
        if "weight" in name and not name.startswith("norm."):  # it takes part in a product
            integers, scales = quantised(value)
            self.graph.initialiser(name, integers)
            self.graph.initialiser(SCALE.format(name), scales)
        else:
            self.graph.initialiser(name, value)

    def begin(self) -> tuple[list[str], list[str]]:
        config, graph = self.config, self.graph
        *earlier, hidden = graph.split("seen", [*self.earlier_sizes, self.n_hidden], 1)
        parts = [graph.add("Unsqueeze", part, graph.integers(0)) for part in earlier]
        hidden = self._from_zero(graph, hidden)
        self.hidden = graph.split(hidden, [config.units] * config.layers, 1)
        n_counts = 0 if self.is_transcriber else 1
        cells = graph.split("cells", [config.units] * config.layers + [1] * n_counts, 1)
        self.cells = cells[: config.layers]
        counts = cells[config.layers :]
        return parts, [graph.add("Unsqueeze", count, graph.integers(0)) for count in counts]

    def finish(self, earlier: list[str], counts: list[str]) -> onnx.ModelProto:
        graph = self.graph
        parts, of_counts = (
            [graph.add("Squeeze", part, graph.integers(0)) for part in steps]
            for steps in (earlier, counts)
        )
        hidden = self._from_zero(graph, self.hidden[0])
        graph.add("Concat", *parts, hidden, axis=1, output="seen_after")
        graph.add("Concat", *self.cells, *of_counts, axis=1, output="cells_after")
        return self.with_state(
            seen=(np.uint8, ("B", sum(self.earlier_sizes) + self.n_hidden)),
            cells=(np.float32, ("B", self.n_hidden + len(counts))),
        )

    def _from_zero(self, graph: Graph, hidden: str) -> str:
        """Return hidden states whose byte for 0 is 0 as ones where it is `MIDDLE`, or back."""
        return graph.add("BitwiseXor", hidden, graph.constant(MIDDLE))

    # Layers

    def pixels(self, columns: str) -> Factor:
        return Factor(columns, 1 / BYTE, np.uint8(0))

    def factor(self, numbers: str, reader: int) -> Factor:
        return self._as_bytes(self.graph, numbers, self._largest_input(reader))

    def _largest_input(self, reader: int) -> float:
        """Return how large the input of an LSTM layer, or of the heads behind all, becomes."""
        return self.ranges.layers[reader] if self.is_transcriber else LARGEST_HIDDEN

    def _as_bytes(self, graph: Graph, numbers: str, largest: float) -> Factor:
        """Return numbers from minus `largest` to `largest` as bytes."""
        scale = largest / N_EITHER_WAY
        values = graph.add("QuantizeLinear", numbers, graph.constant(scale), graph.constant(MIDDLE))
        return Factor(values, scale, MIDDLE)

    def _layer(self, name: str, matrix: str) -> _Layer:
        """Return the linear layer of this name; `matrix` [n, m] is its weight's, or ""."""
        weight = f"{name}.weight"
        matrix = matrix or self.graph.add("Transpose", weight, perm=(1, 0))
        return _Layer(matrix, self.graph.reshape(SCALE.format(weight), -1), f"{name}.bias")

    def product(self, inputs: Factor, name: str, matrix: str = "") -> str:
        return self._product(self.graph, inputs, self._layer(name, matrix))

    def _product(self, graph: Graph, inputs: Factor, layer: _Layer) -> str:
        """Return `inputs` [..., n] through a layer, as numbers [..., m]."""
        scale, zero = graph.constant(inputs.scale), graph.constant(inputs.zero)
        optional = ["", layer.bias] if layer.bias else []
        return graph.add(
            "MatMulIntegerToFloat", inputs.values, layer.matrix, scale, layer.scales, zero,
            *optional, domain=CONTRIBUTED,
        )  # fmt: skip

    def rectified(
        self, windows: Factor, index: int, size: int, name: str, matrix: str = ""
    ) -> Factor:
        # The least byte stands for 0, so what is less becomes 0 by itself.
        graph, layer = self.graph, self._layer(name, matrix)
        scale = self.ranges.convolutions[index] / BYTE
        scale_in, zero = graph.constant(windows.scale), graph.constant(windows.zero)
        unit = graph.add("Mul", layer.scales, scale_in)  # of the sums, [m]
        bias = graph.add("Round", graph.add("Div", layer.bias, unit))
        n_outputs = self.config.channels[index] if self.is_transcriber else size
        maps = graph.add(
            "QGemm", graph.add("Flatten", windows.values, axis=-1), scale_in, zero,
            layer.matrix, layer.scales, graph.constant(np.zeros(n_outputs, np.int8)),
            graph.add("Cast", bias, to=TensorProto.INT32),
            graph.constant(scale), graph.constant(np.uint8(0)),
            domain=CONTRIBUTED,
        )  # fmt: skip
        shape = graph.add("Shape", "columns", end=2)  # T, B
        shape = graph.add("Concat", shape, graph.integers(size), axis=0)
        return Factor(graph.add("Reshape", maps, shape), scale, np.uint8(0))

    def log_sigmoid(self, numbers: str) -> str:
        # `Softplus` has another last digit in a larger batch.
        graph = self.graph
        zero, axis = graph.constant(0.0), graph.integers(2)
        pair = graph.add("Pad", numbers, graph.integers(0, 1), zero, axis)
        return graph.slice(graph.add("LogSoftmax", pair, axis=2), 0, 1, 2)

    # LSTM layers

    def lstm(self, first: Factor, numbers: str, names: str) -> str:
        graph, config = self.graph, self.config
        units = ("B", config.units)
        branches = {}
        for branch, run in (("then_branch", self._one_step), ("else_branch", self._all_steps)):
            body, inputs, outputs = graph.body(), first, numbers
            hidden, cells = list[str](), list[str]()
            for i in range(config.layers):
                of_inputs, of_hidden = self._lstm_layer(body, names, i)
                if i:
                    inputs = self._as_bytes(body, outputs, self._largest_input(i))
                projected = self._product(body, inputs, of_inputs)  # [T, B, 4U]
                more, hidden_after, cell = run(
                    body, projected, self.hidden[i], self.cells[i], of_hidden
                )
                outputs = body.add("Add", outputs, more) if self.is_transcriber else more
                hidden.append(hidden_after)
                cells.append(cell)
            values: list[Value] = [
                (outputs, np.float32, ("T", *units)),
                (body.add("Concat", *hidden, axis=1), np.uint8, ("B", self.n_hidden)),
                *((cell, np.float32, units) for cell in cells),
            ]
            branches[branch] = body.as_body(branch, [], values)
        is_one = graph.add("Equal", graph.add("Shape", "columns", end=1), graph.integers(1))
        outputs, hidden_of_all, *self.cells = graph.several(
            "If", is_one, outputs=2 + config.layers, **branches
        )
        self.hidden = [hidden_of_all]  # [B, L * U]
        return outputs

    def _lstm_layer(self, body: Graph, names: str, index: int) -> tuple[_Layer, _Layer]:
        """Return the two products of an LSTM layer: of its input, and of its hidden state.

        The operators that rearrange the weights stand in the branch and not before it: ONNX Runtime
        prepares weights for its products only where they are one level outside of them at most.
        """
        bias_ih, bias_hh, weight_ih, weight_hh = (
            names.format(layer=index, name=name)
            for name in ("bias_ih", "bias_hh", "weight_ih", "weight_hh")
        )
        biases = [body.add("Gather", bias, self.gate_order) for bias in (bias_ih, bias_hh)]
        bias = body.add("Add", *biases)
        return self._gates(body, weight_ih, bias), self._gates(body, weight_hh, "")

    def _gates(self, body: Graph, weight: str, bias: str) -> _Layer:
        """Return a layer whose outputs are gates, in our order."""
        rows, scales = (
            body.add("Gather", array, self.gate_order) for array in (weight, SCALE.format(weight))
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
        inputs = [body.name(start) for start in ("hidden", "cell", "now")]
        output, *states = self._step(loop, inputs[2], inputs[0], inputs[1], layer)
        kinds, sizes = (np.uint8, np.float32, np.float32), (units, units, 4 * units)
        scan = loop.as_body(
            "step",
            [(name, kind, ("B", n)) for name, kind, n in zip(inputs, kinds, sizes, strict=True)],
            [
                (name, kind, ("B", units))
                for name, kind in zip((*states, output), kinds, strict=True)
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

        `of_inputs` [B, 4U] is the gates' share of the inputs; `layer` weighs the hidden state.
        """
        units = self.config.units
        before = Factor(hidden, LARGEST_HIDDEN / N_EITHER_WAY, MIDDLE)
        gates = body.add("Add", of_inputs, self._product(body, before, layer))
        opened, new = body.split(gates, [3 * units, units], 1)
        take, keep, show = body.split(body.add("Sigmoid", opened), [units] * 3, 1)
        kept, taken = body.add("Mul", keep, cell), body.add("Mul", take, body.add("Tanh", new))
        cell = body.add("Add", kept, taken)
        output = body.add("Mul", show, body.add("Tanh", cell))
        return output, self._as_bytes(body, output, LARGEST_HIDDEN).values, cell
