"""Metrics, compared with figures computed by hand."""

import math

import numpy as np
import pytest

from inkstream.model.metrics import (
    accuracy_difference,
    accuracy_interval,
    bootstrap,
    calibration,
    cer_difference,
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


def test_case_matters() -> None:
    assert errors(["The"], ["the"])["exact_match"] == 0


def test_the_error_of_no_pieces_is_none() -> None:
    assert errors([], []) == {"pieces": 0, "characters": 0, "cer": None, "exact_match": None}


def test_errors_are_grouped_by_key_and_keys_without_pieces_are_left_out() -> None:
    found = errors_by(["a", "b", "a"], ["x", "y", "q"], ["x", "y", "z"], order=("c", "b", "a"))
    assert list(found) == ["b", "a"]
    assert found["a"]["cer"] == 0.5
    assert found["b"]["exact_match"] == 1


def test_errors_by_group_have_the_interval_over_their_writers() -> None:
    texts, labels = ["x", "y", "q", "q"], ["x", "y", "z", "z"]
    found = errors_by("aaab", texts, labels, writers=["one", "one", "other", "one"])
    assert (found["a"]["writers"], found["b"]["writers"]) == (2, 1)
    assert (
        found["a"]["interval"]
        == bootstrap(texts[:3], labels[:3], ["one", "one", "other"])["interval"]
    )
    assert found["b"]["interval"] == [1, 1]


def test_the_same_characters_are_found_by_the_alignment_of_fewest_changes() -> None:
    assert matches("hxllo", "hello") == [(0, 0), (2, 2), (3, 3), (4, 4)]
    assert matches("ello", "hello") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert matches("", "a") == []


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    assert f1(n_correct=3, n_read=4, n_written=6) == {
        "f1": pytest.approx(2 * 0.75 * 0.5 / 1.25),
        "precision": 0.75,
        "recall": 0.5,
        "found": 4,
        "wanted": 6,
    }
    assert f1(0, 0, 0)["f1"] is None


def test_a_mark_is_correct_if_it_is_aligned_with_the_same_mark() -> None:
    found = character_f1(["Hi, you!", "a.b"], ["Hi. you!", "a.b,"], is_mark)
    assert (found["found"], found["wanted"]) == (3, 4)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 4)


def test_a_position_belongs_to_one_pair() -> None:
    assert count_pairs([10, 11], [10], 2) == 1
    assert count_pairs([10, 14], [12, 16], 2) == 2
    assert count_pairs([12, 16], [10, 14], 2) == 2
    assert count_pairs([30, 1], [3, 33], 2) == 1
    assert count_pairs([], [1.0], 2) == 0


def test_a_plateau_is_one_peak() -> None:
    values = np.array([0.6, 0.2, 0.9, 0.9, 0.4, 0.3, 0.8], np.float32)
    assert peaks(values, 0.5).tolist() == [0, 2, 6]
    assert peaks(values, 0.7).tolist() == [2, 6]


def test_quantiles_of_nothing_are_none() -> None:
    assert quantiles(np.empty(0)) == {"n": 0, "median": None, "90 %": None}
    assert quantiles(np.arange(11.0)) == {"n": 11, "median": 5.0, "90 %": 9.0}


def test_calibration_compares_confidence_and_accuracy_in_each_bin() -> None:
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.3, 0.3])
    correct = np.array([True, True, True, False, False, False])
    found = calibration(confidence, correct)
    assert found["expected_calibration_error"] == pytest.approx((4 * 0.15 + 2 * 0.3) / 6)
    assert found["brier"] == pytest.approx((3 * 0.01 + 0.81 + 2 * 0.09) / 6)
    assert found["brier_of_base_rate"] == pytest.approx(0.25)
    assert found["share"][13] == pytest.approx(4 / 6)
    assert found["accuracy"][13] == pytest.approx(0.75)
    assert calibration(np.empty(0), np.empty(0, bool))["n"] == 0


def test_confusions_include_omissions_and_insertions() -> None:
    texts, labels = ["cot", "cot", "at", "boat!"], ["cat", "cat", "cat", "boat"]
    assert confusions(texts, labels, 2) == [("a", "o", 2), ("", "!", 1)]
    assert ("c", "", 1) in confusions(texts, labels, 9)


def test_the_bootstrap_samples_writers_with_all_their_pieces() -> None:
    texts, labels = ["ab", "ab", "xy", "a-"], ["ab", "ab", "ab", "ab"]
    found = bootstrap(texts, labels, ["one", "one", "two", "two"])
    assert (found["wrong"], found["characters"]) == ([0, 3], [4, 4])
    # A quarter of the draws has only one writer, a quarter only the other.
    assert found["interval"] == [0, 0.75]
    assert found["quarters"] == [0.1875, 0.375, 0.5625]


