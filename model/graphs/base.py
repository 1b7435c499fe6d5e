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
from onnx import TensorProto, helper, numpy_helper

from inkstream.model.config import OPSET, STEP_COLUMNS, ModelConfig

IR_VERSION: Final = 9  # of the file; ONNX Runtime 1.16 and newer read it
TO_THE_END: Final = np.iinfo(np.int64).max
CONTRIBUTED: Final = "com.microsoft"  # operators of ONNX Runtime that ONNX lacks
NORM_EPSILON: Final = 1e-5  # torch's, of a layer normalisation
TYPES: Final = {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.float32): TensorProto.FLOAT}

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
        """Return what each step sees of a series, and what the next run must know of it.

        Args:
            values: [T, B, ...].
            earlier: the steps before, [1, B, ...] each, oldest first.

        Returns:
            For each of `earlier`, and then for `values` itself, what it is at every step,
            [T, B, ...], oldest first; and the earlier steps of the next run.
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
        model = helper.make_model(
            helper.make_graph(
                self._nodes, name, _infos(inputs), _infos(outputs), self._initialisers
            ),
            producer_name="inkstream",
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model)
        return model


def seen_columns(graph: Graph, config: ModelConfig) -> str:
    """Return the columns of a run as the net sees them, uint8 [T, B, .]: see `seen_by`."""
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


def convolution_windows(
    graph: Graph, config: ModelConfig, index: int, shifted: Sequence[str], paper: str
) -> str:
    """Return what a transcriber's convolution multiplies, [T, B, rows / 2, 4 * steps * C].

    A window is four rows and begins at every second one: two pairs of rows, one behind the other.

    Args:
        graph: to which the operators are added.
        config: of the net.
        index: of the convolution.
        shifted: what each step sees, [T, B, .] each, oldest first.
        paper: the number that stands for no ink, which goes around the rows.
    """
    rows = config.column_height >> index
    if index == 0:  # two columns a step: pixels of a row, in the order of columns and planes
        apart = [graph.reshape(step, 0, 0, -1, rows) for step in shifted]
        seen = [graph.add("Transpose", step, perm=(0, 1, 3, 2)) for step in apart]
    else:
        seen = [graph.reshape(step, 0, 0, rows, -1) for step in shifted]
    around = graph.add("Concat", *seen, axis=3)  # [T, B, rows, columns or steps * C]
    around = graph.add("Pad", around, graph.integers(1, 1), paper, graph.integers(2))
    pairs = graph.reshape(around, 0, 0, rows // 2 + 1, -1)
    upper, lower = graph.slice(pairs, 0, -1, 2), graph.slice(pairs, 1, rows, 2)
    return graph.add("Concat", upper, lower, axis=3)


def convolution_matrix(graph: Graph, config: ModelConfig, index: int) -> str:
    """Return a convolution's weight [C after, C, 4, steps] as a matrix [4 * steps * C, C after]."""
    turned = graph.add("Transpose", f"convolutions.{index}.weight", perm=(2, 3, 1, 0))
    return graph.reshape(turned, -1, config.channels[index])


def columns_since_ink(graph: Graph, pixels: str, before: str) -> tuple[str, str]:
    """Count columns since the first ink, that one included: at each [T, B, 1], at last [1, B, 1].

    `before` [1, B, 1] counts those of earlier runs: the first ink has come where it is above 0.
    """
    first_axis = graph.integers(0)
    ink = graph.add("ReduceMax", pixels, graph.integers(2))  # [T, B, 1]
    ink = graph.add("Add", graph.add("CumSum", ink, first_axis), before)  # > 0 from first ink on
    count = graph.add("Add", graph.add("CumSum", graph.add("Sign", ink), first_axis), before)
    return count, graph.slice(count, -1, TO_THE_END)


def _infos(values: Sequence[Value]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, TYPES[np.dtype(kind)], shape)
        for name, kind, shape in values
    ]
