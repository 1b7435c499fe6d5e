"""The served graph: a `ColumnLSTM` with its calibration, written in ONNX operators.

    columns uint8 [T, B, H], state [B, D] -> scores [T, B, K], state_after [B, D]

It is built from the weights and not traced, so that it is short, takes any T and B, keeps one row
of state per session, and holds nothing that a step does not need. `scores` are log-probabilities
after temperature scaling (Guo et al., ICML 2017) with one temperature for each number of columns
since the first ink.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model.checkpoint import OPSET
from model.config import ModelConfig

IR_VERSION: Final = 9  # of the file; ONNX Runtime 1.16 and newer read it
TO_THE_END: Final = np.iinfo(np.int64).max

Weights = Mapping[str, NDArray[np.float32]]


class _Graph:
    """Nodes and constants in the making; every `add` names its output and returns the name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any] | float) -> str:
        name = f"constant_{len(self.constants)}"
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def several(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names


def build(config: ModelConfig, weights: Weights, temperatures: Sequence[float]) -> onnx.ModelProto:
    """The graph of `weights` (names and shapes as in `ColumnLSTM.state_dict()`)."""
    graph = _Graph()
    height, units, layers = config.column_height, config.units, config.layers
    sizes = [(config.context - 1) * height, *[units] * (2 * layers), 1]
    sizes = sizes if sizes[0] else sizes[1:]
    parts = graph.several("Split", "state", graph.integers(*sizes), outputs=len(sizes), axis=1)
    seen = parts.pop()  # [B, 1]
    hidden, cell = parts[-2 * layers : -layers], parts[-layers:]  # [B, U] of each layer
    tail = parts[: -2 * layers]  # [B, (context-1)*H], or nothing where the context is one column

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    pixels = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, H], 1 = ink
    windows = pixels
    if tail:
        windows, tail[0] = _windows(graph, config, pixels, tail[0])
    product = graph.add("MatMul", windows, graph.constant(weights["convolution.weight"].T.copy()))
    total = graph.add("Add", product, graph.constant(weights["convolution.bias"]))
    sequence = graph.add("Relu", total)  # [T, B, F]
    for layer in range(layers):
        before = (hidden[layer], cell[layer])
        sequence, hidden[layer], cell[layer] = _lstm(graph, weights, layer, sequence, before)
    count, seen = _columns_since_ink(graph, pixels, seen)
    _scores(graph, weights, sequence, count, temperatures)
    graph.add("Concat", *tail, *hidden, *cell, seen, output="state_after", axis=1)
    return _model(config, graph)


def _windows(graph: _Graph, config: ModelConfig, pixels: str, tail: str) -> tuple[str, str]:
    """What the convolution sees, [T, B, context*H], and the tail [B, (context-1)*H] after it."""
    context, height = config.context, config.column_height
    before = graph.add("Reshape", tail, graph.integers(-1, context - 1, height))
    before = graph.add("Transpose", before, perm=[1, 0, 2])
    padded = graph.add("Concat", before, pixels, axis=0)  # [context-1+T, B, H]
    first_axis = graph.integers(0)
    shifted = [
        graph.add(
            "Slice",
            padded,
            graph.integers(i),
            graph.integers(i + 1 - context if i + 1 < context else TO_THE_END),
            first_axis,
        )
        for i in range(context)
    ]
    windows = graph.add("Concat", *shifted, axis=2)  # [T, B, context*H]
    after = graph.add(
        "Slice", padded, graph.integers(1 - context), graph.integers(TO_THE_END), first_axis
    )
    after = graph.add("Transpose", after, perm=[1, 0, 2])
    return windows, graph.add("Reshape", after, graph.integers(-1, (context - 1) * height))


def _lstm(
    graph: _Graph, weights: Weights, layer: int, sequence: str, before: tuple[str, str]
) -> tuple[str, str, str]:
    """One layer over `sequence` [T, B, .]: its outputs [T, B, U], hidden and cell [B, U] after."""
    recurrent = weights[f"lstm.weight_hh_l{layer}"]
    bias = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
    directions = graph.integers(0)  # ONNX puts an axis of one direction in front of the batch
    outputs, hidden, cell = graph.several(
        "LSTM",
        sequence,
        graph.constant(_gates(weights[f"lstm.weight_ih_l{layer}"])[None]),
        graph.constant(_gates(recurrent)[None]),
        graph.constant(np.concatenate([_gates(bias), np.zeros_like(bias)])[None]),
        "",
        *(graph.add("Unsqueeze", part, directions) for part in before),
        outputs=3,
        hidden_size=recurrent.shape[1],
    )
    return (
        graph.add("Squeeze", outputs, graph.integers(1)),
        graph.add("Squeeze", hidden, directions),
        graph.add("Squeeze", cell, directions),
    )


def _gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of torch's gates (input, forget, cell, output) in ONNX's order (i, o, f, c)."""
    into, forget, cell, out = np.split(rows, 4)
    return np.concatenate([into, out, forget, cell])


def _columns_since_ink(graph: _Graph, pixels: str, seen: str) -> tuple[str, str]:
    """Count [T, B] of columns since the first ink, that one included, and the last count [B, 1].

    `seen` [B, 1] counts those of earlier runs: the first ink has come where it is above 0.
    """
    first_axis = graph.integers(0)
    seen = graph.add("Transpose", seen, perm=[1, 0])  # [1, B]
    ink = graph.add("ReduceMax", pixels, graph.integers(2), keepdims=0)
    ink = graph.add("Add", graph.add("CumSum", ink, first_axis), seen)  # above 0 from first ink on
    count = graph.add("Add", graph.add("CumSum", graph.add("Sign", ink), first_axis), seen)
    last = graph.add("Slice", count, graph.integers(-1), graph.integers(TO_THE_END), first_axis)
    return count, graph.add("Transpose", last, perm=[1, 0])


def _scores(
    graph: _Graph, weights: Weights, sequence: str, count: str, temperatures: Sequence[float]
) -> None:
    """Output `scores` [T, B, K]: log-softmax of the head's answer over its temperature."""
    product = graph.add("MatMul", sequence, graph.constant(weights["head.weight"].T.copy()))
    raw = graph.add("Add", product, graph.constant(weights["head.bias"]))
    index = graph.add("Min", count, graph.constant(float(len(temperatures) - 1)))
    index = graph.add("Cast", index, to=TensorProto.INT64)
    table = graph.constant(np.array(temperatures, np.float32)[:, None])
    temperature = graph.add("Gather", table, index)  # [T, B, 1]
    graph.add("LogSoftmax", graph.add("Div", raw, temperature), output="scores", axis=2)


def _model(config: ModelConfig, graph: _Graph) -> onnx.ModelProto:
    """The finished model, checked by ONNX itself."""

    def value(name: str, element: int, *shape: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, element, shape)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            config.kind,
            [
                value("columns", TensorProto.UINT8, "T", "B", config.column_height),
                value("state", TensorProto.FLOAT, "B", config.state_size),
            ],
            [
                value("scores", TensorProto.FLOAT, "T", "B", len(config.labels)),
                value("state_after", TensorProto.FLOAT, "B", config.state_size),
            ],
            graph.constants,
        ),
        producer_name="inkstream",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model
