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
    found = errors(["hallo", "a b", "The", "ok"], ["hello", "ab", "the", "ok"])
    assert found == {"pieces": 4, "characters": 12, "cer": 3 / 12, "exact_match": 1 / 4}
    assert errors([], []) == {"pieces": 0, "characters": 0, "cer": None, "exact_match": None}


def test_errors_are_grouped_by_key_with_the_interval_over_their_writers() -> None:
    texts, labels, names = ["x", "y", "q", "q"], ["x", "y", "z", "z"], ["one", "one", "two", "one"]
    found = errors_by("aaab", texts, labels, order="cba", writers=names)
    assert list(found) == ["b", "a"]  # keys without pieces are left out
    assert (found["a"]["exact_match"], found["b"]["exact_match"]) == (2 / 3, 0)
    assert (found["a"]["writers"], found["b"]["writers"]) == (2, 1)
    assert found["a"]["interval"] == bootstrap(texts[:3], labels[:3], names[:3])["interval"]
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


@pytest.mark.parametrize(
    ("texts", "labels", "writers", "wrong", "interval", "quarters"),
    [
        # A quarter of the draws has only one writer, a quarter only the other.
        (["ab", "ab", "xy", "a-"], ["ab"] * 4, "1122", [0, 3], [0, 0.75], [0.1875, 0.375, 0.5625]),
        # All writers have the same error.
        (["ax"] * 6, ["ab"] * 6, "123123", [2] * 3, [0.5, 0.5], [0.5, 0.5, 0.5]),
        # Writers count by their number of characters.
        (["x" * 10, "a"], ["a" * 10, "a"], "12", [10, 0], [0, 1], [0.25, 0.5, 0.75]),
    ],
)
def test_the_bootstrap_samples_writers_with_all_their_pieces(
    texts: list[str], labels: list[str], writers: str,
    wrong: list[int], interval: list[float], quarters: list[float],
) -> None:  # fmt: skip
    found = bootstrap(texts, labels, writers)
    assert (found["wrong"], found["interval"], found["quarters"]) == (wrong, interval, quarters)
    assert sum(found["characters"]) == len("".join(labels))


def test_the_interval_has_the_width_of_the_normal_distribution() -> None:
    n, share = 400, 0.3  # of the writers: every piece of theirs is read wrongly
    writers = [str(index) for index in range(n)]
    texts = ["b" if index < share * n else "a" for index in range(n)]
    low, high = bootstrap(texts, ["a"] * n, writers)["interval"]
    half_width = 1.96 * math.sqrt(share * (1 - share) / n)
    assert low == pytest.approx(share - half_width, abs=0.005)
    assert high == pytest.approx(share + half_width, abs=0.005)


def test_ratios_and_differences_are_computed_on_the_same_samples_of_writers() -> None:
    ours = {"wrong": [1, 20, 3, 7], "characters": [50] * 4}
    twice = {"wrong": [2, 40, 6, 14]}
    assert error_ratios({"all": twice}, {"all": ours}) == {"all": {"ratio": 2, "interval": [2, 2]}}
    found = error_ratios({"all": {"wrong": [2, 20, 6, 14]}}, {"all": ours})["all"]
    low, high = found["interval"]
    assert 1 <= low < found["ratio"] == 42 / 31 < high <= 2
    assert cer_difference({"wrong": [6, 25, 8, 12]}, ours) == {
        "difference": pytest.approx(0.1),
        "interval": pytest.approx([0.1, 0.1]),
    }
    low, high = cer_difference({"wrong": [11, 20, 8, 12]}, ours)["interval"]
    assert 0 <= low < 0.1 < high <= 0.2


def test_there_is_no_ratio_if_a_sample_has_no_errors() -> None:
    assert error_ratios({"all": {"wrong": [1, 5]}}, {"all": {"wrong": [0, 5]}}) == {}


def test_the_interval_of_an_accuracy_difference_is_that_of_sampled_images() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.random(1000) < 0.95, random.random(1000) < 0.9
    found = accuracy_difference(theirs, ours)
    assert found["difference"] == pytest.approx(theirs.mean() - ours.mean())
    each = theirs.astype(int) - ours
    sampled = [each[random.integers(1000, size=1000)].mean() for _ in range(4000)]
    assert found["interval"] == pytest.approx(np.quantile(sampled, [0.025, 0.975]), abs=0.003)
    assert accuracy_difference(ours, ours) == {"difference": 0, "interval": [0, 0]}


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
