"""A trained net -> the ONNX graph that is served.

ONNX operators in the making, and the parts that all our graphs have.

Graphs are built from the weights and not traced: so they are short, take any T and B, keep one row
of state per session, and hold nothing that a step does not need.

The served graph of a classifier: a `ColumnLSTM` with its calibration, in ONNX operators.

    columns uint8 [T, B, H], state [B, D] -> scores [T, B, K], state_after [B, D]

`scores` are log-probabilities after temperature scaling (Guo et al., ICML 2017) with one
temperature for each number of columns since the first ink.

The served graph of a transcriber: a `LineLSTM` with its calibration, in ONNX operators.

    columns uint8 [T, B, 2H], state [B, D] -> scores [T, B, 1 + K + 1], state_after [B, D]

A step reads two columns that lie one behind the other, the older one first. `scores` are
log-probabilities: of the blank, of the K labels, and, by itself, of a letter's end. Convolutions
are written as one matrix product each, over all streams and rows at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inkstream.model.config import KERNEL_STEPS, OPSET, STEP_COLUMNS, ModelConfig

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


def build_classifier(
    config: ModelConfig, weights: Weights, temperatures: Sequence[float]
) -> onnx.ModelProto:
    """The graph of `weights` (names and shapes as in `ColumnLSTM.state_dict()`).

    Inside, the state is [1, B, D]: so its parts fit the axis of columns and the LSTM's axis of
    directions as they are, and a step of one column needs no other shuffling.
    """
    graph = Graph()
    sizes = [config.column_height] * (config.context - 1)
    sizes += [config.units] * (2 * config.layers) + [1]
    state = graph.add("Unsqueeze", "state", graph.integers(0))
    parts = graph.several("Split", state, graph.integers(*sizes), outputs=len(sizes), axis=2)
    seen = parts.pop()  # [1, B, 1]
    hidden, cell = parts[-2 * config.layers : -config.layers], parts[-config.layers :]
    tail = parts[: -2 * config.layers]  # [1, B, H] each

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    pixels = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, H], 1 = ink
    windows = pixels
    if tail:
        shifted, tail = graph.delayed(pixels, tail)
        windows = graph.add("Concat", *shifted, axis=2)  # [T, B, context * H]
    sequence = graph.add("Relu", graph.linear(weights, "convolution", windows))  # [T, B, F]
    for layer in range(config.layers):
        before = (hidden[layer], cell[layer])
        names = f"lstm.{{}}_l{layer}"
        sequence, hidden[layer], cell[layer] = graph.lstm(weights, names, sequence, before)
    count, seen = _columns_since_ink(graph, pixels, seen)
    raw = graph.add("Div", graph.linear(weights, "head", sequence), _at(graph, temperatures, count))
    graph.add("LogSoftmax", raw, output="scores", axis=2)
    after = graph.add("Concat", *tail, *hidden, *cell, seen, axis=2)
    graph.add("Squeeze", after, graph.integers(0), output="state_after")
    return graph.model(config.kind, config.column_height, config.n_scores, config.state_size)


def _columns_since_ink(graph: Graph, pixels: str, seen: str) -> tuple[str, str]:
    """Count [T, B, 1] of columns since the first ink, that one included, and the last [1, B, 1].

    `seen` [1, B, 1] counts those of earlier runs: the first ink has come where it is above 0.
    """
    first_axis = graph.integers(0)
    ink = graph.add("ReduceMax", pixels, graph.integers(2))  # [T, B, 1]
    ink = graph.add("Add", graph.add("CumSum", ink, first_axis), seen)  # above 0 from first ink on
    count = graph.add("Add", graph.add("CumSum", graph.add("Sign", ink), first_axis), seen)
    return count, graph.slice(count, -1, TO_THE_END)


def _at(graph: Graph, temperatures: Sequence[float], count: str) -> str:
    """The temperature [T, B, 1] that holds at each count; the last one holds from there on."""
    last = graph.constant(float(len(temperatures) - 1))
    index = graph.add("Cast", graph.add("Min", count, last), to=TensorProto.INT64)
    return graph.add("Gather", graph.constant(np.array(temperatures, np.float32)), index)


EPSILON: Final = 1e-5  # torch's, of a layer normalisation


def build_transcriber(
    config: ModelConfig, weights: Weights, temperatures: Sequence[float]
) -> onnx.ModelProto:
    """The graph of `weights` (names and shapes as in `LineLSTM.state_dict()`).

    Args:
        config: the dimensions.
        weights: of the net.
        temperatures: of the scores and of the letter ends.
    """
    graph = Graph()
    pasts = [1] + [KERNEL_STEPS - 1] * (len(config.channels) - 1)  # steps kept
    maps = zip(config.state_parts[:-2], pasts, strict=True)
    sizes = [size // steps for size, steps in maps for _ in range(steps)]
    sizes += [config.units] * (2 * config.layers)
    state = graph.add("Unsqueeze", "state", graph.integers(0))
    parts = graph.several("Split", state, graph.integers(*sizes), outputs=len(sizes), axis=2)
    hidden, cell = parts[-2 * config.layers : -config.layers], parts[-config.layers :]
    past = iter(parts)

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    sequence = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, 2H], 1 = ink
    kept: list[str] = []
    for index, steps in enumerate(pasts):
        shifted, after = graph.delayed(sequence, [next(past) for _ in range(steps)])
        sequence = _convolution(graph, config, weights, index, shifted)  # [T, B, rows * C]
        kept += after
    features = graph.product(sequence, *_features(config, weights))
    scale, shift = (graph.constant(weights[f"norm.{name}"]) for name in ("weight", "bias"))
    normal = graph.add("LayerNormalization", features, scale, shift, axis=-1, epsilon=EPSILON)
    sequence = graph.add("Relu", normal)
    for layer in range(config.layers):
        before = (hidden[layer], cell[layer])
        names = f"lstm.{layer}.{{}}_l0"
        more, hidden[layer], cell[layer] = graph.lstm(weights, names, sequence, before)
        sequence = graph.add("Add", sequence, more)
    _scores(graph, weights, sequence, temperatures)
    state = graph.add("Concat", *kept, *hidden, *cell, axis=2)
    graph.add("Squeeze", state, graph.integers(0), output="state_after")
    columns = STEP_COLUMNS * config.column_height
    return graph.model(config.kind, columns, config.n_scores, sum(config.state_parts))


def _convolution(
    graph: Graph, config: ModelConfig, weights: Weights, index: int, shifted: list[str]
) -> str:
    """One convolution of what each step sees, a list of [T, B, .], the oldest first."""
    rows = config.column_height >> index
    if index == 0:  # pairs of columns: pixels of a row, in the order of their columns
        apart = [graph.reshape(step, 0, 0, STEP_COLUMNS, rows) for step in shifted]
        seen = [graph.add("Transpose", step, perm=(0, 1, 3, 2)) for step in apart]
    else:
        seen = [graph.reshape(step, 0, 0, rows, -1) for step in shifted]
    around = graph.add("Concat", *seen, axis=3)  # [T, B, rows, steps * C]
    around = graph.add("Pad", around, graph.integers(1, 1), graph.constant(0.0), graph.integers(2))
    # A window is four rows, every second row one begins: two pairs of rows that follow each other.
    matrix = weights[f"convolutions.{index}.weight"].transpose(2, 3, 1, 0)  # [4, steps, C, C after]
    matrix = matrix.reshape(-1, matrix.shape[3])
    pairs = graph.reshape(around, 0, 0, rows // 2 + 1, matrix.shape[0] // 2)
    upper, lower = graph.slice(pairs, 0, -1, 2), graph.slice(pairs, 1, rows, 2)
    windows = graph.add("Concat", upper, lower, axis=3)  # [T, B, rows / 2, 4 * steps * C]
    maps = graph.product(windows, matrix, weights[f"convolutions.{index}.bias"])
    return graph.reshape(graph.add("Relu", maps), 0, 0, rows // 2 * config.channels[index])


def _features(
    config: ModelConfig, weights: Weights
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrix and bias of the features, for maps whose channels lie side by side in a row."""
    weight = weights["features.weight"]  # [F, C * rows]
    by_map = weight.reshape(len(weight), config.channels[-1], -1)  # [F, C, rows]
    return by_map.transpose(2, 1, 0).reshape(-1, len(weight)), weights["features.bias"]


def _scores(graph: Graph, weights: Weights, outputs: str, temperatures: Sequence[float]) -> None:
    """The log-probabilities that the graph gives, of the last layer's outputs [T, B, U]."""
    of_labels, of_ends = map(graph.constant, map(float, temperatures))
    raw = graph.add("Div", graph.linear(weights, "head", outputs), of_labels)
    ends = graph.add("Div", graph.linear(weights, "ends", outputs), of_ends)
    ended = graph.add("Neg", graph.add("Softplus", graph.add("Neg", ends)))  # of a sigmoid, its log
    graph.add("Concat", graph.add("LogSoftmax", raw, axis=2), ended, output="scores", axis=2)
