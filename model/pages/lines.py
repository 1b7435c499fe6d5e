"""A text map -> where the lines of the page run, and in which order they are read.

Each connected component of the map is a line, or a part of one where its words stand far apart.
The parts are turned upright together, divided into blocks of text by corridors without text, and in
a block those that continue each other are linked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from inkstream.model.pages.detector import TextMap
from inkstream.model.preprocess.columns import components

Points = NDArray[np.float64]  # [n, 2], x right, y down

LEVELS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # probabilities, see `_pixels`
LINE_HEIGHT: Final = 2.4  # thicknesses: from the tops of tall letters to the ends of tails
MAX_PARTS: Final = 1000  # of a page: what has more is no writing
ROW_GAP: Final = 0.3  # heights between the middles of what stands in two rows
LINK_GAP: Final = 2.5  # heights between two parts of a line, at most
LINK_STEP: Final = 0.35  # heights that one part lies above the other there
N_COEFFICIENTS: Final = 3  # of a curve that bends


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where a line runs: the middle of its text."""

    curve: NDArray[np.float64]  # y by x, coefficients as `np.polyval` takes them
    left: float
    right: float

    def y(self, x: Any) -> Any:
        """Return y of the line's middle at `x`; beyond its ends the line continues straight."""
        inside = np.clip(x, self.left, self.right)
        slope = np.polyval(np.polyder(self.curve), inside)
        return np.polyval(self.curve, inside) + slope * (x - inside)

    @property
    def middle(self) -> float:
        """The line's y at half of its length."""
        return float(self.y((self.left + self.right) / 2))


@dataclass(frozen=True, slots=True, eq=False)
class FoundLine:
    """One line on the page turned upright, in pixels of the map."""

    course: Course
    height: float  # of its text, from the tops of tall letters to the ends of tails
    block: int
    above: float  # how far away the next line is, infinity if there is none
    below: float


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The lines of a page, as they are read."""

    skew: float  # radians, clockwise
    map_shape: tuple[int, ...]  # height, width
    size: tuple[int, int]  # width, height, of the map turned upright
    lines: list[FoundLine]

    @property
    def height(self) -> float:
        """The usual height of its lines, of which there are some."""
        return float(np.median([line.height for line in self.lines]))

    def on_map(self, x: Any, y: Any) -> Points:
        """Return points [n, 2] of the map that are at `x` and `y` on the page turned upright."""
        x, y = x - self.size[0] / 2, y - self.size[1] / 2
        across, down = math.cos(self.skew), math.sin(self.skew)
        height, width = self.map_shape
        turned = x * across - y * down + width / 2, x * down + y * across + height / 2
        return np.stack(turned, 1)


class Parts:
    """Parts of lines, on the page turned upright."""

    def __init__(self, pixels: list[Points]) -> None:
        self.pixels = pixels
        self.y = np.array([part[:, 1].mean() for part in pixels])
        self.left = np.array([part[:, 0].min() for part in pixels])
        self.width = np.array([np.ptp(part[:, 0]) + 1 for part in pixels])
        self.area = np.array([len(part) for part in pixels])
        self.height = LINE_HEIGHT * _weighted_median(self.area / self.width, self.width)


def find_lines(text: TextMap) -> Layout:
    """Return the lines of a page from its text map [h, w]."""
    skew = _skew(text)
    upright = Image.fromarray(text).rotate(
        math.degrees(skew), Image.Resampling.BILINEAR, expand=True
    )
    pixels = _pixels(upright)
    lines: list[FoundLine] = []
    if 0 < len(pixels) <= MAX_PARTS:
        parts = Parts(pixels)
        for number, block in enumerate(_blocks(parts, np.arange(len(pixels)))):
            linked = _linked([pixels[index] for index in block], parts.height)
            courses = [_course(line, parts.height) for line in linked]
            heights = [LINE_HEIGHT * len(line) / np.unique(line[:, 0]).size for line in linked]
            distances = _distances(courses)
            lines += [
                FoundLine(courses[at], heights[at], number, *distances[at])
                for at in _in_order(courses, parts.height)
            ]
    return Layout(skew, text.shape, upright.size, lines)


def marked_lines(outlines: Sequence[Points], map_shape: tuple[int, int]) -> tuple[TextMap, Layout]:
    """Return the map and the layout of lines whose outlines are known, in their order.

    Outlines are corners [n, 2] in pixels of the map.
    """
    height, width = map_shape
    text = np.zeros(map_shape, np.uint8)
    courses, heights = [], []
    for outline in outlines:
        mask = Image.new("1", (width, height))
        corners = np.clip(outline, 0, (width - 1, height - 1))
        ImageDraw.Draw(mask).polygon(list(map(tuple, corners.tolist())), fill=1)
        y, x = np.nonzero(np.asarray(mask))
        text[y, x] = 255
        pixels = np.stack([x, y], 1)
        heights.append(_thickness(pixels))
        courses.append(_course(pixels.astype(np.float64) + 0.5, heights[-1]))
    lines = [
        FoundLine(course, line_height, 0, *distances)
        for course, line_height, distances in zip(
            courses, heights, _distances(courses), strict=True
        )
    ]
    return text, Layout(0.0, map_shape, (width, height), lines)


def _weighted_median(values: NDArray[Any], weights: NDArray[Any]) -> float:
    """Return the weighted median, or 0 of no values."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    walked = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(walked, walked[-1] / 2)])


