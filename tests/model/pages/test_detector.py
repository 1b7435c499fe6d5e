"""The text map of a large image is made in bands, which bounds its memory."""

import subprocess
import sys

import numpy as np
import pytest

from inkstream.model.pages import detector
from inkstream.model.pages.detector import BAND_PIXELS, STRIDE, WHOLE_PIXELS, bands, text_map
from tests.helpers.hard_pages import tiled_writing

LARGE = 3 << 18  # pixels of a map
MAX_MAP_BYTES = 50 << 20
MEASURED = f"""
from pathlib import Path
from inkstream.model.pages.detector import text_map
from tests.helpers.hard_pages import tiled_writing
from tests.helpers.target import Memory
import os
page = tiled_writing(0.5, 1600, 1600)
text_map(page[:64, :64], {LARGE})  # loads the net
memory = Memory(os.getpid())
before = memory.reset_peak()
text_map(page, {LARGE})
print(memory.peak_bytes - before)
"""


@pytest.mark.parametrize("height", [64, 448, 928, 1088, 1120, 8224])
@pytest.mark.parametrize("width", [64, 96, 448, 800, 928])
def test_bands_keep_each_row_once_and_are_not_too_large(height: int, width: int) -> None:
    kept_rows: list[int] = []
    heights = set()
    for band, kept in bands(height, width):
        kept_rows += range(height)[band][kept]
        heights.add(band.stop - band.start)
    assert kept_rows == list(range(height))
    (band_height,) = heights
    assert band_height % STRIDE == 0
    assert band_height * width <= (WHOLE_PIXELS if band_height == height else BAND_PIXELS)


@pytest.mark.parametrize("shape", [(1500, 1000), (700, 1400)])
def test_the_map_in_bands_is_nearly_that_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    page = tiled_writing(0.5, *shape)
    in_bands, _ = text_map(page, LARGE)
    monkeypatch.setattr(detector, "WHOLE_PIXELS", 1 << 24)
    whole, _ = text_map(page, LARGE)
    assert in_bands.shape == whole.shape
    assert (whole > 127).mean() > 0.1
    assert ((in_bands > 127) != (whole > 127)).mean() < 0.02
    assert not np.array_equal(in_bands, whole)  # it was made in bands


@pytest.mark.slow
def test_the_memory_of_a_large_map_is_bounded() -> None:
    grown = subprocess.check_output([sys.executable, "-c", MEASURED])
    assert int(grown) < MAX_MAP_BYTES
