"""Baselines: their images, their limits, and the comparison."""

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inkstream.model.evaluation.baselines import (
    Baseline,
    Grey,
    Kind,
    RapidOCR,
    Rendering,
    Tesseract,
    compare,
    render,
)
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.lines import report
from inkstream.model.evaluation.report import document
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink

needs_rapidocr = pytest.mark.needs(find_spec("rapidocr") is not None)
needs_tesseract = pytest.mark.needs(find_spec("pytesseract") and shutil.which("tesseract"))


class Parrot:
    """Says of every image how large it was and what it was allowed to say."""

    name = "Parrot 1"
    sees = "nothing"
    page_method = "none"
    renderings: Mapping[Kind, Rendering] = defaultdict(lambda: Rendering(20, 3, 5))

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, str]] = []

    def read_page(self, image: NDArray[np.uint8]) -> list[str]:
        return ["a"]

    def read(self, images: Sequence[Grey], kind: Kind, characters: str) -> list[str]:
        self.asked += [(each.shape[0], kind, characters) for each in images]
        return ["a" for _ in images]


def pieces() -> EvaluationSet:
    return EvaluationSet(ink(), "test", builders.LETTERS, HEIGHT)


def printed(text: str) -> NDArray[np.uint8]:
    """A line of print."""
    page = Image.new("L", (40 * len(text) + 40, 72), 255)
    ImageDraw.Draw(page).text((20, 8), text, fill=0, font=ImageFont.load_default(44))
    return np.asarray(page)


def test_an_image_is_dark_on_light_and_has_its_margins() -> None:
    own = pieces()
    (place, *_) = own.indices("7")
    drawn = render(own, place, Rendering(20, 3, 5))
    columns = own.columns(place, 20)
    assert drawn.shape == (26, len(columns) + 10)
    assert (drawn[:3] == 255).all()
    assert (drawn[:, :5] == 255).all()
    np.testing.assert_array_equal(255 - drawn[3:-3, 5:-5], columns.T)


def test_baselines_read_the_same_pieces_and_know_their_kind_and_limits() -> None:
    own, baseline = pieces(), Parrot()
    indices = {"words": own.indices("7"), "text": own.indices("8")}
    ours = {side: own.errors(each, ["" for _ in each]) for side, each in indices.items()}
    found = compare(own, baseline, builders.LETTERS, ours, n_columns=1000)
    assert {rows for rows, _, _ in baseline.asked} == {26}
    kinds = [kind for _, kind, _ in baseline.asked]
    assert kinds.count("word") == found["words"]["pieces"] == len(own.indices("7"))
    assert kinds.count("text") == found["text"]["pieces"] == len(own.indices("8"))
    assert {limit for _, kind, limit in baseline.asked if kind == "word"} == {" abc."}
    assert {limit for _, kind, limit in baseline.asked if kind == "character"} == {
        "abcdefghijklmnopqrstuvwxyz"
    }
    assert found["characters"]["1c"]["exact_match"] == 0.5  # every second one is an a
    assert found["characters"]["1a"]["pieces"] == 0
    assert found["words"]["pieces"] == sum(
        found["words"][key]["pieces"] for key in ("unseen", "seen") if key in found["words"]
    )
    assert found["us_per_column"] >= 0
    for side in indices:  # each of ours is wrong, and of theirs each but an a here and there
        assert found[side]["ratios"]["all"]["ratio"] == found[side]["cer"] < 1


def test_the_document_compares_baselines_with_the_net(tmp_path: Path) -> None:
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS)
    images = builders.excerpt(2)
    beside = report(net, ink(), images, limit=2, baselines=[Parrot()]).contents
    text = document("lines", beside, "plots")
    assert "Parrot 1 sees nothing" in text
    assert text.count("| Parrot 1 |") == 2  # errors, and how many times ours
    assert "Parrot" not in document("lines", beside | {"baselines": {}}, "plots")


@needs_rapidocr
def test_rapidocr_reads_print_and_keeps_to_its_limits() -> None:
    reads_print(RapidOCR(), "hello")


@needs_rapidocr
def test_rapidocr_finds_the_lines_of_a_page() -> None:
    page = np.full((260, 320, 3), 255, np.uint8)
    for top, line in ((10, "hello"), (140, "world")):
        image = printed(line)
        page[top : top + 72, : image.shape[1]] = image[:, :, None]
    assert RapidOCR().read_page(page) == ["hello", "world"]


@needs_tesseract
def test_tesseract_reads_print_and_keeps_to_its_limits() -> None:
    reads_print(Tesseract(), "hello")


def reads_print(baseline: Baseline, text: str) -> None:
    small = "abcdefghijklmnopqrstuvwxyz"
    assert baseline.read([printed(text), printed("world")], "word", small) == [text, "world"]
    assert baseline.read([printed("a")], "character", small) == ["a"]
    assert set(baseline.read([printed("a")], "character", "0123456789")[0]) <= set("0123456789")
