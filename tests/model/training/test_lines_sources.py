"""Sources of training lines beside ink, and their requirements."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.data import line_data
from inkstream.model.data.sources.paper import load_lines
from inkstream.model.errors import DataError
from inkstream.model.training import lines
from inkstream.model.training.config import LinesConfig
from inkstream.model.training.lines import LinesTask
from tests.helpers.paper_folder import write_index
from tests.model.training.test_lines import SMALL, ink

pytestmark = pytest.mark.usefixtures("mnist_excerpt")


def task(config: LinesConfig, letters: str) -> LinesTask:
    """Return a task with ink whose labels have other letters than `o`, `l` and `z`."""
    labels = tuple(label.translate(str.maketrans("olz", letters)) for label in ink().labels)
    return LinesTask(config, line_data.own_ink("mine", dataclasses.replace(ink(), labels=labels)))


@pytest.mark.parametrize(
    ("letters", "shares", "text"),
    [
        (
            "012",
            {"images": 1.5, "words": 0},
            "images is left out: numbers need all digits, mine has no 3 4 5 6 7 8 9\n",
        ),
        ("+=%", {"made": 9}, "made is left out: no label has a word"),
    ],
)
def test_sources_that_the_data_are_too_little_for_are_left_out(
    capsys: pytest.CaptureFixture[str], letters: str, shares: dict[str, float], text: str
) -> None:
    config = dataclasses.replace(SMALL, **shares)  # type: ignore[arg-type]  # several fields' values
    labels = task(config, letters).part(0, 0).labels
    assert text in capsys.readouterr().out
    assert all(set(label) <= set(letters) for label in labels)


def test_a_run_prints_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    made = task(dataclasses.replace(SMALL, characters=1, words=3, text=6), "olz")
    assert capsys.readouterr().out.splitlines() == [
        "plan: 6 steps of 600 columns; 1 layers of 24 units, 4 labels",
        "columns: 25% characters, 75% words",  # there is no text
        f"ink: mine ({len(made.data.training)} pieces)",
    ]


def test_words_of_one_writer_without_letters_are_joined_to_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    letters = np.full_like(ink().letter_of_point, -1)
    words = dataclasses.replace(ink(n_writers=1), letter_of_point=letters)
    lines_task = LinesTask(dataclasses.replace(SMALL, made=100), line_data.own_ink("mine", words))
    assert "made is without spelt, numbers, random: no writer" in capsys.readouterr().out
    assert any(" " in label for label in lines_task.part(8, 0).labels)


def test_pieces_left_out_of_training_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def piece(label: str, *points: tuple[int, int]) -> str:
        return json.dumps({"label": label, "strokes": [[[0, 0], *points]]})

    words = [piece("word", (400, 100), (400, number)) for number in range(40)]
    wide = [piece("wide", (20_000, 100), (9_000, number)) for number in range(3)]
    narrow = [piece("no word of this width", (10, 100))] * 2
    (tmp_path / "mine.jsonl").write_text("\n".join([*words, *wide, *narrow, piece("a\nb")]))
    LinesTask(
        dataclasses.replace(SMALL, column_height=32),
        line_data.load_labelled(tmp_path / "mine.jsonl"),
    )
    assert capsys.readouterr().out.endswith(
        "pieces left out: 1 label of several lines, 3 wider than 1500 columns,"
        " 2 narrower than 2.2 columns a character\n"
    )


def test_no_training_data_is_an_error() -> None:
    config = dataclasses.replace(SMALL, made=9, characters=0, words=0, text=0)
    with pytest.raises(DataError, match="no ink to train on is left"):
        task(config, "αβγ")


def paper_task(folder: Path) -> LinesTask:
    """Return a task that reads words by ten writers and lines of three sheets of registers."""
    words = write_index(folder / "words", {f"dhsd-{n}": ["zoo", "lool"] for n in range(10)})
    sheets = {f"lect:page-FRAN_0025_{n:04}_L-0": ["ol zl"] for n in (73, 934, 2352)}
    lines = write_index(folder / "lines", sheets)
    config = dataclasses.replace(SMALL, column_height=32, scans=10, characters=0, words=0, text=0)
    data = line_data.own_ink("mine", ink())
    paper = [load_lines(words), load_lines(lines)]
    return LinesTask(config, dataclasses.replace(data, paper=paper))


def test_every_source_of_paper_has_its_share_and_its_validation(tmp_path: Path) -> None:
    made = paper_task(tmp_path)
    labels = [label for step in range(8, 40) for label in made.part(step, 0).labels]
    counts = Counter(label == "ol zl" for label in labels)
    assert set(labels) == {"zoo", "lool", "ol zl"}
    assert counts[True] / counts.total() == pytest.approx(1 / 3, abs=0.1)  # 0.2 of 0.2 + 0.4
    assert [len(made.validation[key]) for key in ("german", "notaries")] == [4, 1]
    assert made.description["data"] == "mine, DHSD, LECTAUREP repertoires"
    assert len(set(made.description["paper_splits"])) == 2


def test_paper_without_lines_to_train_on_or_to_validate_with_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_data, "load_labelled", lambda *_: line_data.own_ink("mine", ink()))
    for sheet, part in ((73, "validation"), (934, "train")):
        sheets = {f"lect:page-FRAN_0025_{sheet:04}_L-0": ["ol zl"]}
        path = write_index(tmp_path / str(sheet), sheets)
        with pytest.raises(DataError, match=f"{path} has 1 lines, none of them for {part}"):
            line_data.load_data(None, [path])


def test_an_image_whose_ink_vanishes_when_it_is_distorted_is_drawn_again(tmp_path: Path) -> None:
    words = load_lines(write_index(tmp_path / "words", {"dhsd-0": ["zoo", "lool"]}))
    words.images[0] = np.full((64, 256), 250, np.uint8)
    draw = lines.paper_source([words], (" ", "l", "o", "z"), 32)
    random = np.random.default_rng(0)
    assert {draw(random).label for _ in range(20)} == {"lool"}
