"""Letter ends of joined writing, by nets that did without the writers whom they read."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model import train as training
from model.data import line_data, split
from model.errors import DataError
from model.report.document import accuracy
from model.report.folds import folds
from model.report.lines import report
from model.report.tables import table
from model.training.knobs import LineKnobs, Place
from model.training.line_task import LineTask
from tests import builders
from tests.model.little_ink import ALL_KINDS, HEIGHT, ink

SMALL = LineKnobs(
    layers=1, units=16, channels=4, column_height=HEIGHT, steps=2, columns=400, framewise=1,
    made=0, images=0, precision="float32",
)  # fmt: skip


def trained(folder: Path, fold: int, steps: int = SMALL.steps) -> Path:
    """A run folder with a net that did without a fold."""
    everything, knobs = ink(), dataclasses.replace(SMALL, fold=fold, steps=steps)
    parts = split.parts(everything)
    pieces = parts["train"]
    if fold:
        pieces = np.setdiff1d(pieces, split.joined_fold(everything, fold))
    data = line_data.LineData("ink", everything, pieces, parts["choose"], ALL_KINDS)
    trainer = training.Trainer(knobs, Place(run=folder, threads=1), LineTask(knobs, data))
    assert trainer.run()
    trainer.task.finish(trainer.folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [trained(folder / f"fold{fold}", fold) for fold in range(split.JOINED_FOLDS + 1)]


def test_each_net_reads_the_joined_pieces_of_the_fold_that_it_had_not(runs: list[Path]) -> None:
    found = folds(runs[1:], ink())
    left_out = found["left out"]
    assert left_out["pieces"] == left_out["writers"] == len(split.parts(ink())["train"]) / 11
    assert left_out["events"]["wanted"] == 4 * left_out["pieces"]  # "b. ca"
    n_reporting = len(split.parts(ink())["report"]) / 11
    assert found["report"]["writers"] == n_reporting
    assert found["report"]["pieces"] == n_reporting * split.JOINED_FOLDS
    assert found["steps"] == 2


def test_the_report_tells_of_the_folds(runs: list[Path], tmp_path: Path) -> None:
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS)
    contents = report(net, ink(), builders.excerpt(2), limit=2, fold_runs=runs[1:]).contents
    left_out = contents["folds"]["left out"]
    assert contents["folds"] == folds(runs[1:], ink())
    document = accuracy(contents, "plots")
    assert f"{left_out['writers']} more have them in training: 2 nets of 2 steps" in document
    assert f"| joined, left out of training | {left_out['pieces']} |" in document
    assert f"{left_out['writers']} more writers by nets trained without them" in table(contents)


def test_a_net_that_saw_all_and_a_fold_that_comes_twice_are_refused(runs: list[Path]) -> None:
    with pytest.raises(DataError, match=r"fold0 holds a net that saw all folds, expected one of"):
        folds(runs[:1], ink())
    with pytest.raises(DataError, match="fold 2 comes twice"):
        folds([runs[1], runs[2], runs[2]], ink())


def test_nets_that_were_not_trained_alike_and_runs_that_are_none_are_refused(
    runs: list[Path], tmp_path: Path
) -> None:
    longer = trained(tmp_path / "longer", fold=2, steps=3)
    with pytest.raises(DataError, match="runs are of 2 to 3 steps, expected as many of each"):
        folds([runs[1], longer], ink())
    with pytest.raises(DataError, match=r"nothing has no network.safetensors: train it first"):
        folds([tmp_path / "nothing"], ink())
    config = longer / "config.json"
    config.write_text(config.read_text().replace('"fold"', '"folder"'))
    with pytest.raises(DataError, match="holds a run of another version"):
        folds([longer], ink())
