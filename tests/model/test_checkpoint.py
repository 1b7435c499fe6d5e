"""The checkpoint file: it is read as it was written, and damaged files are refused."""

import contextlib
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from inkstream.model import checkpoint as checkpoints
from inkstream.model.checkpoint import Checkpoint, find, read, sealed
from inkstream.model.errors import CheckpointError, ConfigError
from inkstream.model.export import export
from tests.helpers import builders


def with_metadata_text(of: Checkpoint, path: Path, old: str, new: str) -> Path:
    """Write a checkpoint with another text in its metadata and a valid digest."""
    model = onnx.load_from_string(of.content)
    entries = {entry.key: entry for entry in model.metadata_props}
    assert old in entries["inkstream"].value
    entries["inkstream"].value = entries["inkstream"].value.replace(old, new)
    model.metadata_props.remove(entries["inkstream.sha256"])
    path.write_bytes(sealed(model.SerializeToString()))
    return path


# Reading


def test_metadata_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = builders.config(("a", "é", "word"), column_height=20)
    metadata = dataclasses.replace(
        builders.metadata(config, (2.0, 1.25)), metrics={"accuracy": 0.5, "after 12": 0.25}
    )
    export(tmp_path / "net.onnx", builders.weights(config), metadata)
    assert checkpoints.read(tmp_path / "net.onnx").metadata == metadata


def test_the_file_is_an_ordinary_onnx_model(tiny: Checkpoint) -> None:
    model = onnx.load_from_string(tiny.content)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["columns", "state"]
    assert [value.name for value in model.graph.output] == ["scores", "state_after"]
    assert [entry.key for entry in model.metadata_props] == ["inkstream", "inkstream.sha256"]


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    first, same, other = (builders.checkpoint(tmp_path / "net.onnx", seed=n) for n in (3, 3, 4))
    assert first.content == same.content
    assert first.digest != other.digest


def test_reading_imports_neither_torch_nor_onnx(tiny: Checkpoint) -> None:
    program = (
        "import sys, pathlib; from model import checkpoint, runtime;"
        f"runtime.Runtime(checkpoint.read(pathlib.Path({str(tiny.path)!r})));"
        "sys.exit(bool({'torch', 'onnx'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# Invalid files


def foreign_model() -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
    content: bytes = helper.make_model(graph, producer_name="pytorch").SerializeToString()
    return content


@pytest.mark.parametrize(
    "content", [b"", b"These are not the weights you are looking for. " * 20, foreign_model()]
)
def test_what_is_no_checkpoint_is_refused_with_its_first_bytes(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.read(tmp_path / "net.onnx")
    text = f"net.onnx: not an inkstream checkpoint, it starts with {content[:16]!r}"
    assert str(caught.value) == text


@given(share=st.floats(0.05, 0.999))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_the_error_of_a_truncated_file_is_that_its_end_is_missing(
    tiny: Checkpoint, tmp_path: Path, share: float
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny.content[: int(len(tiny.content) * share)])
    with pytest.raises(CheckpointError, match="end is missing"):
        checkpoints.read(path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_found(tiny: Checkpoint, tmp_path: Path, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(tiny.content) - 1))
    bit = data.draw(st.integers(0, 7))
    content = bytearray(tiny.content)
    content[index] ^= 1 << bit
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged|not an inkstream"):
        checkpoints.read(path)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('"format": 1', '"format": 99', "format is 99, this version reads 1"),
        ('"opset": 18', '"opset": 99', "opset is 99, this version reads 18"),
        ('"labels"', '"letters"', "unknown dimensions: letters"),
        ('"licence"', '"license"', "missing required field `licence`"),
        ('"licence": "', '"licence": 5, "x": "', "Expected `str`, got `int`"),
        ('"parameters": ', '"parameters": "many", "x": ', "Expected `int`, got `str`"),
        ('"metrics": {', '"metrics": [1], "x": {', "Expected `object`, got `array`"),
        ('"metrics": {', '"metrics": {"share": NaN}, "x": {', "invalid"),
        ('"units": 16', '"units": 16.5', "Expected `int`, got `float`"),
        ('"units": 16', '"units": true', "Expected `int`, got `bool`"),
        ('"column_height": 28', '"column_height": "28"', "Expected `int`, got `str`"),
        ('"labels": ["0"', '"labels": [0', "Expected `str`, got `int`"),
        ('"labels": ["0"', '"labels": ["\\ud800"', "surrogate"),
        ('{"name"', " " * (1 << 20) + '{"name"', "characters, allowed: up to 1048576"),
        ('{"name"', "[" * 100_000 + '{"name"', "recursion"),
        ('"temperatures": [1.5', '"temperatures": [-1.5', "positive"),
        ('"temperatures": [', '"temperatures": ["warm", ', "Expected `float`, got `str`"),
        ('"units": 16', '"units": 0', "units is 0"),
        ('{"name"', '["name"', "cannot be read"),
    ],
)
def test_invalid_metadata_is_refused(
    tiny: Checkpoint, tmp_path: Path, old: str, new: str, text: str
) -> None:
    with pytest.raises(CheckpointError, match=text):
        checkpoints.read(with_metadata_text(tiny, tmp_path / "net.onnx", old, new))


