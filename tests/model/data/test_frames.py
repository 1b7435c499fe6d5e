"""The frame of a piece of ink: what it fills, and at least what its writer's others say."""

import numpy as np
import pytest

from inkstream.model.data.batches import FLATTEST, LEAST_SHARES, InkPieces, draw_piece
from inkstream.model.data.ink_set import Builder

LABELS = tuple("ao-")


def pieces(*heights: float, category: str = "7", width: float = 200) -> InkPieces:
    """Words of these heights by one writer, each one stroke from its top to its bottom."""
    builder = Builder()
    for height in heights:
        builder.add(
            np.array([(0, 0), (width, height)]), [2], np.array([0, 1], np.int16), (np.nan, np.nan),
            label="ao", category=category, writer="x/y", style="printed",
        )  # fmt: skip
    ink = builder.ink()
    return InkPieces(ink, np.arange(len(ink)), LABELS)


@pytest.mark.parametrize("category", ["7", "8"])
def test_a_small_word_stays_small_beside_its_writers_others(category: str) -> None:
    own = pieces(100, 100, 100, 100, 40, category=category)
    tall, small = own.frame(0), own.frame(4)
    assert tall == (0, own.extent[0, 1])
    share = (small[1] - small[0]) / (tall[1] - tall[0])
    assert share == pytest.approx(LEAST_SHARES["words"])
    middle = sum(small) / 2
    assert middle == pytest.approx(own.extent[4, 1] / 2)


def test_a_picture_cut_out_is_filled_by_its_ink() -> None:
    own = pieces(100, 100, 100, 100, 40)
    assert own.frame(4, tight=True) == (0, own.extent[4, 1])
    rows = np.flatnonzero(draw_piece(own, 4, 32, tight=True).columns.any(0))
    assert (rows[0], rows[-1]) == (0, 31)
    assert len(np.flatnonzero(draw_piece(own, 4, 32).columns.any(0))) < 20


def test_a_dash_alone_is_not_drawn_as_wide_as_a_line() -> None:
    own = pieces(0, width=4000)
    top, bottom = own.frame(0)
    assert (bottom - top) * FLATTEST == pytest.approx(own.extent[0, 0])
    assert len(draw_piece(own, 0, 32).columns) < 33 * FLATTEST
