"""Measure nets on columns as scanners and cameras give them: `evaluate lines|digits --rough`.

Each change alters columns by a fixed amount, so that its cost is a figure that can be followed from
one net to the next. Training draws its changes at random and is another matter
(`inkstream.model.data.degradation`).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.batches import NO_ENDS, LineSample
from inkstream.model.data.images import Dataset
from inkstream.model.data.ink_set import WORDS, InkSet
from inkstream.model.data.split import Part
from inkstream.model.evaluation.digits import predictor
from inkstream.model.evaluation.evaluation_set import SEED, EvaluationSet
from inkstream.model.evaluation.report import Report, of_file
from inkstream.model.evaluation.streaming import letter_calibration
from inkstream.model.metrics import (
    Figures,
    accuracy_difference,
    bootstrap,
    cer_difference,
    expected_calibration_error,
)
from inkstream.model.reader import Reader, Reading, reading_errors

Columns = NDArray[np.uint8]  # [T, H], 0 = paper, 255 = ink
Random = np.random.Generator
Change = Callable[[Columns, Random], Columns]
Answers = TypeVar("Answers")  # of all pieces after one change

# Changes


def changes(others: Sequence[Columns], rule_row: int | None = None) -> dict[str, Change]:
    """Return all changes by name.

    Args:
        others: lines or images whose rows reach in as those of neighbours.
        rule_row: row of the rules; None is the baseline of each line.
    """
    rule = "rule at the baseline" if rule_row is None else f"rule in row {rule_row}"
    return {
        "paler x 0.5": lambda columns, _: _pixels(columns * 0.5),
        "paler x 0.3": lambda columns, _: _pixels(columns * 0.3),
        "blur of 1 pixel": lambda columns, _: _filtered(columns, ImageFilter.GaussianBlur(1)),
        "thicker, 3x3 maximum": lambda columns, _: _filtered(columns, ImageFilter.MaxFilter(3)),
        "noise of 15": lambda columns, random: _noisy(columns, random, 15),
        "noise of 30": lambda columns, random: _noisy(columns, random, 30),
        "specks, 1 %": _specked,
        "black and white at 128": lambda columns, _: np.where(
            columns >= 128, np.uint8(255), np.uint8(0)
        ),
        f"{rule}, 80": lambda columns, _: _ruled(columns, 80, rule_row),
        f"{rule}, 160": lambda columns, _: _ruled(columns, 160, rule_row),
        f"{rule}, 255": lambda columns, _: _ruled(columns, 255, rule_row),
        "vertical rules each 24 columns, 160": _ruled_across,
        "3 rows of neighbours": lambda columns, random: _between(
            columns, others[int(random.integers(len(others)))], 3
        ),
        "up 2 rows": lambda columns, _: np.pad(columns[:, 2:], ((0, 0), (0, 2))),
        "down 2 rows": lambda columns, _: np.pad(columns[:, :-2], ((0, 0), (2, 0))),
        "width x 0.8": lambda columns, _: _widened(columns, 0.8),
        "width x 1.25": lambda columns, _: _widened(columns, 1.25),
        "grey paper, 30": lambda columns, _: _pixels(30 + columns * ((255 - 30) / 255)),
    }


def _filtered(columns: Columns, image_filter: ImageFilter.Filter) -> Columns:
    return np.asarray(Image.fromarray(columns).filter(image_filter))


def _noisy(columns: Columns, random: Random, deviation: float) -> Columns:
    """Add Gaussian noise to each pixel."""
    return _pixels(columns + random.normal(0, deviation, columns.shape))


def _specked(columns: Columns, random: Random) -> Columns:
    """Make one pixel in a hundred at least as dark as a random tone; a paler one is noise."""
    tones = random.integers(128, 255, columns.shape, np.uint8, endpoint=True)
    return np.where(random.random(columns.shape) < 0.01, np.maximum(columns, tones), columns)


def _ruled(columns: Columns, darkness: int, row: int | None) -> Columns:
    """Draw a rule one row thick in `row`, or at the baseline of the ink where it is None."""
    marked, row = columns.copy(), baseline(columns) if row is None else row
    marked[:, row] = np.maximum(marked[:, row], darkness)
    return marked


def _ruled_across(columns: Columns, random: Random) -> Columns:
    """Draw vertical rules one column thick, each 24 columns; the first is one of the first 24."""
    marked, first = columns.copy(), int(random.integers(24))
    marked[first::24] = np.maximum(marked[first::24], 160)
    return marked


def _between(columns: Columns, other: Columns, n_rows: int) -> Columns:
    """Let the lowest ink of another line reach in at the top, and its highest at the bottom."""
    inked = np.flatnonzero(other.any(0))
    repeated = np.resize(other, (len(columns), other.shape[1]))
    marked = columns.copy()
    above, below = inked[-n_rows:], inked[:n_rows]
    marked[:, : len(above)] = np.maximum(marked[:, : len(above)], repeated[:, above])
    marked[:, -len(below) :] = np.maximum(marked[:, -len(below) :], repeated[:, below])
    return marked


def _widened(columns: Columns, factor: float) -> Columns:
    n_columns, height = columns.shape
    size = (height, max(1, round(factor * n_columns)))  # the image lies on its side
    return np.asarray(Image.fromarray(columns).resize(size, Image.Resampling.BILINEAR))


def baseline(columns: Columns) -> int:
    """Return the row below which there is least ink compared with it, in the lower half."""
    ink = columns.sum(0, dtype=np.int64)
    below = np.append(ink[1:], 0)
    half = len(ink) // 2
    return half + int((ink - below)[half:].argmax())


def _pixels(values: NDArray[np.floating[Any]]) -> Columns:
    return values.round().clip(0, 255).astype(np.uint8)


# Reports


def words_report(
    checkpoint: Checkpoint, ink: InkSet, *, part: Part = "test", limit: int | None = None
) -> Report:
    """Measure a transcriber on words of a part's writers, plain and after each change.

    `limit` is the number of words; None is 400.
    """
    reader = Reader(checkpoint)
    config = reader.config
    pieces = EvaluationSet(ink, part, config.labels, config.column_height, limit or 400)
    indices = pieces.indices(WORDS)
    samples, writers = pieces.samples(indices), pieces.writers(indices)

    def read(change: Change | None) -> list[Reading]:
        random = np.random.default_rng(SEED)
        return reader.read(
            [
                LineSample(
                    change(line.columns, random) if change else line.columns, line.label, NO_ENDS
                )
                for line in samples
            ]
        )

    def sampled(readings: Sequence[Reading]) -> Figures:
        return bootstrap([reading.text for reading in readings], pieces.labels(indices), writers)

    about = {
        "data": checkpoint.metadata.data,
        "data_digest": ink.digest,
        "split_digest": pieces.split_digest,
        "part": part,
        "limit": limit,
        "measure": "CER",
        "pieces": len(indices),
        "writers": len(set(writers)),
    }
    figures = _measured(
        read,
        changes([line.columns for line in samples]),
        value=lambda readings: reading_errors(readings)["cer"],
        difference=lambda readings, plain: cer_difference(sampled(readings), sampled(plain)),
        calibration_error=lambda readings: letter_calibration(list(chain.from_iterable(readings)))[
            "expected_calibration_error"
        ],
    )
    return Report("rough", of_file(checkpoint) | about | figures)


def digits_report(checkpoint: Checkpoint, dataset: Dataset, *, part: Part = "test") -> Report:
    """Measure a classifier on images after their last column, plain and after each change."""
    predict = predictor(checkpoint)

    def read(change: Change | None) -> NDArray[np.float64]:
        """Return the probabilities [N, K] after the last column."""
        random, images = np.random.default_rng(SEED), dataset.columns
        if change:
            images = np.stack([change(columns, random) for columns in images])
        return predict(images)[:, -1].astype(np.float64)

    def right(probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        is_right: NDArray[np.bool_] = probabilities.argmax(1) == dataset.answers
        return is_right

    about = {
        "data": dataset.name,
        "data_digest": dataset.digest,
        "part": part,
        "measure": "accuracy",
        "pieces": len(dataset),
    }
    figures = _measured(
        read,
        changes([*dataset.columns], rule_row=24),  # below the ink of most images of MNIST
        value=lambda probabilities: float(right(probabilities).mean()),
        difference=lambda rough, plain: accuracy_difference(right(rough), right(plain)),
        calibration_error=lambda runs: expected_calibration_error(
            np.concatenate(runs), np.tile(dataset.answers, len(runs))
        ),
    )
    return Report("rough", of_file(checkpoint) | about | figures)


def _measured(
    read: Callable[[Change | None], Answers],
    by_name: Mapping[str, Change],
    *,
    value: Callable[[Answers], float],
    difference: Callable[[Answers, Answers], Figures],
    calibration_error: Callable[[Sequence[Answers]], float | None],
) -> Figures:
    """Return the figures of what is read plain (None) and after each change."""
    plain = read(None)
    rough = {name: read(change) for name, change in by_name.items()}
    return {
        "plain": {"value": value(plain), "expected_calibration_error": calibration_error([plain])},
        "changes": {
            name: {
                "value": value(answers),
                **difference(answers, plain),
                "expected_calibration_error": calibration_error([answers]),
            }
            for name, answers in rough.items()
        },
        "calibration_error_of_all": calibration_error(list(rough.values())),
    }
