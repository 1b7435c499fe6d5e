"""Bars and scratches of real hands strike out words; writing is seldom taken for one."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inkstream.model.data.ink_set import TEXT
from inkstream.model.data.sources import unipen
from tests.service.web.pad import drawings
from tools.pad import ink_of_test_writers

NODE = shutil.which("node")
UNIPEN = unipen.cache_folder() / "unipen.npz"
COUNT = Path(__file__).with_name("count_gestures.js")
HANDS = 5
DRAWINGS = 40  # of each kind by each hand

pytestmark = [pytest.mark.slow, pytest.mark.needs(NODE), pytest.mark.needs(UNIPEN.exists())]


def plain(drawing: drawings.Drawing) -> dict[str, Any]:
    """Return a drawing as JSON has it."""
    words = [[stroke.tolist() for stroke in word] for word in drawing.words]
    return {"words": words, "word": drawing.word, "drawn": drawing.drawn.tolist()}


def test_words_are_struck_out_by_bars_and_scratches_and_by_little_else() -> None:
    ink = ink_of_test_writers()
    writers = Counter(writer for _, writer, _ in drawings.pieces(ink, TEXT))
    hands = [drawings.Hand(ink, writer) for writer, _ in writers.most_common(3 * HANDS)]
    hands = [hand for hand in hands if hand.words and hand.dashes and hand.zigzags][:HANDS]
    made = {
        kind.__name__: [plain(kind(hand)) for hand in hands for _ in range(DRAWINGS)]
        for kind in (drawings.strike, drawings.scratch)
    }
    insertions = {
        kind.__name__: [
            {
                part: [stroke.tolist() for stroke in strokes]
                for part, strokes in made._asdict().items()
            }
            for hand in hands
            for made in (kind(hand) for _ in range(DRAWINGS))
        ]
        for kind in (drawings.squeeze, drawings.caret)
    }
    pages = [
        [[stroke.tolist() for stroke in line] for line in page]
        for hand in hands
        for page in drawings.pages(hand)
    ]
    done = subprocess.run(
        [str(NODE), str(COUNT)],
        input=json.dumps({"drawings": made, "insertions": insertions, "pages": pages}),
        capture_output=True,
        text=True,
        check=True,
    )
    counts = json.loads(done.stdout)
    strokes = sum(len(line) for page in pages for line in page)
    print(f"of {HANDS * DRAWINGS} drawings of each kind and {strokes} strokes of writing: {counts}")
    for kind in (*made, *insertions):
        assert counts[kind] >= 0.95 * HANDS * DRAWINGS, kind
    assert counts["mistaken"] <= strokes / 500
    assert counts["moved"] <= strokes / 500, "if the pen had rested before each stroke"
    assert counts["tapped"] <= strokes / 500, "dots and commas on ink that was read before them"
