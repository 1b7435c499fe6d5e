"""A net that reads both ways, beside the one that reads as the writing comes."""

import dataclasses
from pathlib import Path

import pytest

from inkstream.model import train as training
from inkstream.model.errors import DataError
from inkstream.model.evaluation.lines import both_ways, report
from inkstream.model.evaluation.material import TEXT, WORDS, Material
from inkstream.model.evaluation.report import document, increase
from inkstream.model.training import lines as line_data
from inkstream.model.training.config import ImageKnobs, LineKnobs, Place
from inkstream.model.training.lines import LineTask, start_from
from tests import builders
from tests.model.little_ink import ALL_KINDS, HEIGHT, ink

SMALL = LineKnobs(
    layers=1, units=16, channels=4, column_height=HEIGHT, steps=2, columns=400, framewise=1,
    made=0, images=0, both_ways=True, precision="float32",
)  # fmt: skip


def trained(folder: Path, knobs: LineKnobs) -> Path:
    """A run folder with a net of these knobs."""
    data = dataclasses.replace(line_data.own("ink", ink()), characters=ALL_KINDS)
    assert training.Trainer(knobs, Place(run=folder, threads=1), LineTask(knobs, data)).run()
    return folder


def test_the_report_sets_the_net_that_knows_the_future_beside_the_other(tmp_path: Path) -> None:
    run = trained(tmp_path / "both", SMALL)
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS)
    material = Material(ink(), "test", ALL_KINDS, HEIGHT)
    contents = report(net, ink(), builders.excerpt(2), limit=99, twin=run).contents
    found = contents["both_ways"]
    assert found == both_ways(run, material)
    assert found["steps"] == 2
    assert found["words"]["pieces"] == len(material.places(WORDS))
    assert found["text"]["pieces"] == len(material.places(TEXT))
    text = document("lines", contents, "plots")
    assert "for 2 steps from chance" in text
    assert "a twin that reads both ways, trained 2 steps" in text


def test_the_price_is_how_much_more_the_causal_net_errs() -> None:
    assert increase(0.12, 0.1) == "20.0%"
    assert increase(0.12, 0) == "-"


def test_a_net_that_reads_one_way_is_no_twin(tmp_path: Path) -> None:
    run = trained(tmp_path / "causal", dataclasses.replace(SMALL, both_ways=False))
    with pytest.raises(DataError, match="reads one way"):
        both_ways(run, Material(ink(), "test", ALL_KINDS, HEIGHT))


def test_a_run_on_images_and_an_empty_folder_are_no_net_for_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "inkstream.model.data.sources.mnist.load", lambda part, folder: builders.excerpt(400)
    )
    run = tmp_path / "images"
    training.train(ImageKnobs(task="teacher", epochs=1, held_out=100), Place(run=run))
    material = Material(ink(), "test", ALL_KINDS, HEIGHT)
    with pytest.raises(DataError, match="images holds a run of teacher, expected one of lines"):
        both_ways(run, material)
    with pytest.raises(DataError, match="images holds a run of teacher, expected one of lines"):
        start_from(run)
    with pytest.raises(DataError, match=r"has no network.safetensors: train it first"):
        both_ways(tmp_path, material)
