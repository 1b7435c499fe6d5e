"""Training of images: the looks of paper, scanners and cameras, the teacher, the calibration."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inkstream.model import train as training
from inkstream.model.checkpoint import read
from inkstream.model.data.sources.pen_digits import PenDigits
from inkstream.model.data.split import Part
from inkstream.model.network import ColumnLSTM
from inkstream.model.training import digits
from inkstream.model.training.config import DigitsConfig, RunOptions
from inkstream.model.training.digits import DigitsTask, degraded, generator
from inkstream.model.training.initial import TrainedNet
from inkstream.model.training.run_folder import METRICS
from tests.helpers import builders

SMALL = DigitsConfig(
    epochs=1, batch=32, held_out=100, features=12, units=16, dropout=0.0, teacher_share=0.0,
    distortion=0.0, blank_share=0.0, precision="float32",
)  # fmt: skip
IMAGES = builders.excerpt(64)
COLUMNS = torch.from_numpy(IMAGES.columns).float() / 255
ANSWERS = torch.from_numpy(IMAGES.answers)


def task(**options: float) -> DigitsTask:
    torch.manual_seed(0)
    return DigitsTask(dataclasses.replace(SMALL, **options), builders.excerpt(400))  # type: ignore[arg-type]  # several fields' values


def test_looks_are_drawn_for_each_image_and_repeat_with_their_seed() -> None:
    same = np.repeat(IMAGES.columns[:1], 40, 0)
    looks = degraded(same, 3)
    assert looks.shape == same.shape
    np.testing.assert_array_equal(looks, degraded(same, 3))
    assert len({look.tobytes() for look in looks}) > 30
    assert not np.array_equal(looks, degraded(same, 4))
    assert degraded(same[:0], 3).shape == (0, 28, 28)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_images_is_degraded(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    counts: list[int] = []

    def count(columns: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        counts.append(len(columns))
        return columns

    made = task(rough=share)
    monkeypatch.setattr(digits, "degraded", count)
    losses = [made._loss_of(COLUMNS, ANSWERS, generator(step)) for step in range(30)]
    assert np.mean(counts) / len(IMAGES) == pytest.approx(share, abs=0.05)
    plain = task(rough=0.0)._loss_of(COLUMNS, ANSWERS, generator(0))
    torch.testing.assert_close(losses[0], plain)  # looks that change nothing cost nothing


def test_no_loss_lies_on_rough_columns_before_the_first_ink_of_the_plain_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = task(rough=1.0)
    monkeypatch.setattr(digits, "degraded", lambda columns, seed: np.full_like(columns, 90))
    loss = made._loss_of(COLUMNS, ANSWERS, generator(0))
    assert isinstance(made.network, ColumnLSTM)
    scores = made.network(torch.full_like(COLUMNS, 90 / 255))[0]
    each = torch.nn.functional.cross_entropy(
        scores.flatten(0, 1), ANSWERS.repeat_interleave(28), reduction="none"
    ).view(len(IMAGES), 28)
    first = (COLUMNS.amax(2) > 0).int().argmax(1)
    running = [own[start:].mean() for own, start in zip(each, first.tolist(), strict=True)]
    torch.testing.assert_close(loss, (each[:, -4:].mean() + torch.stack(running).mean()) / 2)


def test_the_teacher_answers_the_plain_image(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = ColumnLSTM(builders.config())
    initial = TrainedNet(builders.DIGITS, blank.state_dict(), "digest")
    config = dataclasses.replace(SMALL, rough=1.0, teacher_share=1.0)
    taught = DigitsTask(config, builders.excerpt(400), None, initial)
    with torch.no_grad():
        expected: torch.Tensor = (blank(COLUMNS)[0][:, -1] / digits.TEMPERATURE).softmax(1)
    softened = taught._softened(COLUMNS)
    assert softened is not None
    torch.testing.assert_close(softened, expected)
    seen: list[torch.Tensor] = []

    def answer(columns: torch.Tensor) -> torch.Tensor:
        seen.append(columns)
        return expected

    monkeypatch.setattr(taught, "_softened", answer)
    taught._loss_of(COLUMNS, ANSWERS, generator(0))
    torch.testing.assert_close(seen[0], COLUMNS)


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_excerpt")
def test_a_net_is_validated_and_calibrated_on_plain_and_rough_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(SMALL, epochs=8, batch=16, learning_rate=0.01, rough=0.0)
    temperatures = []
    for name, change in (
        ("looks", degraded),
        ("blank", lambda images, seed: np.zeros_like(images)),
    ):
        monkeypatch.setattr(digits, "degraded", change)
        path = training.train(config, RunOptions(run=tmp_path / name, threads=1))
        assert path is not None
        temperatures.append(read(path).metadata.temperatures)
        held_out = json.loads((path.parent / METRICS).read_text().splitlines()[-1])["held_out"]
        assert 0 <= held_out["after 28 columns"] < held_out["rough"] < 1
    assert held_out["rough"] == pytest.approx(0.9, abs=0.1)  # without ink it can only guess
    assert temperatures[0] != temperatures[1]


def test_pen_digits_join_the_images_and_validate_by_source() -> None:
    torch.manual_seed(0)
    excerpt = builders.excerpt(60)
    spans: dict[Part, range] = {"train": range(30), "validation": range(30, 60)}
    pen = {
        part: {"pen": PenDigits(excerpt.take(np.array(span)), np.arange(30), "digest")}
        for part, span in spans.items()
    }
    made = DigitsTask(SMALL, builders.excerpt(400), pen=pen)
    assert len(made.answers) == 300 + 30
    assert made.description["data_digest"] != task().description["data_digest"]
    errors = made.validate(made.network)
    answers = made.scores(made.network, excerpt.columns[30:])[:, -1].argmax(1)
    assert errors["pen"] == pytest.approx((answers != excerpt.answers[30:]).mean())


def test_a_quarter_of_the_images_is_not_distorted(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = task(distortion=1.0, rough=0.0), []
    monkeypatch.setattr(made, "_loss_of", lambda columns, *_: seen.append(columns))
    for step in range(made.round_steps):
        made.loss(step, 0)
    images = torch.cat(seen).mul(255).round().byte()
    plain = {image.numpy().tobytes() for image in made.columns}
    share = np.mean([image.numpy().tobytes() in plain for image in images])
    assert share == pytest.approx(0.25, abs=0.06)


def test_few_images_are_seen_often_and_a_fifth_of_them_is_held_out() -> None:
    few = task(held_out=5_000, steps=900)
    assert (len(few.validation), len(few.answers)) == (80, 320)
    assert (few.epoch_steps, few.n_steps) == (10, 900)
    assert few.n_steps / few.round_steps <= 40
    assert few.round_steps % few.epoch_steps == 0
