"""ONNX operators in the making, and the parts that all our graphs have.

Graphs are built from the weights and not traced: so they are short, take any T and B, keep one row
of state per session, and hold nothing that a step does not need.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model.config import OPSET

IR_VERSION: Final = 9  # of the file; ONNX Runtime 1.16 and newer read it
TO_THE_END: Final = np.iinfo(np.int64).max

Weights = Mapping[str, NDArray[np.float32]]


class Graph:
    """Nodes and constants in the making; every `add` names its output and returns the name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any] | float) -> str:
        """A number or an array."""
        name = f"constant_{len(self._constants)}"
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def integers(self, *values: int) -> str:
        """Integers, as shapes and axes want them."""
        return self.constant(np.array(values, np.int64))

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node with one output."""
        name = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def several(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node with several outputs."""
        names = [f"{operator}_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def reshape(self, value: str, *shape: int) -> str:
        """`value` in another shape: 0 keeps an axis as it is, -1 takes what is left."""
        return self.add("Reshape", value, self.integers(*shape))

    def slice(self, value: str, start: int, end: int, axis: int = 0) -> str:
        """The part from `start` to `end` on one axis; counted from the end where negative."""
        limits = self.integers(start), self.integers(end)
        return self.add("Slice", value, *limits, self.integers(axis))

    def linear(self, weights: Weights, name: str, inputs: str) -> str:
        """`inputs` [..., .] times a weight, plus its bias."""
        return self.product(inputs, weights[f"{name}.weight"].T.copy(), weights[f"{name}.bias"])

    def product(self, inputs: str, matrix: NDArray[Any], bias: NDArray[Any]) -> str:
        """`inputs` [..., n] times `matrix` [n, m], plus `bias` [m]."""
        product = self.add("MatMul", inputs, self.constant(matrix))
        return self.add("Add", product, self.constant(bias))

    def delayed(self, values: str, past: list[str]) -> tuple[list[str], list[str]]:
        """The newest of a series and those before it.

        Args:
            values: [T, B, ...].
            past: what came before, [1, B, ...] each, oldest first.

        Returns:
            For each of `past`, and then for `values` itself, what it is at every step, [T, B, ...];
            and the past of what comes next.
        """
        padded = self.add("Concat", *past, values, axis=0)  # [len(past) + T, B, ...]
        older = len(past)
        shifted = [self.slice(padded, i, i - older) for i in range(older)] + [values]
        after = [self.slice(padded, i - older, i - older + 1 or TO_THE_END) for i in range(older)]
        return shifted, after

    def lstm(
        self, weights: Weights, names: str, sequence: str, before: tuple[str, str]
    ) -> tuple[str, str, str]:
        """One layer over `sequence` [T, B, .]: its outputs [T, B, U], hidden and cell [1, B, U].

        `names` is the pattern of its weights' names, such as "lstm.{}_l0".
        """
        recurrent = weights[names.format("weight_hh")]
        bias = weights[names.format("bias_ih")] + weights[names.format("bias_hh")]
        outputs, hidden, cell = self.several(
            "LSTM",
            sequence,
            self.constant(_gates(weights[names.format("weight_ih")])[None]),
            self.constant(_gates(recurrent)[None]),
            self.constant(np.concatenate([_gates(bias), np.zeros_like(bias)])[None]),
            "",
            *before,
            outputs=3,
            hidden_size=recurrent.shape[1],
        )
        return self.add("Squeeze", outputs, self.integers(1)), hidden, cell

    def model(self, name: str, inputs: int, outputs: int, state: int) -> onnx.ModelProto:
        """The finished model, checked by ONNX itself.

        Args:
            name: of the graph.
            inputs: bytes of `columns` [T, B, inputs].
            outputs: numbers of `scores` [T, B, outputs].
            state: numbers of `state` and `state_after` [B, state].
        """

        def value(name: str, element: int, *shape: str | int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, element, shape)

        model = helper.make_model(
            helper.make_graph(
                self._nodes,
                name,
                [
                    value("columns", TensorProto.UINT8, "T", "B", inputs),
                    value("state", TensorProto.FLOAT, "B", state),
                ],
                [
                    value("scores", TensorProto.FLOAT, "T", "B", outputs),
                    value("state_after", TensorProto.FLOAT, "B", state),
                ],
                self._constants,
            ),
            producer_name="inkstream",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model)
        return model


def _gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of torch's gates (input, forget, cell, output) in ONNX's order (i, o, f, c)."""
    into, forget, cell, out = np.split(rows, 4)
    return np.concatenate([into, out, forget, cell])