def test_an_interval_is_empty_when_all_writers_have_the_same_error() -> None:
    found = bootstrap(["ax"] * 6, ["ab"] * 6, ["one", "two", "three"] * 2)
    assert found["interval"] == [0.5, 0.5]
    assert found["quarters"] == [0.5, 0.5, 0.5]


def test_the_interval_has_the_width_of_the_normal_distribution() -> None:
    n, share = 400, 0.3  # of the writers: every piece of theirs is read wrongly
    writers = [str(index) for index in range(n)]
    texts = ["b" if index < share * n else "a" for index in range(n)]
    low, high = bootstrap(texts, ["a"] * n, writers)["interval"]
    half_width = 1.96 * math.sqrt(share * (1 - share) / n)
    assert low == pytest.approx(share - half_width, abs=0.005)
    assert high == pytest.approx(share + half_width, abs=0.005)


def test_writers_count_by_their_number_of_characters() -> None:
    texts, labels = ["x" * 10, "a"], ["a" * 10, "a"]
    found = bootstrap(texts, labels, ["much", "little"])
    assert found["interval"] == [0, 1]
    assert sum(found["wrong"]) / sum(found["characters"]) == pytest.approx(10 / 11)


def test_error_ratios_are_computed_on_the_same_samples_of_writers() -> None:
    net_errors = {"all": {"wrong": [1, 20, 3, 7], "characters": [50] * 4}}
    other_errors = {"all": {"wrong": [2, 40, 6, 14], "characters": [50] * 4}}
    assert error_ratios(other_errors, net_errors) == {"all": {"ratio": 2, "interval": [2, 2]}}
    third_errors = {"all": {"wrong": [2, 20, 6, 14], "characters": [50] * 4}}
    found = error_ratios(third_errors, net_errors)["all"]
    low, high = found["interval"]
    assert 1 <= low < found["ratio"] == 42 / 31 < high <= 2


def test_there_is_no_ratio_if_a_sample_has_no_errors() -> None:
    net_errors = {"all": {"wrong": [0, 5], "characters": [9, 9]}}
    assert error_ratios({"all": {"wrong": [1, 5], "characters": [9, 9]}}, net_errors) == {}


def test_a_difference_of_cer_is_computed_on_the_same_samples_of_writers() -> None:
    ours = {"wrong": [1, 20, 3, 7], "characters": [50] * 4}
    theirs = {"wrong": [6, 25, 8, 12], "characters": [50] * 4}
    found = cer_difference(theirs, ours)
    assert found == {"difference": pytest.approx(0.1), "interval": pytest.approx([0.1, 0.1])}
    low, high = cer_difference(theirs | {"wrong": [11, 20, 8, 12]}, ours)["interval"]
    assert 0 <= low < 0.1 < high <= 0.2


def test_the_interval_of_an_accuracy_difference_is_that_of_sampled_images() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.random(1000) < 0.95, random.random(1000) < 0.9
    found = accuracy_difference(theirs, ours)
    assert found["difference"] == pytest.approx(theirs.mean() - ours.mean())
    each = theirs.astype(int) - ours
    sampled = [each[random.integers(1000, size=1000)].mean() for _ in range(4000)]
    assert found["interval"] == pytest.approx(np.quantile(sampled, [0.025, 0.975]), abs=0.003)
    assert accuracy_difference(ours, ours) == {"difference": 0, "interval": [0, 0]}


def test_calibrated_confidence_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 50_000)
    answers = (rng.random(50_000) > confidence).astype(np.int64)
    overconfident = 1 - (1 - confidence) / 4
    assert expected_calibration_error(np.stack([confidence, 1 - confidence], 1), answers) < 0.01
    assert (
        expected_calibration_error(np.stack([overconfident, 1 - overconfident], 1), answers) > 0.05
    )


def test_the_calibration_error_of_a_worked_example() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    answers = np.array([0, 1, 0, 0])
    # confidence 0.9 and half correct; 0.6 and all correct: (0.4 + 0.4) / 2
    assert expected_calibration_error(probabilities, answers) == pytest.approx(0.4)


def test_the_interval_of_an_accuracy_follows_from_the_writers() -> None:
    right = np.repeat([True, False], 500)
    low, high = accuracy_interval(right, np.repeat([7, 3], 500))
    assert (low, high) == (0, 1)  # two writers, one of whom is always read
    low, high = accuracy_interval(right, np.tile(np.arange(100), 10))
    assert 0.49 < low <= 0.5 <= high < 0.51  # all writers are read alike
