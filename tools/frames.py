"""Measure the errors of small ink, with and without a fitted frame: `python -m tools.frames`.

It reads validation writers; docs/experiments.md has the result.
"""

import sys

import numpy as np

from inkstream.model.checkpoint import find, read
from inkstream.model.data.augmentation import fit
from inkstream.model.data.batches import NO_ENDS, LineSample
from inkstream.model.evaluation.evaluation_set import SEED, TEXT, WORDS, EvaluationSet
from inkstream.model.evaluation.report import percent
from inkstream.model.metrics import errors
from inkstream.model.preprocess.ink import flatten, misfit, rasterise
from inkstream.model.reader import Reader
from inkstream.model.training import lines as line_data
from tools.figures import table

PIECES = {WORDS: 600, TEXT: 200}
SIZES = (1, 0.75, 0.6, 0.5, 0.35)  # of the writer's frame, as shares of the rows
HEAD = ("share of the rows", "words", "fitted", "lines", "fitted")


def resized_line(
    evaluation_set: EvaluationSet,
    index: int,
    size: float,
    position: float,
    *,
    fitted: bool,
    directions: bool,
) -> LineSample:
    """Return a piece of this size at a position in its rows, with `fitted` in its own frame."""
    pieces, height = evaluation_set.pieces, evaluation_set.column_height
    piece = pieces.ink.piece(int(pieces.indices[index]))
    ink_points, starts = flatten(piece.strokes)
    points = fit(ink_points, pieces.frame(index), height, size=size, place=position)
    if fitted and (found := misfit(points, starts, height, transcribes=True)) is not None:
        zoom, centre = found
        points = ((points - (0, centre)) * zoom + (0, height / 2)).astype(np.float32)
    return LineSample(
        rasterise(points, starts, height, directions=directions), piece.label, NO_ENDS
    )


def main() -> None:
    """Print the errors of characters as a table."""
    ink, reader = line_data.load_ink(None).ink, Reader(read(find("lines")))
    labels, height = reader.config.labels, reader.config.column_height
    evaluation_sets = [EvaluationSet(ink, "validation", labels, height, n) for n in PIECES.values()]
    rows = []
    for size in SIZES:
        found = []
        for category, evaluation_set in zip(PIECES, evaluation_sets, strict=True):
            indices = evaluation_set.indices(category)
            for fitted in (False, True):
                random = np.random.default_rng(SEED)
                lines = [
                    resized_line(
                        evaluation_set,
                        index,
                        size,
                        random.random(),
                        fitted=fitted,
                        directions=reader.config.directions,
                    )
                    for index in indices
                ]
                texts = [reading.text for reading in reader.read(lines)]
                found.append(percent(errors(texts, evaluation_set.labels(indices))["cer"]))
        rows.append((f"{size:.0%}", *found))
        print(*rows[-1], file=sys.stderr, flush=True)
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
