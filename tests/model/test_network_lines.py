"""The net for lines: the ONNX graph has the scores of the torch net, in portions of any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkstream.model import checkpoint as checkpoints
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.config import STEP_COLUMNS, ModelConfig
from inkstream.model.errors import ConfigError
from inkstream.model.export import export
from inkstream.model.network import LineLSTM
from inkstream.model.runtime import IMPROBABLE, Runtime
from tests.helpers import builders

TEMPERATURES = (1.3, 0.7)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path: Path = tmp_path_factory.mktemp("weights") / "lines.onnx"
    of = builders.line_config()
    export(path, builders.weights(of, 3), builders.metadata(of, TEMPERATURES, "lines"))
    return checkpoints.read(path)


@pytest.fixture(scope="module")
def runtime(lines: Checkpoint) -> Runtime:
    return Runtime(lines)


def random_columns(n_columns: int, seed: int) -> NDArray[np.uint8]:
    """Return random columns [T, H]."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n_columns, 16), np.uint8)


def torch_net(of: ModelConfig) -> LineLSTM:
    """Return the torch net with the weights of the graph."""
    net = LineLSTM(of).eval()
    weights = builders.weights(of, 3)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return net


def by_torch(of: ModelConfig, columns: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return log-probabilities [T, S] after each of an even number of columns, by definition."""
    with torch.no_grad():
        raw, ends, _ = torch_net(of)(torch.from_numpy(columns / np.float32(255))[None])
    labels = (raw[0] / TEMPERATURES[0]).log_softmax(1)
    ended = torch.nn.functional.logsigmoid(ends[0] / TEMPERATURES[1])
    steps = torch.cat([labels, ended[:, None]], 1)  # [T / 2, S]
    first = torch.full((1, steps.shape[1]), IMPROBABLE)
    first[0, 0] = 0
    stepped = torch.cat([first, steps])[(torch.arange(len(columns)) + 1) // 2]
    return stepped.numpy()


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=6), seed=st.integers(0, 99))
@pytest.mark.slow
def test_torch_in_pieces_torch_at_once_and_the_graph_column_by_column_agree(
    runtime: Runtime, cuts: list[int], seed: int
) -> None:
    columns, net = random_columns(2 * sum(cuts), seed), torch_net(runtime.config)
    pixels = torch.from_numpy(columns / np.float32(255))[None]
    with torch.no_grad():
        at_once = net(pixels)
        state_of_pieces, of_pieces = None, []
        for piece in torch.split(pixels, [2 * cut for cut in cuts], 1):
            *scores_of_piece, state_of_pieces = net(piece, state_of_pieces)
            of_pieces.append(scores_of_piece)
    for expected, found in zip(at_once, zip(*of_pieces, strict=True), strict=False):
        torch.testing.assert_close(torch.cat(found, 1), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(state_of_pieces, at_once[2], atol=1e-5, rtol=0)

    state, served = runtime.initial_state(1), []
    for column in columns:
        scores, state = runtime.run(column[None, None], state)
        served.append(scores[0, 0])
    np.testing.assert_allclose(np.array(served), by_torch(runtime.config, columns), atol=1e-5)
    own = state[:, : 4 * net.state_size].view(np.float32)
    np.testing.assert_allclose(own, at_once[2].numpy(), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=6), seed=st.integers(0, 99))
def test_streams_with_and_without_a_waiting_column_share_a_run(
    runtime: Runtime, lengths: list[int], seed: int
) -> None:
    heads = [random_columns(length, seed + i) for i, length in enumerate(lengths)]
    rests = [random_columns(1 + length // 2, seed + 50 + i) for i, length in enumerate(lengths)]
    _, state = runtime.run_ragged(heads, runtime.initial_state(len(lengths)))
    scores, _ = runtime.run_ragged(rests, state)
    for head, rest, ragged_scores in zip(heads, rests, scores, strict=True):
        separate, _ = runtime.run(np.concatenate([head, rest])[:, None], runtime.initial_state(1))
        np.testing.assert_allclose(ragged_scores, separate[len(head) :, 0], atol=1e-5)


@given(n_columns=st.integers(0, 12), seed=st.integers(0, 99))
def test_a_column_that_begins_a_step_is_answered_without_a_run_as_by_one(
    runtime: Runtime, n_columns: int, seed: int
) -> None:
    columns, state = random_columns(n_columns, seed), runtime.initial_state(1)
    if n_columns:
        _, state = runtime.run(columns[:, None], state)
    next_column = random_columns(1, seed + 1)
    assert runtime.begins_step(state[0]) == (n_columns % STEP_COLUMNS == 0)
    if runtime.begins_step(state[0]):
        expected_scores, expected_state = runtime.run(next_column[:, None], state)
        np.testing.assert_array_equal(runtime.hold(next_column[0], state[0]), expected_scores[0])
        np.testing.assert_array_equal(state, expected_state)


def test_dropout_is_active_only_in_training() -> None:
    net = LineLSTM(builders.line_config(), dropout=0.5)
    columns = torch.from_numpy(random_columns(40, seed=1) / np.float32(255))[None]
    with torch.no_grad():
        at_once = net(columns)[0]
        random = torch.Generator().manual_seed(0)
        assert not torch.equal(net(columns, rng=random)[0], at_once)
        assert torch.equal(net.eval()(columns, rng=random)[0], at_once)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"column_height": 18}, "column_height is 18, no multiple of 4"),
        ({"channels": ()}, "0 convolutions, allowed: 1..4"),
        ({"channels": (0, 4)}, "channels are 0, allowed: 1..512"),
        ({"flush_columns": 3}, "flush_columns is 3, allowed: 0..64, even"),
        ({"labels": ("a", "bc")}, "labels of a transcriber are single characters"),
    ],
)
def test_invalid_dimensions_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text.replace("..", r"\.\.")):
        builders.line_config(**change)
