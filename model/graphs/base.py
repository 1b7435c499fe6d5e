"""ONNX graphs in the making, operator by operator.

`Scan` and `If` contain graphs, which ONNX calls bodies. A body has separate nodes, but uses the
initialisers of the graph around it, and no name twice.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from inkstream.model.config import OPSET

TO_THE_END: Final = np.iinfo(np.int64).max
CONTRIBUTED: Final = "com.microsoft"  # domain of the operators of ONNX Runtime that ONNX lacks

Value = tuple[str, Any, tuple[str | int, ...]]  # name, type and shape of an input or an output


class Graph:
    """Nodes and initialisers; every `add` names its output and returns the name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: list[onnx.TensorProto] = []
        self._number = count()

    def body(self) -> "Graph":
        """Return a graph that becomes a body of this one."""
        body = Graph()
        body._initialisers, body._number = self._initialisers, self._number
        return body

    def name(self, start: str) -> str:
        """Return a name that nothing else has."""
        return f"{start}_{next(self._number)}"

    def initialiser(self, name: str, value: NDArray[Any]) -> str:
        """Add an array under a name."""
        self._initialisers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def constant(self, value: NDArray[Any] | np.generic | float) -> str:
        """Add a number, which is a float32, or an array."""
        array = value if isinstance(value, np.ndarray | np.generic) else np.float32(value)
        return self.initialiser(self.name("constant"), np.asarray(array))

    def integers(self, *values: int) -> str:
        """Add integers, as shapes and axes want them."""
        return self.constant(np.array(values, np.int64))

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        name = output or self.name(operator)
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def several(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        names = [self.name(operator) for _ in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def reshape(self, value: str, *shape: int) -> str:
        """Return `value` in another shape: 0 keeps an axis as it is, -1 takes the rest."""
        return self.add("Reshape", value, self.integers(*shape))

    def slice(self, value: str, start: int, end: int, axis: int = 0) -> str:
        """Return the part from `start` to `end` on one axis; negative counts from the end."""
        limits = self.integers(start), self.integers(end)
        return self.add("Slice", value, *limits, self.integers(axis))

    def split(self, value: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Return the parts of these sizes."""
        parts = self.integers(*sizes)
        return self.several("Split", value, parts, outputs=len(sizes), axis=axis)

    def delayed(self, values: str, earlier: list[str]) -> tuple[list[str], list[str]]:
        """Return what each step sees of a series [T, B, ...], and the next run's `earlier` steps.

        These are [1, B, ...] each, oldest first. For each of them, and then for `values` itself,
        the first result holds what it is at every step, [T, B, ...].
        """
        padded = self.add("Concat", *earlier, values, axis=0)  # [n + T, B, ...]
        n = len(earlier)
        shifted = [self.slice(padded, i, i - n) for i in range(n)] + [values]
        after = [self.slice(padded, i - n, i - n + 1 or TO_THE_END) for i in range(n)]
        return shifted, after

    def as_body(
        self, name: str, inputs: Sequence[Value], outputs: Sequence[Value]
    ) -> onnx.GraphProto:
        """Return the nodes as an attribute of `Scan` or `If`, with these inputs and outputs."""
        return helper.make_graph(self._nodes, name, _infos(inputs), _infos(outputs))

    def model(
        self, name: str, inputs: Sequence[Value], outputs: Sequence[Value]
    ) -> onnx.ModelProto:
        """Return the whole model, checked by ONNX itself."""
        graph = self.as_body(name, inputs, outputs)
        graph.initializer.extend(self._initialisers)
        model = helper.make_model(
            graph,
            producer_name="inkstream",
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)],
            ir_version=9,  # ONNX Runtime 1.16 and newer read it
        )
        onnx.checker.check_model(model)
        return model


def _infos(values: Sequence[Value]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
        for name, kind, shape in values
    ]