def _skew(text: TextMap) -> float:
    """Return the angle of the page's lines in radians, clockwise.

    It is that to which the map's gradients are perpendicular: the edges of lines are long (Bigun
    and Granlund, ICCV 1987).
    """
    down, across = np.gradient(text.astype(np.float32)) if min(text.shape) > 1 else (0, 0)
    crossed = 2 * np.sum(across * down)
    level = 100 * 255.0**2 / 4  # edges of 100 pixels, level: a lone word tells too little
    straight = np.sum(down * down) - np.sum(across * across) + level
    skew = -0.5 * math.atan2(crossed, straight)
    return skew if abs(skew) <= math.pi / 4 else 0.0


def _pixels(upright: Image.Image) -> list[Points]:
    """Return the pixels of each part, each [n, 2]: connected, sure enough, and of one line.

    Where lines touch, what is blurred along them is cut at rising probabilities.
    """
    text = np.asarray(upright)
    waiting = _connected(text, text > LEVELS[0] * 255)
    if not waiting:
        return []
    usual = _usual_thickness(text > LEVELS[0] * 255)
    blurred = np.asarray(upright.filter(ImageFilter.BoxBlur((2 * usual, 0))))
    done = []
    for level in LEVELS[1:]:
        mask = np.zeros(text.shape, bool)
        for part in waiting:
            if _thickness(part) > 1.7 * usual:  # it holds two lines
                mask[part[:, 1], part[:, 0]] = True
            else:
                done.append(part)
        waiting = _connected(text, mask & (blurred > level * 255))
    # Real lines have a mean probability of 0.8, rules 0.9 at most.
    sure = (part for part in [*done, *waiting] if _confidence(part, text) >= 0.75)
    return [part.astype(np.float64) + 0.5 for part in sure]


def _confidence(pixels: NDArray[np.int64], text: TextMap) -> float:
    """Return the mean probability of pixels [n, 2]."""
    return float(text[pixels[:, 1], pixels[:, 0]].mean()) / 255


def _usual_thickness(mask: NDArray[np.bool_]) -> float:
    """Return how many pixels usually follow each other downwards."""
    edges = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    lengths = np.nonzero(edges < 0)[1] - np.nonzero(edges > 0)[1]
    return _weighted_median(lengths, lengths)


def _thickness(pixels: NDArray[np.int64]) -> float:
    """Return the usual number of pixels above each other."""
    counts = np.bincount(pixels[:, 0] - pixels[:, 0].min())
    return float(np.percentile(counts[counts > 0], 75))


