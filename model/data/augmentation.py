"""Augment training data: distort images of digits, and write ink as other writers would.

Images get a random affine transform and an elastic distortion (Simard, Steinkraus and Platt, ICDAR
2003). Points of ink are moved, never added, removed or reordered, so whatever is known of a point
stays true. Changes are uniform in ranges; those of UNIPEN's writers (5th to 95th percentile) were
measured on 6,000 words of five small letters or more, the others were judged by eye: all ink stays
legible.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from inkstream.model.preprocess.ink import PEN_WIDTH

Points = NDArray[np.float32]  # [P, 2], x right, y down
Starts = NDArray[np.int64]  # [S + 1], into points
Random = np.random.Generator
Frame = tuple[float, float]  # top and bottom of the writing's frame, in the units of its points


def distorted(columns: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """Distort each image [B, T, H] by itself; `strength` is a factor on all standard deviations.

    `random` is on the CPU, so that a run repeats on any device.
    """
    batch, width, height = columns.shape
    draws = torch.randn(batch, 6, generator=random) * strength
    angle, log_x, log_y, shear, shift_x, shift_y = draws.unbind(1)
    cos, sin = (angle * 0.13).cos(), (angle * 0.13).sin()
    scale_x, scale_y = (log_x * 0.09).exp(), (log_y * 0.09).exp()
    slant = shear * 0.2  # columns that the top moves for each row
    # [-1, 1] spans the width, so a share of the width, here 3.5 %, counts twice.
    row_x = torch.stack([cos * scale_x, (cos * slant - sin) * scale_x, shift_x * 0.035 * 2], 1)
    row_y = torch.stack([sin * scale_y, (sin * slant + cos) * scale_y, shift_y * 0.035 * 2], 1)
    theta = torch.stack([row_x, row_y], 1)  # [B, 2, 3]
    knots = torch.randn(batch, 2, 6, 6, generator=random)  # the field between them is bicubic
    knots *= strength * 0.028 * 2
    size = (height, width)
    field = functional.interpolate(knots, size, mode="bicubic", align_corners=True)
    grid = functional.affine_grid(theta, [batch, 1, *size], align_corners=False)
    grid = (grid + field.permute(0, 2, 3, 1)).to(columns.device)
    images = columns.transpose(1, 2).unsqueeze(1)  # [B, 1, H, T]
    moved = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    return moved.squeeze(1).transpose(1, 2)


def blank_columns(max_columns: int, share: float, random: torch.Generator) -> int:
    """Draw the blank columns at one end of a batch: 1..max in `share` of the draws, or 0.

    Their logarithm is uniform: as many draws lie between 1 and 10 as between 10 and 100.
    """
    chance, size = torch.rand(2, generator=random).tolist()
    return math.floor((max_columns + 1) ** size) if chance < share else 0


# Waves move ink: two along the line stretch it (they are as long as a letter, up to a word), two
# let it drift, and six in all directions bend a part of a letter, or a few.
_WAVES = (2, 2, 6)
_SHORTEST, _LONGEST = np.log(
    np.repeat(((1.0, 6.0), (2.0, 10.0), (0.5, 2.0)), _WAVES, 0)  # heights of the frame
).T
_OF_KIND = np.repeat(np.eye(3), _WAVES, 1)  # [3, K]
_STRETCHES, _DRIFTS, _BENDS = _OF_KIND / _OF_KIND.sum(1, keepdims=True)  # shares of the K waves


def frame_of(points: NDArray[Any], least_height: float) -> Frame:
    """Return the frame of the ink's bounds; lower ink lies in the middle of the least height.

    A dash or a dot does not show how high its line is, as the writer's other letters do.
    """
    top, bottom = float(points[:, 1].min()), float(points[:, 1].max())
    missing = max(0.0, least_height - (bottom - top))
    return top - missing / 2, bottom + missing / 2


def fit(
    points: NDArray[Any],
    frame: Frame,
    column_height: int,
    *,
    size: float = 1.0,
    position: float = 0.5,
    pen_width: float = PEN_WIDTH,
    left: int = 0,
) -> Points:
    """Scale ink [P, 2] into rows, keeping its proportions; return its points in pixels.

    The frame, with the pen's width in pixels, takes the share `size` of the rows, and lies in them
    from `position` 0, at the top, to 1, at the bottom. Ink outside of the frame may be cut off.
    `left` is the first column that has ink.
    """
    top, bottom = frame
    rows = size * column_height
    scale = (rows - pen_width) / (bottom - top)
    middle = position * (column_height - rows) + rows / 2
    fitted = np.empty((len(points), 2), np.float32)
    x, y = points.T.astype(np.float64)
    fitted[:, 0] = (x - x.min()) * scale + (left + pen_width / 2)
    fitted[:, 1] = (y - (top + bottom) / 2) * scale + middle
    return fitted


def augmented(
    points: NDArray[Any],
    stroke_starts: Starts,
    frame: Frame,
    column_height: int,
    random: Random,
    *,
    strength: float = 1.0,
    left: int = 0,
) -> tuple[Points, float]:
    """Rewrite one piece of ink as another writer would; arguments are as for `fit`.

    `strength`, 0 to 1, is a factor on all changes; 0 is exactly `fit`. The frame grows with the
    ink, so that nothing more is cut off. Returns the points and the pen's width, in pixels.
    """
    position, pen = strength * random.uniform(-1, 1, 2)
    usual, share = random.random(2)
    least = 0.85 if usual < 0.5 else 0.5  # of the rows; every second piece takes 0.85 or more
    size = 1 - strength * (1 - float(least + (1 - least) * share))
    # A pen may be as wide as a tenth of the frame's rows, and the usual one is always allowed.
    thickest = min(3.2, max(PEN_WIDTH, 0.1 * size * column_height))
    pen_width = _between(pen, 1.3, PEN_WIDTH, thickest)
    (top, bottom), height = frame, frame[1] - frame[0]
    given = points.T.astype(np.float64)  # [2, P]
    x_min, x_max = float(given[0].min()), float(given[0].max())
    centre = np.array([[(x_min + x_max) / 2], [(top + bottom) / 2]])
    from_centre = ((given - centre) / height).astype(np.float32)
    shift = affine(max((x_max - x_min) / height, 1.0), random, strength) @ from_centre
    shift += _swayed(from_centre, random, strength)
    shift += rounded(from_centre, stroke_starts, random, strength)
    shift += strayed(from_centre, stroke_starts, random, strength)
    # What is high and what is low becomes longer or shorter than the middle, by up to 30 %.
    zone = 2 * 0.3 * strength * random.uniform(-1, 1)
    shift[1] += np.float32(zone) * from_centre[1] * np.abs(from_centre[1])
    moved = given + shift * height
    top += float(moved[1].min() - given[1].min())
    bottom += float(moved[1].max() - given[1].max())
    fitted = fit(
        moved.T, (top, bottom), column_height,
        size=size, position=(1 + position) / 2, pen_width=pen_width, left=left,
    )  # fmt: skip
    return fitted, pen_width


def affine(width: float, random: Random, strength: float) -> Points:
    """Draw the matrix [2, 2] that slants, widens and tilts a line `width` heights long."""
    shear, slope, widening = strength * random.uniform(-1, 1, 3)
    shear *= math.tan(math.radians(25))  # words of UNIPEN slant by -12 to 27 degrees
    # Words rise or fall by -7 to 5 degrees; the end of a long line stays within 0.3 heights.
    slope *= min(math.tan(math.radians(4)), 0.3 / width)
    wider = _between(widening, 0.75, 1, 1.35) - 1  # writers have 0.7 to 1.6 of the median
    return np.array([[wider, shear], [slope, 0]], np.float32)


def _swayed(points: Points, random: Random, strength: float) -> Points:
    """Return how far random waves move points [2, P], in heights like these."""
    draws = random.random((5, len(_BENDS)))
    length = np.exp(_SHORTEST + (_LONGEST - _SHORTEST) * draws[0]) / math.tau  # of a radian
    heading, phase = math.tau * draws[1] * (_BENDS > 0), math.tau * draws[2]
    wave = np.array([np.cos(heading), np.sin(heading)]) / length  # [2, K]
    bend = 0.24 * _BENDS  # heights by which shapes bend
    # A part of a line is wider or narrower by 30 %; the line wanders by 0.12 heights.
    amplitude = np.array([0.3 * length * _STRETCHES + bend, 0.12 * _DRIFTS + bend])
    sway = strength * amplitude * (2 * draws[3:] - 1)
    angle = wave.T.astype(np.float32) @ points + phase.astype(np.float32)[:, None]  # [K, P]
    moved: Points = sway.astype(np.float32) @ np.sin(angle)
    return moved


def rounded(points: Points, starts: Starts, random: Random, strength: float) -> Points:
    """Return how far smoothing or sharpening moves points [2, P]; ends of strokes stay.

    All of a stroke's corners and small loops may be smoothed away, or 60 % of them added.
    """
    share, times = random.uniform(-1, 1), int(random.integers(1, 7))
    smooth, ends = points, np.concatenate([starts[:-1], starts[1:] - 1])
    for _ in range(times):
        around = np.roll(smooth, 1, 1) + np.roll(smooth, -1, 1)
        around[:, ends] = 2 * smooth[:, ends]
        smooth = ((2 * smooth + around) / 4).astype(np.float32)
    amount = strength * share * (1.0 if share > 0 else 0.6)
    moved: Points = np.float32(amount) * (smooth - points)
    return moved


def strayed(points: Points, starts: Starts, random: Random, strength: float) -> Points:
    """Return how far each stroke of points [2, P] is displaced: by 0.03 heights, a dot by 0.12."""
    first = starts[:-1]
    extent = np.maximum.reduceat(points, first, 1) - np.minimum.reduceat(points, first, 1)
    small = np.exp(-extent.max(0) / 0.15)  # 1 for a dot
    strays = strength * (0.03 + (0.12 - 0.03) * small) * random.uniform(-1, 1, (2, len(first)))
    return np.repeat(strays.astype(np.float32), np.diff(starts), 1)


def _between(position: float, low: float, middle: float, high: float) -> float:
    """Interpolate from `low` at -1 through `middle` at 0 to `high` at 1."""
    return middle + position * (high - middle if position > 0 else middle - low)
