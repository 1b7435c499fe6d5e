"""Where the lines of a page run, which ink is whose, and in which order they are read.

The connected components of the ink are parted into blocks of text by corridors without ink. In a
block, ink blurred far along the lines and little across them has a ridge on each line (Bukhari,
Shafait and Breuel, ICDAR 2009); ridges are linked into lines, and every piece of ink goes to the
line that it is nearest to. Needs the `scan` extra.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inkstream.model.pages.clean import FEW_LETTERS, LEAST_HEIGHT

Mask = NDArray[np.bool_]  # [h, w], or [n] of components
Labels = NDArray[np.int32]  # [h, w]
Curve = NDArray[np.float64]  # coefficients of a polynomial, as `np.polyval` takes them

LARGEST_SHARE: Final = 0.25  # of the page's longer side: a higher piece is no writing
TALLEST: Final = 2.5  # of the others' height, a piece of a lone word, if most ink is in lower ones
SPECK: Final = 0.4  # of a stroke's width squared, an i's dot: a piece of less ink is dirt
LARGE: Final = 5.0  # of it too: a smaller piece is a dot, or dirt
LONG_DASH: Final = 2.0  # heights: a longer piece is the remainder of a rule
THIN_DASH: Final = 0.12  # of its length, if it is no higher

CORRIDOR: Final = 1.1  # heights that a corridor between blocks is wide at least
CORRIDOR_TALL: Final = 2.5  # heights that both its blocks are high at least
CORRIDOR_ROWS: Final = 3  # lines on each side of it, at least
ROW_GAP: Final = 0.35  # heights between the middles of components that stand in two rows
CORRIDOR_INK: Final = 0.12  # of all ink that stands on each side
CORRIDOR_TILTS: Final = np.arange(-0.12, 0.121, 0.02)  # columns that it moves aside, a row

DOT_GAP: Final = 1.0  # heights from a dot to the line that it belongs to
SCALE: Final = 14.0  # pixels that the writing is high where ridges are looked for

FILLED: Final = 0.5  # heights between two strokes, one above the other, that are filled in
ALONG: Final = 1.3  # heights of the writing that ink is blurred along the lines
ACROSS: Final = 0.3  # and across them
RIDGE: Final = 0.12  # of the ridges' usual ink that a ridge has at least
LEAST_RIDGE: Final = 0.3  # heights that a ridge is long
MOST_LINES: Final = 500  # of a page: what has more is no writing
MOST_RIDGES: Final = 1000  # of a block, which has a few for each line
LINK_GAP: Final = 4.0  # heights between two parts of a line, at most
LINK_STEP: Final = 0.6  # heights that one part lies above the other there
SLOPE_LENGTH: Final = 4.0  # heights: a shorter line is taken to be level, as the page is
BEND_LENGTH: Final = 12.0  # heights: a line as long may bend
LEAST_PITCH: Final = 0.55  # heights from a line to the next
FAR: Final = 2.5  # heights from a line's middle to a piece of ink that is none of it: dirt
SHORT: Final = 3.5  # heights: a line as short may be a letter of another one, a large or a low one
SHORT_PITCH: Final = 1.1  # heights from that line, if it is none
SHORT_REACH: Final = 1.0  # heights beside it in which it is looked for
LEAST_INK: Final = 0.1  # of a usual line's ink for each of its columns


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
        inner = np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)))
        outline = int(mask.sum()) - int(inner.sum())
        dot = (2 * float(mask.sum()) / max(1, outline)) ** 2  # of the mean width of a stroke
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


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where a line runs, as far as its ink tells: the middle of its small letters."""

    curve: Curve  # y by x
    left: float
    right: float

    def y(self, x: Any) -> Any:
        """Return y of the line's middle at `x`; beyond its ends the line continues straight."""
        inside = np.clip(x, self.left, self.right)
        slope = np.polyval(np.polyder(self.curve), inside)
        return np.polyval(self.curve, inside) + slope * (x - inside)


@dataclass(frozen=True, slots=True, eq=False)
class FoundLine:
    """One line on the upright page."""

    course: Course
    number: int  # from 1
    block: int
    bounds: tuple[int, int, int, int]  # left, top, right, bottom of its ink


