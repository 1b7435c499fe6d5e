"""The shipped nets stay within bounds on rough columns, of few pieces."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.checkpoint import find, read
from inkstream.model.data.batches import NO_ENDS, LineSample
from inkstream.model.evaluation.evaluation_set import SEED, digit_lines
from inkstream.model.evaluation.rough import changes, digits_report
from inkstream.model.preprocess.columns import line_columns
from inkstream.model.reader import Reader, reading_errors
from tests.helpers import builders

EXCERPT = builders.excerpt(400)
LEAST_ACCURACY: Mapping[str, float] = {
    "paler x 0.5": 0.99,
    "paler x 0.3": 0.985,
    "blur of 1 pixel": 0.985,
    "thicker, 3x3 maximum": 0.985,
    "noise of 30": 0.985,
    "specks, 1 %": 0.985,
    "black and white at 128": 0.985,
    "rule in row 24, 160": 0.98,
    "vertical rules each 24 columns, 160": 0.96,
    "grey paper, 30": 0.985,
}
PUBLISHED: Mapping[str, float] = {  # least accuracy on all test images
    "paler x 0.5": 0.988,
    "paler x 0.3": 0.98,
    "thicker, 3x3 maximum": 0.98,
    "rule in row 24, 160": 0.975,
}
LEAST_PLAIN = 0.99  # of 400 images
PUBLISHED_PLAIN = 0.9955
MOST_CALIBRATION_ERROR = 0.03
N_DIGITS = 100  # that are read as lines
HELLO = Path(__file__).parents[3] / "examples" / "hello.png"
MOST_CER = 0.07  # of the example and the digits together, after each change


def test_the_published_figures_of_rough_digits_are_within_bounds() -> None:
    contents = builders.shipped_report("digits/rough")
    assert (contents["part"], contents["pieces"]) == ("test", 10_000)
    assert contents["plain"]["value"] >= PUBLISHED_PLAIN
    found = {name: contents["changes"][name]["value"] for name in PUBLISHED}
    assert {name: value for name, value in found.items() if value < PUBLISHED[name]} == {}
    assert contents["plain"]["expected_calibration_error"] <= MOST_CALIBRATION_ERROR
    assert contents["calibration_error_of_all"] <= MOST_CALIBRATION_ERROR


@pytest.mark.slow
def test_the_shipped_net_for_digits_reads_rough_images() -> None:
    contents = digits_report(read(find("digits")), EXCERPT).contents
    assert contents["plain"]["value"] >= LEAST_PLAIN
    found = {name: contents["changes"][name]["value"] for name in LEAST_ACCURACY}
    assert {name: value for name, value in found.items() if value < LEAST_ACCURACY[name]} == {}
    assert contents["plain"]["expected_calibration_error"] <= MOST_CALIBRATION_ERROR
    assert contents["calibration_error_of_all"] <= MOST_CALIBRATION_ERROR


@pytest.mark.slow
def test_the_shipped_net_for_lines_reads_rough_lines() -> None:
    reader = Reader(read(find("lines")))
    height = reader.config.column_height
    hello = LineSample(line_columns(HELLO, height), "hello, world!", NO_ENDS)
    plain = [hello, *digit_lines(EXCERPT.take(np.arange(N_DIGITS)), height)]
    found = {}
    for name, change in changes([line.columns for line in plain]).items():
        random = np.random.default_rng(SEED)
        lines = [replace(line, columns=change(line.columns, random)) for line in plain]
        readings = [*reader.read(lines[:1]), *reader.read(lines[1:], "0123456789")]
        found[name] = reading_errors(readings)["cer"]
    assert {name: value for name, value in found.items() if value > MOST_CER} == {}
