"""A net of `network.py` as the ONNX graph that is served, and its weights back.

The graphs are built by hand, operator by operator, and not traced: a step of them takes 18 to 34 %
less time than one of torch's exporters, they take any T and B, keep one row of state a stream, and
hold nothing that a step does not need.

    classifier:  columns uint8 [T, B, H],  state [B, D] -> scores [T, B, K],         state_after
    transcriber: columns uint8 [T, B, 2H], state [B, D] -> scores [T, B, 1 + K + 1], state_after

The initialisers are the net's `state_dict()`: same names, shapes and numbers. What ONNX wants in
another layout, transposed or with the gates in another order, is rearranged by operators, which
ONNX Runtime carries out once, when it loads the graph. So a training goes on from a checkpoint by
a lookup: `weights_of`.

`scores` are calibrated log-probabilities (temperature scaling: Guo et al., ICML 2017). Inside the
graph the state is [1, B, D]: its parts fit the axis of columns and the LSTM's axis of directions.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inkstream.model.checkpoint import METADATA_KEY, Checkpoint, Metadata, sealed, write_whole
from inkstream.model.config import OPSET, STEP_COLUMNS, ModelConfig
from inkstream.model.errors import CheckpointError
from inkstream.model.network import empty_net

IR_VERSION: Final = 9  # of the file; ONNX Runtime 1.16 and newer read it
TO_THE_END: Final = np.iinfo(np.int64).max
NORM_EPSILON: Final = 1e-5  # torch's, of a layer normalisation
GATES: Final = (0, 3, 1, 2)  # ONNX's input, output, forget, cell among torch's i, f, cell, o

Weights = Mapping[str, NDArray[np.float32]]


# Files


def export(path: Path, weights: Weights, metadata: Metadata) -> None:
    """Write a checkpoint; an older one at `path` is replaced only when the new one is on the disk.

    Args:
        path: where the file goes.
        weights: the net's `state_dict()` as arrays.
        metadata: its `config` gives the dimensions, its `temperatures` the calibration.

    Raises:
        CheckpointError: the weights do not fit the dimensions or are not finite.
        OSError: the file cannot be written.
    """
    _check_weights(weights, metadata.config)
    build = _transcriber if metadata.config.kind == "transcriber" else _classifier
    model = build(Graph(metadata.config, weights), metadata.temperatures)
    model.metadata_props.add(key=METADATA_KEY, value=metadata.to_json())
    write_whole(path, sealed(model.SerializeToString(deterministic=True)))


def weights_of(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]]:
    """Return the net's `state_dict()`, as arrays.

    Raises `CheckpointError` for a file whose weights have other names, as those of the first
    version had.
    """
    graph = onnx.load_model_from_string(checkpoint.content).graph
    arrays = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    names = weight_shapes(checkpoint.metadata.config)
    if missing := names.keys() - arrays.keys():
        raise CheckpointError(
            f"{checkpoint.path.name} holds no weights {', '.join(sorted(missing))}: it was "
            "exported by another version of inkstream, which can train it further"
        )
    return {name: arrays[name].copy() for name in names}  # copies, which may be written to


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a net's weights."""
    return {name: tuple(value.shape) for name, value in empty_net(config).state_dict().items()}


