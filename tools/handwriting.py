"""Draw samples of handwriting for comparisons: digits, and words and lines by test writers.

The draw has a seed and depends on the data alone, so it is the same in every run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream import load
from inkstream.model.config import ModelConfig
from inkstream.model.data import split
from inkstream.model.data.ink_set import CATEGORIES, TEXT, WORDS, InkSet
from inkstream.model.data.sources import mnist, unipen
from inkstream.model.preprocess.ink import stroke_columns

SEED: Final = 25
TALL_QUANTILE: Final = 0.7  # quantile of the heights of a writer's words: a tall word
FLATTEST: Final = 60  # largest width of a frame, in its heights


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One word or line of ink in its frame, which begins at y = 0."""

    label: str
    strokes: list[NDArray[np.float64]]  # each [n, 2], x to the right, y downwards
    height: float  # of the frame
    columns: NDArray[np.uint8]  # [T, 32], of the ink in its frame, without directions


@dataclass(frozen=True, slots=True, eq=False)
class Handwriting:
    """Digits, words and lines."""

    digits: NDArray[np.uint8]  # [N, 28, 28], columns first
    words: list[Sample]
    lines: list[Sample]

    def save(self, path: Path) -> None:
        """Write one .npz file, which `read_answers` reads."""
        samples = [*self.words, *self.lines]
        strokes = [stroke for sample in samples for stroke in sample.strokes]
        arrays: dict[str, Any] = {
            "digits": self.digits,
            "n_words": len(self.words),
            "heights": [sample.height for sample in samples],
            "n_strokes": [len(sample.strokes) for sample in samples],
            "stroke_lengths": [len(stroke) for stroke in strokes],
            "points": np.concatenate(strokes),
            "n_columns": [len(sample.columns) for sample in samples],
            "columns": np.concatenate([sample.columns for sample in samples]),
        }
        np.savez(path, allow_pickle=False, **arrays)


def draw(n_digits: int, n_words: int, n_lines: int) -> Handwriting:
    """Draw samples; raise `DataError` if MNIST or UNIPEN is missing."""
    random = np.random.default_rng(SEED)
    images = mnist.load("t10k").columns
    digits = images[np.sort(random.permutation(len(images))[:n_digits])]
    ink = unipen.read()[0]
    pieces = split.parts(ink)["test"]
    words = _samples(ink, pieces, WORDS, n_words, random)
    return Handwriting(digits, words, _samples(ink, pieces, TEXT, n_lines, random))


def _samples(
    ink: InkSet, pieces: NDArray[np.int64], category: str, count: int, random: np.random.Generator
) -> list[Sample]:
    pieces = pieces[ink.categories[pieces] == CATEGORIES.index(category)]
    first = ink.stroke_starts[ink.piece_starts[:-1]]
    heights = np.maximum.reduceat(ink.points[:, 1], first)[pieces].astype(np.float64)
    height_of_writer = {
        writer: float(np.quantile(heights[ink.writers[pieces] == writer], TALL_QUANTILE))
        for writer in np.unique(ink.writers[pieces]).tolist()
    }
    indices = np.sort(random.permutation(pieces)[:count]).tolist()
    config = load("lines").metadata.config
    return [
        _sample(ink, index, height_of_writer[int(ink.writers[index])], config) for index in indices
    ]


def _sample(ink: InkSet, index: int, usual_height: float, config: ModelConfig) -> Sample:
    piece = ink.piece(index)
    width, ink_height = np.concatenate(piece.strokes).max(0).tolist()
    height = max(float(ink_height), usual_height, width / FLATTEST, 1.0)
    offset = np.array((0.0, (height - ink_height) / 2))
    strokes = [stroke + offset for stroke in piece.strokes]
    drawn = stroke_columns(strokes, config, height)
    return Sample(piece.label, strokes, height, drawn[:, : config.column_height])
