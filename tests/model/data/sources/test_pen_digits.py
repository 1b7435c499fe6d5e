"""Pen digits are drawn as MNIST's images are, and no writer is in two parts."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.data.ink_set import InkLine
from inkstream.model.data.sources import unipen
from inkstream.model.data.sources.pen_digits import drawn_digit, load
from inkstream.model.data.split import part_of_writer
from inkstream.model.data.statistics import Statistics
from inkstream.model.errors import DataError
from tests.helpers.small_ink_set import Builder

SEVEN = [[[0, 0], [60, 0], [20, 100]], [[20, 50], [60, 50]]]
WRITERS = [f"w{number}" for number in range(10)]
DONORS = tuple(f"abc/w{number}" for number in range(20))


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with two digits by ten writers; UNIPEN has a digit and a word by twenty."""
    path = tmp_path / "digits.jsonl.xz"
    rows = [
        {"strokes": SEVEN, "label": label, "writer": name} for name in WRITERS for label in "71"
    ]
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, rows)).encode()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    builder = Builder()
    for writer in DONORS:
        for label, category in (("4", "1a"), ("word", "7")):
            points, letters = np.array([[0, 0], [50, 100]]), np.full(2, -1, np.int16)
            builder.add(points, [2], letters, (0, 9), label=label, category=category, writer=writer)
    unipen.keep(builder.ink(), Statistics(), unipen.cache_folder())
    return path


def test_every_digit_is_in_one_part_and_words_are_in_none(digits: Path) -> None:
    parts = [load(digits, part) for part in ("train", "validation", "test")]
    writers = [set(digits_of_part["pen digits"].writers.tolist()) for digits_of_part in parts]
    assert [len(writers_of_part) for writers_of_part in writers] == [6, 2, 2]
    assert len(set.union(*writers)) == 10
    counts = {name: sum(value == name for value in part_of_writer(DONORS).values())
              for name in ("train", "validation", "test")}  # fmt: skip
    drawn = [len(digits_of_part["UNIPEN 1a"].images) for digits_of_part in parts]
    assert drawn == [2 * counts["train"], counts["validation"], counts["test"]]
    assert len({(name, of.split_digest) for part in parts for name, of in part.items()}) == 2
    answers = parts[0]["pen digits"].images.answers.tolist()
    assert answers == [7, 7, 1, 1, *answers[4:]]


def test_a_file_without_digits_is_refused(digits: Path) -> None:
    rows = [{"strokes": SEVEN, "label": "word", "writer": name} for name in WRITERS]
    digits.write_bytes(lzma.compress("\n".join(map(json.dumps, rows)).encode()))
    with pytest.raises(DataError, match="pen digits: of 0 digits by 10 writers none is for train"):
        load(digits, "train")


def test_a_digit_is_drawn_as_mnists_are_by_pens_of_every_width() -> None:
    points = np.concatenate([np.array(stroke, np.int16) for stroke in SEVEN])
    piece = InkLine(points, np.array([0, 3, 5]), np.zeros(5, np.int16), "7")
    random = np.random.default_rng(0)
    drawn = [drawn_digit(piece, random) for _ in range(50)]
    for columns in drawn:
        assert columns.shape == (28, 28)
        mass = columns.sum(dtype=float)
        middle = [columns.sum(axis) @ (np.arange(28) + 0.5) / mass for axis in (0, 1)]
        np.testing.assert_allclose(middle, 14, atol=0.3)
        inked = (columns > 127).nonzero()
        assert 17 <= max(np.ptp(indices) + 1 for indices in inked) <= 21
    dot = InkLine(np.zeros((1, 2), np.int16), np.array([0, 1]), np.zeros(1, np.int16), "1")
    assert drawn_digit(dot, random).any()
    masses = [columns.sum() / 255 for columns in drawn]
    assert max(masses) > 2.5 * min(masses)
