"""The ONNX runtime has the scores of the torch net, in portions of any size and any batch."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from inkstream.model import checkpoint as checkpoints
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.errors import CheckpointError, InputError
from inkstream.model.network import ColumnLSTM
from inkstream.model.runtime import Runtime
from tests.helpers import builders

TEMPERATURES = (1.5, 1.0, 0.8)  # of `builders.checkpoint`


@pytest.fixture(scope="module")
def runtime(tiny: Checkpoint) -> Runtime:
    return Runtime(tiny)


def torch_answer(
    checkpoint: Checkpoint, seed: int, columns: NDArray[np.uint8], states: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return calibrated log-probabilities [T, B, K] and the states after [B, D], by definition."""
    state = states.view(np.float32)
    config = checkpoint.metadata.config
    net = ColumnLSTM(config).eval()
    weights = builders.weights(config, seed)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    with torch.no_grad():
        raw, after = net(
            torch.from_numpy(columns / np.float32(255)).transpose(0, 1), torch.from_numpy(state)
        )
    scores = raw.transpose(0, 1).numpy().copy()
    for stream in range(columns.shape[1]):
        count = int(state[stream, -1])
        for t, column in enumerate(columns[:, stream]):
            count += count > 0 or bool(column.any())
            scores[t, stream] /= checkpoint.metadata.temperatures[
                min(count, len(checkpoint.metadata.temperatures) - 1)
            ]
    return torch.from_numpy(scores).log_softmax(2).numpy(), after.numpy()


# Parity with torch


@settings(max_examples=40)
@given(
    context=st.integers(1, 4),
    layers=st.integers(1, 3),
    height=st.sampled_from([1, 5, 28]),
    temperatures=st.lists(st.floats(0.25, 4), min_size=1, max_size=6),
    n_columns=st.integers(1, 9),
    streams=st.integers(1, 5),
    seed=st.integers(0, 2**20),
)
@pytest.mark.slow
def test_onnx_and_torch_agree(
    tmp_path_factory: pytest.TempPathFactory,
    context: int,
    layers: int,
    height: int,
    temperatures: list[float],
    n_columns: int,
    streams: int,
    seed: int,
) -> None:
    checkpoint = builders.checkpoint(
        tmp_path_factory.mktemp("net") / "net.onnx",
        seed=seed,
        temperatures=temperatures,
        context=context,
        layers=layers,
        column_height=height,
    )
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 256, (n_columns, streams, height), np.uint8)
    columns[rng.random((n_columns, streams)) < 0.4] = 0
    runtime = Runtime(checkpoint)
    numbers = rng.normal(0, 0.5, (streams, runtime.state_size // 4)).astype(np.float32)
    numbers[:, -1] = rng.integers(0, 4, streams)
    state = numbers.view(np.uint8)

    scores, after = runtime.run(columns, state)
    expected_scores, expected_after = torch_answer(checkpoint, seed, columns, state)

    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    np.testing.assert_allclose(after.view(np.float32), expected_after, atol=1e-5)


# Streams


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 1000))
@pytest.mark.slow
def test_ragged_streams_equal_separate_runs(
    runtime: Runtime, lengths: list[int], seed: int
) -> None:
    columns = [builders.columns(length, seed + i) for i, length in enumerate(lengths)]
    rng = np.random.default_rng(seed)
    numbers = rng.normal(0, 0.5, (len(lengths), runtime.state_size // 4)).astype(np.float32)
    numbers[:, -1] = rng.integers(0, 3, len(lengths))
    state = numbers.view(np.uint8)
    before = state.copy()

    scores, after = runtime.run_ragged(columns, state)

    assert np.array_equal(state, before)
    assert [len(each) for each in scores] == lengths
    for i, stream_columns in enumerate(columns):
        separate, separate_state = runtime.run(stream_columns[:, None], state[i : i + 1])
        np.testing.assert_allclose(scores[i], separate[:, 0], atol=1e-5)
        numbers, alone = after[i].view(np.float32), separate_state[0].view(np.float32)
        np.testing.assert_allclose(numbers, alone, atol=1e-5)


# Invalid input


@pytest.mark.parametrize(
    ("columns", "state", "text"),
    [
        ((0, 1, 28), (1, 484), "0 columns in 1 streams"),
        ((1, 0, 28), (0, 484), "1 columns in 0 streams"),
        ((1, 1, 27), (1, 484), "columns have 27 bytes, expected 28"),
        ((1, 2, 28), (1, 484), r"state has shape \(1, 484\), expected \(2, 484\)"),
        ((1, 1, 28), (1, 480), r"state has shape \(1, 480\), expected \(1, 484\)"),
    ],
)
def test_invalid_shapes_are_refused(
    runtime: Runtime, columns: tuple[int, ...], state: tuple[int, ...], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        runtime.run(np.zeros(columns, np.uint8), np.zeros(state, np.uint8))


@pytest.mark.parametrize(
    ("lengths", "n_states", "text"),
    [
        ([1, 0], 2, "0 columns"),
        ([], 0, "0 streams"),
        ([1, 1], 1, "2 streams, 1 states: expected one each"),
    ],
)
def test_ragged_streams_must_have_columns_and_states(
    runtime: Runtime, lengths: list[int], n_states: int, text: str
) -> None:
    columns = [np.zeros((length, 28), np.uint8) for length in lengths]
    with pytest.raises(InputError, match=text):
        runtime.run_ragged(columns, runtime.initial_state(n_states))


def test_a_graph_with_other_labels_than_its_metadata_is_refused(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    other = builders.checkpoint(tmp_path / "net.onnx", labels="abc")
    mixed = Checkpoint(other.path, other.metadata, tiny.content, tiny.session)
    with pytest.raises(CheckpointError, match=r"\['T', 'B', 10\].*expected.*\['T', 'B', 3\]"):
        Runtime(mixed)


@pytest.mark.parametrize(
    ("n_numbers", "text"),
    [
        (1, "its scores of one column are no 10 numbers"),
        (1 << 40, "it cannot be run: .*bad_alloc"),
    ],
)
def test_a_graph_that_gives_no_numbers_or_needs_terabytes_is_refused(
    tiny: Checkpoint, tmp_path: Path, n_numbers: int, text: str
) -> None:
    def add_no_numbers(graph: onnx.GraphProto) -> None:
        (last,) = [node for node in graph.node if "scores" in node.output]
        last.output[0] = "before"
        graph.initializer.append(numpy_helper.from_array(np.full(1, np.nan, np.float32), "nan"))
        graph.initializer.append(numpy_helper.from_array(np.array([n_numbers]), "shape"))
        graph.node.append(helper.make_node("Expand", ["nan", "shape"], ["nans"]))
        graph.node.append(helper.make_node("ReduceSum", ["nans"], ["sum"], keepdims=0))
        graph.node.append(helper.make_node("Add", ["before", "sum"], ["scores"]))

    path = builders.with_graph(tiny, tmp_path / "net.onnx", add_no_numbers)
    with pytest.raises(CheckpointError, match=f"net.onnx: {text}"):
        Runtime(checkpoints.read(path))
