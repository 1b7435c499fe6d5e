"""Fixed changes of columns, and the reports on columns that are changed by them."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.evaluation.digits import images, predictor
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.report import Report, figures
from inkstream.model.evaluation.rough import (
    Columns,
    baseline,
    changes,
    digits_report,
    words_report,
)
from inkstream.model.reader import Reader, reading_errors
from inkstream.model.training.config import DigitsConfig
from inkstream.model.training.digits import DigitsTask
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink

DIGITS = builders.excerpt(40)
CHANGES = changes([*DIGITS.columns], rule_row=24)
ACROSS = "vertical rules each 24 columns, 160"


def changed(name: str, columns: Columns, seed: int = 0) -> Columns:
    return CHANGES[name](columns, np.random.default_rng(seed))


# Changes


@pytest.mark.parametrize("name", CHANGES)
@given(seed=st.integers(0, 1000), n_columns=st.integers(1, 60))
def test_a_change_gives_columns_of_the_same_height_and_leaves_its_input(
    name: str, seed: int, n_columns: int
) -> None:
    columns = builders.columns(n_columns, seed)
    before = columns.copy()
    first, again = changed(name, columns, seed), changed(name, columns, seed)
    assert first.dtype == np.uint8
    assert first.shape[1] == columns.shape[1]
    assert len(first) == n_columns or name.startswith("width")
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(columns, before)


PIXELS: dict[str, Callable[[Columns], np.ndarray]] = {  # what becomes of columns of random ink
    "paler x 0.5": lambda columns: np.round(columns * 0.5),
    "paler x 0.3": lambda columns: np.round(columns * 0.3),
    "black and white at 128": lambda columns: np.where(columns >= 128, 255, 0),
    "grey paper, 30": lambda columns: np.round(30 + columns * (225 / 255)),
    "up 2 rows": lambda columns: np.pad(columns, ((0, 0), (0, 2)))[:, 2:],
    "down 2 rows": lambda columns: np.pad(columns, ((0, 0), (2, 0)))[:, :-2],
    "thicker, 3x3 maximum": lambda columns: np.max(
        [np.pad(columns, 1)[x : x + 50, y : y + 28] for x in range(3) for y in range(3)], 0
    ),
    "rule in row 24, 80": lambda columns: np.maximum(columns, 80 * (np.arange(28) == 24)),
    "rule in row 24, 160": lambda columns: np.maximum(columns, 160 * (np.arange(28) == 24)),
    "rule in row 24, 255": lambda columns: np.maximum(columns, 255 * (np.arange(28) == 24)),
}


@pytest.mark.parametrize("name", PIXELS)
def test_a_change_does_to_each_pixel_what_its_name_says(name: str) -> None:
    columns = builders.columns(50)
    expected = PIXELS[name](columns)
    assert not np.array_equal(expected, columns)
    np.testing.assert_array_equal(changed(name, columns), expected)


def test_blur_spreads_a_dot_as_a_gaussian_does() -> None:
    dot = np.zeros((21, 21), np.uint8)
    dot[10, 10] = 255
    spread = changed("blur of 1 pixel", dot).astype(float)
    assert spread.sum() == pytest.approx(255, rel=0.1)
    assert np.average((np.arange(21) - 10) ** 2, weights=spread.sum(1)) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("deviation", [15, 30])
def test_noise_has_its_standard_deviation_where_nothing_is_clipped(deviation: int) -> None:
    grey = np.full((300, 32), 128, np.uint8)
    noisy = changed(f"noise of {deviation}", grey)
    assert noisy.mean() == pytest.approx(128, abs=1)
    assert noisy.std() == pytest.approx(deviation, rel=0.05)


def test_specks_are_dark_and_on_one_pixel_in_a_hundred() -> None:
    specked = changed("specks, 1 %", np.zeros((1000, 32), np.uint8))
    assert (specked > 0).mean() == pytest.approx(0.01, rel=0.2)
    dark = specked[specked > 0]
    assert 128 <= dark.min() < 140
    assert 244 < dark.max() <= 255
    assert (changed("specks, 1 %", np.full((1000, 32), 250, np.uint8)) >= 250).all()


@pytest.mark.parametrize("seed", range(5))
def test_vertical_rules_are_24_columns_apart(seed: int) -> None:
    places = np.flatnonzero(changed(ACROSS, np.zeros((100, 28), np.uint8), seed).all(1))
    assert places[0] < 24
    assert set(np.diff(places)) == {24}


def test_a_neighbours_lowest_ink_reaches_in_at_the_top_and_its_highest_at_the_bottom() -> None:
    other = np.zeros((5, 28), np.uint8)
    other[:, 10:20] = np.arange(1, 11)  # each row has its own darkness
    name = "3 rows of neighbours"
    marked = changes([other])[name](np.zeros((12, 28), np.uint8), np.random.default_rng(0))
    assert (marked[:, :3] == (8, 9, 10)).all()
    assert (marked[:, -3:] == (1, 2, 3)).all()
    assert not marked[:, 3:-3].any()


@pytest.mark.parametrize("factor", ["0.8", "1.25"])
def test_wider_ink_has_as_many_columns_more(factor: str) -> None:
    columns = builders.columns(100)
    wide = changed(f"width x {factor}", columns)
    assert len(wide) == round(100 * float(factor))
    assert wide.mean() == pytest.approx(columns.mean(), rel=0.05)


def test_the_baseline_is_the_row_below_which_there_is_least_ink() -> None:
    columns = np.zeros((40, 32), np.uint8)
    columns[:, 12:23] = 200  # bodies of letters
    columns[5:7, 23:30] = 200  # a descender
    columns[9:11, 2:12] = 200  # an ascender
    assert baseline(columns) == 22
    rule = changes([columns])["rule at the baseline, 255"]
    ruled = rule(columns, np.random.default_rng(0))
    assert (ruled[:, 22] == 255).all()


# Reports


def test_the_validation_images_are_those_that_training_holds_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = dataclasses.replace(DigitsConfig(), held_out=100)
    whole = builders.excerpt(400)
    monkeypatch.setattr("inkstream.model.data.sources.mnist.load", lambda part, folder: whole)
    monkeypatch.setattr("inkstream.model.evaluation.digits.DigitsConfig", lambda: config)
    held_out = DigitsTask(config, whole).validation
    np.testing.assert_array_equal(images("validation").columns, held_out.columns)
    assert images("test") is whole


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("wide")
    net = builders.line_checkpoint(folder / "wide.onnx", labels=ALL_KINDS)
    return words_report(net, ink(), part="validation", limit=12)


def test_the_report_on_words_reads_the_same_words_after_each_change(of_words: Report) -> None:
    contents = of_words.contents
    assert (contents["pieces"], contents["part"], contents["measure"]) == (12, "validation", "CER")
    assert contents["data_digest"] == ink().digest
    assert len(contents["changes"]) == len(CHANGES)
    for own in contents["changes"].values():
        assert own["difference"] == pytest.approx(own["value"] - contents["plain"]["value"])
        low, high = own["interval"]
        assert low <= own["difference"] <= high


def test_plain_words_are_read_as_in_the_report_on_lines(of_words: Report, tmp_path: Path) -> None:
    net = builders.line_checkpoint(tmp_path / "wide.onnx", labels=ALL_KINDS)
    reader = Reader(net)
    pieces = EvaluationSet(ink(), "validation", ALL_KINDS, HEIGHT, 12)
    readings = reader.read(pieces.samples(pieces.indices("7")))
    assert of_words.contents["plain"]["value"] == reading_errors(readings)["cer"]


def test_the_report_on_digits_counts_right_answers_after_each_change(tiny: Checkpoint) -> None:
    contents = digits_report(tiny, DIGITS).contents
    predict = predictor(tiny)

    def accuracy(columns: Columns) -> float:
        return float((predict(columns)[:, -1].argmax(1) == DIGITS.answers).mean())

    assert contents["plain"]["value"] == accuracy(DIGITS.columns)
    random = np.random.default_rng(0)
    noisy = np.stack([CHANGES["noise of 30"](own, random) for own in DIGITS.columns])
    own = contents["changes"]["noise of 30"]
    assert own["value"] == accuracy(noisy)
    assert own["difference"] == pytest.approx(own["value"] - contents["plain"]["value"])


def test_the_table_has_a_row_for_each_change(of_words: Report, tiny: Checkpoint) -> None:
    for made in (of_words, digits_report(tiny, DIGITS)):
        table = figures("rough", json.loads(json.dumps(made.contents)))
        assert table == made.table()
        for name in ("plain", *made.contents["changes"], "all changes"):
            assert f"\n| {name} | " in table
