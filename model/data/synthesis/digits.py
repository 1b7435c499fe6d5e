"""Numbers made of MNIST's digits: images among the pen's lines, since scans must be read too."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.data.batches import LineSample
from inkstream.model.data.images import Dataset

MOST_DIGITS: Final = 6  # of one number
SMALLEST: Final = 0.45  # share of the rows that a number takes
NARROWEST, WIDEST = 0.75, 1.35  # times the width
SHEAR_DEG: Final = 12.0  # to both sides; MNIST's own digits slant already
GAP: Final = (0.02, 0.35)  # heights between two digits
LEAD_COLUMNS: Final = (2, 20)


class DigitLines:
    """Draws numbers of images of digits, each digit of any writer."""

    def __init__(self, digits: Dataset) -> None:
        """Take images whose columns are [N, T, H] and whose labels are single characters."""
        self._images = digits.columns.transpose(0, 2, 1)  # [N, H, T], upright
        self._answers = digits.answers
        self._labels = digits.labels

    def draw(self, random: np.random.Generator, column_height: int) -> LineSample:
        """Draw one number, somewhere in the rows."""
        rows = round(column_height * (SMALLEST + (1 - SMALLEST) * random.random()))
        top = int(random.integers(column_height - rows + 1))
        wider = math.exp(random.uniform(math.log(NARROWEST), math.log(WIDEST)))
        shear = math.tan(math.radians(random.uniform(-SHEAR_DEG, SHEAR_DEG)))
        chosen = random.integers(len(self._images), size=random.integers(1, MOST_DIGITS + 1))
        ends: list[int] = []
        right = int(random.integers(*LEAD_COLUMNS))
        parts = []
        for index in chosen:
            digit = _scaled(self._images[index], rows, wider, shear)
            left = right + round(rows * random.uniform(*GAP)) if ends else right
            right = left + digit.shape[1]
            parts.append((left, digit))
            ends.append(right - 1)
        columns = np.zeros((right, column_height), np.uint8)
        for left, digit in parts:
            columns[left : left + digit.shape[1], top : top + rows] = digit.T
        label = "".join(self._labels[self._answers[index]] for index in chosen)
        return LineSample(columns, label, np.array(ends, np.float32))


def _scaled(image: NDArray[np.uint8], rows: int, wider: float, shear: float) -> NDArray[np.uint8]:
    """Crop an image to its ink, shear it, and scale it to so many rows: [rows, width]."""
    down, across = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    top, bottom, left, right = down[0], down[-1] + 1, across[0], across[-1] + 1
    scale = (bottom - top) / rows
    slant = abs(shear) * (bottom - top)
    width = max(2, round(((right - left) + slant) * wider / scale))
    step_x = ((right - left) + slant) / width
    # Pillow asks for where each pixel comes from: x' = a x + b y + c, y' = e y + f.
    lean = shear * scale
    start = left - slant / 2 - shear * (bottom - top) / 2
    matrix = (step_x, lean, start, 0.0, scale, float(top))
    moved = Image.fromarray(np.ascontiguousarray(image)).transform(
        (width, rows), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    pixels = np.asarray(moved)
    inked = np.flatnonzero(pixels.any(0))
    scaled: NDArray[np.uint8] = pixels[:, inked[0] : inked[-1] + 1]
    return scaled
