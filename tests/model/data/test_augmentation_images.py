"""Distortion of training images."""

import pytest
import torch

from inkstream.model.data.augmentation import blank_columns, distorted
from tests.helpers.builders import excerpt


def digits(n: int) -> torch.Tensor:
    return torch.from_numpy(excerpt(n).columns).float() / 255


@pytest.mark.slow
def test_strength_0_does_not_change_images() -> None:
    columns = digits(8)
    same = distorted(columns, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same, columns, atol=1e-4, rtol=0)


def test_each_image_is_distorted_in_its_own_way_and_repeatably() -> None:
    columns = digits(1).expand(4, -1, -1)
    first, second = (distorted(columns, 1.0, torch.Generator().manual_seed(7)) for _ in range(2))
    torch.testing.assert_close(first, second)
    assert all(not torch.allclose(first[0], other, atol=0.1) for other in first[1:])


def test_distorted_pixels_stay_in_range() -> None:
    moved = distorted(digits(64), 2.0, torch.Generator().manual_seed(1))
    assert 0 <= moved.min() <= moved.max() <= 1 + 1e-6


def test_blank_columns_occur_in_their_share_of_batches() -> None:
    random = torch.Generator().manual_seed(0)
    batches_drawn = [blank_columns(12, 0.25, random) for _ in range(4000)]
    assert set(batches_drawn) == set(range(13))
    assert abs(sum(map(bool, batches_drawn)) / 4000 - 0.25) < 0.03
