"""The graphs of 32-bit numbers: the reference for those of bytes, and for the nets in torch.

    classifier:  columns uint8 [T, B, H],  state [B, D] -> scores [T, B, K],         state_after
    transcriber: columns uint8 [T, B, 2H], state [B, D] -> scores [T, B, 1 + K + 1], state_after

A transcriber that knows directions takes 6H bytes a step. Inside a graph the state is [1, B, D]:
its parts fit the axis of columns and the LSTM's axis of directions.
"""

import math

import numpy as np
import onnx
from onnx import TensorProto

from inkstream.model.graphs.nets import Factor, Floats, Net


class Float32Net(Net):
    """The graph of a net of 32-bit numbers."""

    def add_weight(self, name: str, value: Floats) -> None:
        self.graph.initialiser(name, value)

    def begin(self) -> tuple[list[str], list[str]]:
        sizes = [math.prod(shape[1:]) for shape in self.shapes for _ in range(shape[0])]
        state = self.graph.add("Unsqueeze", "state", self.graph.integers(0))
        parts = self.graph.split(state, sizes, 2)
        first, layers = len(self.earlier_sizes), self.config.layers
        self.hidden = parts[first : first + layers]
        self.cells = parts[first + layers : first + 2 * layers]
        return parts[:first], parts[first + 2 * layers :]

    def finish(self, earlier: list[str], counts: list[str]) -> onnx.ModelProto:
        config, graph = self.config, self.graph
        after = graph.add("Concat", *earlier, *self.hidden, *self.cells, *counts, axis=2)
        graph.add("Squeeze", after, graph.integers(0), output="state_after")
        n_bytes, state_size = (
            config.step_columns * config.column_size,
            sum(map(math.prod, self.shapes)),
        )
        return graph.model(
            config.kind,
            inputs=[
                ("columns", np.uint8, ("T", "B", n_bytes)),
                ("state", np.float32, ("B", state_size)),
            ],
            outputs=[
                ("scores", np.float32, ("T", "B", config.n_scores)),
                ("state_after", np.float32, ("B", state_size)),
            ],
        )

    def pixels(self, columns: str) -> Factor:
        numbers = self.graph.add("Cast", columns, to=TensorProto.FLOAT)
        return Factor(self.graph.add("Div", numbers, self.graph.constant(255.0)))

    def factor(self, numbers: str, reader: int) -> Factor:
        return Factor(numbers)

    def product(self, inputs: Factor, name: str, matrix: str = "") -> str:
        matrix = matrix or self.graph.add("Transpose", f"{name}.weight", perm=(1, 0))
        return self.graph.add(
            "Add", self.graph.add("MatMul", inputs.values, matrix), f"{name}.bias"
        )

    def rectified(
        self, windows: Factor, index: int, size: int, name: str, matrix: str = ""
    ) -> Factor:
        maps = self.graph.add("Relu", self.product(windows, name, matrix))
        return Factor(self.graph.reshape(maps, 0, 0, size))

    def lstm(self, first: Factor, numbers: str, names: str) -> str:
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
        softplus = self.graph.add("Softplus", self.graph.add("Neg", numbers))
        return self.graph.add("Neg", softplus)
