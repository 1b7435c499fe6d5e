"""Lines of numbers, composed of images of digits."""

import numpy as np

from inkstream.model.data.batches import draw_number
from tests.helpers import builders


def test_a_number_fills_the_rows_and_has_the_ends_of_its_digits() -> None:
    digits, random = builders.excerpt(50), np.random.default_rng(0)
    lengths = set()
    for _ in range(60):
        line = draw_number(digits, 24, random)
        assert line.columns.shape == (line.ends[-1] + 1, 24)
        assert len(line.ends) == len(line.label)
        assert (np.diff(line.ends) > 0).all()
        assert set(line.label) <= set("0123456789")
        for start, end in zip([0, *line.ends[:-1].astype(int) + 1], line.ends, strict=True):
            assert line.columns[start : int(end) + 1].max() > 128
            assert line.columns[int(end)].any()
        lengths.add(len(line.label))
    assert lengths == {1, 2, 3, 4, 5, 6}


def test_a_seed_gives_the_same_number() -> None:
    digits = builders.excerpt(50)
    first, second = (draw_number(digits, 24, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.columns, second.columns)
    assert first.label == second.label
