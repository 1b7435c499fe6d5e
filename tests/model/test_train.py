"""Training: it learns, it stops and goes on exactly, and it never loses the last good state."""

import copy
import dataclasses
import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from inkstream import load
from inkstream.model import train as training
from inkstream.model.errors import DataError
from inkstream.model.evaluation.digits import report
from inkstream.model.preprocess.columns import digit_columns
from inkstream.model.training.config import TEACHER, DigitsConfig, RunOptions
from inkstream.model.training.run_folder import CONFIGURATION, METRICS, STATE, network_weights
from inkstream.service.client import connect_sync
from tests.helpers import builders
from tests.helpers.running_server import server

pytestmark = pytest.mark.slow

SMALL = DigitsConfig(
    epochs=4, batch=32, held_out=100, features=8, units=12, teacher_share=0.0, precision="float32"
)
# Learns what little data can teach within seconds.
QUICK = dataclasses.replace(
    SMALL, batch=16, learning_rate=0.01, dropout=0.0, distortion=0.3, ema=0.9, blank_share=0.1
)


@pytest.fixture(autouse=True)
def _excerpt_for_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """400 real digits in the place of 60,000; everything else is as it is."""
    monkeypatch.setattr(
        "inkstream.model.data.sources.mnist.load", lambda part, folder: builders.excerpt(400)
    )


def trainer(run: Path, config: DigitsConfig = SMALL, **place: object) -> training.Trainer:
    chosen = RunOptions(run=run, threads=1, **place)  # type: ignore[arg-type]  # several fields' values
    return training.Trainer(config, chosen, training.image_task(config, builders.excerpt(400), ()))


def assert_same(first: Path, second: Path) -> None:
    ours, theirs = network_weights(first), network_weights(second)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())


def epochs(run: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (run / METRICS).read_text().splitlines()]


