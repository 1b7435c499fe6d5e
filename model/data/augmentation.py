"""Augment training data: distort images of digits, and write ink as other writers would.

Images get a random affine transform and an elastic distortion (Simard, Steinkraus and Platt, ICDAR
2003) on a coarse grid that is interpolated to the pixels.

Ink is brought into a frame of rows by `fit`, exactly, as in every evaluation. `InkAugmentation`
does the same with random changes: slant and width, letters that stretch, a drifting baseline, the
pen's width and place. Points are moved, never added, removed or reordered, so whatever is known of
each point stays true.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

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


def blank_columns(most: int, share: float, random: torch.Generator) -> int:
    """Draw the blank columns at one end of a batch: 1..most in `share` of the draws, else 0.

    Their logarithm is uniform: as many draws lie between 1 and 10 as between 10 and 100.
    """
    chance, size = torch.rand(2, generator=random).tolist()
    return math.floor((most + 1) ** size) if chance < share else 0


# Waves that move ink: along the line those that stretch it (as long as a letter, up to a word) and
# those by which it drifts; in all directions those that bend a part of a letter, up to a few.
N_WAVES: Final = (2, 2, 6)
LENGTHS: Final = ((1.0, 6.0), (2.0, 10.0), (0.5, 2.0))  # heights of the frame, of each kind

_SHORTEST, _LONGEST = np.log(np.repeat(LENGTHS, N_WAVES, 0)).T  # [K]
_OF_KIND = np.repeat(np.eye(3), N_WAVES, 1)  # [3, K]
_STRETCHES, _DRIFTS, _BENDS = _OF_KIND / _OF_KIND.sum(1, keepdims=True)  # shares of the K waves


def frame_of(points: NDArray[Any], least_height: float) -> Frame:
    """Return the frame of the ink's own bounds, from top to bottom, at least `least_height` high.

    A dash or a dot does not show how high its line is; `least_height` is, for instance, the usual
    height of this writer's letters. Lower ink lies in the middle of the frame.
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
    """Scale ink into rows, keeping its proportions, without any randomness.

    Args:
        points: [P, 2], at least one.
        frame: what is brought into the rows; ink outside of it may be cut off.
        column_height: H, pixels.
        size: share of the rows that the frame takes, the pen's width included.
        position: where it lies in them: 0 is at the top, 1 at the bottom.
        pen_width: pixels, of the pen that will draw.
        left: the first column that has ink.

    Returns:
        Points in pixels, as `inkstream.model.preprocess.ink.rasterise` takes them.
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


@dataclass(frozen=True, slots=True)
class InkAugmentation:
    """Rewrite ink as another writer would: the bounds of uniform random changes at strength 1.

    Heights are relative to the frame. Ranges of UNIPEN's writers (5th to 95th percentile) were
    measured on 6,000 words of five small letters or more; the rest was judged by eye: all stays
    legible.
    """

    shear_deg: float = 25.0  # to both sides; words slant by -12 to 27 degrees
    slope_deg: float = 4.0  # up and down; words rise or fall by -7 to 5 degrees
    rise: float = 0.3  # heights that the end lies above the start at most, however long a line is
    narrowest: float = 0.75  # times the width, 1 for none; writers have 0.7 to 1.6 of the median
    widest: float = 1.35
    stretch: float = 0.3  # share by which a part is wider or narrower than the rest
    drift: float = 0.12  # heights by which the line wanders
    elastic: float = 0.24  # heights by which shapes bend
    zones: float = 0.3  # share by which what is high and low is longer or shorter than the middle
    roundest: float = 1.0  # how much of a stroke's corners and small loops is smoothed away
    sharpest: float = 0.6  # how much of them is added
    stray: float = 0.03  # heights by which each stroke is out of place
    stray_dot: float = 0.12  # heights by which a dot is
    smallest: float = 0.5  # of the rows that the frame takes, 1 for none
    usual_size: float = 0.85  # every second piece takes so much or more
    thinnest: float = 1.3  # pixels of the pen's width
    thickest: float = 3.2
    thickest_share: float = 0.1  # of the rows of the frame, but the usual pen is always allowed

    def __call__(
        self,
        points: NDArray[Any],
        stroke_starts: Starts,
        frame: Frame,
        column_height: int,
        random: Random,
        *,
        strength: float = 1.0,
        left: int = 0,
    ) -> tuple[Points, float]:
        """Return the changed points of one piece [P, 2], in pixels, and the pen's width for them.

        Args:
            points: [P, 2], at least one.
            stroke_starts: [S + 1], where each stroke starts.
            frame: as for `fit`; it grows with the ink, so that nothing more is cut off.
            column_height: H, pixels.
            random: where the draws come from.
            strength: factor on all changes, 0 to 1; 0 is exactly `fit`.
            left: the first column that has ink.
        """
        position, pen = strength * random.uniform(-1, 1, 2)
        usual, share = random.random(2)
        least = self.usual_size if usual < 0.5 else self.smallest
        size = 1 - strength * (1 - float(least + (1 - least) * share))
        thickest = min(self.thickest, max(PEN_WIDTH, self.thickest_share * size * column_height))
        pen_width = _between(pen, self.thinnest, PEN_WIDTH, thickest)
        moved, frame = self._moved(points, stroke_starts, frame, random, strength)
        fitted = fit(
            moved, frame, column_height,
            size=size, position=(1 + position) / 2, pen_width=pen_width, left=left,
        )  # fmt: skip
        return fitted, pen_width

    def _moved(
        self, points: NDArray[Any], starts: Starts, frame: Frame, random: Random, strength: float
    ) -> tuple[NDArray[np.float64], Frame]:
        """Distort the points in place; return them and their frame, grown with them."""
        height = frame[1] - frame[0]
        places = points.T.astype(np.float64)  # [2, P]
        left, right = float(places[0].min()), float(places[0].max())
        centre = np.array([[(left + right) / 2], [sum(frame) / 2]])
        from_centre = ((places - centre) / height).astype(np.float32)
        width = max((right - left) / height, 1.0)
        way = self._affine(width, random, strength) @ from_centre
        way += self._swayed(from_centre, random, strength)
        way += self._rounded(from_centre, starts, random, strength)
        way += self._strayed(from_centre, starts, random, strength)
        zone = 2 * self.zones * strength * random.uniform(-1, 1)
        way[1] += np.float32(zone) * from_centre[1] * np.abs(from_centre[1])
        moved = places + way * height
        top = frame[0] + float(moved[1].min() - places[1].min())
        bottom = frame[1] + float(moved[1].max() - places[1].max())
        return moved.T, (top, bottom)

    def _affine(self, width: float, random: Random, strength: float) -> Points:
        """Draw the matrix [2, 2] that slants, widens and tilts a line `width` heights long."""
        shear, slope, widening = strength * random.uniform(-1, 1, 3)
        shear *= math.tan(math.radians(self.shear_deg))
        slope *= min(math.tan(math.radians(self.slope_deg)), self.rise / width)
        wider = _between(widening, self.narrowest, 1, self.widest) - 1
        return np.array([[wider, shear], [slope, 0]], np.float32)

    def _swayed(self, places: Points, random: Random, strength: float) -> Points:
        """Return how far random waves move places [2, P], in heights like these."""
        draws = random.random((5, len(_BENDS)))
        length = np.exp(_SHORTEST + (_LONGEST - _SHORTEST) * draws[0]) / math.tau  # of a radian
        heading, phase = math.tau * draws[1] * (_BENDS > 0), math.tau * draws[2]
        wave = np.array([np.cos(heading), np.sin(heading)]) / length  # [2, K]
        bend = self.elastic * _BENDS
        most = np.array([self.stretch * length * _STRETCHES + bend, self.drift * _DRIFTS + bend])
        sway = strength * most * (2 * draws[3:] - 1)
        angle = wave.T.astype(np.float32) @ places + phase.astype(np.float32)[:, None]  # [K, P]
        moved: Points = sway.astype(np.float32) @ np.sin(angle)
        return moved

    def _rounded(self, places: Points, starts: Starts, random: Random, strength: float) -> Points:
        """Return how far smoothing or sharpening moves places [2, P]; ends of strokes stay."""
        share, times = random.uniform(-1, 1), int(random.integers(1, 7))
        smooth, ends = places, np.concatenate([starts[:-1], starts[1:] - 1])
        for _ in range(times):
            around = np.roll(smooth, 1, 1) + np.roll(smooth, -1, 1)
            around[:, ends] = 2 * smooth[:, ends]
            smooth = ((2 * smooth + around) / 4).astype(np.float32)
        amount = strength * share * (self.roundest if share > 0 else self.sharpest)
        moved: Points = np.float32(amount) * (smooth - places)
        return moved

    def _strayed(self, places: Points, starts: Starts, random: Random, strength: float) -> Points:
        """Return how far each stroke of places [2, P] is displaced: smaller strokes more."""
        first = starts[:-1]
        extent = np.maximum.reduceat(places, first, 1) - np.minimum.reduceat(places, first, 1)
        small = np.exp(-extent.max(0) / 0.15)  # 1 for a dot
        most = strength * (self.stray + (self.stray_dot - self.stray) * small)
        strays = most * random.uniform(-1, 1, (2, len(first)))
        return np.repeat(strays.astype(np.float32), np.diff(starts), 1)


def _between(way: float, low: float, middle: float, high: float) -> float:
    """Interpolate from `low` at -1 through `middle` at 0 to `high` at 1."""
    return middle + way * (high - middle if way > 0 else middle - low)
