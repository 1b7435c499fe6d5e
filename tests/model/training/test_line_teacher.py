"""A net for lines that learns from another one's answers."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model import train as training
from model.data import line_data
from model.data.line_batches import Drawn, join
from model.errors import DataError
from model.training.knobs import ImageKnobs, LineKnobs, Place
from model.training.line_loss import taught_loss
from model.training.line_runs import Trained, trained
from model.training.line_start import start_from
from model.training.line_task import LineTask
from tests import builders
from tests.model.little_ink import ALL_KINDS, HEIGHT, ink
from tests.model.training.said import batch_of, sure_of

SMALL = LineKnobs(
    layers=1, units=16, channels=4, column_height=HEIGHT, steps=40, columns=400, framewise=0,
    made=0, images=0, precision="float32", learning_rate=1e-2, dropout=0, ema=0,
)  # fmt: skip


def test_it_is_taught_to_say_the_same_as_much_later_as_the_lag_says() -> None:
    teacher = sure_of([0, 1, 0, 0, 2, 0, 0, 0])
    late = sure_of([0, 0, 0, 1, 0, 0, 2, 0])
    assert taught_loss(teacher, teacher, batch_of(8)) == pytest.approx(0, abs=1e-6)
    assert taught_loss(late, teacher, batch_of(8)) > 5
    assert taught_loss(late, teacher, batch_of(8), lag=2) == pytest.approx(0, abs=1e-6)


def test_a_lag_leaves_something_of_the_shortest_line() -> None:
    longest = LineKnobs.__dataclass_fields__["teacher_lag"].metadata["most"]
    shortest = join([Drawn(np.ones((1, HEIGHT), np.uint8), "a", np.zeros(1, np.float32))])
    said = torch.zeros(1, int(shortest.steps[0]), 3).log_softmax(2)
    other = sure_of([1] * int(shortest.steps[0]))
    assert taught_loss(said, other, shortest, lag=longest) > 0


def test_it_is_taught_nothing_about_padding() -> None:
    teacher, other = sure_of([0, 1, 0, 2, 0, 0]), sure_of([0, 1, 0, 2, 1, 1])
    assert taught_loss(other, teacher, batch_of(6)) > 5
    assert taught_loss(other, teacher, batch_of(4, width=6)) == pytest.approx(0, abs=1e-6)


def run_of(folder: Path, knobs: LineKnobs, *teachers: Trained) -> Path:
    """A run folder with a net of these knobs."""
    data = dataclasses.replace(line_data.own("ink", ink()), characters=ALL_KINDS)
    task = LineTask(knobs, data, teachers=teachers)
    assert training.Trainer(knobs, Place(run=folder, threads=2), task).run()
    return folder


def test_a_net_comes_closer_to_its_teacher(tmp_path: Path) -> None:
    drawn = dataclasses.replace(SMALL, steps=1, learning_rate=1e-7, seed=5, both_ways=True)
    teacher = trained(run_of(tmp_path / "teacher", drawn))
    assert teacher.knobs.both_ways
    teacher.network.head.weight.data *= 3  # a teacher with an opinion
    alone = trained(run_of(tmp_path / "alone", dataclasses.replace(SMALL, steps=1)))
    taught = dataclasses.replace(SMALL, teacher_share=1.0)
    pupil = trained(run_of(tmp_path / "pupil", taught, teacher))
    columns = torch.rand(4, 60, HEIGHT)

    def apart(network: torch.nn.Module) -> float:
        with torch.no_grad():
            said, wanted = (net(columns)[0].log_softmax(2) for net in (network, teacher.network))
        return taught_loss(said, wanted, batch_of(30, 30, 30, 30)).item()

    assert apart(pupil.network) < 0.5 * apart(alone.network)


def test_a_teacher_must_know_the_same_labels(tmp_path: Path) -> None:
    teacher = trained(run_of(tmp_path / "teacher", dataclasses.replace(SMALL, steps=1)))
    with pytest.raises(DataError, match="a teacher has other labels"):
        LineTask(SMALL, line_data.own("ink", ink()), teachers=[teacher])


def test_a_net_that_reads_images_teaches_no_lines(tmp_path: Path) -> None:
    knobs = ImageKnobs(task="teacher", epochs=1, held_out=100)
    place = Place(run=tmp_path / "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.data.mnist.load", lambda part, folder: builders.excerpt(400))
        training.train(knobs, place)
    with pytest.raises(DataError, match="images holds a run of teacher, expected one of lines"):
        trained(place.run)
    with pytest.raises(DataError, match="images holds a run of teacher, expected one of lines"):
        start_from(place.run)


def test_a_folder_without_a_net_teaches_nobody(tmp_path: Path) -> None:
    place = Place(run=tmp_path / "run", teachers=(tmp_path,))
    with pytest.raises(DataError, match=r"has no network.safetensors: train it first"):
        training.train(SMALL, place)
