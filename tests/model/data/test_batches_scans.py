"""Lines cut from real paper train as columns that a page's line would give."""

import numpy as np

from inkstream.model.data.batches import LineSample, draw_scan
from inkstream.model.preprocess.columns import strip_columns


def scan(width: int = 300, height: int = 80) -> np.ndarray:
    """Return a grey line [h, w] of strokes on grainy paper."""
    grey = np.random.default_rng(0).normal(220, 3, (height, width))
    grey[20:60, 40:260:20] = 60
    grey[20:60, 41:260:20] = 60
    grey[20:60, 42:260:20] = 60
    return grey.clip(0, 255).astype(np.uint8)


def drawn(random: np.random.Generator) -> LineSample:
    return draw_scan(scan(), "llllllllll", 32, random, to_columns=strip_columns, widths=(0.75, 1.3))


def test_each_draw_is_another_one_of_the_same_line() -> None:
    random = np.random.default_rng(0)
    lines = [drawn(random) for _ in range(20)]
    assert {line.label for line in lines} == {"llllllllll"}
    assert all(line.columns.shape[1] == 32 and line.columns.max() == 255 for line in lines)
    assert all(np.isnan(line.ends).all() for line in lines)
    widths = {len(line.columns) for line in lines}
    usual = len(strip_columns(scan(), 32))
    assert len(widths) > 10
    assert 0.5 * usual < min(widths) < usual < max(widths) < 1.7 * usual


def test_no_ink_is_lost_at_either_end() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        columns = drawn(random).columns
        dark = (columns.max(1) > 100).astype(int)
        assert (np.diff(dark, prepend=0) == 1).sum() == 11  # strokes
