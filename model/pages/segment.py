"""Find the connected components of a page's ink and the blocks of text that they form.

Needs the `scan` extra.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]  # [h, w], or [n] of components
Labels = NDArray[np.int32]  # [h, w]

LEAST_HEIGHT: Final = 6  # pixels of a piece of ink that says how large the writing is
LARGEST_SHARE: Final = 0.25  # of the page's longer side: a higher piece is no writing
FEW_LETTERS: Final = 8  # components: a picture with so few may show a word that fills it
TALLEST: Final = 2.5  # of the others' height, a piece of such a word, if most ink is in lower ones
SPECK: Final = 0.4  # of a stroke's width squared, an i's dot: a piece of less ink is dirt
LARGE: Final = 5.0  # of it too: a smaller piece is a dot, or dirt
LONG_DASH: Final = 2.0  # heights: a piece as long is what is left of a rule
THIN_DASH: Final = 0.12  # of its length, if it is no higher

CORRIDOR: Final = 1.1  # heights that a corridor between blocks is wide at least
CORRIDOR_TALL: Final = 2.5  # heights that both its blocks are high at least
CORRIDOR_ROWS: Final = 3  # lines on each side of it, at least
ROW_GAP: Final = 0.35  # heights between the middles of components that stand in two rows
CORRIDOR_INK: Final = 0.12  # of all ink that stands on each side
CORRIDOR_TILTS: Final = np.arange(-0.12, 0.121, 0.02)  # columns that it moves aside, a row


class Components:
    """The connected components of the ink that are writing and not dirt."""

    def __init__(self, mask: Mask) -> None:
        _, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        self.labels: Labels = np.asarray(labels, np.int32)
        self.left, self.top, self.width, self.tall, self.ink = np.asarray(stats).T
        self.x, self.y = np.asarray(centres).T
        usual = self._usual(mask)
        high = usual & (self.tall >= LEAST_HEIGHT)
        self.height = weighted_median(self.tall[high], self.width[high])
        dot = stroke_width_of(mask) ** 2
        self.kept = usual & (self.ink >= SPECK * dot)
        self.large = self.ink >= LARGE * dot
        level = (self.width >= LONG_DASH * self.height) & (self.tall <= THIN_DASH * self.width)
        self.kept &= ~level

    def _usual(self, mask: Mask) -> Mask:
        """Mark the components no larger than writing: on a page, or in the image of a word."""
        low: Mask = self.tall <= LARGEST_SHARE * max(mask.shape)
        low[0] = False
        high = low & (self.tall >= LEAST_HEIGHT)
        if high.sum() > FEW_LETTERS:
            return low
        usual = np.ones_like(low)
        if self.ink[low].sum() >= self.ink[1:].sum() / 2:
            most = TALLEST * weighted_median(self.tall[high], self.ink[high])
            usual = low | (self.tall <= most)
        usual[0] = False
        return usual

    def mask(self, chosen: Mask) -> Mask:
        """Return where the ink of the chosen components is."""
        return chosen[self.labels]


def n_letters_of(mask: Mask) -> int:
    """Return how many components are as high as a letter at least."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2]
    return int((np.asarray(stats)[1:, cv2.CC_STAT_HEIGHT] >= LEAST_HEIGHT).sum())


def stroke_width_of(mask: Mask) -> float:
    """Return the mean stroke width in pixels: twice the area over the length of the outline."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    outline = int(mask.sum()) - int(inner.sum())
    return 2 * float(mask.sum()) / max(1, outline)


def weighted_median(values: NDArray[Any], weights: NDArray[Any]) -> float:
    """Return the weighted median, or 0 of no values."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    walked = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(walked, walked[-1] / 2)])


def blocks_of(components: Components) -> list[Mask]:
    """Split the components into blocks of text, from left to right."""
    waiting, done = [components.kept], []
    while waiting:
        block = waiting.pop(0)
        parts = _parted(components, block)
        if parts is None:
            done.append(block)
        else:
            waiting = [*parts, *waiting]
    return done


def _parted(components: Components, block: Mask) -> tuple[Mask, Mask] | None:
    """Split a block at its widest corridor; return None if it has none."""
    places = np.flatnonzero(block)
    if not len(places):
        return None
    ink, y = components.ink[places], components.y[places]
    best, parts = CORRIDOR * components.height, None
    for tilt in CORRIDOR_TILTS.tolist():
        shift = tilt * (y - y.mean())
        left = components.left[places] - shift
        right = left + components.width[places]
        order = np.argsort(left)
        reached = np.maximum.accumulate(right[order])[:-1]
        gaps = left[order][1:] - reached
        for at in np.flatnonzero(gaps > best).tolist():
            aside = left <= reached[at]
            if _are_blocks(ink, y, aside, components.height):
                best, cut = float(gaps[at]), np.zeros_like(block)
                cut[places[aside]] = True
                parts = cut, block & ~cut
    return parts


def _are_blocks(ink: NDArray[Any], y: NDArray[Any], aside: Mask, height: float) -> bool:
    """Tell whether the sides of a corridor are high, side by side, and full enough."""
    share = float(ink[aside].sum() / ink.sum())
    if not CORRIDOR_INK <= share <= 1 - CORRIDOR_INK:
        return False
    one, other = y[aside], y[~aside]
    beside = min(one.max(), other.max()) - max(one.min(), other.min())
    if beside < CORRIDOR_TALL * height:
        return False
    gaps = [np.diff(np.sort(side)) > ROW_GAP * height for side in (one, other)]
    return all(int(own.sum()) + 1 >= CORRIDOR_ROWS for own in gaps)
