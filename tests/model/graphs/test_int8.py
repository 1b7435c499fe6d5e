"""The 8-bit graphs: exact in any batch and in any portions, and close to 32-bit numbers."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkstream.model import checkpoint as checkpoints
from inkstream.model.config import ModelConfig
from inkstream.model.errors import ConfigError
from inkstream.model.export import export, weights_of
from inkstream.model.graphs.int8 import BYTE, WEIGHT_LIMIT, Ranges, quantised
from inkstream.model.network import ColumnLSTM, LineLSTM
from inkstream.model.preprocess.ink import seen_by
from inkstream.model.runtime import Runtime
from inkstream.model.training.ranges import measured_ranges
from tests.helpers import builders

CONFIGS = {
    "classifier": builders.config(context=3, layers=2),
    "one column": builders.config(context=1, layers=1),
    "transcriber": builders.line_config(layers=3),
    "directions": builders.line_config(layers=2, directions=True),
}
TEMPERATURES = {"classifier": (1.5, 1.0, 0.8), "transcriber": (1.3, 0.7)}


def torch_net(of: ModelConfig, weights: dict[str, NDArray[np.float32]]) -> ColumnLSTM | LineLSTM:
    net = ColumnLSTM(of) if of.kind == "classifier" else LineLSTM(of)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return net.eval()


def random_columns(of: ModelConfig, n_columns: int, streams: int, seed: int) -> NDArray[np.uint8]:
    """Return columns [T, B, .] of different streams."""
    size = of.column_size
    return np.stack([builders.columns(n_columns, seed + i, size) for i in range(streams)], 1)


@pytest.fixture(scope="module", params=CONFIGS)
def runtimes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Runtime, Runtime]:
    """Return a small net in 8 bits, and the same weights in 32-bit numbers."""
    folder, of = tmp_path_factory.mktemp("nets"), CONFIGS[request.param]
    weights = {name: value / np.float32(3) for name, value in builders.weights(of, 3).items()}
    metadata = builders.metadata(of, TEMPERATURES[of.kind])
    calibration = random_columns(of, 200, 4, 900).swapaxes(0, 1).copy()
    ranges = measured_ranges(torch_net(of, weights), [seen_by(of, calibration)])
    export(folder / "int8.onnx", weights, metadata, ranges)
    served = checkpoints.read(folder / "int8.onnx")
    export(folder / "float32.onnx", weights_of(served), metadata)
    return Runtime(served), Runtime(checkpoints.read(folder / "float32.onnx"))


@settings(deadline=None, max_examples=30)
@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    streams=st.integers(1, 9),
    seed=st.integers(0, 10_000),
)
def test_a_stream_gets_the_same_bits_alone_in_a_batch_and_in_portions(
    runtimes: tuple[Runtime, Runtime], cuts: list[int], streams: int, seed: int
) -> None:
    runtime, _ = runtimes
    columns = random_columns(runtime.config, sum(cuts), streams, seed)
    together, after = runtime.run(columns, runtime.initial_state(streams))
    places = [0, *np.cumsum(cuts).tolist()]
    for stream in range(streams):
        own, state, portions = columns[:, stream : stream + 1], runtime.initial_state(1), []
        for start, end in pairwise(places):
            scores, state = runtime.run(own[start:end], state)
            portions.append(scores)
        np.testing.assert_array_equal(np.concatenate(portions)[:, 0], together[:, stream])
        np.testing.assert_array_equal(state[0], after[stream])


def test_it_answers_nearly_as_32_bit_numbers_do(runtimes: tuple[Runtime, Runtime]) -> None:
    columns = random_columns(runtimes[0].config, 120, 6, 7)
    int8, float32 = (
        np.exp(runtime.run(columns, runtime.initial_state(6))[0]) for runtime in runtimes
    )
    assert not np.array_equal(int8, float32)
    assert np.abs(int8 - float32).mean() < 0.005
    assert np.abs(int8 - float32).max() < 0.1


def test_the_weights_of_8_bits_are_the_nearest_of_all_steps() -> None:
    weight = np.random.default_rng(0).normal(0, 1, (5, 4, 3)).astype(np.float32)
    weight[2] = 0
    integers, scales = quantised(weight)
    assert integers.dtype == np.int8
    assert np.abs(integers).max((1, 2)).tolist() == [63, 63, 0, 63, 63]
    assert np.iinfo(np.int16).max >= 2 * BYTE * WEIGHT_LIMIT  # two products fit into 16 bits
    assert (np.abs(integers * scales - weight) <= 0.501 * scales).all()


def test_ranges_hold_nearly_all_values() -> None:
    of = builders.line_config()
    net = torch_net(of, builders.weights(of, 1))
    assert isinstance(net, LineLSTM)
    columns = random_columns(of, 100, 3, 0).swapaxes(0, 1).copy()
    with torch.no_grad():
        pixels = torch.nn.functional.pad(torch.from_numpy(columns).float() / 255, (0, 0, 2, 0))
        first, *_ = net.convolutions.children()
        outputs = first(pixels.transpose(1, 2).unsqueeze(1)).relu()
    ranges = measured_ranges(net, [columns])
    assert ranges.convolutions[0] <= float(outputs.max())
    assert (outputs > ranges.convolutions[0]).float().mean() < 0.001
    assert len(ranges.convolutions) == len(of.channels)
    assert len(ranges.layers) == of.layers + 1


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_ranges_that_no_numbers_have_are_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="expected positive numbers"):
        Ranges((value,))
