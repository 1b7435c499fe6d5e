"""What a snapshot packs comes out as it was, and smaller."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.service.session.snapshot import (
    pack_pixels,
    pack_points,
    unpack_pixels,
    unpack_points,
)
from tests.helpers import builders


@given(pixels=st.binary(max_size=200) | st.lists(st.sampled_from([0, 0, 0, 9, 255])).map(bytes))
def test_pixels_are_as_they_were(pixels: bytes) -> None:
    assert unpack_pixels(pack_pixels(pixels)) == pixels


@given(n_points=st.integers(0, 40), data=st.data())
def test_points_are_as_they_were(n_points: int, data: st.DataObject) -> None:
    coordinates = data.draw(st.binary(min_size=8 * n_points, max_size=8 * n_points))
    assert unpack_points(pack_points(coordinates), n_points) == coordinates


@pytest.mark.parametrize("height", [28, 32])
def test_what_is_packed_is_smaller(height: int) -> None:
    pixels = builders.columns(500, 0, height).tobytes()
    assert len(pack_pixels(pixels)) < len(pixels)
    walk = np.random.default_rng(0).normal(size=(500, 2)).cumsum(0) + 300
    assert len(pack_points(walk.astype(np.float32).tobytes())) < 0.8 * 8 * 500
