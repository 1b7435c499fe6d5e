"""Images that are no pages of writing: a few lines, or none, are found on each."""

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.pages import find_page
from inkstream.model.preprocess.columns import MAX_LINE_COLUMNS
from inkstream.model.recognizer import Recognizer, load
from tests.helpers.hard_pages import PAGES, few_words_on_a_ruled_sheet


@pytest.fixture(scope="module")
def reader(tiny_lines: Checkpoint) -> Recognizer:
    return load(tiny_lines.path)


@given(image=PAGES)
def test_the_lines_of_any_image_can_be_read(reader: Recognizer, image: NDArray[np.uint8]) -> None:
    page = find_page(image, reader.column_height)
    assert (page.height, page.width) == image.shape
    for line in page.lines:
        assert line.columns.dtype == np.uint8
        assert 0 < len(line.columns) <= MAX_LINE_COLUMNS
        assert len(line.upper) == len(line.lower) == len(line.columns) + 1
        assert np.isfinite(line.box).all()
        (reading,) = reader.read_all([line.columns])
        assert reading.columns == len(line.columns)


@pytest.mark.slow
def test_a_few_words_on_a_sheet_of_nearly_level_rules_are_found(reader: Recognizer) -> None:
    sheet = few_words_on_a_ruled_sheet()
    page = find_page(sheet, reader.column_height)
    tops = sorted(line.box[:, 1].min() for line in page.lines)
    assert len([top for top in tops if top < 1032]) == 3
    assert len(tops) <= 5
