"""Training: it learns, resumes exactly, and keeps the last valid state."""

import dataclasses
import errno
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from inkstream import load
from inkstream.model import train as training
from inkstream.model.errors import DataError
from inkstream.model.evaluation.digits import report
from inkstream.model.network import ColumnLSTM
from inkstream.model.preprocess.columns import digit_columns
from inkstream.model.training.config import TEACHER, DigitsConfig, RunOptions
from inkstream.model.training.digits import DigitsTask
from inkstream.model.training.initial import TrainedNet, initial_net
from inkstream.model.training.run_folder import CONFIGURATION, METRICS, STATE, network_weights
from inkstream.service.client.stream import connect_sync
from tests.helpers import builders
from tests.helpers.running_server import server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mnist_excerpt")]

SMALL = DigitsConfig(
    epochs=4, batch=32, held_out=100, features=8, units=12, teacher_share=0.0, precision="float32"
)
# Learns from little data within seconds.
QUICK = dataclasses.replace(
    SMALL, batch=16, learning_rate=0.01, dropout=0.0, distortion=0.3, ema=0.9, blank_share=0.1,
    rough=0.0,
)  # fmt: skip


def trainer(run: Path, config: DigitsConfig = SMALL, **options: object) -> training.Trainer:
    run_options = RunOptions(run=run, threads=1, **options)  # type: ignore[arg-type]  # several fields' values
    torch.manual_seed(0)
    return training.Trainer(config, run_options, DigitsTask(config, builders.excerpt(400)))


def assert_same(first: Path, second: Path) -> None:
    first_weights, second_weights = network_weights(first), network_weights(second)
    assert all(
        torch.equal(first_weights[name], second_weights[name])
        for name in first_weights.keys() | second_weights.keys()
    )


