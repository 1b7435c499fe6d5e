"""At which size and with which margins peers read ink best: `python -m tools.renderings`.

On writers who choose; what it finds stands in `model/report/recognisers.py`.
"""

import sys
from itertools import product

from inkstream.model.evaluation.baselines import Kind, Rendering, image, line_peers
from inkstream.model.evaluation.material import TEXT, WORDS, Material
from inkstream.model.evaluation.report import percent
from inkstream.model.metrics import errors
from inkstream.model.training import lines as line_data
from tools.figures import table

PIECES = {WORDS: 300, TEXT: 100}
KINDS: dict[str, Kind] = {WORDS: "word", TEXT: "text"}
SIZES = (24, 32, 48, 64, 96)  # rows
MARGINS = ((0, 0), (4, 16), (8, 8), (16, 16))  # above and below, beside
FILLS = ("frame", "ink")
HEAD = ("what fills the rows", "rows", "blank above and below, beside", "words", "lines")
LABELS = "".join(chr(code) for code in range(32, 127))


def main() -> None:
    """Print a table for each peer that is installed."""
    ink = line_data.load(None).ink
    materials = {what: Material(ink, "validation", LABELS, 32, n) for what, n in PIECES.items()}
    for peer in line_peers():
        rows = []
        for tight, size, (above, beside) in product((False, True), SIZES, MARGINS):
            rendering = Rendering(size, above, beside, tight)
            found = []
            for what, material in materials.items():
                places = material.places(what)
                images = [image(material, place, rendering) for place in places]
                texts = peer.read(images, KINDS[what], LABELS)
                found.append(percent(errors(texts, material.labels(places))["error"]))
            rows.append((FILLS[tight], f"{size}", f"{above}, {beside}", *found))
            print(*rows[-1], file=sys.stderr, flush=True)
        print(peer.name)
        print(table(HEAD, rows))


if __name__ == "__main__":
    main()