def find_lines(mask: Mask) -> tuple[list[FoundLine], Labels]:
    """Return the lines of an upright page's ink, as they are read, and whose ink each pixel is.

    The latter is the number of the line [h, w], 0 where there is none.
    """
    components = Components(mask)
    lines: list[FoundLine] = []
    owners = np.zeros(mask.shape, np.int32)
    if components.height:
        for number, block in enumerate(blocks_of(components)):
            lines += _lines_of(components, block, number, owners, len(lines))
            if len(lines) > MOST_LINES:
                return [], owners
    return lines, owners


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


def _lines_of(
    components: Components, block: Mask, number: int, owners: Labels, n_before: int
) -> list[FoundLine]:
    """Return the lines of one block, from the top down; marks their ink in `owners`."""
    mask = block[components.labels]
    scale = min(1.0, SCALE / components.height)
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small = np.asarray(
        cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32
    )
    height = components.height * scale
    ridges = _ridges(small, height)
    if not 0 < len(ridges) <= MOST_RIDGES:
        return []
    courses = [_scaled(course, 1 / scale) for course in _linked(ridges, height)]
    courses = _apart(courses, components.height)
    courses = _with_enough_ink(courses, components, block)
    courses.sort(key=lambda each: float(each.y((each.left + each.right) / 2)))
    _assign(components, block, courses, owners, n_before)
    found = []
    for place, course in enumerate(courses, n_before + 1):
        bounds = _bounds(owners == place)
        if bounds is not None:
            found.append(FoundLine(course, place, number, bounds))
    return found


def _scaled(course: Course, factor: float) -> Course:
    """Scale a course to a larger page."""
    powers = np.arange(len(course.curve) - 1, -1, -1, dtype=np.float64)  # of each coefficient
    curve = course.curve * factor ** (1 - powers)
    return Course(curve, course.left * factor, course.right * factor)


def _ridges(ink: NDArray[np.float32], height: float) -> list[NDArray[np.int64]]:
    """Return the ridges of blurred ink, each [n, 2]: x and y of its pixels."""
    filled = np.ones((max(1, round(FILLED * height)), 1), np.uint8)
    ink = np.asarray(cv2.morphologyEx(ink, cv2.MORPH_CLOSE, filled))
    blurred = np.asarray(
        cv2.GaussianBlur(
            ink, (0, 0), ALONG * height, sigmaY=ACROSS * height, borderType=cv2.BORDER_CONSTANT
        )
    )
    top = np.zeros(ink.shape, bool)
    inner = blurred[1:-1]
    top[1:-1] = (inner > blurred[:-2]) & (inner >= blurred[2:])
    if not top.any():
        return []
    usual = float(np.percentile(blurred[top], 75))
    top &= blurred > RIDGE * usual
    _, labels, stats, _ = cv2.connectedComponentsWithStats(top.astype(np.uint8))
    long = np.asarray(stats)[:, cv2.CC_STAT_WIDTH] >= LEAST_RIDGE * height
    long[0] = False
    y, x = np.nonzero(top)
    own = np.asarray(labels)[y, x]
    order = np.argsort(own, kind="stable")
    cuts = np.searchsorted(own[order], np.arange(1, len(long)))
    parts = np.split(np.stack([x, y], 1)[order], cuts)[1:]
    return [part for part, is_long in zip(parts, long[1:], strict=True) if is_long]


def _linked(ridges: list[NDArray[np.int64]], height: float) -> list[Course]:
    """Link ridges that continue each other into lines, the longest first."""
    lines = sorted(ridges, key=lambda ridge: -len(ridge))
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
    return [_course(line, height) for line in lines]


def _close(courses: list[Course], height: float) -> list[tuple[int, int]]:
    """Return pairs of parts that may continue each other, by their positions and directions."""
    left, right = (
        np.array(ends) for ends in zip(*((c.left, c.right) for c in courses), strict=True)
    )
    reach = LINK_GAP * height
    y = np.array([c.y(np.linspace(c.left - reach, c.right + reach, 9)) for c in courses])  # [n, 9]
    top, bottom = y.min(1) - LINK_STEP * height, y.max(1) + LINK_STEP * height
    beside = np.maximum(left[:, None], left) - np.minimum(right[:, None], right) <= reach
    level = np.maximum(top[:, None], top) <= np.minimum(bottom[:, None], bottom)
    one, other = np.nonzero(np.triu(beside & level, 1))
    return list(zip(one.tolist(), other.tolist(), strict=True))