def test_weights_in_another_file_are_refused(tiny: Checkpoint, tmp_path: Path) -> None:
    def refer(graph: onnx.GraphProto) -> None:
        weights = graph.initializer[0]
        Path("weights.bin").write_bytes(weights.raw_data)
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="weights.bin")

    with contextlib.chdir(tmp_path):
        builders.with_graph(tiny, Path("net.onnx"), refer)
        with pytest.raises(CheckpointError, match=r"refuses it: .*External data path"):
            checkpoints.read(Path("net.onnx"))


def test_an_error_about_a_graph_is_one_line_and_nothing_else_is_written(
    tiny: Checkpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def declare(graph: onnx.GraphProto) -> None:
        graph.initializer[0].dims[:] = [1 << 40]

    with pytest.raises(CheckpointError, match=r"net\.onnx: ONNX Runtime .* refuses it") as caught:
        checkpoints.read(builders.with_graph(tiny, tmp_path / "net.onnx", declare))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_missing_or_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        checkpoints.read(path)
    path.touch()
    os.truncate(path, 1 << 40)
    text = "cannot be read: it has 1099511627776 bytes, allowed: up to 2147483647"
    with pytest.raises(CheckpointError, match=text):
        checkpoints.read(path)


def test_a_model_without_metadata_is_refused(tiny: Checkpoint, tmp_path: Path) -> None:
    model = onnx.load_from_string(tiny.content)
    del model.metadata_props[:]
    (tmp_path / "net.onnx").write_bytes(sealed(model.SerializeToString()))
    with pytest.raises(CheckpointError, match=r"net\.onnx: its metadata lacks 'inkstream'"):
        checkpoints.read(tmp_path / "net.onnx")


def test_a_model_of_another_kind_is_refused(tiny: Checkpoint) -> None:
    assert read(tiny.path, "classifier").digest == tiny.digest
    with pytest.raises(CheckpointError, match=r"tiny.onnx: it is a classifier, expected a trans"):
        read(tiny.path, "transcriber")


# Writing


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("head.bias", np.zeros(9, np.float32), r"head.bias is \(9,\), expected \(10,\)"),
        ("head.bias", np.full(10, np.nan, np.float32), "not finite"),
        ("tail.bias", np.zeros(9, np.float32), "missing or unknown: tail.bias"),
    ],
)
def test_invalid_weights_are_not_written(
    tmp_path: Path, name: str, value: np.ndarray, text: str
) -> None:
    config = builders.config()
    weights = builders.weights(config) | {name: value}
    with pytest.raises(CheckpointError, match=text):
        export(tmp_path / "net.onnx", weights, builders.metadata(config))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("temperatures", [(), (1.0, 0.0), (float("nan"),), (float("inf"),)])
def test_temperatures_must_be_positive_numbers(temperatures: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="temperatures"):
        builders.metadata(builders.config(), temperatures)


def test_a_checkpoint_is_described_in_plain_values(tiny: Checkpoint) -> None:
    described = checkpoints.describe(tiny)
    assert described["temperatures"] == list(tiny.metadata.temperatures)
    assert described["metrics"] == tiny.metadata.metrics  # no report is about this net


# Finding


def test_a_model_is_found_by_its_name_in_a_folder_and_by_its_path(tiny: Checkpoint) -> None:
    for source, folder in (("tiny", tiny.path.parent), (str(tiny.path), None), (tiny.path, None)):
        assert checkpoints.find(source, folder) == tiny.path


def test_a_model_is_called_as_it_was_asked_for(tiny: Checkpoint, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "berta", tmp_path / "runs=1"):
        folder.mkdir(exist_ok=True)
        (folder / "anna.onnx").write_bytes(tiny.path.read_bytes())
    for asked, name in {
        f"{tmp_path}/anna.onnx": "tiny",  # as its metadata say
        f"{tmp_path}/runs=1": "tiny",
        "anna": "anna",
        "berta": "berta",  # a folder with one model
        f"carla={tmp_path}/berta": "carla",
        "dora=anna": "dora",
    }.items():
        opened = checkpoints.open_model(asked, tmp_path)
        assert opened.metadata == dataclasses.replace(tiny.metadata, name=name)
        assert opened.digest == tiny.digest


def test_the_error_of_an_unknown_name_lists_the_known_ones(tiny: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match=r"no model 'giant', known: .*tiny"):
        checkpoints.find("giant", tiny.path.parent)
    with pytest.raises(CheckpointError, match=r"no such file: weights/giant\.onnx"):
        checkpoints.find("weights/giant.onnx")


def test_onnx_runtime_is_imported_with_its_telemetry_off() -> None:
    program = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch())
import inkstream.model.checkpoint
"""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "1\n"


def test_a_folder_is_replaced_by_the_only_model_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "hand"
    run.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="no model in hand: a training run writes it"):
        find("hand")
    path = builders.checkpoint(run / "lines.onnx").path
    assert find(run) == find("hand").resolve() == path
    builders.checkpoint(run / "other.onnx")
    with pytest.raises(CheckpointError, match="holds 2 models: name one, such as"):
        find(run)
