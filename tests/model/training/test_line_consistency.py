"""A net for lines that learns from two masked views of each line."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model import train as training
from model.data import line_data
from model.data.line_batches import twice
from model.errors import ConfigError
from model.training.knobs import LineKnobs, Place
from model.training.line_loss import consistency_loss
from model.training.line_runs import trained
from model.training.line_task import LineTask
from tests.model.little_ink import HEIGHT, ink
from tests.model.training.said import batch_of, sure_of

ONE = [0, 1, 0, 2, 0, 0]
OTHER = [0, 1, 0, 1, 0, 0]


def test_what_both_views_answer_alike_costs_nothing() -> None:
    assert consistency_loss(sure_of(ONE, ONE), batch_of(6)) == pytest.approx(0, abs=1e-6)


def test_it_is_the_mean_divergence_of_the_two_a_character() -> None:
    views = sure_of(ONE, OTHER)
    one, other = views.double()
    both = (one.exp() * (one - other)).sum() + (other.exp() * (other - one)).sum()
    characters = 2
    assert consistency_loss(views, batch_of(6)).item() == pytest.approx(
        both.item() / 2 / characters, rel=1e-5
    )


def test_a_view_is_compared_with_the_other_of_its_own_line() -> None:
    both = sure_of(ONE, OTHER, ONE, OTHER)
    assert consistency_loss(both, batch_of(6, 6)) == pytest.approx(0, abs=1e-6)
    crossed = sure_of(ONE, OTHER, OTHER, ONE)
    assert consistency_loss(crossed, batch_of(6, 6)) > 1


def test_each_view_is_drawn_towards_the_other() -> None:
    scores = torch.zeros(2, 6, 3)
    scores[0, 3, 1] = scores[1, 3, 2] = 4.0
    scores.requires_grad_()
    loss = consistency_loss(scores.log_softmax(2), batch_of(6))
    (gradient,) = torch.autograd.grad(loss, scores)
    step = gradient[:, 3]
    assert step[0, 1] > 0.1  # downhill is less of what it said itself
    assert step[0, 2] < -0.1  # and more of what the other did
    assert step[1, 2] > 0.1
    assert step[1, 1] < -0.1


def test_padding_is_not_compared() -> None:
    late = sure_of([0, 1, 0, 2, 1, 1], [0, 1, 0, 2, 2, 2])
    assert consistency_loss(late, batch_of(4, width=6)) == pytest.approx(0, abs=1e-6)
    assert consistency_loss(late, batch_of(6)) > 1


def test_the_second_views_come_behind_all_first_ones() -> None:
    batch = dataclasses.replace(batch_of(6, 4), labels=("ab", "cd"))
    batch.columns[0] = 7
    double = twice(batch)
    assert double.labels == ("ab", "cd", "ab", "cd")
    assert double.steps.tolist() == [6, 4, 6, 4]
    np.testing.assert_array_equal(double.columns, [*batch.columns, *batch.columns])
    np.testing.assert_array_equal(double.letters, [*batch.letters, *batch.letters])


def views_apart(folder: Path, consistency: float) -> float:
    """How differently a net answers to two masked views, after a short run."""
    knobs = LineKnobs(
        layers=1, units=16, channels=4, column_height=HEIGHT, steps=60, columns=800, framewise=0,
        made=0, images=0, precision="float32", learning_rate=1e-2, dropout=0.1, masked=0.3, ema=0,
        consistency=consistency,
    )  # fmt: skip
    task = LineTask(knobs, line_data.own("ink", ink()))
    assert training.Trainer(knobs, Place(run=folder, threads=2), task).run()
    network = trained(folder).network.train()
    network.masked, network.dropout = knobs.masked, knobs.dropout
    lines = task.part(0, 0)
    columns = torch.from_numpy(twice(lines).columns).float() / 255
    with torch.no_grad():
        scores, _ = network(columns, torch.Generator().manual_seed(0))
    return consistency_loss(scores.log_softmax(2), lines).item()


def test_a_net_that_is_trained_so_answers_more_alike(tmp_path: Path) -> None:
    alone = views_apart(tmp_path / "alone", 0)
    assert views_apart(tmp_path / "alike", 2) < 0.7 * alone


def test_views_that_cannot_differ_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"consistency is 0.2, but masked and dropout are 0"):
        LineKnobs(consistency=0.2, masked=0, dropout=0)
    assert LineKnobs(consistency=0.2, masked=0, dropout=0.1).consistency == 0.2
