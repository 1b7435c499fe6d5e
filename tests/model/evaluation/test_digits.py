"""The report on digits: its figures follow from the answers, and its plots are written."""

import json
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.data.sources.pen_digits import PenDigits
from inkstream.model.evaluation.digits import measure, predictor, report
from inkstream.model.recognizer import Recognizer
from tests.helpers import builders


def known_answers(columns: np.ndarray) -> np.ndarray:
    """Return certain answers: after column k correct for the first k digits, 0 for the others."""
    answers = builders.excerpt(len(columns)).answers
    probabilities = np.zeros((len(columns), columns.shape[1], 10), np.float32)
    for k in range(columns.shape[1]):
        known = np.where(np.arange(len(columns)) < k, answers, 0)
        probabilities[np.arange(len(columns)), k, known] = 1
    return probabilities


def test_accuracy_is_counted_after_every_column() -> None:
    dataset = builders.excerpt(40)
    figures, _ = measure(known_answers, dataset)
    zeros = dataset.answers == 0
    expected = [float((zeros | (np.arange(40) < k)).mean()) for k in range(28)]
    assert figures["accuracy_curve"] == pytest.approx(expected)
    assert figures["accuracy"] == pytest.approx(expected[-1])
    assert figures["accuracy_after"]["12"] == pytest.approx(expected[11])
    assert figures["expected_calibration_error_after"]["28"] == pytest.approx(1 - expected[-1])
    confusion = np.array(figures["confusion"])
    assert confusion.sum() == 40
    assert confusion.trace() == round(40 * expected[-1])
    assert confusion[:, 0].sum() == 40 - np.count_nonzero(dataset.answers[:27])


def test_pen_digits_stand_beside_the_images_with_an_interval_over_their_writers(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tiny.onnx"
    builders.checkpoint(path)
    pen = PenDigits(builders.excerpt(40), np.arange(40) % 4, "digest")
    made = report([path], builders.excerpt(40), "validation", {"pen digits": pen})
    figures = made.contents["pen"]["pen digits"]
    assert (figures["images"], figures["writers"], figures["split_digest"]) == (40, 4, "digest")
    assert figures["accuracy_after"] == made.contents["accuracy_after"]
    low, high = figures["interval"]
    assert low <= figures["accuracy"] <= high
    assert "\n| pen digits, 40 by 4 writers, " in made.table()


def test_the_measured_answers_are_those_of_the_library(tmp_path: Path) -> None:
    checkpoint = builders.checkpoint(tmp_path / "tiny.onnx")
    dataset = builders.excerpt(70)
    measured = predictor(checkpoint)(dataset.columns)
    recognizer = Recognizer(checkpoint)
    for index in (0, 30, 69):
        streamed = [
            list(result.probabilities.values())
            for result in recognizer.stream(dataset.columns[index])
        ]
        np.testing.assert_allclose(measured[index], streamed, atol=1e-5)


@pytest.mark.slow
def test_a_report_has_all_seeds_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inkstream.model.evaluation.plots.WORST", 3)  # mistakes in the plot
    paths = [tmp_path / f"seed{seed}.onnx" for seed in range(3)]
    for seed, path in enumerate(paths):
        builders.checkpoint(path, seed=seed)
    digits_report = report(paths, builders.excerpt(60))
    digits_report.save(tmp_path / "report")
    contents = json.loads((tmp_path / "report" / "report.json").read_text())
    assert contents["seeds"]["n"] == 3
    assert contents["seeds"]["mean_after"]["28"] == pytest.approx(
        np.mean(contents["seeds"]["accuracy"])
    )
    assert contents["seeds"]["deviation_after"]["28"] == pytest.approx(
        np.std(contents["seeds"]["accuracy"], ddof=1)
    )
    assert contents["model"] == "seed0"
    plots = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert plots == {
        "accuracy_curve.png",
        "reliability.png",
        "mistakes.png",
        "ribbon.png",
    }
    assert f"| after 28 columns | {contents['accuracy']:.2%} |" in digits_report.table()
    assert contents["checkpoint_sha256"] in digits_report.heading()
