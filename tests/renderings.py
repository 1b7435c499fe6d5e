"""At which size and with which margins peers read ink best: `python -m tests.renderings`.

On writers who choose; what it finds stands in `model/report/recognisers.py`.
"""

import sys
from itertools import product

from model.data import line_data
from model.report.material import TEXT, WORDS, Material
from model.report.measures import errors
from model.report.peers import image
from model.report.recognisers import Kind, Rendering, installed
from model.report.tables import markdown, percent

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
    materials = {what: Material(ink, "choose", LABELS, 32, n) for what, n in PIECES.items()}
    for peer in installed():
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
        print(markdown(HEAD, rows))


if __name__ == "__main__":
    main()
