"""Training lines: it learns, goes on exactly, and ends with a checkpoint that reads."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inkstream.model import calibration
from inkstream.model import train as training
from inkstream.model.checkpoint import find, read
from inkstream.model.data.batches import (
    FLUSH_COLUMNS,
    AugmentedRenderer,
    InkPieces,
    LineBatches,
    collate,
    draw_piece,
    split_by_width,
)
from inkstream.model.data.ink_set import CATEGORIES, InkSet
from inkstream.model.data.split import parts
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.errors import CheckpointError, ConfigError, DataError
from inkstream.model.runtime import Runtime
from inkstream.model.training import lines as line_data
from inkstream.model.training.config import LinesConfig, Optimiser, RunOptions
from inkstream.model.training.lines import (
    N_SHARDS,
    InitialNet,
    LinesTask,
    ctc_loss,
    end_loss,
    framewise_loss,
    initial_net,
)
from inkstream.model.training.run_folder import network_weights

pytestmark = pytest.mark.slow

SMALL = LinesConfig(
    layers=1, units=24, channels=8, column_height=16, dropout=0.1, steps=6,
    columns=600, framewise=4, made=0, images=0, precision="float32",
)  # fmt: skip

# Three letters that differ at a glance, in units of an x-height of 100.
SHAPES: dict[str, list[list[tuple[int, int]]]] = {
    "o": [
        [(50 + round(50 * math.cos(a / 2)), 50 - round(50 * math.sin(a / 2))) for a in range(14)]
    ],
    "l": [[(10, -100), (10, 0), (10, 100)]],
    "z": [[(0, 0), (60, 0), (0, 100), (60, 100)]],
}


def ink(n_pieces: int = 240, n_writers: int = 40) -> InkSet:
    """Words of one to four letters by several writers."""
    random = np.random.default_rng(0)
    points: list[tuple[float, float]] = []
    letters: list[int] = []
    stroke_starts, piece_starts, labels, categories = [0], [0], [], []
    for _ in range(n_pieces):
        label = "".join(random.choice(list(SHAPES), random.integers(1, 5)))
        own: list[tuple[float, float]] = []
        left = 0.0
        for place, letter in enumerate(label):
            for stroke in SHAPES[letter]:
                own += [(left + x, y) for x, y in stroke]
                letters += [place] * len(stroke)
                stroke_starts.append(len(points) + len(own))
            left = max(x for x, _ in own) + 40
        top = min(y for _, y in own)
        points += [(x, y - top) for x, y in own]
        piece_starts.append(len(stroke_starts) - 1)
        labels.append(label)
        categories.append(CATEGORIES.index("1c" if len(label) == 1 else "7"))
    return InkSet(
        points=np.array(points, np.int16),
        letter_of_point=np.array(letters, np.int16),
        stroke_starts=np.array(stroke_starts, np.int64),
        piece_starts=np.array(piece_starts, np.int64),
        labels=tuple(labels),
        categories=np.array(categories, np.uint8),
        writers=np.arange(n_pieces, dtype=np.int32) % n_writers,
        writer_names=tuple(f"donor/w{number:02}x" for number in range(n_writers)),
        styles=np.zeros(n_pieces, np.uint8),
        guides=np.full((n_pieces, 2), np.nan, np.float32),
    )


@pytest.fixture(autouse=True)
def _ink_for_unipen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little ink in the place of UNIPEN's; everything else is as it is."""
    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))


def batches(columns: int = 600) -> LineBatches:
    everything = ink()
    pieces = InkPieces(everything, np.arange(len(everything)), tuple("loz"))
    shares = {"characters": 1.0, "words": 1.0}
    return LineBatches(pieces, AugmentedRenderer(16, strength=1.0), shares, columns, {})


def test_a_batch_follows_from_its_random_numbers(tmp_path: Path) -> None:
    first, second, other = (
        collate(batches().draw(np.random.default_rng(seed), "words")) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.columns, second.columns)
    assert first.labels == second.labels
    assert first.labels != other.labels


