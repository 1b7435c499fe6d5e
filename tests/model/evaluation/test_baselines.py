"""Baselines: their images, their limits, and the comparison."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from string import ascii_lowercase, digits

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inkstream.model.evaluation.baselines import (
    Baseline,
    Colour,
    Grey,
    Kind,
    RapidOCR,
    ReadLine,
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


class RecordingBaseline:
    """A baseline that reads "a" everywhere and keeps size, kind and characters of the images."""

    name = "Fixed 1"
    sees = "nothing"
    page_method = "none"
    renderings: Mapping[Kind, Rendering] = defaultdict(lambda: Rendering(20, 3, 5))

    def __init__(self) -> None:
        self.calls: list[tuple[int, str, str | None]] = []

    def read_page(self, image: Colour) -> list[ReadLine]:
        return [ReadLine("a", np.zeros((4, 2)))]

    def read(self, images: Sequence[Grey], kind: Kind, characters: str | None) -> list[str]:
        self.calls += [(each.shape[0], kind, characters) for each in images]
        return ["a" for _ in images]


def evaluation_pieces() -> EvaluationSet:
    return EvaluationSet(ink(), "test", builders.LETTERS, HEIGHT)


def print_image(text: str) -> NDArray[np.uint8]:
    """Return a line of print."""
    page = Image.new("L", (40 * len(text) + 40, 72), 255)
    ImageDraw.Draw(page).text((20, 8), text, fill=0, font=ImageFont.load_default(44))
    return np.asarray(page)


def test_a_rendered_image_is_dark_on_light_with_margins() -> None:
    evaluation_set = evaluation_pieces()
    (index, *_) = evaluation_set.indices("7")
    image = render(evaluation_set, index, Rendering(20, 3, 5))
    columns = evaluation_set.columns(index, 20)
    assert image.shape == (26, len(columns) + 10)
    assert (image[:3] == 255).all()
    assert (image[:, :5] == 255).all()
    np.testing.assert_array_equal(255 - image[3:-3, 5:-5], columns.T)


def test_baselines_get_the_same_pieces_with_kind_and_characters() -> None:
    evaluation_set, baseline = evaluation_pieces(), RecordingBaseline()
    indices = {"words": evaluation_set.indices("7"), "text": evaluation_set.indices("8")}
    errors = {
        kind_of_pieces: evaluation_set.errors(each, ["" for _ in each])
        for kind_of_pieces, each in indices.items()
    }
    found = compare(evaluation_set, baseline, builders.LETTERS, errors, n_columns=1000)
    assert {height for height, _, _ in baseline.calls} == {26}
    kinds = [kind for _, kind, _ in baseline.calls]
    assert kinds.count("word") == found["words"]["pieces"] == len(evaluation_set.indices("7"))
    assert kinds.count("text") == found["text"]["pieces"] == len(evaluation_set.indices("8"))
    assert {limit for _, kind, limit in baseline.calls if kind == "word"} == {" abc."}
    assert {limit for _, kind, limit in baseline.calls if kind == "character"} == {ascii_lowercase}
    assert found["characters"]["1c"]["exact_match"] == 0.5  # every second character is an a
    assert found["characters"]["1a"]["pieces"] == 0
    assert found["words"]["pieces"] == sum(
        found["words"][key]["pieces"] for key in ("unseen", "seen") if key in found["words"]
    )
    assert found["us_per_column"] >= 0
    for kind_of_pieces in indices:  # the net reads nothing, the baseline an a here and there
        assert found[kind_of_pieces]["ratios"]["all"]["ratio"] == found[kind_of_pieces]["cer"] < 1


def test_the_document_compares_baselines_with_the_net(tmp_path: Path) -> None:
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS)
    images = builders.excerpt(2)
    contents = report(net, ink(), images, limit=2, baselines=[RecordingBaseline()]).contents
    text = document("lines", contents, "plots")
    assert "Fixed 1 sees nothing" in text
    assert text.count("| Fixed 1 |") == 2  # once with errors, once with their ratios to the net's
    assert "Fixed 1" not in document("lines", contents | {"baselines": {}}, "plots")


INSTALLED = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(RapidOCR, marks=needs_rapidocr),
        pytest.param(Tesseract, marks=needs_tesseract),
    ],
)


@INSTALLED
def test_a_baseline_finds_the_lines_of_a_page(kind: Callable[[], Baseline]) -> None:
    page, baseline = np.full((260, 320, 3), 255, np.uint8), kind()
    tops = {"hello": 10, "world": 140}
    for text, top in tops.items():
        image = print_image(text)
        page[top : top + 72, : image.shape[1]] = image[:, :, None]
    found = baseline.read_page(page)
    assert [line.text for line in found] == list(tops)
    for line in found:
        (left, top), (right, bottom) = line.box.min(0), line.box.max(0)
        assert tops[line.text] < top < bottom < tops[line.text] + 72
        assert 0 < left < right < 300
    assert baseline.read_page(np.full((260, 320, 3), 255, np.uint8)) == []


@INSTALLED
def test_a_baseline_reads_print_with_allowed_characters(kind: Callable[[], Baseline]) -> None:
    baseline, texts = kind(), ["hello", "world"]
    assert baseline.read(list(map(print_image, texts)), "word", ascii_lowercase) == texts
    assert baseline.read([print_image("a")], "character", ascii_lowercase) == ["a"]
    assert set(baseline.read([print_image("a")], "character", digits)[0]) <= set(digits)