def _course(points: NDArray[np.int64], height: float) -> Course:
    """Fit a curve through points; its degree grows with their extent."""
    x, y = points.T.astype(np.float64)
    left, right = float(x.min()), float(x.max())
    n_bends = (right - left) / height
    degree = 0 if n_bends < SLOPE_LENGTH else 1 if n_bends < BEND_LENGTH else 2
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


def _apart(courses: list[Course], height: float) -> list[Course]:
    """Remove short lines that run through the letters of others, such as crossbars and tails."""
    kept: list[Course] = []
    for course in sorted(courses, key=lambda each: each.left - each.right):
        is_short = course.right - course.left < SHORT * height
        least, reach = (SHORT_PITCH, SHORT_REACH) if is_short else (LEAST_PITCH, 0.0)
        if all(_pitch(course, other, reach * height) >= least * height for other in kept):
            kept.append(course)
    return kept


def _pitch(one: Course, other: Course, reach: float) -> float:
    """Return the distance of two lines where they overlap; infinity where they do not.

    `reach` is how far the first one is taken to go on beyond its ends.
    """
    left, right = max(one.left - reach, other.left), min(one.right + reach, other.right)
    if left >= right:
        return np.inf
    x = np.linspace(left, right, 5)
    return float(np.abs(one.y(x) - other.y(x)).mean())


def _with_enough_ink(courses: list[Course], components: Components, block: Mask) -> list[Course]:
    """Remove lines that hardly any ink is nearest to, such as a row of descenders."""
    while len(courses) > 1:
        nearest, _ = _nearest(courses, components.x, components.y)
        ink = np.bincount(nearest[block], components.ink[block], len(courses))
        density = ink / np.array([c.right - c.left + components.height for c in courses])
        usual = float(np.median(density))
        worst = int(density.argmin())
        if density[worst] >= LEAST_INK * usual:
            break
        del courses[worst]
    return courses


def _nearest(
    courses: list[Course], x: NDArray[Any], y: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the line nearest to each place, and its distance, larger beyond the line's ends."""
    distances = []
    for course in courses:
        beyond = np.maximum(course.left - x, 0) + np.maximum(x - course.right, 0)
        distances.append(np.abs(course.y(x) - y) + 0.3 * beyond)
    nearest: NDArray[np.int64] = np.argmin(distances, 0)
    return nearest, np.min(distances, 0)


def _assign(
    components: Components, block: Mask, courses: list[Course], owners: Labels, n_before: int
) -> None:
    """Give each piece to its nearest line; one that hangs together with two is cut between them."""
    owner = np.zeros(len(components.kept), np.int32)
    nearest, away = _nearest(courses, components.x[block], components.y[block])
    owner[block] = np.where(away > FAR * components.height, 0, 1 + n_before + nearest)
    for number in range(1 + n_before, 1 + n_before + len(courses)):
        owner[_alone(components, owner == number)] = 0
    owned = owner[components.labels]
    np.maximum(owners, owned, out=owners)
    tall = block & (components.tall > 1.7 * components.height)
    for place in np.flatnonzero(tall).tolist():
        left, top = int(components.left[place]), int(components.top[place])
        box = np.s_[top : top + components.tall[place], left : left + components.width[place]]
        x = components.x[place]
        crossed = [
            number
            for number, course in enumerate(courses)
            if course.left - components.height <= x <= course.right + components.height
            and top + 0.2 * components.height
            < course.y(x)
            < top + components.tall[place] - 0.2 * components.height
        ]
        if len(crossed) < 2:
            continue
        y, x_inside = np.nonzero(components.labels[box] == place)
        nearest, _ = _nearest([courses[n] for n in crossed], x_inside + left, y + top)
        owners[y + top, x_inside + left] = 1 + n_before + np.array(crossed)[nearest]


def _alone(components: Components, own: Mask) -> Mask:
    """Mark the dots of a line far beyond its first or last letter: dirt."""
    large: Mask = own & components.large
    small: Mask = own & ~components.large
    if not large.any():
        return small
    left = components.left[large].min()
    right = (components.left[large] + components.width[large]).max()
    beyond = np.maximum(left - components.x, components.x - right)
    alone: Mask = small & (beyond > DOT_GAP * components.height)
    return alone


def _bounds(mask: Mask) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the pixels that are set."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
