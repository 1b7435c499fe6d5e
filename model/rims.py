"""What a scanner or printer adds to a picture of one line: dark rims at its sides, and a rule.

Writing that touches a side covers little of it, so what covers all of a side is none.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]  # [h, w]
Ink = NDArray[np.float32]  # [h, w], 0 = paper

WIDE: Final = 2.0  # times as wide as high; in others one rim or rule may be a letter's stem or bar
COVER: Final = 0.98  # of a side's pixels are the rim's, and of a row's the rule's

RIM_CONTRAST: Final = 40.0  # of 255, between a rim and the paper: a shadow's edge is softer
RIM_DEPTH: Final = 0.15  # of the picture, at most
RIM_PERCENTILE: Final = 80.0  # of a rim's depths: it may lie askew, and writing may touch it
RIM_BLUR: Final = 2  # pixels that its edge is spread over

RULE_DEPTH: Final = 0.1  # of the height, at most


def without_rims(grey: Grey) -> Grey:
    """The picture without rims along whole sides of it, as of a frame or beside a scanned page."""
    left, depths = grey, []
    for _ in range(4):
        depths.append(_rim(left))
        left = np.rot90(left[depths[-1] :])
    height, width = grey.shape
    return np.ascontiguousarray(left) if width >= WIDE * height or all(depths) else grey


def _rim(grey: Grey) -> int:
    """How many rows at the top are a rim."""
    height = len(grey)
    far = abs(grey - np.float32(np.median(grey))) > RIM_CONTRAST
    depths = np.where(far.all(0), height, (~far).argmax(0))  # [w]
    if (depths > 0).mean() < COVER:
        return 0
    depth = round(float(np.percentile(depths, RIM_PERCENTILE)))
    inner = depth + RIM_BLUR
    if inner > RIM_DEPTH * height or not far[inner:].any():
        return 0
    step = float(np.median(grey[:depth])) - float(np.median(grey[inner : 2 * inner]))
    return inner if abs(step) > RIM_CONTRAST else 0


def without_rule(ink: Ink, threshold: float) -> Ink:
    """The ink of a wide picture without a level rule from side to side; what crosses it stays.

    Args:
        ink: how far each pixel lies from the paper.
        threshold: from where on it is ink.
    """
    height, width = ink.shape
    if width < WIDE * height:
        return ink
    dark = ink > threshold
    is_rule = np.pad(dark.mean(1) >= COVER, 1)
    tops, bottoms = (np.flatnonzero(np.diff(is_rule.astype(np.int8)) == sign) for sign in (1, -1))
    left = ink.copy()
    for top, bottom in zip(tops, bottoms, strict=True):
        if bottom - top <= RULE_DEPTH * height:
            beside = [dark[row] for row in (top - 2, bottom + 1) if 0 <= row < height]
            crossed = np.logical_or.reduce([np.zeros(width, np.bool_), *beside])
            left[max(top - 1, 0) : bottom + 1, ~crossed] = 0
    return left if (left > threshold).any() else ink
