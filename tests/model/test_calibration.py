"""Temperatures and how calibration is measured."""

import numpy as np
import pytest

from inkstream.model import calibration as calibrate


def sample(n: int, temperature: float, seed: int = 0) -> tuple[calibrate.Floats, np.ndarray]:
    """Scores whose answers are drawn from their softmax at `temperature`."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (n, 4))
    chances = np.exp(calibrate.log_softmax(scores / temperature))
    answers = (chances.cumsum(1) > rng.random((n, 1))).argmax(1)
    return scores, answers


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_answers_is_found(temperature: float) -> None:
    scores, answers = sample(20_000, temperature)
    assert calibrate.fit_temperature(scores, answers) == pytest.approx(temperature, rel=0.05)


def test_each_count_of_columns_gets_its_own_temperature_and_a_rare_one_that_of_all_ink() -> None:
    blank, first, second = sample(20_000, 0.5), sample(20_000, 1.0, 1), sample(20_000, 2.0, 2)
    parts = (blank, first, second, (second[0][:5], second[1][:5]))
    scores, answers = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    counts = np.repeat([0, 1, 2, 3], [len(part[1]) for part in parts])
    temperatures = calibrate.fit_temperatures(scores, counts, answers)
    assert temperatures[:3] == pytest.approx((0.5, 1.0, 2.0), rel=0.05)
    assert temperatures[1] < temperatures[3] < temperatures[2]


def test_columns_are_counted_from_the_first_ink_on() -> None:
    columns = np.zeros((1, 6, 28), np.uint8)
    columns[0, 2, 5] = 1
    columns[0, 4, 9] = 200
    assert calibrate.columns_since_ink(columns).tolist() == [[0, 0, 1, 2, 3, 4]]


def test_honest_confidence_has_no_calibration_error_and_bold_confidence_has() -> None:
    scores, answers = sample(50_000, 1.0)
    honest = np.exp(calibrate.log_softmax(scores))
    bold = np.exp(calibrate.log_softmax(3 * scores))
    assert calibrate.expected_calibration_error(honest, answers) < 0.01
    assert calibrate.expected_calibration_error(bold, answers) > 0.05


def test_the_calibration_error_of_a_worked_example() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    answers = np.array([0, 1, 0, 0])
    # 0.9 said and half right; 0.6 said and all right: (0.4 + 0.4) / 2
    assert calibrate.expected_calibration_error(probabilities, answers) == pytest.approx(0.4)
