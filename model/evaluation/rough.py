"""Measure nets on columns as scanners and cameras give them: `evaluate lines|digits --rough`.

Each change alters columns by a fixed amount, so that its cost is a figure that can be followed from
one net to the next. Training draws its changes at random and is another matter
(`inkstream.model.data.degradation`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar

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
CALIBRATION_ERROR: Final = "expected_calibration_error"

# Changes


def changes(others: Sequence[Columns], rule_row: int | None = None) -> dict[str, Change]:
    """Return all changes by name.

    Args:
        others: lines or images whose rows reach in as those of neighbours.
        rule_row: row of the rules; None is the baseline of each line.
    """
    rule = "rule at the baseline" if rule_row is None else f"rule in row {rule_row}"
    blur, thicken = ImageFilter.GaussianBlur(1), ImageFilter.MaxFilter(3)
    return {
        "paler x 0.5": lambda columns, _: _pixels(columns * 0.5),
        "paler x 0.3": lambda columns, _: _pixels(columns * 0.3),
        "blur of 1 pixel": lambda columns, _: np.asarray(Image.fromarray(columns).filter(blur)),
        "thicker, 3x3 maximum": lambda columns, _: np.asarray(
            Image.fromarray(columns).filter(thicken)
        ),
        "noise of 15": lambda columns, random: _noisy(columns, 15, random),
        "noise of 30": lambda columns, random: _noisy(columns, 30, random),
        "specks, 1 %": _specked,
        "black and white at 128": lambda columns, _: np.uint8(255) * (columns >= 128),
        **{
            f"{rule}, {darkness}": partial(_ruled, darkness, rule_row)
            for darkness in (80, 160, 255)
        },
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


def _noisy(columns: Columns, deviation: float, random: Random) -> Columns:
    return _pixels(columns + random.normal(0, deviation, columns.shape))


def _specked(columns: Columns, random: Random) -> Columns:
    """Make one pixel in a hundred at least as dark as a random tone; a paler one is noise."""
    tones = random.integers(128, 255, columns.shape, np.uint8, endpoint=True)
    return np.where(random.random(columns.shape) < 0.01, np.maximum(columns, tones), columns)


def _ruled(darkness: int, row: int | None, columns: Columns, _: Random) -> Columns:
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
    half = len(ink) // 2
    return half + int((ink - np.append(ink[1:], 0))[half:].argmax())


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
    pieces = EvaluationSet(
        ink, part, reader.config.labels, reader.config.column_height, limit or 400
    )
    indices = pieces.indices(WORDS)
    samples, writers = pieces.samples(indices), pieces.writers(indices)

    def read(change: Change | None) -> list[Reading]:
        random, columns = np.random.default_rng(SEED), [line.columns for line in samples]
        if change:
            columns = [change(of_line, random) for of_line in columns]
        pairs = zip(columns, pieces.labels(indices), strict=True)
        return reader.read([LineSample(of_line, label, NO_ENDS) for of_line, label in pairs])

    def sampled(readings: Sequence[Reading]) -> Figures:
        return bootstrap([reading.text for reading in readings], pieces.labels(indices), writers)

    contents = of_file(checkpoint) | {
        "data": checkpoint.metadata.data,
        "data_digest": ink.digest,
        "split_digest": pieces.split_digest,
        "part": part,
        "limit": limit,
        "measure": "CER",
        "pieces": len(indices),
        "writers": len(set(writers)),
        **_measured(
            read,
            changes([line.columns for line in samples]),
            value=lambda readings: reading_errors(readings)["cer"],
            difference=lambda readings, plain: cer_difference(sampled(readings), sampled(plain)),
            calibrated=lambda runs: letter_calibration(list(chain.from_iterable(runs))),
        ),
    }
    return Report("rough", contents)


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

    contents = of_file(checkpoint) | {
        "data": dataset.name,
        "data_digest": dataset.digest,
        "part": part,
        "measure": "accuracy",
        "pieces": len(dataset),
        **_measured(
            read,
            changes([*dataset.columns], rule_row=24),  # below the ink of most images of MNIST
            value=lambda probabilities: float(right(probabilities).mean()),
            difference=lambda rough, plain: accuracy_difference(right(rough), right(plain)),
            calibrated=lambda runs: {
                CALIBRATION_ERROR: expected_calibration_error(
                    np.concatenate(runs), np.tile(dataset.answers, len(runs))
                )
            },
        ),
    }
    return Report("rough", contents)


def _measured(
    read: Callable[[Change | None], Answers],
    by_name: Mapping[str, Change],
    *,
    value: Callable[[Answers], float],
    difference: Callable[[Answers, Answers], Figures],
    calibrated: Callable[[Sequence[Answers]], Figures],
) -> Figures:
    """Return the figures of what is read plain (None) and after each change."""

    def figures(answers: Answers) -> Figures:
        calibration_error = calibrated([answers])[CALIBRATION_ERROR]
        return {"value": value(answers), CALIBRATION_ERROR: calibration_error}

    plain = read(None)
    rough = {name: read(change) for name, change in by_name.items()}
    return {
        "plain": figures(plain),
        "changes": {
            name: figures(answers) | difference(answers, plain) for name, answers in rough.items()
        },
        "calibration_error_of_all": calibrated(list(rough.values()))[CALIBRATION_ERROR],
    }
