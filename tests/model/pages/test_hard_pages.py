"""Images that are no pages of writing: a few lines, or none, are found on each."""

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.pages import find_page
from inkstream.model.pages.detector import text_map
from inkstream.model.pages.lines import find_lines
from inkstream.model.preprocess.columns import MAX_LINE_COLUMNS
from inkstream.model.recognizer import Recognizer, load
from tests.helpers.hard_pages import PAGES, few_words_on_a_ruled_sheet, tiled_writing


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
def test_the_time_to_find_lines_is_about_linear_in_the_size_of_a_full_page() -> None:
    small, large = (
        text_map(tiled_writing(0.4, *size), n_pixels=1 << 23)[0]
        for size in ((1000, 600), (4000, 1200))
    )
    assert len(find_lines(large).lines) > 5 * len(find_lines(small).lines) > 250
    assert least_s(lambda: find_lines(large)) < 2 * 8 * least_s(lambda: find_lines(small))


@pytest.mark.slow
def test_a_few_words_on_a_sheet_of_nearly_level_rules_are_found(reader: Recognizer) -> None:
    sheet = few_words_on_a_ruled_sheet()
    page = find_page(sheet, reader.column_height)
    tops = sorted(line.box[:, 1].min() for line in page.lines)
    assert len([top for top in tops if top < 1032]) == 3
    assert len(tops) <= 5
