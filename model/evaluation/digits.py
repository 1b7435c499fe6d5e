"""Measure a net for digits on MNIST's test images and pen digits: `inkstream evaluate digits`.

The runtime and the decoder are those that are served.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from tqdm import trange

from inkstream.model.checkpoint import Checkpoint, read
from inkstream.model.data.images import Dataset
from inkstream.model.data.sources import mnist
from inkstream.model.data.sources.pen_digits import PenDigits
from inkstream.model.data.split import Part
from inkstream.model.decoding.classifier import ClassifierDecoder
from inkstream.model.errors import DataError
from inkstream.model.evaluation import plots
from inkstream.model.evaluation.report import Report, of_file
from inkstream.model.metrics import Figures, accuracy_interval, expected_calibration_error
from inkstream.model.runtime import Runtime
from inkstream.model.training.config import DigitsConfig
from inkstream.model.training.digits import SPLIT_SEED

# Columns [N, T, H] to probabilities [N, T, K].
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def predictor(checkpoint: Checkpoint, batch_size: int = 64) -> Predictor:
    """Return the predictor made of ONNX Runtime and the decoder."""
    runtime = Runtime(checkpoint)
    decoder = ClassifierDecoder(runtime.config.labels)

    def predict(columns: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities: list[NDArray[np.float32]] = []  # [T, K] of each image
        shown = f"{len(columns)} images of {columns.shape[1]} columns"
        for start in trange(0, len(columns), batch_size, desc=shown, leave=False, disable=None):
            batch = columns[start : start + batch_size].transpose(1, 0, 2)  # [T, B, H]
            scores, _ = runtime.run(batch.copy(), runtime.initial_state(batch.shape[1]))
            probabilities += map(decoder.probabilities, scores.swapaxes(0, 1))
        return np.stack(probabilities)

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
        "accuracy_with_blank_before": {
            str(n): _padded_accuracy(predict, dataset, (n, 0)) for n in (4, 10)
        },
        "accuracy_with_blank_after": {
            str(n): _padded_accuracy(predict, dataset, (0, n)) for n in (4, 10, 100, 500)
        },
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
    after = [k for k in (8, 12, 16, 20, 24, 28) if k <= right.shape[1]]  # columns
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


def _padded_accuracy(predict: Predictor, dataset: Dataset, n_blank: tuple[int, int]) -> float:
    """Return the accuracy at the last column with blank columns before and after each image."""
    answers = predict(np.pad(dataset.columns, ((0, 0), n_blank, (0, 0))))[:, -1].argmax(1)
    return float((answers == dataset.answers).mean())


def report(
    checkpoints: Sequence[Path],
    dataset: Dataset,
    part: Part = "test",
    pen: Mapping[str, PenDigits] = MappingProxyType({}),
) -> Report:
    """Measure checkpoints: the first in full; the others are further seeds of its recipe.

    `part` says which images `dataset` and `pen`, pen digits by source, have.
    """
    nets = [read(path, "classifier") for path in checkpoints]
    for net in nets:
        if (labels := net.metadata.config.labels) != dataset.labels:
            raise DataError(
                f"{net.path} answers {' '.join(labels)}, but {dataset.name} has the labels"
                f" {' '.join(dataset.labels)}: of a net for other labels `inkstream models"
                " --weights FOLDER` lists what it reached on the images held out in training"
            )
    seeds, probabilities = zip(*(measure(predictor(net), dataset) for net in nets), strict=True)
    contents = of_file(nets[0]) | {
        "parameters": nets[0].metadata.parameters,
        "data": dataset.name,
        "data_digest": dataset.digest,
        "part": part,
        **seeds[0],
        "pen": {name: measure_pen(predictor(nets[0]), digits) for name, digits in pen.items()},
        "seeds": _seeds(seeds),
    }
    draw = partial(plots.draw_digits_report, contents, probabilities[0], dataset)
    return Report("digits", contents, draw)


def _seeds(nets: Sequence[Figures]) -> Figures:
    """Return the mean and the standard deviation (N - 1) of the accuracies of several seeds."""
    after = {k: [net["accuracy_after"][k] for net in nets] for k in nets[0]["accuracy_after"]}
    several = len(nets) > 1
    return {
        "n": len(nets),
        "accuracy": [net["accuracy"] for net in nets],
        "mean_after": {k: float(np.mean(values)) for k, values in after.items()},
        "deviation_after": {
            k: float(np.std(values, ddof=1)) if several else None for k, values in after.items()
        },
    }