@pytest.mark.parametrize("cycles", [1, 4])
def test_two_epochs_and_two_more_equal_four(tmp_path: Path, cycles: int) -> None:
    config = dataclasses.replace(SMALL, epochs=4 // cycles, cycles=cycles)
    assert trainer(tmp_path / "four", config).run()
    half = trainer(tmp_path / "half", config)
    for _ in range(2 * half.task.round_steps):
        half.train_step()
    half.save()
    torch.rand(100)  # whatever happens in between
    assert trainer(tmp_path / "half", config, resume=True).run()
    assert_same(tmp_path / "half", tmp_path / "four")


def test_a_finished_run_goes_on_with_another_cycle(tmp_path: Path) -> None:
    once = dataclasses.replace(SMALL, epochs=2)
    twice = dataclasses.replace(once, cycles=2)
    assert trainer(tmp_path / "at once", twice).run()
    assert trainer(tmp_path / "in parts", once).run()
    assert trainer(tmp_path / "in parts", twice, resume=True).run()
    assert_same(tmp_path / "in parts", tmp_path / "at once")
    configurations = [
        (tmp_path / run / CONFIGURATION).read_text() for run in ("in parts", "at once")
    ]
    assert configurations[0] == configurations[1]
    with pytest.raises(DataError, match="cycles was 2, now 1"):
        trainer(tmp_path / "in parts", once, resume=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("finished")
    assert trainer(run).run()
    return run


@pytest.mark.parametrize("place", ["train_step", "update_averages", "finish_round", "save"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_run_stopped_by_ctrl_c_anywhere_goes_on_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: Path, place: str, times: int
) -> None:
    original = getattr(training.Trainer, place)

    def interrupted(self: training.Trainer, *given: object) -> object:
        if self.step >= self.n_steps - 1:
            for _ in range(times):  # the second one does not wait
                signal.raise_signal(signal.SIGINT)
        return original(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            trainer(tmp_path / "stopped").run()
    assert trainer(tmp_path / "stopped", resume=True).run()
    assert_same(tmp_path / "stopped", finished)
    assert epochs(tmp_path / "stopped") == [1, 2, 3, 4]


def test_a_folder_is_of_one_run_at_a_time(tmp_path: Path) -> None:
    first = trainer(tmp_path / "run")
    first.save()
    with first.folder.locked(), pytest.raises(DataError, match="run is in use: another run writes"):
        trainer(tmp_path / "run", resume=True).run()
    assert trainer(tmp_path / "run", resume=True).run()


def test_figures_of_a_run_that_left_nothing_else_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text('{"epoch": 7}\n')
    assert trainer(tmp_path).run()
    assert epochs(tmp_path) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("left", "said"), [('{"step": 1}\n{"st', "is damaged"), ("", "has no figures")]
)
def test_figures_that_cannot_be_read_are_named(tmp_path: Path, left: str, said: str) -> None:
    run = trainer(tmp_path)
    (tmp_path / METRICS).write_text(left)
    with pytest.raises(DataError, match=f"{METRICS} {said}"):
        run.folder.newest()


def test_a_state_of_another_net_is_named(tmp_path: Path) -> None:
    trainer(tmp_path / "run").save()
    trainer(tmp_path / "other", dataclasses.replace(SMALL, units=16)).save()
    shutil.copy(tmp_path / "other" / STATE, tmp_path / "run" / STATE)
    with pytest.raises(DataError, match=f"{STATE} is of another net"):
        trainer(tmp_path / "run", resume=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="device is cuda, which torch does not find here"):
        trainer(tmp_path / "run", device="cuda")


def test_epochs_that_a_crash_undid_are_written_down_once(tmp_path: Path) -> None:
    crashed = trainer(tmp_path / "run")
    crashed.save()
    for _ in range(crashed.task.round_steps):
        loss = crashed.train_step()
    crashed.finish_round(loss, tqdm(disable=True))  # and no more: the state is that of step 0
    assert epochs(tmp_path / "run") == [1]
    assert trainer(tmp_path / "run", resume=True).run()
    assert epochs(tmp_path / "run") == [1, 2, 3, 4]


def test_time_that_is_up_stops_the_run_and_saves_it(tmp_path: Path) -> None:
    place = RunOptions(run=tmp_path / "run", minutes=1e-6, threads=1)
    assert training.train(SMALL, place) is None
    resumed = dataclasses.replace(place, minutes=None, resume=True)
    assert training.train(SMALL, resumed) == tmp_path / "run" / "digits.onnx"


def test_another_configuration_is_not_resumed(tmp_path: Path) -> None:
    trainer(tmp_path / "run").save()
    other = dataclasses.replace(SMALL, learning_rate=0.01, units=16)
    said = r"run: units was 12, now 16; learning_rate was 0.0025, now 0.01 \(ask for"
    with pytest.raises(DataError, match=said):
        trainer(tmp_path / "run", other, resume=True)


@pytest.mark.parametrize(
    ("left", "said"),
    [(None, "cannot be read: No such"), ("{", "is damaged"), ("[]", "is damaged")],
)
def test_a_run_without_its_configuration_is_not_resumed(
    tmp_path: Path, left: str | None, said: str
) -> None:
    trainer(tmp_path / "run").save()
    file = tmp_path / "run" / CONFIGURATION
    file.unlink()
    if left is not None:
        file.write_text(left)
    with pytest.raises(DataError, match=f"config.json {said}"):
        trainer(tmp_path / "run", resume=True)


def test_a_run_is_not_overwritten_by_another_one(tmp_path: Path) -> None:
    trainer(tmp_path / "run").save()
    with pytest.raises(DataError, match="holds a run already"):
        trainer(tmp_path / "run")


def test_resuming_without_a_saved_state_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no run to resume"):
        trainer(tmp_path / "run", resume=True)


def test_a_full_disk_leaves_the_last_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path / "run")
    run.train_step()
    run.save()
    good = (tmp_path / "run" / STATE).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run.train_step()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=f"{STATE} cannot be written: No space left on device"):
        run.save()
    assert (tmp_path / "run" / STATE).read_bytes() == good
    assert {file.name for file in (tmp_path / "run").iterdir()} == {"config.json", STATE}


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    trainer(tmp_path / "run").save()
    file = tmp_path / "run" / STATE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"{STATE} is damaged"):
        trainer(tmp_path / "run", resume=True)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [training.learning_rate(step, 1000, SMALL) for step in range(1000)]
    top = rates.index(max(rates))
    assert rates[top] == pytest.approx(SMALL.learning_rate)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 1e-5 * SMALL.learning_rate


def test_in_every_cycle_the_rate_does_so_again() -> None:
    rates = [training.learning_rate(step, 500, SMALL) for step in range(1000)]
    assert rates[500:] == rates[:500]


