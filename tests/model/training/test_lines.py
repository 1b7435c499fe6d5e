"""Training of lines: it learns, resumes exactly, and writes a checkpoint that reads."""

import dataclasses
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from inkstream import load
from inkstream.model import calibration
from inkstream.model import train as training
from inkstream.model.checkpoint import read
from inkstream.model.data import line_data
from inkstream.model.data.batches import (
    FLUSH_COLUMNS,
    AugmentedRenderer,
    InkPieces,
    LineBatches,
    collate,
    draw_piece,
)
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.split import parts
from inkstream.model.errors import CheckpointError, ConfigError, DataError
from inkstream.model.training import lines
from inkstream.model.training.config import LinesConfig, Optimiser, RunOptions
from inkstream.model.training.initial import TrainedNet, initial_net
from inkstream.model.training.lines import (
    UNDIRECTED,
    LinesTask,
)
from inkstream.model.training.losses import ctc_loss, end_loss, framewise_loss
from inkstream.model.training.run_folder import network_weights
from tests.helpers import builders
from tests.helpers.small_ink_set import Builder

pytestmark = pytest.mark.slow

SMALL = LinesConfig(
    layers=1, units=24, channels=8, column_height=16, dropout=0.1, steps=6,
    columns=600, framewise=4, made=0, images=0, precision="float32",
)  # fmt: skip

# Three very different letters, in units of an x-height of 100.
SHAPES: dict[str, list[list[tuple[int, int]]]] = {
    "o": [
        [(50 + round(50 * math.cos(a / 2)), 50 - round(50 * math.sin(a / 2))) for a in range(14)]
    ],
    "l": [[(10, -100), (10, 0), (10, 100)]],
    "z": [[(0, 0), (60, 0), (0, 100), (60, 100)]],
}


def ink(n_pieces: int = 240, n_writers: int = 40) -> InkSet:
    """Return words of one to four letters by several writers."""
    random, builder = np.random.default_rng(0), Builder()
    for number in range(n_pieces):
        label = "".join(random.choice(list(SHAPES), random.integers(1, 5)))
        strokes: list[list[tuple[float, int]]] = []
        letters: list[int] = []
        left = 0.0
        for index, letter in enumerate(label):
            strokes += [[(left + x, y) for x, y in stroke] for stroke in SHAPES[letter]]
            left = max(x for stroke in strokes for x, _ in stroke) + 40
            letters += [index] * sum(map(len, SHAPES[letter]))
        builder.add(
            np.concatenate(strokes), [*map(len, strokes)], np.array(letters, np.int16),
            (np.nan, np.nan), label=label, category="1c" if len(label) == 1 else "7",
            writer=f"donor/w{number % n_writers:02}x",
        )  # fmt: skip
    return builder.ink()