def _check_weights(weights: Weights, config: ModelConfig) -> None:
    """Raise `CheckpointError` unless names, shapes and values are those of the config's net."""
    expected = weight_shapes(config)
    if wrong := weights.keys() ^ expected.keys():
        raise CheckpointError(f"weights are missing or unknown: {', '.join(sorted(wrong))}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise CheckpointError(f"{name} is {weights[name].shape}, expected {shape}")
        if not np.isfinite(weights[name]).all():
            raise CheckpointError(f"{name} holds numbers that are not finite")


# Graphs


class Graph:
    """Nodes and initialisers in the making; every `add` names its output and returns the name."""

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        self.config = config
        self._net = empty_net(config)
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers = [
            numpy_helper.from_array(np.ascontiguousarray(value), name)
            for name, value in weights.items()
        ]
        rows = np.arange(4 * config.units).reshape(4, config.units)
        self._gate_order = self.constant(rows[list(GATES)].reshape(1, -1))  # [1, 4U]

    def constant(self, value: NDArray[Any] | float) -> str:
        """Add a number or an array."""
        name = f"constant_{len(self._initialisers)}"
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        self._initialisers.append(numpy_helper.from_array(array, name))
        return name

    def integers(self, *values: int) -> str:
        """Add integers, as shapes and axes want them."""
        return self.constant(np.array(values, np.int64))

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        name = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def several(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        names = [f"{operator}_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def reshape(self, value: str, *shape: int) -> str:
        """Return `value` in another shape: 0 keeps an axis as it is, -1 takes the rest."""
        return self.add("Reshape", value, self.integers(*shape))

    def slice(self, value: str, start: int, end: int, axis: int = 0) -> str:
        """Return the part from `start` to `end` on one axis; negative counts from the end."""
        limits = self.integers(start), self.integers(end)
        return self.add("Slice", value, *limits, self.integers(axis))

    def linear(self, inputs: str, name: str) -> str:
        """Return `inputs` [..., n] through a linear layer, [..., m]."""
        return self.product(inputs, self.add("Transpose", f"{name}.weight", perm=(1, 0)), name)

    def product(self, inputs: str, matrix: str, name: str) -> str:
        """Return `inputs` [..., n] times `matrix` [n, m], plus the bias of a layer [m]."""
        return self.add("Add", self.add("MatMul", inputs, matrix), f"{name}.bias")

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

    def lstm(self, names: str, sequence: str, hidden: str, cell: str) -> tuple[str, str, str]:
        """Return outputs [T, B, U], hidden and cell [1, B, U] of a layer over `sequence` [T, B, .].

        `names` is the pattern of its weights' names, such as "lstm.{}_l0".
        """
        inputs, recurrent, *biases = (
            self.add("Gather", names.format(name), self._gate_order)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        outputs, hidden, cell = self.several(
            "LSTM", sequence, inputs, recurrent, self.add("Concat", *biases, axis=1), "",
            hidden, cell, outputs=3, hidden_size=self.config.units,
        )  # fmt: skip
        return self.add("Squeeze", outputs, self.integers(1)), hidden, cell

    def split_state(self) -> list[list[str]]:
        """Return the state's parts, of each its steps or layers, [1, B, .] each."""
        shapes = self._net.state_shapes
        sizes = [math.prod(own[1:]) for own in shapes for _ in range(own[0])]
        state = self.add("Unsqueeze", "state", self.integers(0))
        rows = self.several("Split", state, self.integers(*sizes), outputs=len(sizes), axis=2)
        return [[rows.pop(0) for _ in range(own[0])] for own in shapes]

    def finish(self, parts: Sequence[str], columns_a_step: int) -> onnx.ModelProto:
        """Return the model, checked by ONNX itself; `parts` make up the state after."""
        after = self.add("Concat", *parts, axis=2)
        self.add("Squeeze", after, self.integers(0), output="state_after")
        height, state_size = self.config.column_height, self._net.state_size

        def value(name: str, element: int, *shape: str | int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, element, shape)

        model = helper.make_model(
            helper.make_graph(
                self._nodes,
                self.config.kind,
                [
                    value("columns", TensorProto.UINT8, "T", "B", columns_a_step * height),
                    value("state", TensorProto.FLOAT, "B", state_size),
                ],
                [
                    value("scores", TensorProto.FLOAT, "T", "B", self.config.n_scores),
                    value("state_after", TensorProto.FLOAT, "B", state_size),
                ],
                self._initialisers,
            ),
            producer_name="inkstream",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model)
        return model


def _classifier(graph: Graph, temperatures: Sequence[float]) -> onnx.ModelProto:
    """Return the graph of a `ColumnLSTM`, with a temperature for each count of columns."""
    config = graph.config
    earlier, hidden, cell, (since_ink,) = graph.split_state()

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    pixels = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, H], 1 = ink
    windows = pixels
    if earlier:
        shifted, earlier = graph.delayed(pixels, earlier)
        windows = graph.add("Concat", *shifted, axis=2)  # [T, B, context * H]
    sequence = graph.add("Relu", graph.linear(windows, "convolution"))  # [T, B, F]
    for i in range(config.layers):
        names = f"lstm.{{}}_l{i}"
        sequence, hidden[i], cell[i] = graph.lstm(names, sequence, hidden[i], cell[i])
    count, since_ink = _columns_since_ink(graph, pixels, since_ink)
    last = graph.constant(float(len(temperatures) - 1))  # holds for all greater counts
    index = graph.add("Cast", graph.add("Min", count, last), to=TensorProto.INT64)
    temperature = graph.add("Gather", graph.constant(np.array(temperatures, np.float32)), index)
    raw = graph.add("Div", graph.linear(sequence, "head"), temperature)
    graph.add("LogSoftmax", raw, output="scores", axis=2)
    return graph.finish([*earlier, *hidden, *cell, since_ink], columns_a_step=1)


def _columns_since_ink(graph: Graph, pixels: str, before: str) -> tuple[str, str]:
    """Count columns since the first ink, that one included: at each [T, B, 1], at last [1, B, 1].

    `before` [1, B, 1] counts those of earlier runs: the first ink has come where it is above 0.
    """
    first_axis = graph.integers(0)
    ink = graph.add("ReduceMax", pixels, graph.integers(2))  # [T, B, 1]
    ink = graph.add("Add", graph.add("CumSum", ink, first_axis), before)  # > 0 from first ink on
    count = graph.add("Add", graph.add("CumSum", graph.add("Sign", ink), first_axis), before)
    return count, graph.slice(count, -1, TO_THE_END)


def _transcriber(graph: Graph, temperatures: Sequence[float]) -> onnx.ModelProto:
    """Return the graph of a `LineLSTM`, with the temperatures of labels and of letter ends.

    A step reads two columns that lie one behind the other, the older one first.
    """
    config = graph.config
    *earlier, hidden, cell = graph.split_state()

    pixels = graph.add("Cast", "columns", to=TensorProto.FLOAT)
    sequence = graph.add("Div", pixels, graph.constant(255.0))  # [T, B, 2H], 1 = ink
    after: list[str] = []
    for index, before in enumerate(earlier):
        shifted, kept = graph.delayed(sequence, before)
        sequence = _convolution(graph, index, shifted)  # [T, B, rows * C]
        after += kept
    # The maps lie row by row: weight [F, C * rows] as matrix [rows * C, F].
    by_map = graph.reshape("features.weight", config.features, config.channels[-1], -1)
    by_row = graph.add("Transpose", by_map, perm=(2, 1, 0))
    matrix = graph.reshape(by_row, -1, config.features)
    sequence = graph.product(sequence, matrix, "features")
    norm = ("norm.weight", "norm.bias")
    sequence = graph.add("LayerNormalization", sequence, *norm, axis=-1, epsilon=NORM_EPSILON)
    sequence = graph.add("Relu", sequence)  # [T, B, U]
    for i in range(config.layers):
        more, hidden[i], cell[i] = graph.lstm(f"lstm.{i}.{{}}_l0", sequence, hidden[i], cell[i])
        sequence = graph.add("Add", sequence, more)

    of_labels, of_ends = map(graph.constant, map(float, temperatures))
    raw = graph.add("Div", graph.linear(sequence, "head"), of_labels)
    ends = graph.add("Div", graph.linear(sequence, "ends"), of_ends)
    ends = graph.add("Neg", graph.add("Softplus", graph.add("Neg", ends)))  # log of a sigmoid
    labels = graph.add("LogSoftmax", raw, axis=2)
    graph.add("Concat", labels, ends, output="scores", axis=2)
    return graph.finish([*after, *hidden, *cell], columns_a_step=STEP_COLUMNS)


def _convolution(graph: Graph, index: int, shifted: list[str]) -> str:
    """Return one convolution of what each step sees, a list of [T, B, .], oldest first.

    It is one matrix product over all streams and rows. A window is four rows and begins at every
    second one: two pairs of rows, one behind the other.
    """
    rows = graph.config.column_height >> index
    if index == 0:  # two columns a step: pixels of a row, in the order of their columns
        apart = [graph.reshape(step, 0, 0, STEP_COLUMNS, rows) for step in shifted]
        seen = [graph.add("Transpose", step, perm=(0, 1, 3, 2)) for step in apart]
    else:
        seen = [graph.reshape(step, 0, 0, rows, -1) for step in shifted]
    around = graph.add("Concat", *seen, axis=3)  # [T, B, rows, columns or steps * C]
    around = graph.add("Pad", around, graph.integers(1, 1), graph.constant(0.0), graph.integers(2))
    pairs = graph.reshape(around, 0, 0, rows // 2 + 1, -1)
    upper, lower = graph.slice(pairs, 0, -1, 2), graph.slice(pairs, 1, rows, 2)
    windows = graph.add("Concat", upper, lower, axis=3)  # [T, B, rows / 2, 4 * steps * C]
    # Weight [C after, C, 4, steps] as matrix [4 * steps * C, C after].
    name, channels = f"convolutions.{index}", graph.config.channels[index]
    matrix = graph.reshape(
        graph.add("Transpose", f"{name}.weight", perm=(2, 3, 1, 0)), -1, channels
    )
    maps = graph.add("Relu", graph.product(windows, matrix, name))
    return graph.reshape(maps, 0, 0, rows // 2 * channels)