def test_batches_have_about_the_columns_asked_for_and_little_padding() -> None:
    drawer, random = batches(900), np.random.default_rng(0)
    dealt = split_by_width([line for _ in range(8) for line in drawer.draw(random, "words")], 16)
    sizes = [part.columns[..., 0].size for part in dealt]
    assert max(sizes) < 2 * min(sizes)
    assert 300 < np.mean(sizes) < 900
    assert 2 * sum(part.steps.sum() for part in dealt) > 0.8 * sum(sizes)


def test_every_line_has_blank_columns_behind_it_and_knows_where_letters_end() -> None:
    batch = collate(batches().draw(np.random.default_rng(3), "words"))
    for row, (label, steps) in enumerate(zip(batch.labels, batch.steps, strict=True)):
        inked = np.flatnonzero(batch.columns[row].any(1))
        assert inked[-1] <= 2 * steps - FLUSH_COLUMNS
        ends = batch.letters[row, : len(label)]
        assert (np.diff(ends) > 0).all()
        assert abs(ends[-1] - inked[-1]) <= 3


def one_answer(n_steps: int, spoken: dict[int, int]) -> torch.Tensor:
    """Log-probabilities [1, n, 4] of a net that is sure: these symbols, else the blank."""
    scores = torch.full((1, n_steps, 4), -20.0)
    scores[0, :, 0] = 0
    for step, symbol in spoken.items():
        scores[0, step, 0], scores[0, step, symbol] = -20.0, 0.0
    return scores.log_softmax(2)


def test_losses_are_least_for_the_right_answer() -> None:
    batch = collate(batches(40).draw(np.random.default_rng(0), "words"))
    row = 0
    label, ends = batch.labels[row], batch.letters[row]
    one = dataclasses.replace(
        batch, columns=batch.columns[:1], steps=batch.steps[:1], labels=batch.labels[:1],
        letters=batch.letters[:1, : len(label)],
    )  # fmt: skip
    n_steps, alphabet = int(batch.steps[row]), tuple("loz")
    one = dataclasses.replace(one, columns=one.columns[:, : 2 * n_steps])
    steps = (ends[: len(label)] // 2).astype(int)
    symbols = [alphabet.index(letter) + 1 for letter in label]
    right = dict(zip((steps + 1).tolist(), symbols, strict=True))
    wrong = dict.fromkeys(right, 1 + symbols[0] % 3)
    assert ctc_loss(one_answer(n_steps, right), one, alphabet) < 0.01
    assert ctc_loss(one_answer(n_steps, wrong), one, alphabet) > 1
    told = right | {step + 1: symbol for step, symbol in right.items()}
    assert framewise_loss(one_answer(n_steps, told), one, alphabet, eager=False) < 0.01
    assert framewise_loss(one_answer(n_steps, {}), one, alphabet, eager=False) > 1
    scores = torch.full((1, n_steps), -20.0)
    scores[0, steps + 2] = 20
    assert end_loss(scores, one) < 0.01
    assert end_loss(-scores, one) > 1


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_three_steps_and_three_more_equal_six(tmp_path: Path, optimiser: Optimiser) -> None:
    config = dataclasses.replace(SMALL, optimiser=optimiser)

    def trainer(name: str, *, resume: bool = False) -> training.Trainer:
        at = RunOptions(run=tmp_path / name, threads=1, resume=resume)
        return training.Trainer(config, at, training.make_task(config, at))

    assert trainer("six").run()
    half = trainer("half")
    for _ in range(3):
        half.train_step()
    half.save()
    assert trainer("half", resume=True).run()
    ours, theirs = network_weights(tmp_path / "half"), network_weights(tmp_path / "six")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())