@pytest.mark.parametrize("cycles", [1, 2, 4])
def test_cycles_leave_a_mean_of_the_nets_at_their_ends_but_the_first(
    tmp_path: Path, cycles: int
) -> None:
    running = trainer(tmp_path / "run", dataclasses.replace(SMALL, epochs=1, cycles=cycles))
    ends: list[dict[str, torch.Tensor]] = []
    for step in range(1, running.n_steps + 1):
        running.train_step()
        if step % running.task.cycle_steps == 0:
            ends.append(copy.deepcopy(running.average.module.state_dict()))
    running.finish_round(torch.tensor(0.0), tqdm(disable=True))
    left = network_weights(running.folder.path)
    assert len(ends) == cycles
    shares = {1: [1.0], 2: [0.0, 1.0], 4: [0.0, 0.36, 0.24, 0.4]}[cycles]
    for name, value in left.items():
        mean = sum(share * end[name] for share, end in zip(shares, ends, strict=True))
        torch.testing.assert_close(value, mean)


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
    # Of 300 images and in seconds: far from good, and further from the 0.1 of guessing.
    made = report([path], builders.excerpt(400))
    assert made.contents["accuracy"] > 0.5
    assert load(path).metadata.metrics["held_out_accuracy"] > 0.4


def test_a_stop_in_the_teachers_run_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "TEACHER", dataclasses.replace(TEACHER, epochs=1))
    config = dataclasses.replace(SMALL, epochs=1, teacher_share=0.5)
    at_once, stopped = (RunOptions(run=tmp_path / name, threads=1) for name in ("once", "stopped"))
    assert training.train(config, at_once) == at_once.run / "digits.onnx"
    assert training.train(config, dataclasses.replace(stopped, minutes=1e-9)) is None
    assert not (stopped.run / STATE).exists()
    resumed = dataclasses.replace(stopped, resume=True)
    for _ in range(2):  # what is finished is not trained again
        assert training.train(config, resumed) == stopped.run / "digits.onnx"
        for part in ("", "teacher"):
            assert_same(at_once.run / part, stopped.run / part)
            assert epochs(stopped.run / part) == [1]


def test_a_teacher_is_a_teachers_run_with_the_same_labels(tmp_path: Path) -> None:
    teacher = dataclasses.replace(TEACHER, epochs=1, held_out=100)
    training.train(teacher, RunOptions(run=tmp_path / "teacher"))
    other = trainer(tmp_path / "digits")
    other.folder.save_network(other.network.state_dict())
    config = dataclasses.replace(SMALL, teacher_share=0.5)
    with pytest.raises(DataError, match="digits holds a run of digits, expected one of teacher"):
        training.image_task(config, builders.excerpt(400), [tmp_path / "digits"])
    letters = dataclasses.replace(builders.excerpt(400), labels=tuple("abcdefghij"))
    with pytest.raises(DataError, match="a teacher has other labels"):
        training.image_task(config, letters, [tmp_path / "teacher"])


def test_where_nothing_was_begun_nothing_is_resumed(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, teacher_share=0.5)
    with pytest.raises(DataError, match=r"there is no run to resume"):
        training.train(config, RunOptions(run=tmp_path / "mistyped", resume=True))


STROKES = {
    "é": [
        [(8, 36), (44, 32), (36, 20), (16, 22), (8, 40), (20, 54), (42, 50)],
        [(24, 12), (34, 4)],
    ],
    "ß": [[(16, 60), (16, 14), (30, 6), (40, 16), (24, 28), (42, 40), (36, 54), (22, 54)]],
    "λ": [[(12, 8), (20, 8), (44, 56)], [(30, 30), (10, 56)]],
}


def draw_letters(folder: Path) -> None:
    for letter, strokes in STROKES.items():
        (folder / letter).mkdir(parents=True)
        for number in range(40):
            image = Image.new("L", (64, 64), 255)
            for points in strokes:
                moved = [(x + 3 + number % 7, y * (1 - number / 200)) for x, y in points]
                ImageDraw.Draw(image).line(moved, fill=20, width=4 + number % 4)
            image.save(folder / letter / f"{number}.png")


def test_another_alphabet_goes_through_training_serving_and_client(tmp_path: Path) -> None:
    draw_letters(tmp_path / "letters")
    config = dataclasses.replace(QUICK, held_out=30, epochs=20, batch=8)
    place = RunOptions(run=tmp_path / "run", data=tmp_path / "letters", threads=1)
    path = training.train(config, place)
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
