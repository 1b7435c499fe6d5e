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
    """The graph of `weights` (names and shapes as in `ColumnLSTM.state_dict()`).

    Inside, the state is [1, B, D]: so its parts fit the axis of columns and the LSTM's axis of
    directions as they are, and a step of one column needs no other shuffling.
    """
    graph = _Graph()
    sizes = [config.column_height] * (config.context - 1)
    sizes += [config.units] * (2 * config.layers) + [1]
    state = graph.add("Unsqueeze", "state", graph.integers(0))
    parts = graph.several("Split", state, graph.integers(*sizes), outputs=len(sizes), axis=2)
    seen = parts.pop()  # [1, B, 1]
    hidden, cell = parts[-2 * config.layers : -config.layers], parts[-config.layers :]
    tail = parts[: -2 * config.layers]  # [1, B, H] each

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    pixels = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, H], 1 = ink
    windows, tail = _windows(graph, pixels, tail)
    sequence = graph.add("Relu", _linear(graph, weights, "convolution", windows))  # [T, B, F]
    for layer in range(config.layers):
        before = (hidden[layer], cell[layer])
        sequence, hidden[layer], cell[layer] = _lstm(graph, weights, layer, sequence, before)
    count, seen = _columns_since_ink(graph, pixels, seen)
    raw = graph.add(
        "Div", _linear(graph, weights, "head", sequence), _at(graph, temperatures, count)
    )
    graph.add("LogSoftmax", raw, output="scores", axis=2)
    after = graph.add("Concat", *tail, *hidden, *cell, seen, axis=2)
    graph.add("Squeeze", after, graph.integers(0), output="state_after")
    return _model(config, graph)


def _windows(graph: _Graph, pixels: str, tail: list[str]) -> tuple[str, list[str]]:
    """What the convolution sees, [T, B, context*H], and the tail's columns after it."""
    if not tail:
        return pixels, []
    padded = graph.add("Concat", *tail, pixels, axis=0)  # [context-1+T, B, H]
    older = len(tail)

    def rows(start: int, end: int) -> str:
        limits = graph.integers(start), graph.integers(end)
        return graph.add("Slice", padded, *limits, graph.integers(0))

    shifted = [rows(i, i - older) for i in range(older)] + [rows(older, TO_THE_END)]
    after = [rows(i - older, i - older + 1 or TO_THE_END) for i in range(older)]
    return graph.add("Concat", *shifted, axis=2), after


def _linear(graph: _Graph, weights: Weights, name: str, inputs: str) -> str:
    """`inputs` [T, B, .] times a weight, plus its bias."""
    product = graph.add("MatMul", inputs, graph.constant(weights[f"{name}.weight"].T.copy()))
    return graph.add("Add", product, graph.constant(weights[f"{name}.bias"]))


def _lstm(
    graph: _Graph, weights: Weights, layer: int, sequence: str, before: tuple[str, str]
) -> tuple[str, str, str]:
    """One layer over `sequence` [T, B, .]: its outputs [T, B, U], hidden and cell [1, B, U]."""
    recurrent = weights[f"lstm.weight_hh_l{layer}"]
    bias = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
    outputs, hidden, cell = graph.several(
        "LSTM",
        sequence,
        graph.constant(_gates(weights[f"lstm.weight_ih_l{layer}"])[None]),
        graph.constant(_gates(recurrent)[None]),
        graph.constant(np.concatenate([_gates(bias), np.zeros_like(bias)])[None]),
        "",
        *before,
        outputs=3,
        hidden_size=recurrent.shape[1],
    )
    return graph.add("Squeeze", outputs, graph.integers(1)), hidden, cell


def _gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of torch's gates (input, forget, cell, output) in ONNX's order (i, o, f, c)."""
    into, forget, cell, out = np.split(rows, 4)
    return np.concatenate([into, out, forget, cell])


def _columns_since_ink(graph: _Graph, pixels: str, seen: str) -> tuple[str, str]:
    """Count [T, B, 1] of columns since the first ink, that one included, and the last [1, B, 1].

    `seen` [1, B, 1] counts those of earlier runs: the first ink has come where it is above 0.
    """
    first_axis = graph.integers(0)
    ink = graph.add("ReduceMax", pixels, graph.integers(2))  # [T, B, 1]
    ink = graph.add("Add", graph.add("CumSum", ink, first_axis), seen)  # above 0 from first ink on
    count = graph.add("Add", graph.add("CumSum", graph.add("Sign", ink), first_axis), seen)
    limits = graph.integers(-1), graph.integers(TO_THE_END)
    return count, graph.add("Slice", count, *limits, first_axis)


def _at(graph: _Graph, temperatures: Sequence[float], count: str) -> str:
    """The temperature [T, B, 1] that holds at each count; the last one holds from there on."""
    last = graph.constant(float(len(temperatures) - 1))
    index = graph.add("Cast", graph.add("Min", count, last), to=TensorProto.INT64)
    return graph.add("Gather", graph.constant(np.array(temperatures, np.float32)), index)


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
