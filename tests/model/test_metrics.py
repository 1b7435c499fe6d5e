"""Measures of what was read, against figures worked out by hand."""

import numpy as np
import pytest

from inkstream.model.metrics import (
    calibration,
    confusions,
    errors,
    errors_by,
    f1,
    is_mark,
    peaks,
    quantiles,
    same,
    told_apart,
    within,
)


def test_an_error_is_a_change_over_the_characters_written() -> None:
    found = errors(["hallo", "a b", "ok"], ["hello", "ab", "ok"])
    assert found == {
        "pieces": 3,
        "characters": 9,
        "error": pytest.approx(2 / 9),
        "right": pytest.approx(1 / 3),
    }


def test_case_counts() -> None:
    assert errors(["The"], ["the"])["right"] == 0


def test_no_pieces_have_no_error() -> None:
    assert errors([], []) == {"pieces": 0, "characters": 0, "error": None, "right": None}


def test_errors_are_told_by_key_and_keys_without_pieces_are_left_out() -> None:
    found = errors_by(["a", "b", "a"], ["x", "y", "q"], ["x", "y", "z"], order=("c", "b", "a"))
    assert list(found) == ["b", "a"]
    assert found["a"]["error"] == 0.5
    assert found["b"]["right"] == 1


def test_the_same_characters_are_found_by_the_alignment_of_fewest_changes() -> None:
    assert same("hxllo", "hello") == [(0, 0), (2, 2), (3, 3), (4, 4)]
    assert same("ello", "hello") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert same("", "a") == []


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    assert f1(right=3, found=4, wanted=6) == {
        "f1": pytest.approx(2 * 0.75 * 0.5 / 1.25),
        "precision": 0.75,
        "recall": 0.5,
        "found": 4,
        "wanted": 6,
    }
    assert f1(0, 0, 0)["f1"] is None


def test_marks_are_right_where_the_same_mark_stands_in_the_same_place() -> None:
    found = told_apart(["Hi, you!", "a.b"], ["Hi. you!", "a.b,"], is_mark)
    assert (found["found"], found["wanted"]) == (3, 4)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 4)


def test_a_place_belongs_to_one_pair_alone() -> None:
    assert within([10, 11], [10], 2) == 1
    assert within([10, 14], [12, 16], 2) == 2
    assert within([12, 16], [10, 14], 2) == 2
    assert within([30, 1], [3, 33], 2) == 1
    assert within([], [1.0], 2) == 0


def test_a_peak_is_higher_than_before_and_a_plateau_is_one() -> None:
    values = np.array([0.6, 0.2, 0.9, 0.9, 0.4, 0.3, 0.8], np.float32)
    assert peaks(values, 0.5).tolist() == [0, 2, 6]
    assert peaks(values, 0.7).tolist() == [2, 6]


def test_quantiles_of_nothing_are_none() -> None:
    assert quantiles(np.empty(0)) == {"n": 0, "median": None, "90 %": None}
    assert quantiles(np.arange(11.0)) == {"n": 11, "median": 5.0, "90 %": 9.0}


def test_calibration_is_the_distance_of_confidence_and_truth_in_each_bin() -> None:
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.3, 0.3])
    right = np.array([True, True, True, False, False, False])
    found = calibration(confidence, right)
    assert found["expected_calibration_error"] == pytest.approx((4 * 0.15 + 2 * 0.3) / 6)
    assert found["brier"] == pytest.approx((3 * 0.01 + 0.81 + 2 * 0.09) / 6)
    assert found["brier_of_the_share"] == pytest.approx(0.25)
    assert found["share"][13] == pytest.approx(4 / 6)
    assert found["right"][13] == pytest.approx(0.75)
    assert calibration(np.empty(0), np.empty(0, bool))["n"] == 0


def test_confusions_are_counted_with_what_was_left_out_and_added() -> None:
    texts, labels = ["cot", "cot", "at", "boat!"], ["cat", "cat", "cat", "boat"]
    assert confusions(texts, labels, 2) == [("a", "o", 2), ("", "!", 1)]
    assert ("c", "", 1) in confusions(texts, labels, 9)
