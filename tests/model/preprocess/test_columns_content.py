"""The kind of model that suits an input, and the hint of an answer by another kind."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream.model.config import Kind
from inkstream.model.preprocess.columns import (
    LOOKS_LIKE_LINE,
    LOOKS_LIKE_PAGE,
    image_hint,
    ink_hint,
    kind_for,
)
from inkstream.model.preprocess.image import Grey, read_image
from inkstream.model.recognizer import Recognizer
from tests.helpers import builders

EXAMPLES = Path(__file__).parents[3] / "examples"
LINE = [[(0, 0), (10, 30)], [(60, 5), (61, 25)]]  # two strokes, twice as wide as high


def png(grey: Grey) -> bytes:
    data = io.BytesIO()
    Image.fromarray(grey).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("width", "kind"), [(10, "classifier"), (199, "classifier"), (200, "transcriber")]
)
def test_an_image_twice_as_wide_as_high_goes_to_a_transcriber(width: int, kind: str) -> None:
    assert kind_for(png(np.zeros((100, width), np.uint8))) == kind


def test_a_photo_is_measured_upright() -> None:
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("L", (100, 300)).save(data, "PNG", exif=exif)
    assert kind_for(data.getvalue()) == "transcriber"


def test_ink_goes_to_a_transcriber() -> None:
    assert kind_for(None) == "transcriber"


def test_a_file_that_is_no_image_is_refused_by_the_classifier() -> None:
    assert kind_for(b"text") == "classifier"


@pytest.mark.parametrize("kind", ["classifier", "transcriber"])
def test_a_page_read_as_a_line_or_digit_gets_a_hint(kind: Kind) -> None:
    assert image_hint(read_image(EXAMPLES / "page.jpg"), kind) == LOOKS_LIKE_PAGE


def test_a_line_read_by_a_classifier_gets_a_hint() -> None:
    line = read_image(EXAMPLES / "hello.png")
    assert image_hint(line, "classifier") == LOOKS_LIKE_LINE
    assert image_hint(line, "transcriber") is None


def test_digits_get_no_hint_at_any_size() -> None:
    digits = builders.excerpt(400).columns  # [n, H, H]
    for columns in digits:
        assert image_hint(255 - columns.T, "classifier") is None
    for columns in digits[:40]:
        assert image_hint(np.kron(columns.T, np.ones((5, 5), np.uint8)), "classifier") is None


def test_wide_ink_read_by_a_classifier_gets_a_hint() -> None:
    assert ink_hint(LINE, "classifier") == LOOKS_LIKE_LINE
    assert ink_hint(LINE, "transcriber") is None
    assert ink_hint(LINE[:1], "classifier") is None
    assert ink_hint([[(0, 0), (9, 1)]], "classifier") is None  # one stroke is a dash


def test_ink_that_is_too_fine_to_survive_reduction_is_no_page() -> None:
    grey = np.full((2000, 2000), 255, np.uint8)
    grey[1000, 500:1500] = 100
    assert image_hint(grey, "classifier") is None


def test_the_library_gives_the_hint_with_its_answer(tmp_path: Path) -> None:
    digits = Recognizer(builders.checkpoint(tmp_path / "tiny.onnx"))
    assert digits.recognize(EXAMPLES / "7.png").hint is None
    assert digits.recognize(EXAMPLES / "hello.png").hint == LOOKS_LIKE_LINE
    assert digits.recognize(EXAMPLES / "page.jpg").hint == LOOKS_LIKE_PAGE
    assert digits.read_ink(LINE).hint == LOOKS_LIKE_LINE
