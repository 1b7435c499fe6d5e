"""What small ink loses, and what it gains in a frame that suits it: `python -m tools.frames`.

On writers who choose; what it finds stands in docs/experiments.md.
"""

import sys

import numpy as np

from inkstream.model.checkpoint import find, read
from inkstream.model.data.augmentation import fit
from inkstream.model.data.batches import LineSample
from inkstream.model.evaluation.evaluation_set import NO_ENDS, SEED, TEXT, WORDS, EvaluationSet
from inkstream.model.evaluation.report import percent
from inkstream.model.metrics import errors
from inkstream.model.preprocess.ink import flatten, misfit, rasterise
from inkstream.model.reader import Reader
from inkstream.model.training import lines as line_data
from tools.figures import table

PIECES = {WORDS: 600, TEXT: 200}
SIZES = (1, 0.75, 0.6, 0.5, 0.35)  # shares of the rows that a writer's frame takes
HEAD = ("share of the rows", "words", "fitted", "lines", "fitted")


def drawn(
    evaluation_set: EvaluationSet, place: int, size: float, at: float, *, fitted: bool
) -> LineSample:
    """A piece of this size, somewhere in its rows; `fitted` as a session does where it is asked."""
    pieces, height = evaluation_set.pieces, evaluation_set.column_height
    piece = pieces.ink.piece(int(pieces.indices[place]))
    written, starts = flatten(piece.strokes)
    points = fit(written, pieces.frame(place), height, size=size, place=at)
    if fitted and (found := misfit(points, starts, height, transcribes=True)) is not None:
        zoom, middle = found
        points = ((points - (0, middle)) * zoom + (0, height / 2)).astype(np.float32)
    return LineSample(rasterise(points, starts, height), piece.label, NO_ENDS)


def main() -> None:
    """Print the errors of characters as a table."""
    ink, reader = line_data.load_ink(None).ink, Reader(read(find("lines")))
    labels, height = reader.config.labels, reader.config.column_height
    evaluation_sets = [EvaluationSet(ink, "validation", labels, height, n) for n in PIECES.values()]
    rows = []
    for size in SIZES:
        found = []
        for what, evaluation_set in zip(PIECES, evaluation_sets, strict=True):
            places = evaluation_set.indices(what)
            for fitted in (False, True):
                random = np.random.default_rng(SEED)
                lines = [
                    drawn(evaluation_set, place, size, random.random(), fitted=fitted)
                    for place in places
                ]
                texts = [reading.text for reading in reader.read(lines)]
                found.append(percent(errors(texts, evaluation_set.labels(places))["cer"]))
        rows.append((f"{size:.0%}", *found))
        print(*rows[-1], file=sys.stderr, flush=True)
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
