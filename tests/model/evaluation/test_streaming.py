"""Measures of events against the ink, computed by hand on lines of 40 columns."""

import dataclasses

import numpy as np
import pytest

from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import Decoded, Letter, Word
from inkstream.model.evaluation.streaming import (
    DELAYS,
    end_calibration,
    error_by_delay,
    latency,
    letter_calibration,
    letter_ends,
    word_ends,
)
from inkstream.model.reader import Reading

HEIGHT = 16


def letter(number: int, char: str, end: int, column: int, confidence: float = 0.9) -> Letter:
    return Letter(number, char, end - 4, end, column, confidence, ())


def reading(
    label: str,
    text: str,
    true_ends: list[float],
    ends_and_columns: list[tuple[int, int]],
    texts: list[str] | None = None,
) -> Reading:
    """Return the reading of a line of 40 columns.

    Args:
        true_ends: the last column of each letter.
        ends_and_columns: end and column of each letter's event.
    """
    characters = text.replace(" ", "")
    events = [
        letter(k, characters[k], end, column) for k, (end, column) in enumerate(ends_and_columns)
    ]
    line = LineSample(np.zeros((40, HEIGHT), np.uint8), label, np.array(true_ends, np.float32))
    live = Decoded(list(events), texts or [text] * 40)
    return Reading(line, text, list(events), np.zeros(20, np.float32), live)


def test_letter_ends_within_two_columns_are_correct() -> None:
    line_reading = reading("ab c", "ab c", [9, 19, np.nan, 29], [(10, 11), (23, 24), (28, 30)])
    found = letter_ends([line_reading])["events"]  # last columns 9, 22, 27 against 9, 19, 29
    assert (found["found"], found["wanted"]) == (3, 3)
    assert found["f1"] == pytest.approx(2 / 3)


def test_a_peak_of_the_score_means_a_letter_end_two_steps_before() -> None:
    line_reading = reading("ab", "ab", [9, 19], [(10, 11), (20, 21)])
    ends = line_reading.ends
    ends[9 // 2 + 2] = 0.8
    ends[19 // 2 + 2 + 2] = 0.7  # two steps late: four columns
    found = letter_ends([line_reading])["scores"]
    assert (found["found"], found["wanted"]) == (2, 2)
    assert found["recall"] == 0.5
    calibration_of_ends = end_calibration([line_reading])
    assert calibration_of_ends["n"] == 20
    assert calibration_of_ends["brier"] == pytest.approx((0.2**2 + 1 + 0.7**2) / 20, rel=1e-5)
    assert calibration_of_ends["brier_of_base_rate"] == pytest.approx(0.1 * 0.9)


def test_latency_counts_from_the_true_end_of_correct_letters() -> None:
    line_reading = reading("abc", "axc", [9, 19, 29], [(10, 13), (20, 39), (30, 35)])
    assert latency([line_reading]) == {"n": 2, "median": 5.0, "90 %": pytest.approx(5.8)}


def test_the_error_by_delay_counts_letters_that_are_still_missing() -> None:
    texts = [""] * 10 + ["a"] * 12 + ["ab"] * 18
    line_reading = reading("ab", "ab", [9, 19], [(10, 13), (20, 25)], texts)
    found = error_by_delay([line_reading])
    events = dict(zip(DELAYS, found["events"], strict=True))
    shown = dict(zip(DELAYS, found["text"], strict=True))
    assert [events[delay] for delay in (0, 2, 4, 6)] == [1, 1, 0.5, 0]
    assert [shown[delay] for delay in (0, 2, 4)] == [1, 0.5, 0]  # a at 10, b at 22


def test_word_ends_are_measured_by_spaces_and_by_position() -> None:
    line_reading = reading("ab c", "ab c", [9, 19, np.nan, 29], [(10, 11), (20, 22), (30, 31)])
    line_reading.events[:] = [Word(0, "ab", 0, 21, 25, 0.9, ()), Word(1, "c", 21, 36, 36, 0.9, ())]
    other_reading = reading("abc", "ab c", [9, 19, 29], [(10, 11), (20, 22), (30, 31)])
    found = word_ends([line_reading, other_reading])
    assert found["spaces"]["precision"] == 0.5
    assert found["spaces"]["recall"] == 1
    assert (found["placed"]["found"], found["placed"]["wanted"]) == (2, 3)
    assert found["placed"]["precision"] == 0.5


def test_letter_confidence_is_compared_with_the_alignment() -> None:
    line_reading = reading("ab", "axb", [9, 19], [(10, 11), (20, 21), (30, 31)])
    found = letter_calibration([line_reading])
    assert found["n"] == 3
    assert found["expected_calibration_error"] == pytest.approx(0.9 - 2 / 3)


def test_lines_without_letter_ends_are_left_out() -> None:
    line = LineSample(np.zeros((40, HEIGHT), np.uint8), "ab", np.array([9, np.nan], np.float32))
    line_reading = Reading(line, "ab", [], np.zeros(9, np.float32), None)
    assert letter_ends([line_reading])["events"]["f1"] is None
    assert latency([line_reading])["n"] == 0
    assert error_by_delay([line_reading])["events"] is None
    assert end_calibration([line_reading])["n"] == 0


def test_single_letters_and_blank_columns_after_the_line_are_left_out() -> None:
    single = reading("a", "a", [9], [(10, 11)])
    assert letter_ends([single])["events"]["wanted"] == 0
    assert latency([single])["n"] == 0
    flushed = reading("ab", "ab", [9, 39], [(10, 11), (40, 41)])
    flushed = dataclasses.replace(flushed, ends=np.zeros(28, np.float32))  # 16 blank columns
    assert end_calibration([single, flushed])["n"] == 22
