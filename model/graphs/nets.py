"""The two nets of `network.py` as ONNX graphs of 32-bit numbers: the reference for those of bytes.

    classifier:  columns uint8 [T, B, H],  state [B, D] -> scores [T, B, K],         state_after
    transcriber: columns uint8 [T, B, 2H], state [B, D] -> scores [T, B, 1 + K + 1], state_after

A transcriber that knows directions takes 6H bytes a step. All values are [T, B, ...]: a step reads
the columns of all streams. Inside a graph the state is [1, B, D]: its parts fit the axis of columns
and the LSTM's axis of directions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.graphs.base import TO_THE_END, Graph
from inkstream.model.network import empty_net

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Factor:
    """Numbers as they are multiplied: (value - zero) * scale; 32-bit numbers are the values."""

    values: str
    scale: float = 1.0
    zero: float | np.uint8 = 0.0


class Net:
    """The graph of one net of 32-bit numbers; `Int8Net` has its own way with each."""

    def __init__(
        self, config: ModelConfig, weights: Weights, temperatures: Sequence[float]
    ) -> None:
        self.config, self.temperatures, self.graph = config, temperatures, Graph()
        self.is_transcriber = config.kind == "transcriber"
        for name, value in weights.items():
            self.add_weight(name, value)
        self.shapes = empty_net(config).state_shapes
        # Steps that each convolution sees of earlier runs, and the sizes of all of them.
        of_convolutions = self.shapes[: len(config.channels) or 1]
        self.n_earlier = [shape[0] for shape in of_convolutions]
        self.earlier_sizes = [
            math.prod(shape[1:]) for shape in of_convolutions for _ in range(shape[0])
        ]
        self.hidden, self.cells = list[str](), list[str]()  # of the LSTM layers

    def model(self) -> onnx.ModelProto:
        """Return the whole graph."""
        parts, counts = self.begin()
        steps = iter(parts)
        earlier = [[next(steps) for _ in range(n)] for n in self.n_earlier]
        if self.is_transcriber:
            return self.finish(self._transcribe(earlier), [])
        after, count = self._classify(earlier[0], counts[0])
        return self.finish(after, [count])

    # What depends on the kind of numbers

    def add_weight(self, name: str, value: Floats) -> None:
        """Add a weight of the net's `state_dict()` under its name."""
        self.graph.initialiser(name, value)

    def begin(self) -> tuple[list[str], list[str]]:
        """Take the state apart: keep `hidden` and `cells`; return earlier steps and counts.

        Both are [1, B, .] each: what the convolutions saw, and a classifier's one count of columns
        since the first ink.
        """
        sizes = [math.prod(shape[1:]) for shape in self.shapes for _ in range(shape[0])]
        state = self.graph.add("Unsqueeze", "state", self.graph.integers(0))
        parts = self.graph.split(state, sizes, 2)
        first, layers = len(self.earlier_sizes), self.config.layers
        self.hidden = parts[first : first + layers]
        self.cells = parts[first + layers : first + 2 * layers]
        return parts[:first], parts[first + 2 * layers :]

    def finish(self, earlier: list[str], counts: list[str]) -> onnx.ModelProto:
        """Return the model, with the state after of these parts, `hidden` and `cells`."""
        graph = self.graph
        after = graph.add("Concat", *earlier, *self.hidden, *self.cells, *counts, axis=2)
        graph.add("Squeeze", after, graph.integers(0), output="state_after")
        return self.with_state(state=(np.float32, ("B", sum(map(math.prod, self.shapes)))))

    def with_state(self, **parts: tuple[Any, tuple[str | int, ...]]) -> onnx.ModelProto:
        """Return the model with these parts of a state, whose types and shapes are given."""
        config = self.config
        columns = "T", "B", config.step_columns * config.column_size
        before = [(name, *part) for name, part in parts.items()]
        after = [(f"{name}_after", *part) for name, part in parts.items()]
        return self.graph.model(
            config.kind,
            inputs=[("columns", np.uint8, columns), *before],
            outputs=[("scores", np.float32, ("T", "B", config.n_scores)), *after],
        )

    def pixels(self, columns: str) -> Factor:
        """Return columns of bytes as numbers from 0 to 1."""
        numbers = self.graph.add("Cast", columns, to=TensorProto.FLOAT)
        return Factor(self.graph.add("Div", numbers, self.graph.constant(255.0)))

    def factor(self, numbers: str, reader: int) -> Factor:
        """Return numbers as they are multiplied by an LSTM layer, or by the heads behind all."""
        return Factor(numbers)

    def product(self, inputs: Factor, name: str, matrix: str = "") -> str:
        """Return `inputs` [..., n] through the linear layer of this name, as numbers [..., m].

        `matrix` [n, m] is its weight's; "" is the weight, transposed.
        """
        matrix = matrix or self.graph.add("Transpose", f"{name}.weight", perm=(1, 0))
        return self.graph.add(
            "Add", self.graph.add("MatMul", inputs.values, matrix), f"{name}.bias"
        )

    def rectified(
        self, windows: Factor, index: int, size: int, name: str, matrix: str = ""
    ) -> Factor:
        """Return windows [T, B, ..., n] through a convolution and its ReLU, [T, B, size].

        It is one matrix product over all steps, streams and rows.
        """
        maps = self.graph.add("Relu", self.product(windows, name, matrix))
        return Factor(self.graph.reshape(maps, 0, 0, size))

    def lstm(self, first: Factor, numbers: str, names: str) -> str:
        """Return outputs [T, B, U] of all LSTM layers; move `hidden` and `cells` on.

        The first layer reads `first` [T, B, n]; `numbers` is the same as numbers, if each layer
        adds its output to its input: a transcriber's do. `names` is the pattern of the names of
        weights, such as "lstm.{layer}.{name}_l0".
        """
        graph, units = self.graph, self.config.units
        # ONNX's order of gates is input, output, forget, cell; torch's is i, f, cell, o.
        gates = np.arange(4 * units).reshape(4, units)[[0, 3, 1, 2]]
        gate_order = graph.constant(gates.reshape(1, -1))
        sequence = first.values
        for i in range(self.config.layers):
            inputs, recurrent, *biases = (
                graph.add("Gather", names.format(layer=i, name=name), gate_order)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            outputs, self.hidden[i], self.cells[i] = graph.several(
                "LSTM", sequence, inputs, recurrent, graph.add("Concat", *biases, axis=1), "",
                self.hidden[i], self.cells[i], outputs=3, hidden_size=units,
            )  # fmt: skip
            outputs = graph.add("Squeeze", outputs, graph.integers(1))  # [T, B, U]
            sequence = graph.add("Add", sequence, outputs) if self.is_transcriber else outputs
        return sequence

    def log_sigmoid(self, numbers: str) -> str:
        """Return the logarithm of the sigmoid of numbers [T, B, 1]."""
        softplus = self.graph.add("Softplus", self.graph.add("Neg", numbers))
        return self.graph.add("Neg", softplus)

    # The nets

    def _transcribe(self, earlier: list[list[str]]) -> list[str]:
        """Add a `LineLSTM`, with the temperatures of labels and of letter ends.

        A step reads two columns that lie one behind the other, the older one first. Returns the
        earlier steps of the next run.
        """
        config, graph = self.config, self.graph
        values, after = self.pixels(self._seen_columns()), list[str]()
        for index, before in enumerate(earlier):
            shifted, kept = graph.delayed(values.values, before)
            windows = replace(values, values=self._windows(index, shifted, values))
            turned = graph.add("Transpose", f"convolutions.{index}.weight", perm=(2, 3, 1, 0))
            matrix = graph.reshape(turned, -1, config.channels[index])  # [4 * steps * C, C after]
            size = (config.column_height >> index) // 2 * config.channels[index]
            values = self.rectified(windows, index, size, f"convolutions.{index}", matrix)
            after += kept
        # The maps lie row by row: weight [F, C * rows] as matrix [rows * C, F].
        by_map = graph.reshape("features.weight", config.features, config.channels[-1], -1)
        by_row = graph.add("Transpose", by_map, perm=(2, 1, 0))
        features = self.product(values, "features", graph.reshape(by_row, -1, config.features))
        norm = ("norm.weight", "norm.bias")
        # The epsilon is torch's.
        features = graph.add("LayerNormalization", features, *norm, axis=-1, epsilon=1e-5)
        features = graph.add("Relu", features)  # [T, B, U]
        outputs = self.lstm(self.factor(features, 0), features, "lstm.{layer}.{name}_l0")
        inputs = self.factor(outputs, config.layers)
        labels, ends = (
            graph.add("Div", self.product(inputs, name), graph.constant(float(temperature)))
            for name, temperature in zip(("head", "ends"), self.temperatures, strict=True)
        )
        labels = graph.add("LogSoftmax", labels, axis=2)
        graph.add("Concat", labels, self.log_sigmoid(ends), axis=2, output="scores")
        return after

    def _classify(self, earlier: list[str], before: str) -> tuple[list[str], str]:
        """Add a `ColumnLSTM`, with a temperature for each count of columns since the first ink.

        Returns the earlier steps of the next run and the count after. `before` [1, B, 1] counts
        the columns of earlier runs: the first ink has come where it is above 0.
        """
        config, graph = self.config, self.graph
        pixels, after = self.pixels("columns"), list[str]()
        windows = pixels
        if earlier:
            shifted, after = graph.delayed(pixels.values, earlier)
            windows = replace(pixels, values=graph.add("Concat", *shifted, axis=2))
        features = self.rectified(windows, 0, config.features, "convolution")
        outputs = self.lstm(features, "", "lstm.{name}_l{layer}")
        first_axis = graph.integers(0)
        ink = graph.add("Cast", "columns", to=TensorProto.FLOAT)
        ink = graph.add("ReduceMax", ink, graph.integers(2))  # [T, B, 1]
        ink = graph.add("Add", graph.add("CumSum", ink, first_axis), before)  # > 0 since first ink
        count = graph.add("Add", graph.add("CumSum", graph.add("Sign", ink), first_axis), before)
        last = graph.constant(float(len(self.temperatures) - 1))  # holds for all greater counts
        index = graph.add("Cast", graph.add("Min", count, last), to=TensorProto.INT64)
        of_counts = graph.constant(np.array(self.temperatures, np.float32))
        raw = self.product(self.factor(outputs, config.layers), "head")
        raw = graph.add("Div", raw, graph.add("Gather", of_counts, index))
        graph.add("LogSoftmax", raw, output="scores", axis=2)
        return after, graph.slice(count, -1, TO_THE_END)

    def _seen_columns(self) -> str:
        """Return the columns of a run as the net sees them, uint8 [T, B, .]: see `seen_by`."""
        config, graph = self.config, self.graph
        if not config.directions:
            return "columns"
        rows = config.column_height
        apart = graph.reshape("columns", 0, 0, STEP_COLUMNS, config.column_size)
        ink, ways = graph.split(apart, [rows, config.column_size - rows], 3)
        sizes = graph.add("BitwiseAnd", ways, graph.constant(np.uint8(0xFE)))
        is_back = graph.add("BitwiseAnd", ways, graph.constant(np.uint8(1)))
        is_back = graph.add("Cast", is_back, to=TensorProto.BOOL)
        back = graph.add("Where", is_back, sizes, graph.constant(np.uint8(0)))
        seen = graph.add("Concat", ink, sizes, back, axis=3)
        return graph.reshape(seen, 0, 0, STEP_COLUMNS * config.seen_size)

    def _windows(self, index: int, shifted: Sequence[str], inputs: Factor) -> str:
        """Return what a transcriber's convolution multiplies, [T, B, rows / 2, 4 * steps * C].

        A window is four rows and begins at every second one: two pairs of rows, one behind the
        other. `shifted` is what each step sees of `inputs`, [T, B, .] each, oldest first.
        """
        graph, rows = self.graph, self.config.column_height >> index
        if index == 0:  # two columns a step: pixels of a row, in the order of columns and planes
            apart = [graph.reshape(step, 0, 0, -1, rows) for step in shifted]
            seen = [graph.add("Transpose", step, perm=(0, 1, 3, 2)) for step in apart]
        else:
            seen = [graph.reshape(step, 0, 0, rows, -1) for step in shifted]
        around = graph.add("Concat", *seen, axis=3)  # [T, B, rows, columns or steps * C]
        paper = graph.constant(inputs.zero)
        around = graph.add("Pad", around, graph.integers(1, 1), paper, graph.integers(2))
        pairs = graph.reshape(around, 0, 0, rows // 2 + 1, -1)
        upper, lower = graph.slice(pairs, 0, -1, 2), graph.slice(pairs, 1, rows, 2)
        return graph.add("Concat", upper, lower, axis=3)
