"""Measure a net for digits on MNIST's test images and pen digits: `inkstream evaluate digits`.

The runtime and the decoder are those that are served.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint, read
from inkstream.model.data.images import Dataset
from inkstream.model.data.sources import mnist
from inkstream.model.data.sources.pen_digits import PenDigits
from inkstream.model.data.split import Part
from inkstream.model.decoding.classifier import ClassifierDecoder
from inkstream.model.evaluation import plots
from inkstream.model.evaluation.report import Report
from inkstream.model.metrics import Figures, accuracy_interval, expected_calibration_error
from inkstream.model.runtime import Runtime
from inkstream.model.training.config import DigitsConfig
from inkstream.model.training.digits import SPLIT_SEED

AFTER: Final = (8, 12, 16, 20, 24, 28)  # columns after which figures are given
BLANKS_BEFORE: Final = (4, 10)  # blank columns
BLANKS_AFTER: Final = (4, 10, 100, 500)
BATCH: Final = 64

# Columns [N, T, H] to probabilities [N, T, K].
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def predictor(checkpoint: Checkpoint) -> Predictor:
    """Return the predictor made of ONNX Runtime and the decoder."""
    runtime = Runtime(checkpoint)
    decoder = ClassifierDecoder(runtime.config.labels)

    def predict(columns: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: list[NDArray[np.float32]] = []  # [T, K] each
        for start in range(0, len(columns), BATCH):
            part = columns[start : start + BATCH].transpose(1, 0, 2)  # [T, B, H]
            scores, _ = runtime.run(part.copy(), runtime.initial_state(part.shape[1]))
            found += [decoder.probabilities(own) for own in scores.swapaxes(0, 1)]
        return np.stack(found)

    return predict


def images(part: Part, folder: Path | None = None) -> Dataset:
    """Load MNIST's test images, or the training images that `train digits` holds out.

    `folder` is as for `mnist.load`. Raises `DataError` for images that cannot be read.
    """
    if part == "test":
        return mnist.load("t10k", folder)
    training, held_out = mnist.load("train", folder).split(DigitsConfig().held_out, SPLIT_SEED)
    return held_out if part == "validation" else training


def measure(predict: Predictor, dataset: Dataset) -> tuple[Figures, NDArray[np.float32]]:
    """Measure the accuracy after each column and beside blank columns, calibration, confusion.

    The probabilities [N, T, K] are returned too.
    """
    probabilities = predict(dataset.columns)
    confusion = np.zeros((len(dataset.labels),) * 2, int)
    np.add.at(confusion, (dataset.answers, probabilities[:, -1].argmax(1)), 1)
    figures = _accuracies(probabilities, dataset) | {
        "accuracy_with_blank_before": _with_blanks(predict, dataset, before=True),
        "accuracy_with_blank_after": _with_blanks(predict, dataset, before=False),
        "confusion": confusion.tolist(),
    }
    return figures, probabilities


def measure_pen(predict: Predictor, pen: PenDigits) -> Figures:
    """Measure accuracy and calibration after each column, with the interval over writers."""
    probabilities = predict(pen.images.columns)
    right = probabilities[:, -1].argmax(1) == pen.images.answers
    return _accuracies(probabilities, pen.images) | {
        "writers": len(np.unique(pen.writers)),
        "interval": accuracy_interval(right, pen.writers),
        "split_digest": pen.split_digest,
    }


def _accuracies(probabilities: NDArray[np.float32], dataset: Dataset) -> Figures:
    """Return accuracies and calibration errors of probabilities [N, T, K] of a dataset."""
    right = probabilities.argmax(2) == dataset.answers[:, None]  # [N, T]
    after = [k for k in AFTER if k <= right.shape[1]]
    return {
        "images": len(dataset),
        "accuracy": float(right[:, -1].mean()),
        "accuracy_after": {str(k): float(right[:, k - 1].mean()) for k in after},
        "accuracy_curve": right.mean(0).tolist(),
        "expected_calibration_error_after": {
            str(k): expected_calibration_error(
                probabilities[:, k - 1].astype(np.float64), dataset.answers
            )
            for k in after
        },
    }


def _with_blanks(predict: Predictor, dataset: Dataset, *, before: bool) -> dict[str, float]:
    """Return the accuracy at the last column with blank ones before, or after, each digit."""
    accuracies = {}
    for blanks in BLANKS_BEFORE if before else BLANKS_AFTER:
        margin = (blanks, 0) if before else (0, blanks)
        answers = predict(np.pad(dataset.columns, ((0, 0), margin, (0, 0))))[:, -1].argmax(1)
        accuracies[str(blanks)] = float((answers == dataset.answers).mean())
    return accuracies


def report(
    checkpoints: Sequence[Path],
    dataset: Dataset,
    part: Part = "test",
    pen: Mapping[str, PenDigits] | None = None,
) -> Report:
    """Measure checkpoints: the first in full; the others are further seeds of its recipe.

    `part` says which images `dataset` and `pen`, pen digits by source, have.
    """
    nets = [read(path, "classifier") for path in checkpoints]
    seeds, probabilities = zip(*(measure(predictor(net), dataset) for net in nets), strict=True)
    metadata = nets[0].metadata
    contents = {
        "model": metadata.name,
        "version": metadata.version,
        "parameters": metadata.parameters,
        "checkpoint_sha256": hashlib.sha256(nets[0].content).hexdigest(),
        "config_digest": metadata.config_digest,
        "data": dataset.name,
        "data_digest": dataset.digest,
        "part": part,
        **seeds[0],
        "pen": {name: measure_pen(predictor(nets[0]), own) for name, own in (pen or {}).items()},
        "seeds": _seeds(seeds),
    }
    draw = partial(plots.draw_digits_report, contents, probabilities[0], dataset)
    return Report("digits", contents, draw)


def _seeds(nets: Sequence[Figures]) -> Figures:
    """Return the mean and the standard deviation (N - 1) of the accuracies of several seeds."""
    after = {
        k: np.array([net["accuracy_after"][k] for net in nets]) for k in nets[0]["accuracy_after"]
    }
    return {
        "n": len(nets),
        "accuracy": [net["accuracy"] for net in nets],
        "mean_after": {k: float(values.mean()) for k, values in after.items()},
        "deviation_after": {
            k: float(values.std(ddof=1)) if len(nets) > 1 else None for k, values in after.items()
        },
    }
