"""Distortion of images while they are being trained on: the affine part of a hand, and its tremor.

Elastic distortion follows Simard, Steinkraus and Platt (ICDAR 2003), on a coarse grid that is
interpolated to the pixels.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

ELASTIC_GRID = 6  # knots a side; the field between them is bicubic


# Standard deviations of what a hand varies.
ROTATION_RAD = 0.13
LOG_SCALE = 0.09  # each side of its own
SHEAR = 0.2  # columns that the top moves for each row
SHIFT = 0.035  # of the width
ELASTIC = 0.028  # of the width, at each knot of the grid


def distorted(columns: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """Distort each image by itself.

    Args:
        columns: [B, T, H], 0 = paper, 1 = ink.
        strength: factor on all standard deviations.
        random: where the draws come from; on the CPU, so that a run repeats on any device.

    Returns:
        Columns of the same shape, bilinear in the old ones.
    """
    batch, width, height = columns.shape
    draws = torch.randn(batch, 6, generator=random) * strength
    angle, log_x, log_y, shear, shift_x, shift_y = draws.unbind(1)
    cos, sin = (angle * ROTATION_RAD).cos(), (angle * ROTATION_RAD).sin()
    scale_x, scale_y = (log_x * LOG_SCALE).exp(), (log_y * LOG_SCALE).exp()
    slant = shear * SHEAR
    # [-1, 1] spans the width, so a share of the width counts twice.
    row_x = torch.stack([cos * scale_x, (cos * slant - sin) * scale_x, shift_x * SHIFT * 2], 1)
    row_y = torch.stack([sin * scale_y, (sin * slant + cos) * scale_y, shift_y * SHIFT * 2], 1)
    theta = torch.stack([row_x, row_y], 1)  # [B, 2, 3]
    knots = torch.randn(batch, 2, ELASTIC_GRID, ELASTIC_GRID, generator=random)
    knots *= strength * ELASTIC * 2
    size = (height, width)
    field = functional.interpolate(knots, size, mode="bicubic", align_corners=True)
    grid = functional.affine_grid(theta, [batch, 1, *size], align_corners=False)
    grid = (grid + field.permute(0, 2, 3, 1)).to(columns.device)
    images = columns.transpose(1, 2).unsqueeze(1)  # [B, 1, H, T]
    moved = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    return moved.squeeze(1).transpose(1, 2)


def blank_columns(most: int, share: float, random: torch.Generator) -> int:
    """How many blank columns a batch gets at one end: 0, but in `share` of the draws 1..most."""
    chance, size = torch.rand(2, generator=random).tolist()
    return math.ceil(size * most) if chance < share else 0
