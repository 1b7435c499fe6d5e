"""Find the size and margins at which each baseline reads best: `python -m tools.renderings`.

It reads validation writers; `model/evaluation/baselines.py` holds the result.
"""

import sys
from itertools import product

from inkstream.model.data import line_data
from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.evaluation.baselines import Kind, Rendering, installed, render
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.report import percent
from inkstream.model.metrics import errors
from tools.figures import table

PIECES = {WORDS: 300, TEXT: 100}
KINDS: dict[str, Kind] = {WORDS: "word", TEXT: "text"}
SIZES = (24, 32, 48, 64, 96)  # rows
MARGINS = ((0, 0), (4, 16), (8, 8), (16, 16))  # above and below, beside
FILLS = ("frame", "ink")
HEAD = ("what fills the rows", "rows", "blank above and below, beside", "words", "lines")
LABELS = "".join(chr(code) for code in range(32, 127))


def main() -> None:
    """Print a table for each installed baseline."""
    ink = line_data.load_ink(None).ink
    evaluation_sets = {
        category: EvaluationSet(ink, "validation", LABELS, 32, n) for category, n in PIECES.items()
    }
    for baseline in installed():
        rows = []
        for tight, size, (above, beside) in product((False, True), SIZES, MARGINS):
            rendering = Rendering(size, above, beside, tight)
            found = []
            for category, evaluation_set in evaluation_sets.items():
                indices = evaluation_set.indices(category)
                images = [render(evaluation_set, index, rendering) for index in indices]
                texts = baseline.read(images, KINDS[category], LABELS)
                found.append(percent(errors(texts, evaluation_set.labels(indices))["cer"]))
            rows.append((FILLS[tight], f"{size}", f"{above}, {beside}", *found))
            print(*rows[-1], file=sys.stderr, flush=True)
        print(baseline.name)
        print(table(HEAD, rows))


if __name__ == "__main__":
    main()
