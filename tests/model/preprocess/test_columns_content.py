"""The hint of an answer by another kind of model than suits an input."""

from pathlib import Path

import numpy as np
import pytest

from inkstream.model.config import Kind
from inkstream.model.preprocess.columns import (
    LOOKS_LIKE_LINE,
    LOOKS_LIKE_PAGE,
    image_hint,
    ink_hint,
)
from inkstream.model.preprocess.image import read_image
from inkstream.model.recognizer import Recognizer
from tests.helpers import builders

EXAMPLES = Path(__file__).parents[3] / "examples"
LINE = [[(0, 0), (10, 30)], [(60, 5), (61, 25)]]  # two strokes, twice as wide as high


@pytest.mark.parametrize(
    ("name", "kind", "hint"),
    [
        ("page.jpg", "classifier", LOOKS_LIKE_PAGE),
        ("page.jpg", "transcriber", LOOKS_LIKE_PAGE),
        ("hello.png", "classifier", LOOKS_LIKE_LINE),
        ("hello.png", "transcriber", None),
    ],
)
def test_an_image_that_looks_like_something_else_gets_a_hint(
    name: str, kind: Kind, hint: str | None
) -> None:
    assert image_hint(read_image(EXAMPLES / name), kind) == hint


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
