"""Images -> columns: what is done to a picture before the net sees it.

MNIST's own recipe (LeCun et al., Proc. IEEE 86(11), 1998), made fit for photos and scans: find the
paper, take what differs from it as ink, fit the ink into a box of 20 pixels in a field of 28, and
put its centre of mass in the middle. Training, `recognize` and the REST endpoint share this code.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import ImageError
from model.image import Grey, ImageSource, read_image

__all__ = ["digit_columns", "read_image", "to_columns"]

Ink = NDArray[np.float32]  # [h, w], 0 = paper

BOX_SHARE: Final = 20 / 28  # MNIST's box for the ink over its field

# MNIST's images fill 19 or 20 of 28 pixels and stand within 0.52 pixels of the middle. What is as
# near as this was prepared in that way and is left alone: to resample it could only blur it.
FITTING_SHARES: Final = (17 / 28, 22 / 28)
FITTING_SHIFT: Final = 1.0
FITTING_INK: Final = 192  # of 255, at the darkest pixel

BORDER_SHARE: Final = 0.06  # of the image, on each side: there the paper is sought first
PAPER_SAMPLES: Final = 64  # pixels a side of the grid on which the paper's tone is fitted
PAPER_ROUNDS: Final = 6  # of fitting it; the fit settles in three or four
PAPER_TOLERANCE: Final = 4.0  # of 255: what is nearer than this to the fit is paper in any case
MIN_CONTRAST: Final = 24.0  # of 255: with less than this between paper and ink an image is blank
NOISE_FACTOR: Final = 5.0  # ink is further from the paper than so many deviations of the paper
PIECE_CELLS: Final = 64  # cells a side of the grid on which pieces of ink are told apart
SPECK_SHARE: Final = 0.05  # of the largest piece's ink: a smaller piece is dirt


def to_columns(ink: Grey) -> NDArray[np.uint8]:
    """Columns [T, H], oldest first, of ink [H, T]: column t is `ink[:, t]`."""
    return np.ascontiguousarray(ink.T)


def digit_columns(image: ImageSource, column_height: int) -> NDArray[np.uint8]:
    """Columns of an image of one digit or letter, dark on light or light on dark, of any size.

    Args:
        image: anything that `read_image` reads.
        column_height: H, pixels.

    Returns:
        [H, H], 0 = paper, 255 = ink. An image prepared as MNIST's are comes back unchanged.

    Raises:
        ImageError: this is no image, or nothing on it stands out from the paper.
    """
    ink, threshold = _ink(read_image(image))
    if _fits(ink, column_height):
        return to_columns(np.rint(ink).astype(np.uint8))
    ink = _without_specks(_saturated(ink, threshold))
    return to_columns(_centred(_boxed(ink, round(column_height * BOX_SHARE)), column_height))


def _ink(grey: Grey) -> tuple[Ink, float]:
    """How far each pixel lies from the paper, on the ink's side, and from where on it is ink."""
    paper, noise = _paper(grey)
    difference = grey - paper
    threshold = max(MIN_CONTRAST, NOISE_FACTOR * noise)
    darker = float(np.maximum(-difference - threshold, 0).sum())
    lighter = float(np.maximum(difference - threshold, 0).sum())
    if not darker and not lighter:
        raise ImageError("the image is blank: nothing on it stands out from the paper")
    ink = -difference if darker >= lighter else difference
    ink[ink < NOISE_FACTOR * noise] = 0
    return np.maximum(ink, 0), threshold


def _paper(grey: Grey) -> tuple[Ink, float]:
    """The paper's tone at each pixel, and the deviation of its pixels from it (robust sigma).

    Light falls unevenly on a photo, so the tone is a quadratic of the place. It is fitted to the
    border first, then to all that is near the fit; what is far from it is ink.
    """
    height, width = grey.shape
    rows = np.unique(np.linspace(0, height - 1, PAPER_SAMPLES).astype(int))
    columns = np.unique(np.linspace(0, width - 1, PAPER_SAMPLES).astype(int))
    tone = grey[np.ix_(rows, columns)].astype(np.float64)
    y, x = np.meshgrid(_places(height)[rows], _places(width)[columns], indexing="ij")
    border = np.maximum(abs(x), abs(y)) >= 1 - 2 * BORDER_SHARE
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)
    fit = np.full_like(tone, np.median(tone[border]))
    among = border
    for round_index in range(PAPER_ROUNDS):
        distance = abs(tone - fit)
        noise = 1.4826 * float(np.median(distance[among]))
        paper = distance <= max(3 * noise, PAPER_TOLERANCE)
        if round_index < 2:
            paper &= border
        weights, *_ = np.linalg.lstsq(terms[paper], tone[paper])
        fit, among = terms @ weights, paper
    noise = 1.4826 * float(np.median(abs(tone - fit)[among]))
    a, b, c, d, e, f = weights.astype(np.float32)
    y, x = _places(height)[:, None], _places(width)[None, :]
    return a + b * x + c * y + d * x * x + e * x * y + f * y * y, noise