def epochs(run: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (run / METRICS).read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was not interrupted."""
    run = tmp_path_factory.mktemp("finished")
    assert trainer(run).run()
    return run


@pytest.mark.parametrize("method", ["train_step", "finish_round", "save"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_run_interrupted_anywhere_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: Path, method: str, times: int
) -> None:
    original = getattr(training.Trainer, method)

    def interrupted(self: training.Trainer, *args: object) -> object:
        if self.step >= self.task.n_steps - 1:
            for _ in range(times):  # the second signal does not wait
                signal.raise_signal(signal.SIGINT)
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, method, interrupted)
        with pytest.raises(KeyboardInterrupt):
            trainer(tmp_path / "stopped").run()
    torch.rand(100)  # random numbers in between must not matter
    assert trainer(tmp_path / "stopped").run()
    assert_same(tmp_path / "stopped", finished)
    assert epochs(tmp_path / "stopped") == [1, 2, 3, 4]


def test_a_folder_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    first = trainer(tmp_path / "run")
    first.save()
    with first.folder.locked(), pytest.raises(DataError, match="run is in use: another run writes"):
        trainer(tmp_path / "run").run()
    assert trainer(tmp_path / "run").run()


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        (METRICS, b'{"step": 1}\n{"st', "is damaged"),
        (STATE, b"safe", "is damaged"),
        (CONFIGURATION, None, "cannot be read: No such"),
        (CONFIGURATION, b"{", "is damaged"),
        (CONFIGURATION, b"[]", "is damaged"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(
    tmp_path: Path, name: str, content: bytes | None, text: str
) -> None:
    trainer(tmp_path / "run").save()
    file = tmp_path / "run" / name
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=f"{name} {text}"):
        trainer(tmp_path / "run")


def test_a_state_of_another_net_is_named(tmp_path: Path) -> None:
    trainer(tmp_path / "run").save()
    trainer(tmp_path / "other", dataclasses.replace(SMALL, units=16)).save()
    shutil.copy(tmp_path / "other" / STATE, tmp_path / "run" / STATE)
    with pytest.raises(DataError, match=f"{STATE} are of another net"):
        trainer(tmp_path / "run")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_the_error_of_a_missing_gpu_names_the_device(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="device is cuda, which torch does not find here"):
        trainer(tmp_path / "run", device="cuda")


def test_a_folder_that_is_in_use_loses_no_figures_to_another_run(tmp_path: Path) -> None:
    first = trainer(tmp_path / "run")
    (tmp_path / "run" / METRICS).write_text('{"epoch": 1}\n')  # before its first state
    with first.folder.locked(), pytest.raises(DataError, match="run is in use"):
        trainer(tmp_path / "run")
    assert epochs(tmp_path / "run") == [1]


def test_epochs_that_are_repeated_after_a_crash_are_recorded_once(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / METRICS).write_text('{"epoch": 7}\n')  # of a run that saved no state
    crashed = trainer(tmp_path / "run")
    crashed.save()
    for _ in range(crashed.task.round_steps):
        loss = crashed.train_step()
    # The state is not saved afterwards: it is still that of step 0.
    crashed.finish_round(loss, tqdm(disable=True))
    assert epochs(tmp_path / "run") == [1]
    assert trainer(tmp_path / "run").run()
    assert epochs(tmp_path / "run") == [1, 2, 3, 4]


def test_a_run_is_neither_overwritten_nor_resumed_with_another_configuration(
    tmp_path: Path,
) -> None:
    trainer(tmp_path / "run").save()
    config = dataclasses.replace(SMALL, learning_rate=0.01, units=16)
    text = r"run: units was 12, now 16; learning_rate was 0.0025, now 0.01 \(give what"
    with pytest.raises(DataError, match=text):
        trainer(tmp_path / "run", config)
    with pytest.raises(DataError, match="holds a run already"):
        training.train(SMALL, RunOptions(run=tmp_path / "run"))


def test_a_full_disk_keeps_the_last_valid_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path / "run")
    run.train_step()
    run.save()
    saved = (tmp_path / "run" / STATE).read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run.train_step()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match=f"{STATE} cannot be written: No space left on device"):
        run.save()
    assert (tmp_path / "run" / STATE).read_bytes() == saved
    assert {file.name for file in (tmp_path / "run").iterdir()} == {"config.json", STATE}


@pytest.mark.parametrize(("n_steps", "peak"), [(1000, 100), (50, 10)])
def test_the_learning_rate_rises_is_held_and_falls_to_zero(n_steps: int, peak: int) -> None:
    config = dataclasses.replace(SMALL, warm_up=100, hold=0.6)
    rates = np.array([training.learning_rate(step, n_steps, config) for step in range(n_steps)])
    assert (np.diff(rates[:peak]) > 0).all()
    hold = n_steps * 6 // 10
    np.testing.assert_allclose(rates[peak - 1 : hold + 1], SMALL.learning_rate)
    assert (np.diff(rates[hold:]) < 0).all()
    assert rates[-1] < 0.01 * SMALL.learning_rate


def test_the_weights_of_a_run_are_the_average_of_its_steps(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", dataclasses.replace(SMALL, ema=0.9))
    for _ in range(20):
        run.train_step()
    run.finish_round(torch.tensor(0.0), tqdm(disable=True))
    for name, value in network_weights(run.folder.path).items():
        assert torch.equal(value, run.average.module.state_dict()[name])
        assert not torch.equal(value, run.network.state_dict()[name])


def test_a_run_of_digits_trains_its_teacher_first_and_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = dataclasses.replace(TEACHER, epochs=5, batch=16)
    monkeypatch.setattr(training, "TEACHER", short)
    config = dataclasses.replace(QUICK, epochs=20, units=48, features=32, teacher_share=0.3)
    path = training.train(config, RunOptions(run=tmp_path / "run", threads=1))
    assert path == tmp_path / "run" / "digits.onnx"
    assert (tmp_path / "run" / "teacher" / "network.safetensors").exists()
    assert (tmp_path / "run" / "curve.png").exists()
    # With 300 images and a few seconds it is not good, but far better than guessing (0.1).
    digits_report = report([path], builders.excerpt(400))
    assert digits_report.contents["accuracy"] > 0.5
    assert load(path).metadata.metrics["held_out_accuracy"] > 0.4


def test_stopping_while_the_teacher_is_trained_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "TEACHER", dataclasses.replace(TEACHER, epochs=1))
    config = dataclasses.replace(SMALL, epochs=1, teacher_share=0.5)
    uninterrupted, stopped = (
        RunOptions(run=tmp_path / name, threads=1) for name in ("once", "stopped")
    )
    assert training.train(config, uninterrupted) == uninterrupted.run / "digits.onnx"
    assert training.train(config, dataclasses.replace(stopped, minutes=1e-9)) is None
    assert not (stopped.run / STATE).exists()
    resumed = dataclasses.replace(stopped, resume=True)
    for _ in range(2):  # a finished run is not trained again
        assert training.train(config, resumed) == stopped.run / "digits.onnx"
        for part in ("", "teacher"):
            assert_same(uninterrupted.run / part, stopped.run / part)
            assert epochs(stopped.run / part) == [1]


def test_a_run_to_begin_with_must_be_of_the_task_and_have_weights(tmp_path: Path) -> None:
    teacher = dataclasses.replace(TEACHER, epochs=1, held_out=100)
    training.train(teacher, RunOptions(run=tmp_path / "teacher"))
    with pytest.raises(DataError, match="teacher holds a run of teacher, expected one of digits"):
        initial_net(tmp_path / "teacher", "digits")
    (tmp_path / "teacher" / "network.safetensors").unlink()
    with pytest.raises(DataError, match=r"has no network\.safetensors: train it first"):
        initial_net(tmp_path / "teacher", "teacher")


def test_a_run_begins_with_the_weights_of_another_which_teach_it(tmp_path: Path) -> None:
    config = dataclasses.replace(QUICK, epochs=6, units=48, features=32)
    path = training.train(config, RunOptions(run=tmp_path / "first", threads=1))
    assert path is not None
    before = load(path).metadata.metrics["held_out_accuracy"]
    assert before > 0.2
    on = dataclasses.replace(config, epochs=1, learning_rate=1e-6, teacher_share=0.5)
    for number, source in enumerate((path, tmp_path / "first")):
        options = RunOptions(run=tmp_path / f"on{number}", init=source, threads=1)
        again = training.train(on, options)
        assert again is not None
        assert load(again).metadata.metrics["held_out_accuracy"] == pytest.approx(before, abs=0.03)
        assert not (options.run / "teacher").exists()


def test_a_teacher_that_agrees_on_no_digit_is_learned_from(tmp_path: Path) -> None:
    network = ColumnLSTM(builders.config())
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([9.0] + 9 * [0.0]))  # answers 0 whatever it sees
    initial = TrainedNet(builders.DIGITS, network.state_dict(), "digest")
    losses = {}
    for share in (0.0, 1.0):
        config = dataclasses.replace(SMALL, features=12, units=16, teacher_share=share)
        task = DigitsTask(config, builders.excerpt(400), None, initial)
        losses[share] = task.loss(0, 0).item()
    assert losses[1.0] < 0.5 * losses[0.0]  # the net is its own teacher, not that of the labels


@pytest.mark.parametrize(
    ("labels", "dimensions", "text"),
    [
        (tuple("abcdefghij"), {}, "has the labels a b c d e f g h i j, the data have 0 1 2 3"),
        (
            builders.DIGITS,
            {"units": 24},
            r"net: lstm.weight_ih_l0 is \[96, 12\], expected \[64, 12\]; .* and 6 more",
        ),
        (builders.DIGITS, {"layers": 1}, "lstm.weight_ih_l1"),
        (builders.DIGITS, {"layers": 3}, "lstm.weight_ih_l2"),
    ],
)
def test_initial_weights_of_another_net_are_refused(
    tmp_path: Path, labels: tuple[str, ...], dimensions: dict[str, Any], text: str
) -> None:
    other = builders.checkpoint(tmp_path / "other.onnx", labels, **dimensions)
    initial = initial_net(other.path, "digits")
    config = dataclasses.replace(SMALL, features=12, units=16)
    with pytest.raises(DataError, match=text):
        DigitsTask(config, builders.excerpt(400), None, initial)


STROKES = {
    "é": [[(8, 36), (44, 32), (36, 20), (16, 22), (8, 40), (20, 54)], [(24, 12), (34, 4)]],
    "ß": [[(16, 60), (16, 14), (30, 6), (40, 16), (24, 28), (42, 40), (36, 54), (22, 54)]],
    "λ": [[(12, 8), (20, 8), (44, 56)], [(30, 30), (10, 56)]],
}


def draw_letters(folder: Path) -> None:
    for letter, strokes in STROKES.items():
        (folder / letter).mkdir(parents=True)
        for number in range(40):
            image = Image.new("L", (64, 64), 255)
            for points in strokes:
                shifted = [(x + 3 + number % 7, y * (1 - number / 200)) for x, y in points]
                ImageDraw.Draw(image).line(shifted, fill=20, width=4 + number % 4)
            image.save(folder / letter / f"{number}.png")


def test_another_alphabet_works_in_training_server_and_client(tmp_path: Path) -> None:
    draw_letters(tmp_path / "letters")
    config = dataclasses.replace(QUICK, held_out=30, epochs=20, batch=8)
    options = RunOptions(run=tmp_path / "run", data=tmp_path / "letters", threads=1)
    path = training.train(config, options)
    assert path is not None
    recognizer = load(path)
    assert recognizer.labels == ("ß", "é", "λ")
    sample = tmp_path / "letters" / "λ" / "7.png"
    offline = recognizer.recognize(sample)
    assert offline.label == "λ"
    with (
        server(tmp_path, models="digits", weights=path.parent) as running,
        connect_sync(running.url) as stream,
    ):
        assert stream.ready.labels == ("ß", "é", "λ")
        results = list(stream.send(digit_columns(sample, 28)))
        assert results[-1].label == "λ"
        assert results[-1].probabilities == pytest.approx(offline.probabilities, abs=1e-4)
