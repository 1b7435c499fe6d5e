"""Adaptation to one writer: training on one half of the words, reading the other."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.batches import FLUSH_COLUMNS
from inkstream.model.data.ink_set import InkSet
from inkstream.model.evaluation import lines as report_on_lines
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.lines import adaptation
from inkstream.model.evaluation.report import document
from inkstream.model.metrics import errors
from inkstream.model.reader import Reader
from inkstream.model.train import train
from inkstream.model.training.config import HAND, LinesConfig, RunOptions
from inkstream.model.training.run_folder import FLOAT32_FOLDER
from tests.helpers import builders
from tests.helpers.small_ink_set import HEIGHT, Builder

N_WORDS = 24
FROZEN = dataclasses.replace(
    HAND, layers=1, units=24, channels=8, column_height=HEIGHT, steps=2, columns=400, dropout=0.0,
    learning_rate=1e-7, precision="float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Return a net of the dimensions that `FROZEN` trains."""
    return builders.line_checkpoint(
        tmp_path_factory.mktemp("nets") / "tiny.onnx", layers=1, features=24, units=24,
        channels=(4, 8, 8), flush_columns=FLUSH_COLUMNS, directions=True,
    )  # fmt: skip


def ink() -> InkSet:
    """Return words of three or four letters by 40 writers; every letter is the same hook."""
    random, builder = np.random.default_rng(0), Builder()
    for number in range(40):
        for _ in range(N_WORDS if number % 2 else N_WORDS - 1):
            label = "".join(random.choice(list("abc"), random.integers(3, 5)))
            letter_indices = range(len(label))
            points = [
                (60 * index + dx, dy) for index in letter_indices for dx, dy in ((0, 0), (30, 90))
            ]
            builder.add(
                np.array(points), [2] * len(label), np.repeat(letter_indices, 2).astype(np.int16),
                (20.0, 70.0), label=label, category="7", writer=f"x/w{number:02}k", style="printed",
            )  # fmt: skip
    return builder.ink()


@pytest.mark.slow
def test_second_halves_are_read_before_and_after_adaptation(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_in_32_bits(config: LinesConfig, options: RunOptions) -> Path | None:
        path = train(config, options)
        return path and path.parent / FLOAT32_FOLDER / path.name

    # Like the net before: then the same weights give the same answers.
    monkeypatch.setattr(report_on_lines, "train", train_in_32_bits)
    monkeypatch.setattr(report_on_lines, "LEAST_WORDS", N_WORDS)
    evaluation_set = EvaluationSet(ink(), "test", builders.LETTERS, HEIGHT)
    found = adaptation(checkpoint, evaluation_set, 2, FROZEN)
    assert [writer["trained_on"] for writer in found["writers"]] == [N_WORDS // 2] * 2
    assert found["all"]["before"]["pieces"] == N_WORDS
    assert 0 < found["new_words"]["before"]["pieces"] < N_WORDS
    # The learning rate is too small to change anything.
    assert found["all"]["after"] == found["all"]["before"]
    assert found["all"]["reduction"] == 0
    halves = [
        sorted(indices)[N_WORDS // 2 :]
        for indices in evaluation_set.by_writer(evaluation_set.indices("7")).values()
        if len(indices) == N_WORDS
    ]
    expected = [
        errors(
            [reading.text for reading in Reader(checkpoint).read(evaluation_set.samples(half))],
            evaluation_set.labels(half),
        )
        for half in halves
    ]
    assert all(writer["all"]["before"] in expected for writer in found["writers"])
    section = document("lines", builders.shipped_report("lines") | {"adaptation": found}, "plots")
    assert section.count("| x |") == 2
    assert f"| all | {N_WORDS} | {N_WORDS} |" in section


def test_writers_with_few_words_are_not_chosen(checkpoint: Checkpoint) -> None:
    evaluation_set = EvaluationSet(ink(), "test", builders.LETTERS, HEIGHT)
    found = adaptation(checkpoint, evaluation_set, 2, FROZEN)
    assert found["writers"] == []
    assert found["all"]["reduction"] is None