def _places(length: int) -> Ink:
    """Pixel indices scaled to -1..1, [length]."""
    return np.linspace(-1, 1, length, dtype=np.float32)


def _fits(ink: Ink, column_height: int) -> bool:
    """Whether the ink already stands as MNIST's does."""
    if ink.shape != (column_height, column_height) or ink.max() < FITTING_INK:
        return False
    top, bottom, left, right = _bounds(ink)
    low, high = (share * column_height for share in FITTING_SHARES)
    middle = column_height / 2
    return low <= max(bottom - top, right - left) <= high and all(
        abs(centre - middle) <= FITTING_SHIFT for centre in _centre(ink)
    )


def _saturated(ink: Ink, threshold: float) -> Ink:
    """Ink as 0..1: paper's shadows become 0, the body of a stroke 1, its edges stay between."""
    dark = float(np.percentile(ink[ink > threshold], 90))
    low = max(threshold / 2, 0.2 * dark)
    return ((ink - low) / (0.8 * dark - low)).clip(0, 1)


def _without_specks(ink: Ink) -> Ink:
    """The ink without small pieces of dirt that would stretch its bounds."""
    cell = math.ceil(max(ink.shape) / PIECE_CELLS)
    height, width = (math.ceil(length / cell) for length in ink.shape)
    padded = np.zeros((height * cell, width * cell), np.float32)
    padded[: ink.shape[0], : ink.shape[1]] = ink
    cells = padded.reshape(height, cell, width, cell)
    pieces = _pieces(cells.max((1, 3)) > 0.5)
    mass = np.bincount(pieces.ravel(), cells.sum((1, 3)).ravel())
    mass[0] = 0
    kept = (mass >= SPECK_SHARE * mass.max())[pieces].astype(np.int64)
    kept = _spread(kept)  # the faint rim of a stroke may lie in the next cell
    whole = np.kron(kept, np.ones((cell, cell)))[: ink.shape[0], : ink.shape[1]]
    return np.where(whole > 0, ink, np.float32(0))


def _pieces(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A number for each piece of `mask` that hangs together, corners included; 0 outside."""
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = np.where(mask, _spread(numbers), 0)
        if np.array_equal(spread, numbers):
            return numbers
        numbers = spread


def _spread(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The largest number among each cell and its eight neighbours."""
    padded = np.pad(cells, 1)
    tall = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.maximum(np.maximum(tall[:, :-2], tall[:, 1:-1]), tall[:, 2:])


def _bounds(ink: Ink) -> tuple[int, int, int, int]:
    """First row with ink, the row after the last, and the same of columns."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _centre(ink: Ink) -> tuple[float, float]:
    """Centre of mass, row and column, in pixels."""
    height, width = ink.shape
    mass = float(ink.sum())
    row = float(ink.sum(1) @ np.arange(height)) / mass
    return row, float(ink.sum(0) @ np.arange(width)) / mass


def _boxed(ink: Ink, box: int) -> Ink:
    """The part that holds ink, scaled so that its longer side is `box` pixels."""
    top, bottom, left, right = _bounds(ink)
    scale = box / max(bottom - top, right - left)
    size = tuple(max(1, round(length * scale)) for length in (right - left, bottom - top))
    part = Image.fromarray(np.ascontiguousarray(ink[top:bottom, left:right]))
    boxed: Ink = np.asarray(part.resize((size[0], size[1]), Image.Resampling.BILINEAR))
    return boxed / np.float32(boxed.max())


def _centred(ink: Ink, side: int) -> Grey:
    """The ink in a field of `side` pixels, its centre of mass as near to the middle as it fits."""
    field = np.zeros((side, side), np.uint8)
    top, left = (
        min(max(round(side / 2 - centre), 0), side - length)
        for centre, length in zip(_centre(ink), ink.shape, strict=True)
    )
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink * 255)
    return field