def _connected(text: TextMap, mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the pixels of each component of a mask that is large and sure enough, each [n, 2]."""
    y, x = np.nonzero(mask)
    if not len(y):
        return []
    _, numbers = np.unique(components(mask)[y, x], return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    cuts = np.cumsum(np.bincount(numbers))[:-1]
    parts = np.split(np.stack([x, y], 1)[order], cuts)
    return [part for part in parts if _is_text(part, text)]


def _is_text(pixels: NDArray[np.int64], text: TextMap) -> bool:
    """Tell whether pixels [n, 2] can be a part of a line, or of several."""
    thickness = len(pixels) / (np.ptp(pixels[:, 0]) + 1)
    is_large = thickness >= 2 and len(pixels) >= 0.3 * thickness**2
    return bool(is_large) and _confidence(pixels, text) >= 0.6  # lines may still touch


def _blocks(parts: Parts, block: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Divide parts into blocks of text, from left to right, at the widest corridor again and again.

    A corridor is wider than a line is high, and may move aside by some columns a row.
    """
    area, y = parts.area[block], parts.y[block]
    best, sides = parts.height, None
    for tilt in np.arange(-0.12, 0.121, 0.02).tolist():
        left = parts.left[block] - tilt * (y - y.mean())
        right = left + parts.width[block]
        order = np.argsort(left)
        reached = np.maximum.accumulate(right[order])[:-1]
        gaps = left[order][1:] - reached
        for at in np.flatnonzero(gaps > best).tolist():
            aside = left <= reached[at]
            if _are_blocks(area, y, aside, parts.height):
                best, sides = float(gaps[at]), (block[aside], block[~aside])
    return [block] if sides is None else [*_blocks(parts, sides[0]), *_blocks(parts, sides[1])]


def _are_blocks(
    area: NDArray[Any], y: NDArray[Any], aside: NDArray[np.bool_], height: float
) -> bool:
    """Tell whether the sides of a corridor are high, side by side, and full enough."""
    share = float(area[aside].sum() / area.sum())
    if not 0.12 <= share <= 1 - 0.12:  # of all text that stands on each side
        return False
    one, other = y[aside], y[~aside]
    beside = min(one.max(), other.max()) - max(one.min(), other.min())
    if beside < 1.5 * height:
        return False
    gaps = [np.diff(np.sort(side)) > ROW_GAP * height for side in (one, other)]
    return all(int(side_gaps.sum()) + 1 >= 3 for side_gaps in gaps)  # lines on each side


def _linked(parts: list[Points], height: float) -> list[Points]:
    """Link parts that continue each other into lines, the longest first."""
    lines = sorted(parts, key=lambda part: -len(part))
    linked = True
    while linked:
        linked = False
        courses = [_course(line, height) for line in lines]
        pairs = [
            (cost, one, other)
            for one, other in _close(courses, height)
            if (cost := _step(courses[one], courses[other], height)) is not None
        ]
        taken: set[int] = set()
        for _, one, other in sorted(pairs):
            if not {one, other} & taken:
                taken |= {one, other}
                lines[one] = np.concatenate([lines[one], lines[other]])
                lines[other] = lines[other][:0]
                linked = True
        lines = [line for line in lines if len(line)]
    return lines


def _close(courses: list[Course], height: float) -> list[tuple[int, int]]:
    """Return pairs of parts that may continue each other, by their positions and directions."""
    (left, right), reach = _ends(courses), LINK_GAP * height
    y = np.array([c.y(np.linspace(c.left - reach, c.right + reach, 9)) for c in courses])  # [n, 9]
    top, bottom = y.min(1) - LINK_STEP * height, y.max(1) + LINK_STEP * height
    beside = np.maximum(left[:, None], left) - np.minimum(right[:, None], right) <= reach
    level = np.maximum(top[:, None], top) <= np.minimum(bottom[:, None], bottom)
    one, other = np.nonzero(np.triu(beside & level, 1))
    return list(zip(one.tolist(), other.tolist(), strict=True))


def _course(pixels: Points, height: float) -> Course:
    """Fit a curve through the pixels of a line.

    A short line is taken to be level, as the page is; a long one may bend.
    """
    x, y = pixels.T
    left, right = float(x.min()), float(x.max())
    length = (right - left) / height
    degree = 0 if length < 2.5 else 1 if length < 8 else 2
    return Course(np.polyfit(x, y, degree), left, right)


def _step(one: Course, other: Course, height: float) -> float | None:
    """Return the cost of continuing one part of a line by another, or None if it cannot be."""
    if one.left > other.left:
        one, other = other, one
    gap = other.left - one.right
    if gap > LINK_GAP * height:
        return None
    end = one.right + gap / 2 if gap >= 0 else min(one.right, other.right)
    x = np.linspace(end if gap >= 0 else other.left, end, 5)
    step = float(np.abs(one.y(x) - other.y(x)).max())
    if step > LINK_STEP * height:
        return None
    return step / height + max(gap, 0) / (LINK_GAP * height)


def _in_order(courses: list[Course], height: float) -> list[int]:
    """Return the indices of a block's lines from the top down, in a row from left to right."""
    y = np.array([course.middle for course in courses])
    order = np.argsort(y)
    rows = np.zeros(len(y), np.int64)
    rows[order[1:]] = np.cumsum(np.diff(y[order]) > ROW_GAP * height)
    return sorted(range(len(y)), key=lambda at: (rows[at], courses[at].left))


def _ends(courses: list[Course]) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.array([c.left for c in courses]), np.array([c.right for c in courses])


def _distances(courses: list[Course]) -> list[tuple[float, float]]:
    """Return how far the next course above each one is, and the next one below; or infinity."""
    curves = np.array([np.pad(c.curve, (N_COEFFICIENTS - len(c.curve), 0)) for c in courses])
    left, right = (ends[:, None] for ends in _ends(courses))
    distances = []
    for number, course in enumerate(courses):
        x = np.linspace(course.left, course.right, 9)
        beside = (left <= x) & (x <= right)  # [n, 9]
        beside[number] = False
        away = (curves - curves[number]) @ np.vander(x, N_COEFFICIENTS).T  # [n, 9]
        means = (away * beside).sum(1) / np.maximum(beside.sum(1), 1)
        above = float(-means[means < 0].max(initial=-math.inf))
        distances.append((above, float(means[means > 0].min(initial=math.inf))))
    return distances
