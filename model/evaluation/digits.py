"""Measure a digits' net on images it has never seen: `inkstream evaluate digits`.

What is measured is what is served: the runtime and the decoder of the service.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.calibration import expected_calibration_error
from inkstream.model.checkpoint import Checkpoint, read
from inkstream.model.data.images import Dataset
from inkstream.model.decoding.base import ClassifierDecoder
from inkstream.model.evaluation.report import figures
from inkstream.model.runtime import Runtime

AFTER: Final = (8, 12, 16, 20, 24, 28)  # columns after which figures are given
BLANKS: Final = (4, 10)  # blank columns before, and after, the digit
BATCH: Final = 64

Road = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # [N, T, H] -> probabilities [N, T, K]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One net's answers to a dataset, and the figures drawn from them."""

    probabilities: NDArray[np.float32]  # [N, T, K]
    figures: dict[str, Any]


def runtime_road(checkpoint: Checkpoint) -> Road:
    """The road through ONNX Runtime and the decoder, without a server."""
    runtime = Runtime(checkpoint)

    def road(columns: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches = []
        for start in range(0, len(columns), BATCH):
            part = columns[start : start + BATCH].transpose(1, 0, 2)  # [T, B, H]
            scores, _ = runtime.run(part.copy(), runtime.initial_state(part.shape[1]))
            answers = [
                ClassifierDecoder(runtime.config.labels).shares(scores[:, i])
                for i in range(part.shape[1])
            ]
            batches.append(np.stack(answers))  # [B, T, K]
        return np.concatenate(batches)

    return road


def measure(road: Road, dataset: Dataset) -> Measurement:
    """Accuracy after each column, with blank columns around, calibration and confusion."""
    probabilities = road(dataset.columns)
    right = probabilities.argmax(2) == dataset.answers[:, None]  # [N, T]
    after = [k for k in AFTER if k <= right.shape[1]]
    confusion = np.zeros((len(dataset.labels),) * 2, int)
    np.add.at(confusion, (dataset.answers, probabilities[:, -1].argmax(1)), 1)
    found = {
        "images": len(dataset),
        "accuracy": float(right[:, -1].mean()),
        "accuracy_after": {str(k): float(right[:, k - 1].mean()) for k in after},
        "accuracy_curve": right.mean(0).tolist(),
        "accuracy_with_blank_before": _with_blanks(road, dataset, before=True),
        "accuracy_with_blank_after": _with_blanks(road, dataset, before=False),
        "expected_calibration_error_after": {
            str(k): expected_calibration_error(
                probabilities[:, k - 1].astype(np.float64), dataset.answers
            )
            for k in after
        },
        "confusion": confusion.tolist(),
    }
    return Measurement(probabilities, found)


def _with_blanks(road: Road, dataset: Dataset, *, before: bool) -> dict[str, float]:
    """Accuracy at the last column with blank ones before, or after, each digit."""
    accuracies = {}
    for blanks in BLANKS:
        margin = (blanks, 0) if before else (0, blanks)
        answers = road(np.pad(dataset.columns, ((0, 0), margin, (0, 0))))[:, -1].argmax(1)
        accuracies[str(blanks)] = float((answers == dataset.answers).mean())
    return accuracies


def report(checkpoints: Sequence[Path], dataset: Dataset) -> "Report":
    """Measure each checkpoint (other seeds of the same recipe beside the first) on `dataset`.

    Args:
        checkpoints: the first is the one that is reported in full.
        dataset: images that no choice has seen.
    """
    nets = [read(path, "classifier") for path in checkpoints]
    first, *others = (measure(runtime_road(net), dataset) for net in nets)
    metadata = nets[0].metadata
    contents = {
        "model": metadata.name,
        "version": metadata.version,
        "parameters": metadata.parameters,
        "checkpoint_sha256": hashlib.sha256(nets[0].path.read_bytes()).hexdigest(),
        "config_digest": metadata.config_digest,
        "data": dataset.name,
        "data_digest": dataset.digest,
        **first.figures,
        "seeds": _spread([first.figures, *(other.figures for other in others)]),
    }
    return Report(contents, first.probabilities, dataset)


def _spread(nets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation (over the nets given, N - 1) of the accuracies."""
    after = {
        k: np.array([net["accuracy_after"][k] for net in nets]) for k in nets[0]["accuracy_after"]
    }
    return {
        "n": len(nets),
        "accuracy": [net["accuracy"] for net in nets],
        "mean_after": {k: float(values.mean()) for k, values in after.items()},
        "spread_after": {
            k: float(values.std(ddof=1)) if len(values) > 1 else None for k, values in after.items()
        },
    }


@dataclass(frozen=True, slots=True)
class Report:
    """What `report` found; `contents` is plain JSON."""

    contents: dict[str, Any]
    probabilities: NDArray[np.float32]  # [N, T, K]
    dataset: Dataset

    def table(self) -> str:
        """The figures as a Markdown table."""
        return figures("digits", self.contents)

    def heading(self) -> str:
        """What was measured."""
        contents = self.contents
        return (
            f"{contents['model']} {contents['version']}, {contents['parameters']:,} parameters\n"
            f"checkpoint {contents['checkpoint_sha256']}\n"
            f"data {contents['data_digest']}\n"
        )

    def save(self, folder: Path) -> None:
        """Write report.json, figures.md and the plots into `folder`."""
        from inkstream.model import plots  # noqa: PLC0415  # needs matplotlib, which measuring does not

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(self.contents, indent=2) + "\n")
        (folder / "figures.md").write_text(self.table())
        plots.draw_report(self.contents, self.probabilities, self.dataset, folder)
