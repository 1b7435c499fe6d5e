"""Measures of what was read, against figures worked out by hand."""

import math

import numpy as np
import pytest

from inkstream.model.metrics import (
    bootstrap,
    calibration,
    character_f1,
    confusions,
    count_pairs,
    error_ratios,
    errors,
    errors_by,
    expected_calibration_error,
    f1,
    is_mark,
    matches,
    peaks,
    quantiles,
)


def test_an_error_is_a_change_over_the_characters_written() -> None:
    found = errors(["hallo", "a b", "ok"], ["hello", "ab", "ok"])
    assert found == {
        "pieces": 3,
        "characters": 9,
        "cer": pytest.approx(2 / 9),
        "exact_match": pytest.approx(1 / 3),
    }


def test_case_counts() -> None:
    assert errors(["The"], ["the"])["exact_match"] == 0


def test_no_pieces_have_no_error() -> None:
    assert errors([], []) == {"pieces": 0, "characters": 0, "cer": None, "exact_match": None}


def test_errors_are_grouped_by_key_and_keys_without_pieces_are_left_out() -> None:
    found = errors_by(["a", "b", "a"], ["x", "y", "q"], ["x", "y", "z"], order=("c", "b", "a"))
    assert list(found) == ["b", "a"]
    assert found["a"]["cer"] == 0.5
    assert found["b"]["exact_match"] == 1


def test_the_same_characters_are_found_by_the_alignment_of_fewest_changes() -> None:
    assert matches("hxllo", "hello") == [(0, 0), (2, 2), (3, 3), (4, 4)]
    assert matches("ello", "hello") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert matches("", "a") == []


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
    found = character_f1(["Hi, you!", "a.b"], ["Hi. you!", "a.b,"], is_mark)
    assert (found["found"], found["wanted"]) == (3, 4)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 4)


def test_a_place_belongs_to_one_pair_alone() -> None:
    assert count_pairs([10, 11], [10], 2) == 1
    assert count_pairs([10, 14], [12, 16], 2) == 2
    assert count_pairs([12, 16], [10, 14], 2) == 2
    assert count_pairs([30, 1], [3, 33], 2) == 1
    assert count_pairs([], [1.0], 2) == 0


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
    assert found["brier_of_base_rate"] == pytest.approx(0.25)
    assert found["share"][13] == pytest.approx(4 / 6)
    assert found["accuracy"][13] == pytest.approx(0.75)
    assert calibration(np.empty(0), np.empty(0, bool))["n"] == 0


def test_confusions_are_counted_with_what_was_left_out_and_added() -> None:
    texts, labels = ["cot", "cot", "at", "boat!"], ["cat", "cat", "cat", "boat"]
    assert confusions(texts, labels, 2) == [("a", "o", 2), ("", "!", 1)]
    assert ("c", "", 1) in confusions(texts, labels, 9)


def test_writers_are_drawn_whole() -> None:
    texts, labels = ["ab", "ab", "xy", "a-"], ["ab", "ab", "ab", "ab"]
    found = bootstrap(texts, labels, ["one", "one", "two", "two"])
    assert (found["wrong"], found["characters"]) == ([0, 3], [4, 4])
    # A quarter of the draws has one alone, a quarter the other: both ends lie within 95 %.
    assert found["interval"] == [0, 0.75]
    assert found["quarters"] == [0.1875, 0.375, 0.5625]


def test_an_interval_is_empty_when_all_writers_have_the_same_error() -> None:
    found = bootstrap(["ax"] * 6, ["ab"] * 6, ["one", "two", "three"] * 2)
    assert found["interval"] == [0.5, 0.5]
    assert found["quarters"] == [0.5, 0.5, 0.5]


def test_an_interval_is_as_wide_as_the_normal_law_has_it() -> None:
    n, share = 400, 0.3  # of the writers, who are read wrongly throughout
    writers = [str(place) for place in range(n)]
    texts = ["b" if place < share * n else "a" for place in range(n)]
    low, high = bootstrap(texts, ["a"] * n, writers)["interval"]
    reach = 1.96 * math.sqrt(share * (1 - share) / n)
    assert low == pytest.approx(share - reach, abs=0.005)
    assert high == pytest.approx(share + reach, abs=0.005)


def test_a_writer_of_much_counts_for_much() -> None:
    texts, labels = ["x" * 10, "a"], ["a" * 10, "a"]
    found = bootstrap(texts, labels, ["much", "little"])
    assert found["interval"] == [0, 1]
    assert sum(found["wrong"]) / sum(found["characters"]) == pytest.approx(10 / 11)


def test_others_are_compared_on_the_same_draws() -> None:
    ours = {"all": {"wrong": [1, 20, 3, 7], "characters": [50] * 4}}
    theirs = {"all": {"wrong": [2, 40, 6, 14], "characters": [50] * 4}}
    assert error_ratios(theirs, ours) == {"all": {"ratio": 2, "interval": [2, 2]}}
    other = {"all": {"wrong": [2, 20, 6, 14], "characters": [50] * 4}}
    found = error_ratios(other, ours)["all"]
    low, high = found["interval"]
    assert 1 <= low < found["ratio"] == 42 / 31 < high <= 2


def test_who_makes_no_mistake_in_some_draw_cannot_be_compared_with() -> None:
    ours = {"all": {"wrong": [0, 5], "characters": [9, 9]}}
    assert error_ratios({"all": {"wrong": [1, 5], "characters": [9, 9]}}, ours) == {}


def test_confidence_that_is_right_as_often_as_it_says_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 50_000)
    answers = (rng.random(50_000) > sure).astype(np.int64)
    bold = 1 - (1 - sure) / 4
    assert expected_calibration_error(np.stack([sure, 1 - sure], 1), answers) < 0.01
    assert expected_calibration_error(np.stack([bold, 1 - bold], 1), answers) > 0.05


def test_the_calibration_error_of_a_worked_example() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    answers = np.array([0, 1, 0, 0])
    # confidence 0.9 and half correct; 0.6 and all correct: (0.4 + 0.4) / 2
    assert expected_calibration_error(probabilities, answers) == pytest.approx(0.4)