@pytest.fixture(autouse=True)
def _ink_for_unipen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a little ink instead of UNIPEN."""
    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))


def batches(columns: int = 600) -> LineBatches:
    all_ink = ink()
    pieces = InkPieces(all_ink, np.arange(len(all_ink)), tuple("loz"))
    shares = {"characters": 1.0, "words": 1.0}
    return LineBatches(pieces, AugmentedRenderer(16, strength=1.0), shares, columns, {})


def test_batches_have_about_the_given_columns() -> None:
    line_batches, random = batches(900), np.random.default_rng(0)
    drawn = [collate(line_batches.draw(random, "words")) for _ in range(8)]
    assert 600 < np.mean([batch.columns[..., 0].size for batch in drawn]) < 1800


def test_every_line_is_followed_by_blank_columns_and_has_letter_ends() -> None:
    batch = collate(batches().draw(np.random.default_rng(3), "words"))
    for index, (label, steps) in enumerate(zip(batch.labels, batch.steps, strict=True)):
        inked = np.flatnonzero(batch.columns[index].any(1))
        assert inked[-1] <= 2 * steps - FLUSH_COLUMNS
        ends = batch.letters[index, : len(label)]
        assert (np.diff(ends) > 0).all()
        assert abs(ends[-1] - inked[-1]) <= 3


def certain_scores(n_steps: int, symbol_of_step: dict[int, int]) -> torch.Tensor:
    """Return certain log-probabilities [1, n, 4]: these symbols, at other steps the blank."""
    scores = torch.full((1, n_steps, 4), -20.0)
    scores[0, :, 0] = 0
    for step, symbol in symbol_of_step.items():
        scores[0, step, 0], scores[0, step, symbol] = -20.0, 0.0
    return scores.log_softmax(2)


def test_losses_are_smallest_for_the_correct_answer() -> None:
    line = collate(batches(40).draw(np.random.default_rng(0), "words")[:1])
    (label,), (n_steps,) = line.labels, line.steps.tolist()
    alphabet, steps = {"l": 1, "o": 2, "z": 3}, (line.letters[0] // 2).astype(int)
    symbols = [alphabet[letter] for letter in label]
    correct = dict(zip((steps + 1).tolist(), symbols, strict=True))
    incorrect = dict.fromkeys(correct, 1 + symbols[0] % 3)
    assert ctc_loss(certain_scores(n_steps, correct), line, alphabet) < 0.01
    assert ctc_loss(certain_scores(n_steps, incorrect), line, alphabet) > 1
    framewise = partial(framewise_loss, batch=line, index=alphabet, eager=False)
    held_for_two_steps = correct | {step + 1: symbol for step, symbol in correct.items()}
    assert framewise(certain_scores(n_steps, held_for_two_steps)) < 0.01
    assert framewise(certain_scores(n_steps, {})) > 1
    scores = torch.full((1, n_steps), -20.0)
    scores[0, steps + 2] = 20
    assert end_loss(scores, line) < 0.01
    assert end_loss(-scores, line) > 1


class MetaNet(torch.nn.Module):
    """A net on a device without numbers, whose answer is always the blank."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(1, device="meta"))

    def forward(self, columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        assert columns.is_meta
        n_lines, n_steps = len(columns), columns.shape[1] // 2
        scores = torch.zeros(n_lines, n_steps, 4)
        scores[..., 0] = 20
        return scores, torch.full((n_lines, n_steps), -20.0), None


def test_lines_are_validated_on_the_device_of_the_net() -> None:
    samples = batches().draw(np.random.default_rng(0), "words")
    config = builders.line_config("loz")
    assert lines.transcribe(MetaNet(), samples, config) == [""] * len(samples)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_three_steps_and_three_more_equal_six(tmp_path: Path, optimiser: Optimiser) -> None:
    config = dataclasses.replace(SMALL, optimiser=optimiser)

    def trainer(name: str) -> training.Trainer:
        options = RunOptions(run=tmp_path / name, threads=1)
        return training.Trainer(config, options, training.make_task(config, options))

    assert trainer("six").run()
    half = trainer("half")
    for _ in range(3):
        half.train_step()
    half.save()
    assert trainer("half").run()
    first, second = network_weights(tmp_path / "half"), network_weights(tmp_path / "six")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_shards_share_the_threads_in_every_run(tmp_path: Path) -> None:
    for name in ("first", "second"):
        options = RunOptions(run=tmp_path / name)
        training.Trainer(SMALL, options, training.make_task(SMALL, options))
        assert torch.get_num_threads() == max(1, training.THREADS // LinesTask.n_shards)


def write_json_lines(path: Path, label_of_letter: dict[str, str]) -> Path:
    """Write the ink as a user's file, with other labels for some letters; return its path."""
    all_ink, lines = ink(), []
    for index in range(len(all_ink)):
        piece = all_ink.piece(index)
        label = "".join(label_of_letter.get(letter, letter) for letter in piece.label)
        strokes = [stroke.tolist() for stroke in piece.strokes]
        lines.append(json.dumps({"strokes": strokes, "label": label}))
    path.write_text("\n".join(lines))
    return path


def test_ink_that_is_not_segmented_begins_with_ctc(
    capsys: pytest.CaptureFixture[str],
) -> None:
    no_letters = np.full_like(ink().letter_of_point, -1)
    unsegmented = dataclasses.replace(ink(), letter_of_point=no_letters)
    config = dataclasses.replace(SMALL, framewise=100)
    framewise, ctc = (
        LinesTask(config, line_data.own_ink("mine", of)).loss(0, 0) for of in (ink(), unsegmented)
    )
    assert 0 < framewise < ctc
    text = "framewise is left out: mine has no ink that is assigned to letters"
    assert text in capsys.readouterr().out


def test_a_users_ink_with_new_letters_continues_from_a_net_without_them(
    tmp_path: Path,
) -> None:
    initial_data = line_data.own_ink("known", ink())
    assert initial_data.characters == (" ", "l", "o", "z")
    torch.manual_seed(0)
    first = LinesTask(SMALL, initial_data)
    start = TrainedNet(first.labels, first.network.state_dict(), "digest")
    data = line_data.load_labelled(write_json_lines(tmp_path / "mine.jsonl", {"z": "ß"}))
    task = LinesTask(SMALL, data, start)
    assert task.labels == (" ", "l", "o", "z", "ß")
    assert torch.equal(task.network.state_dict()["head.weight"][:5], start.weights["head.weight"])
    assert torch.isfinite(task.loss(0, 0))
    assert task.validate(task.network)["words"] >= 0


def test_a_run_keeps_a_share_of_its_initial_weights_where_it_has_some() -> None:
    data, start = line_data.own_ink("ink", ink()), initial_net_of(2)
    config = dataclasses.replace(SMALL, keep=0.25)
    task = LinesTask(config, data, start)
    assert task.labels == (" ", "l", "o", "z")
    trained = LinesTask(dataclasses.replace(SMALL, seed=1), data)
    assert trained.final_network(trained.network) is trained.network
    for name, value in task.final_network(trained.network).state_dict().items():
        before, after = start.weights[name], trained.network.state_dict()[name]
        kept = len(before)
        torch.testing.assert_close(value[:kept], 0.25 * before + 0.75 * after[:kept])
        assert torch.equal(value[kept:], after[kept:])
    with pytest.raises(ConfigError, match=r"keep is 0.25, but there are no weights to begin with"):
        LinesTask(config, data)


def initial_net_of(n_labels: int) -> TrainedNet:
    """Return a net with random weights and the first of the labels."""
    task = LinesTask(SMALL, line_data.own_ink("ink", ink()))
    start = TrainedNet(task.labels[:n_labels], task.network.state_dict(), "digest")
    for name in ("head.weight", "head.bias"):
        start.weights[name] = start.weights[name][: 1 + n_labels]
    return start


@pytest.mark.parametrize("n_known", [3, 4])
def test_initial_weights_of_other_dimensions_are_refused(n_known: int) -> None:
    expected = r"of the initial net .* are of another net: .*is \[24, \d+\], expected \[32, \d+\]"
    config = dataclasses.replace(SMALL, units=32)
    with pytest.raises(DataError, match=expected):
        LinesTask(config, line_data.own_ink("ink", ink()), initial_net_of(n_known))


def test_a_look_and_chance_take_the_directions_of_a_line() -> None:
    data, rows = line_data.own_ink("ink", ink()), SMALL.column_height
    for rough, share in ((1.0, 0.0), (0.0, 1 - UNDIRECTED)):
        config = dataclasses.replace(SMALL, rough=rough, columns=3_000, framewise=0)
        task = LinesTask(config, data)
        lines = [part for step in range(8) for part in (task.part(step, 0), task.part(step, 1))]
        tell = [own.any() for part in lines for own in part.columns[..., rows:]]
        assert abs(np.mean(tell) - share) < 0.1


def test_a_run_learns_to_read_words_and_another_run_continues_from_its_checkpoint(
    tmp_path: Path,
) -> None:
    config = dataclasses.replace(
        SMALL, steps=260, framewise=120, learning_rate=0.01, strength=0.3, ema=0.95, dropout=0.0
    )
    path = training.train(config, RunOptions(run=tmp_path / "run", threads=1))
    assert path == tmp_path / "run" / "lines.onnx"
    metadata = read(path).metadata
    assert metadata.metrics["held_out_words_error"] < 0.3
    all_ink = ink()
    held_out = InkPieces(all_ink, parts(all_ink)["test"], tuple("loz"))
    lines = [draw_piece(held_out, index, 16, directions=True) for index in range(20)]
    readings = load(path).read_all([line.columns for line in lines])
    pairs = zip(readings, lines, strict=True)
    assert sum(reading.text == line.label for reading, line in pairs) >= 12
    short = dataclasses.replace(config, steps=2, learning_rate=1e-6, framewise=0)
    again = training.train(short, RunOptions(run=tmp_path / "more", init=path, threads=1))
    assert again is not None
    assert read(again).metadata.metrics["held_out_words_error"] == pytest.approx(
        metadata.metrics["held_out_words_error"], abs=0.06
    )  # three of 54 characters: the checkpoint's weights are of 8 bits


@pytest.mark.parametrize("enough", [10, 1_000])
def test_with_few_letters_a_run_keeps_its_initial_temperatures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: int
) -> None:
    monkeypatch.setattr(calibration, "ENOUGH", enough)
    start = dataclasses.replace(initial_net_of(4), temperatures=(1.7, 0.6))
    config = dataclasses.replace(SMALL, steps=1, learning_rate=1e-7)
    task = LinesTask(config, line_data.own_ink("ink", ink()), start)
    trainer = training.Trainer(config, RunOptions(run=tmp_path, threads=1), task)
    assert trainer.run()
    temperatures = read(trainer.finish()).metadata.temperatures
    assert (temperatures == (1.7, 0.6)) is (enough == 1_000)


def test_a_classifier_is_refused_as_initial_weights() -> None:
    with pytest.raises(CheckpointError, match=r"digits.onnx: it is a classifier, expected a tra"):
        initial_net(Path("digits"), "lines")
