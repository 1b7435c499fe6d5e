"""Pages with their text drawn on them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream.model.pages.answers import BoxedWord, ReadLine
from inkstream.model.pages.drawing import draw
from inkstream.model.pages.transcription import Page
from inkstream.model.recognizer import load

BOX = ((10.0, 60.0), (90.0, 60.0), (90.0, 99.0), (10.0, 99.0))


@pytest.mark.parametrize("net", ["lines", "digits"])
def test_all_letters_that_a_net_knows_are_drawn(net: str, tmp_path: Path) -> None:
    blank, shown = tmp_path / "blank.png", tmp_path / "shown.png"
    Image.new("L", (100, 100), 255).save(blank)

    def drawn(text: str) -> bytes:
        word = BoxedWord(box=BOX, start=0, end=1, confidence=0.9, text=text, alternatives=())
        line = ReadLine(
            text=text, confidence=0.9, box=BOX, block=0, letters=(), words=(word,), columns=1
        )
        draw(blank, Page(text=text, width=100, height=100, lines=(line,)), shown)
        with Image.open(shown) as image:
            return np.asarray(image).tobytes()

    unknown, nothing = drawn("\U0010ffff"), drawn("")
    missing = [label for label in load(net).labels if drawn(label) in (unknown, nothing)]
    assert missing == [" "] * (net == "lines")
