"""The frame of a piece: its own height, but at least a share of its writer's other pieces."""

import numpy as np
import pytest

from inkstream.model.data.batches import FLATTEST, LEAST_SHARES, InkPieces, draw_piece
from tests.helpers.small_ink_set import Builder

LABELS = tuple("ao-")


def pieces(*heights: float, category: str = "7", width: float = 200) -> InkPieces:
    """Return words of these heights by one writer, each one stroke from top to bottom."""
    builder = Builder()
    for height in heights:
        builder.add(
            np.array([(0, 0), (width, height)]), [2], np.array([0, 1], np.int16), (np.nan, np.nan),
            label="ao", category=category, writer="x/y", style="printed",
        )  # fmt: skip
    ink = builder.ink()
    return InkPieces(ink, np.arange(len(ink)), LABELS)


@pytest.mark.parametrize("category", ["7", "8"])
def test_a_small_word_stays_small_compared_with_its_writers_other_words(category: str) -> None:
    by_writer = pieces(100, 100, 100, 100, 40, category=category)
    tall, small = by_writer.frame(0), by_writer.frame(4)
    assert tall == (0, by_writer.extent[0, 1])
    share = (small[1] - small[0]) / (tall[1] - tall[0])
    assert share == pytest.approx(LEAST_SHARES["words"])
    centre = sum(small) / 2
    assert centre == pytest.approx(by_writer.extent[4, 1] / 2)


def test_tight_ink_fills_the_rows() -> None:
    by_writer = pieces(100, 100, 100, 100, 40)
    assert by_writer.frame(4, tight=True) == (0, by_writer.extent[4, 1])
    rows = np.flatnonzero(draw_piece(by_writer, 4, 32, tight=True).columns.any(0))
    assert (rows[0], rows[-1]) == (0, 31)
    assert len(np.flatnonzero(draw_piece(by_writer, 4, 32).columns.any(0))) < 20


def test_the_width_of_a_dash_is_limited() -> None:
    by_writer = pieces(0, width=4000)
    top, bottom = by_writer.frame(0)
    assert (bottom - top) * FLATTEST == pytest.approx(by_writer.extent[0, 0])
    assert len(draw_piece(by_writer, 0, 32).columns) < 33 * FLATTEST
