"""The bidirectional reference model, compared with the causal net."""

import dataclasses
from pathlib import Path

import pytest

from inkstream.model import train as training
from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.errors import DataError
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.lines import bidirectional, report
from inkstream.model.evaluation.report import document, increase
from inkstream.model.training import lines as line_data
from inkstream.model.training.config import DigitsConfig, LinesConfig, RunOptions
from inkstream.model.training.initial import initial_net
from inkstream.model.training.lines import LinesTask
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink

pytestmark = pytest.mark.slow

SMALL = LinesConfig(
    layers=1, units=16, channels=4, column_height=HEIGHT, steps=2, columns=400, framewise=1,
    made=0, images=0, bidirectional=True, precision="float32",
)  # fmt: skip


def train_net(folder: Path, config: LinesConfig) -> Path:
    """Train a net of this configuration and return its run folder."""
    data = dataclasses.replace(line_data.own_ink("ink", ink()), characters=ALL_KINDS)
    assert training.Trainer(
        config, RunOptions(run=folder, threads=1), LinesTask(config, data)
    ).run()
    return folder


def test_the_report_compares_a_bidirectional_net(tmp_path: Path) -> None:
    run = train_net(tmp_path / "both", SMALL)
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS)
    evaluation_set = EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT)
    contents = report(net, ink(), builders.excerpt(2), limit=99, reference=run).contents
    found = contents["bidirectional"]
    assert found == bidirectional(run, evaluation_set)
    assert found["steps"] == 2
    assert found["words"]["pieces"] == len(evaluation_set.indices(WORDS))
    assert found["text"]["pieces"] == len(evaluation_set.indices(TEXT))
    text = document("lines", contents, "plots")
    assert "for 2 steps from random weights" in text
    assert "a bidirectional reference model of 2 steps" in text


def test_an_increase_is_relative_to_the_reference() -> None:
    assert increase(0.12, 0.1) == "20.0%"
    assert increase(0.12, 0) == "-"


def test_a_causal_net_is_refused_as_a_reference(tmp_path: Path) -> None:
    run = train_net(tmp_path / "causal", dataclasses.replace(SMALL, bidirectional=False))
    with pytest.raises(DataError, match="causal net"):
        bidirectional(run, EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT))


def test_a_run_on_images_and_an_empty_folder_are_refused(
    tmp_path: Path, mnist_excerpt: None
) -> None:
    run = tmp_path / "images"
    training.train(DigitsConfig(task="teacher", epochs=1, held_out=100), RunOptions(run=run))
    evaluation_set = EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT)
    with pytest.raises(DataError, match="images holds a run of teacher, expected one of lines"):
        bidirectional(run, evaluation_set)
    with pytest.raises(DataError, match="images holds a run of teacher, expected one of lines"):
        initial_net(run, "lines")
    with pytest.raises(DataError, match=r"has no network.safetensors: train it first"):
        bidirectional(tmp_path, evaluation_set)