def test_the_parts_of_a_batch_share_the_threads_again_in_every_run(tmp_path: Path) -> None:
    for name in ("first", "second"):
        place = RunOptions(run=tmp_path / name)
        training.Trainer(SMALL, place, training.make_task(SMALL, place))
        assert torch.get_num_threads() == max(1, training.THREADS // N_SHARDS)


def write_json_lines(path: Path, renamed: dict[str, str]) -> Path:
    """The same ink as a user's file, with some letters called otherwise."""
    everything, lines = ink(), []
    for index in range(len(everything)):
        piece = everything.piece(index)
        label = "".join(renamed.get(letter, letter) for letter in piece.label)
        strokes = [stroke.tolist() for stroke in piece.strokes]
        lines.append(json.dumps({"strokes": strokes, "label": label}))
    path.write_text("\n".join(lines))
    return path


def test_ink_that_knows_no_letters_place_begins_with_ctc(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known, everything = line_data.own_ink("known", ink()), ink()
    nowhere = np.full_like(everything.letter_of_point, -1)
    unknown = line_data.own_ink("mine", dataclasses.replace(everything, letter_of_point=nowhere))
    config = dataclasses.replace(SMALL, framewise=100)
    framewise, ctc = (LinesTask(config, data).loss(0, 0) for data in (known, unknown))
    assert 0 < framewise < ctc
    said = capsys.readouterr()
    assert (
        "framewise is left out: mine has no ink that is assigned to letters" in said.out + said.err
    )


def test_a_users_own_ink_with_new_letters_goes_on_from_a_net_that_lacks_them(
    tmp_path: Path,
) -> None:
    known = line_data.own_ink("known", ink())
    assert known.characters == (" ", "l", "o", "z")
    torch.manual_seed(0)
    first = LinesTask(SMALL, known)
    start = InitialNet(first.labels, first.network.state_dict(), "digest")
    data = line_data.load_ink(write_json_lines(tmp_path / "mine.jsonl", {"z": "ß"}))
    task = LinesTask(SMALL, data, start)
    assert task.labels == (" ", "l", "o", "z", "ß")
    assert torch.equal(task.network.state_dict()["head.weight"][:5], start.weights["head.weight"])
    assert torch.isfinite(task.loss(0, 0))
    assert task.validate(task.network)["held_out"]["words"] >= 0


def test_a_run_keeps_a_share_of_the_weights_that_it_begins_with() -> None:
    data = line_data.own_ink("ink", ink())
    begun = LinesTask(SMALL, data)
    start = InitialNet(begun.labels, begun.network.state_dict(), "digest")
    task = LinesTask(dataclasses.replace(SMALL, keep=0.25), data, start)
    other = LinesTask(dataclasses.replace(SMALL, seed=1), data).network
    for name, value in task.final_network(other).state_dict().items():
        expected = 0.25 * start.weights[name] + 0.75 * other.state_dict()[name]
        torch.testing.assert_close(value, expected)
    assert begun.final_network(other) is other
    with pytest.raises(ConfigError, match=r"keep is 0.25, but there are no weights to begin with"):
        LinesTask(dataclasses.replace(SMALL, keep=0.25), data)


def test_a_net_of_other_dimensions_cannot_be_gone_on_from() -> None:
    data = line_data.own_ink("ink", ink())
    small = LinesTask(SMALL, data)
    start = InitialNet(small.labels, small.network.state_dict(), "digest")
    with pytest.raises(DataError, match=r"\(layers, units\): \(1, 24\), asked for: \(1, 32\); "):
        LinesTask(dataclasses.replace(SMALL, units=32), data, start)


def test_a_bidirectional_net_begins_by_reading_as_the_causal_one_and_learns() -> None:
    data = line_data.own_ink("ink", ink())
    small = LinesTask(SMALL, data)
    start = InitialNet(small.labels, small.network.state_dict(), "digest")
    large = LinesTask(dataclasses.replace(SMALL, bidirectional=True), data, start)
    columns = torch.rand(2, 40, SMALL.column_height)
    small.network.eval()
    large.network.eval()
    for said, before in zip(large.network(columns), small.network(columns), strict=True):
        assert torch.equal(said, before)
    large.network.train()
    new = dict(large.network.named_parameters())["backwards.0.weight_ih_l0"]
    (slopes,) = torch.autograd.grad(large.loss(0, 0), [new])
    assert slopes.abs().sum() > 0
    again = InitialNet(large.labels, large.network.state_dict(), "digest")
    with pytest.raises(DataError, match=r"weights that do not fit: backwards\.0"):
        LinesTask(SMALL, data, again)


@pytest.mark.parametrize("n_writers", [2, 40])
def test_some_of_a_users_ink_is_held_out(n_writers: int) -> None:
    data = line_data.own_ink("ink", ink(n_writers=n_writers))
    assert not set(data.training) & set(data.validation)
    assert len(data.training) + len(data.validation) == len(data.ink)
    writers = [set(data.ink.writers[part]) for part in (data.training, data.validation)]
    assert bool(writers[0] & writers[1]) is (n_writers == 2)


def test_too_little_ink_is_refused() -> None:
    with pytest.raises(DataError, match="ink has 9 labelled pieces, expected at least 10"):
        line_data.own_ink("ink", ink(n_pieces=9, n_writers=1))


def transcribed(path: Path, columns: NDArray[np.uint8]) -> str:
    runtime = Runtime(read(path))
    decoder = GreedyDecoder(runtime.config.labels, runtime.config.flush_columns)
    scores, state = runtime.run(columns[:, None], runtime.initial_state(1))
    decoder.step(scores[:, 0], columns)
    blank = np.zeros((runtime.config.flush_columns, 1, columns.shape[1]), np.uint8)
    decoder.flush(runtime.run(blank, state)[0][:, 0])
    return decoder.text


def test_a_run_learns_to_read_words_and_another_run_goes_on_from_its_checkpoint(
    tmp_path: Path,
) -> None:
    config = dataclasses.replace(
        SMALL, steps=260, framewise=120, learning_rate=0.01, strength=0.3, ema=0.95, dropout=0.0
    )
    path = training.train(config, RunOptions(run=tmp_path / "run", threads=1))
    assert path == tmp_path / "run" / "lines.onnx"
    metadata = read(path).metadata
    assert metadata.metrics["held_out_words_error"] < 0.3
    everything = ink()
    held_out = InkPieces(everything, parts(everything)["test"], tuple("loz"))
    lines = [draw_piece(held_out, place, 16) for place in range(20)]
    right = sum(transcribed(path, line.columns) == line.label for line in lines)
    assert right >= 12
    onward = dataclasses.replace(config, steps=2, learning_rate=1e-6, framewise=0)
    again = training.train(onward, RunOptions(run=tmp_path / "more", init=path, threads=1))
    assert again is not None
    assert read(again).metadata.metrics["held_out_words_error"] == pytest.approx(
        metadata.metrics["held_out_words_error"], abs=0.02
    )


@pytest.mark.parametrize("enough", [10, 1_000])
def test_few_letters_leave_the_temperatures_that_a_run_begins_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: int
) -> None:
    monkeypatch.setattr(calibration, "ENOUGH", enough)
    data = line_data.own_ink("ink", ink())
    begun = LinesTask(SMALL, data)
    start = InitialNet(begun.labels, begun.network.state_dict(), "digest", (1.7, 0.6))
    config = dataclasses.replace(SMALL, steps=1, learning_rate=1e-7)
    task = LinesTask(config, data, start)
    trainer = training.Trainer(config, RunOptions(run=tmp_path, threads=1), task)
    assert trainer.run()
    temperatures = read(task.finish(trainer.folder)).metadata.temperatures
    assert (temperatures == (1.7, 0.6)) is (enough == 1_000)


def test_a_net_is_named_even_where_a_folder_has_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lines").mkdir()
    monkeypatch.chdir(tmp_path)
    shipped = initial_net(Path("lines"))
    assert shipped.digest == read(find("lines")).digest


def test_a_classifier_is_nothing_to_begin_with() -> None:
    with pytest.raises(CheckpointError, match=r"digits.onnx: it is a classifier, expected a tra"):
        initial_net(Path("digits"))
