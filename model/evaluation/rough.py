"""Measure nets on columns as scanners and cameras give them: `evaluate lines|digits --rough`.

Each change alters columns by a fixed amount, so that its cost is a figure that can be followed from
one net to the next. Training draws its changes at random and is another matter
(`inkstream.model.data.degradation`).
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

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
from inkstream.model.evaluation.report import Report
from inkstream.model.evaluation.streaming import letter_calibration
from inkstream.model.metrics import (
    accuracy_difference,
    bootstrap,
    cer_difference,
    expected_calibration_error,
)
from inkstream.model.reader import Reader, Reading, reading_errors

Columns = NDArray[np.uint8]  # [T, H], 0 = paper, 255 = ink
Random = np.random.Generator
Change = Callable[[Columns, Random], Columns]

INK: Final = 255
SPECKS: Final = (128, INK)  # darkness of a speck; a paler one is noise
RULE: Final = 160  # darkness of vertical rules
RULE_EVERY: Final = 24  # columns
NEIGHBOUR_ROWS: Final = 3
N_WORDS: Final = 400  # that are read after each change
DIGITS_RULE: Final = 24  # the row below the ink of most images of MNIST


# Changes


def paler(columns: Columns, random: Random, *, share: float) -> Columns:
    """Leave a share of the darkness."""
    return _pixels(columns * share)


def blurred(columns: Columns, random: Random, *, sigma: float) -> Columns:
    """Blur with a Gaussian of so many pixels."""
    return np.asarray(Image.fromarray(columns).filter(ImageFilter.GaussianBlur(sigma)))


def thicker(columns: Columns, random: Random) -> Columns:
    """Give each pixel the maximum of the 3x3 pixels around it."""
    return np.asarray(Image.fromarray(columns).filter(ImageFilter.MaxFilter(3)))


def noisy(columns: Columns, random: Random, *, deviation: float) -> Columns:
    """Add Gaussian noise to each pixel."""
    return _pixels(columns + random.normal(0, deviation, columns.shape))


def specked(columns: Columns, random: Random, *, share: float) -> Columns:
    """Make a share of the pixels at least as dark as a tone that is drawn from `SPECKS`."""
    tones = random.integers(*SPECKS, columns.shape, np.uint8, endpoint=True)
    return np.where(random.random(columns.shape) < share, np.maximum(columns, tones), columns)


def black_and_white(columns: Columns, random: Random, *, threshold: int) -> Columns:
    """Leave nothing but ink and paper."""
    return np.where(columns >= threshold, np.uint8(INK), np.uint8(0))


def ruled(columns: Columns, random: Random, *, darkness: int, row: int | None) -> Columns:
    """Draw a rule one row thick in `row`, or at the baseline of the ink where it is None."""
    marked = columns.copy()
    place = baseline(columns) if row is None else row
    marked[:, place] = np.maximum(marked[:, place], darkness)
    return marked


def ruled_across(columns: Columns, random: Random, *, darkness: int, every: int) -> Columns:
    """Draw vertical rules one column thick, the first of them anywhere in the first `every`."""
    marked = columns.copy()
    first = int(random.integers(every))
    marked[first::every] = np.maximum(marked[first::every], darkness)
    return marked


def between_neighbours(
    columns: Columns, random: Random, *, others: Sequence[Columns], rows: int
) -> Columns:
    """Let the lowest ink of another line reach in at the top, and its highest at the bottom."""
    other = others[int(random.integers(len(others)))]
    inked = np.flatnonzero(other.any(0))
    repeated = np.resize(other, (len(columns), other.shape[1]))
    marked = columns.copy()
    above, below = inked[-rows:], inked[:rows]
    marked[:, : len(above)] = np.maximum(marked[:, : len(above)], repeated[:, above])
    marked[:, -len(below) :] = np.maximum(marked[:, -len(below) :], repeated[:, below])
    return marked


def shifted(columns: Columns, random: Random, *, rows: int) -> Columns:
    """Move the ink down by so many rows, or up where they are negative; cut off what leaves."""
    moved = np.zeros_like(columns)
    if rows > 0:
        moved[:, rows:] = columns[:, :-rows]
    else:
        moved[:, :rows] = columns[:, -rows:]
    return moved


def widened(columns: Columns, random: Random, *, factor: float) -> Columns:
    """Scale the width."""
    n_columns, height = columns.shape
    size = (height, max(1, round(factor * n_columns)))  # the image lies on its side
    return np.asarray(Image.fromarray(columns).resize(size, Image.Resampling.BILINEAR))


def on_grey(columns: Columns, random: Random, *, darkness: int) -> Columns:
    """Make the paper so dark; ink stays black."""
    return _pixels(darkness + columns * ((INK - darkness) / INK))


def changes(others: Sequence[Columns], rule_row: int | None = None) -> dict[str, Change]:
    """Return all changes by name.

    Args:
        others: lines or images whose rows reach in as those of neighbours.
        rule_row: row of the rules; None is the baseline of each line.
    """
    made: dict[str, Change] = {}
    for share in (0.5, 0.3):
        made[f"paler x {share:g}"] = partial(paler, share=share)
    made["blur of 1 pixel"] = partial(blurred, sigma=1)
    made["thicker, 3x3 maximum"] = thicker
    for deviation in (15, 30):
        made[f"noise of {deviation}"] = partial(noisy, deviation=deviation)
    made["specks, 1 %"] = partial(specked, share=0.01)
    made["black and white at 128"] = partial(black_and_white, threshold=128)
    place = "at the baseline" if rule_row is None else f"in row {rule_row}"
    for darkness in (80, 160, 255):
        made[f"rule {place}, {darkness}"] = partial(ruled, darkness=darkness, row=rule_row)
    name = f"vertical rules each {RULE_EVERY} columns, {RULE}"
    made[name] = partial(ruled_across, darkness=RULE, every=RULE_EVERY)
    name = f"{NEIGHBOUR_ROWS} rows of neighbours"
    made[name] = partial(between_neighbours, others=others, rows=NEIGHBOUR_ROWS)
    made["up 2 rows"], made["down 2 rows"] = partial(shifted, rows=-2), partial(shifted, rows=2)
    for factor in (0.8, 1.25):
        made[f"width x {factor:g}"] = partial(widened, factor=factor)
    made["grey paper, 30"] = partial(on_grey, darkness=30)
    return made


def baseline(columns: Columns) -> int:
    """Return the row below which there is least ink compared with it, in the lower half."""
    ink = columns.sum(0, dtype=np.int64)
    below = np.append(ink[1:], 0)
    half = len(ink) // 2
    return half + int((ink - below)[half:].argmax())


def _pixels(values: NDArray[np.floating[Any]]) -> Columns:
    return values.round().clip(0, INK).astype(np.uint8)


# Reports


def words_report(
    checkpoint: Checkpoint, ink: InkSet, *, part: Part = "test", limit: int | None = None
) -> Report:
    """Measure a transcriber on words of a part's writers, plain and after each change.

    `limit` is the number of words; None is `N_WORDS`.
    """
    reader = Reader(checkpoint)
    config = reader.config
    pieces = EvaluationSet(ink, part, config.labels, config.column_height, limit or N_WORDS)
    indices = pieces.indices(WORDS)
    samples, writers = pieces.samples(indices), pieces.writers(indices)
    labels = [line.label for line in samples]

    def read(change: Change | None = None) -> list[Reading]:
        random = np.random.default_rng(SEED)
        return reader.read(
            [
                LineSample(change(line.columns, random) if change else line.columns, label, NO_ENDS)
                for line, label in zip(samples, labels, strict=True)
            ]
        )

    def sampled(readings: Sequence[Reading]) -> dict[str, Any]:
        return bootstrap([each.text for each in readings], labels, writers)

    def calibration_error(readings: Sequence[Reading]) -> float | None:
        error: float | None = letter_calibration(readings)["expected_calibration_error"]
        return error

    plain = read()
    rough = {
        name: read(change) for name, change in changes([line.columns for line in samples]).items()
    }
    contents = {
        **_about(checkpoint),
        "data": checkpoint.metadata.data,
        "data_digest": ink.digest,
        "split_digest": pieces.split_digest,
        "part": part,
        "limit": limit,
        "measure": "CER",
        "pieces": len(labels),
        "writers": len(set(writers)),
        "plain": {
            "value": reading_errors(plain)["cer"],
            "expected_calibration_error": calibration_error(plain),
        },
        "changes": {
            name: {
                "value": reading_errors(own)["cer"],
                **cer_difference(sampled(own), sampled(plain)),
                "expected_calibration_error": calibration_error(own),
            }
            for name, own in rough.items()
        },
        "calibration_error_of_all": calibration_error(list(chain.from_iterable(rough.values()))),
    }
    return Report("rough", contents)


def digits_report(checkpoint: Checkpoint, dataset: Dataset, *, part: Part = "test") -> Report:
    """Measure a classifier on images after their last column, plain and after each change."""
    predict = predictor(checkpoint)

    def answers(change: Change | None = None) -> NDArray[np.float64]:
        random = np.random.default_rng(SEED)
        images = dataset.columns
        changed = np.stack([change(own, random) for own in images]) if change else images
        return predict(changed)[:, -1].astype(np.float64)

    def right(probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = probabilities.argmax(1) == dataset.answers
        return found

    plain = answers()
    rough = {
        name: answers(change) for name, change in changes([*dataset.columns], DIGITS_RULE).items()
    }
    contents = {
        **_about(checkpoint),
        "data": dataset.name,
        "data_digest": dataset.digest,
        "part": part,
        "measure": "accuracy",
        "pieces": len(dataset),
        "plain": {
            "value": float(right(plain).mean()),
            "expected_calibration_error": expected_calibration_error(plain, dataset.answers),
        },
        "changes": {
            name: {
                "value": float(right(own).mean()),
                **accuracy_difference(right(own), right(plain)),
                "expected_calibration_error": expected_calibration_error(own, dataset.answers),
            }
            for name, own in rough.items()
        },
        "calibration_error_of_all": expected_calibration_error(
            np.concatenate(list(rough.values())), np.tile(dataset.answers, len(rough))
        ),
    }
    return Report("rough", contents)


def _about(checkpoint: Checkpoint) -> dict[str, Any]:
    metadata = checkpoint.metadata
    return {
        "model": metadata.name,
        "version": metadata.version,
        "checkpoint_sha256": hashlib.sha256(checkpoint.content).hexdigest(),
        "config_digest": metadata.config_digest,
    }
