"""Temperatures are found that make confidences as good as the answers."""

import numpy as np
import pytest

from inkstream.model.calibration import (
    Floats,
    columns_since_ink,
    fit_line_temperatures,
    fit_temperature,
    fit_temperatures,
    log_softmax,
)
from inkstream.model.data.batches import LineSample
from tests.helpers import builders

pytestmark = pytest.mark.slow


def sample(n: int, temperature: float, seed: int = 0) -> tuple[Floats, np.ndarray]:
    """Scores whose answers are drawn from their softmax at `temperature`."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (n, 4))
    chances = np.exp(log_softmax(scores / temperature))
    answers = (chances.cumsum(1) > rng.random((n, 1))).argmax(1)
    return scores, answers


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_true_temperature_is_found(temperature: float) -> None:
    scores, answers = sample(20_000, temperature)
    assert fit_temperature(scores, answers) == pytest.approx(temperature, rel=0.05)


def test_each_count_of_columns_has_its_own_temperature_and_rare_counts_share_one() -> None:
    blank, first, second = sample(20_000, 0.5), sample(20_000, 1.0, 1), sample(20_000, 2.0, 2)
    parts = (blank, first, second, (second[0][:5], second[1][:5]))
    scores, answers = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    counts = np.repeat([0, 1, 2, 3], [len(part[1]) for part in parts])
    temperatures = fit_temperatures(scores, counts, answers)
    assert temperatures[:3] == pytest.approx((0.5, 1.0, 2.0), rel=0.05)
    assert temperatures[1] < temperatures[3] < temperatures[2]


def test_columns_are_counted_from_the_first_ink_on() -> None:
    columns = np.zeros((1, 6, 28), np.uint8)
    columns[0, 2, 5] = 1
    columns[0, 4, 9] = 200
    assert columns_since_ink(columns).tolist() == [[0, 0, 1, 2, 3, 4]]


def test_a_transcriber_with_few_held_out_letters_keeps_its_temperatures() -> None:
    of = builders.line_config()
    line = LineSample(np.zeros((4, 16), np.uint8), "ab", np.array([1, 3], np.float32))
    scores = np.zeros((8, of.n_scores), np.float32)
    assert fit_line_temperatures([scores], [line], of, (1.2, 0.8)) == (1.2, 0.8)


def test_an_overconfident_transcriber_gets_a_higher_temperature_for_letter_ends() -> None:
    of, rng = builders.line_config(), np.random.default_rng(0)
    probability = rng.uniform(0.05, 0.95, (40, 60))  # of an end, at every step
    ended = rng.random((40, 60)) < probability
    ended[:, :2] = False
    odds = 2 * np.log(probability / (1 - probability))  # the net is twice as sure as it may be
    lines, scores = [], []
    for odds_of_line, ends in zip(odds, ended, strict=True):
        columns = np.zeros((120, 16), np.uint8)
        steps = np.flatnonzero(ends) - 2  # of the letters' last ink: see `END_DELAY`
        lines.append(LineSample(columns, "a" * len(steps), (2 * steps).astype(np.float32)))
        line_scores = np.full((120, of.n_scores), -np.log(of.n_scores), np.float32)
        line_scores[:, -1] = np.repeat(-np.logaddexp(0, -odds_of_line), 2)
        scores.append(line_scores)
    _, end_temperature = fit_line_temperatures(scores, lines, of, (1.0, 1.0))
    assert end_temperature == pytest.approx(2, rel=0.15)
