"""A scan or photo of a page -> its ink alone, upright: light evened out, desk and rules taken away.

The ink of a pixel is how much of the paper's light it swallows, 0..1, so that a shadow changes
nothing. Needs the `scan` extra.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]  # [h, w]
Tone = NDArray[np.float32]  # [h, w], 0 = paper, 1 = no light at all
Mask = NDArray[np.bool_]  # [h, w]
Matrix = NDArray[np.float64]

LEAST_HEIGHT: Final = 6  # pixels of a piece of ink that says how large the writing is
FEW_LETTERS: Final = 8  # components: a picture with so few may show a word that fills it

PAPER_SIDE: Final = 640  # pixels: the paper's light is found on an image reduced to this
PAPER_REACH: Final = 0.03  # of that side: ink is narrower, and the paper seen around it
LEAST_CONTRAST: Final = 0.05  # less than this beside the paper is none
NOISE_FACTOR: Final = 4.0  # deviations of the paper that are no ink
EVEN: Final = 0.7  # pixels over which tone is evened out before it is judged
INK_SHARE: Final = 0.25  # of the darkest ink's contrast, that a pixel of ink has at least
SURE_SHARE: Final = 0.4  # and the darkest pixel of a piece of ink
DARK_PERCENTILE: Final = 85.0  # of what stands out from the paper

SHEET_SIDE: Final = 256  # pixels: a sheet's edge is looked for on an image reduced to this
SHEET_SHARES: Final = (0.25, 0.97)  # of the image that a sheet covers whose edge can be seen
SHEET_SOLID: Final = 0.93  # of the hull of a sheet is sheet
SHEET_EDGE: Final = 0.95  # of its outline lies beside something darker
SHEET_DROP: Final = 0.75  # of the sheet's light is there beyond its edge, at most
RIM_SHARE: Final = 0.025  # of the page's longer side: a piece of ink as near to an edge is none
SHEET_STEPS: Final = 12  # tones that are tried for the border between sheet and desk

MOST_SKEW_DEG: Final = 20.0
SKEW_STEPS_DEG: Final = (0.5, 0.1)
SKEW_POINTS: Final = 30_000  # pixels of ink that the skew is found from
SMALL_SKEW_DEG: Final = 5.0  # that few letters may have
SURE_SKEW: Final = 3.0  # times as sharp as level they must be to have more
SKEW_EXTENT: Final = (0.01, 0.99)  # of the ink, from above, between which its rows are counted
SKEW_ROWS: Final = 3.0  # pixels of a row of the profile, on an image of PAPER_SIDE

RULE_RUN: Final = 0.04  # of the page's longer side: how far a rule is looked at in one go
RULE_COVER: Final = 0.8  # of a run is dark where a rule is
RULE_BESIDE: Final = 0.65  # at most, just above and below it
RULE_SHARE: Final = 0.45  # of the page's width or height that a rule is long: no bar of a t is
LONE_RULE_SHARE: Final = 0.9  # the same where so few letters stand that they may be as large
SHORT_RULE_SHARE: Final = 0.12  # the same, once so many rules were found
MANY_RULES: Final = 4
RULE_GAP: Final = 5  # pixels from a rule's middle to what lies beside it
RULE_NOISE: Final = 2.5  # deviations of the paper that show a rule, which is long


@dataclass(frozen=True, slots=True, eq=False)
class PageInk:
    """The ink of a page, turned upright."""

    tone: Tone  # [h, w]
    mask: Mask  # [h, w], where ink is
    turn: Matrix  # [2, 3], from places of the image to these: x, y, in pixels


@dataclass(frozen=True, slots=True)
class Rules:
    """How long rules are, in pixels."""

    short: float  # what is seen of each, where there are many
    long: float  # what is seen of those that tell that there are many
    lone: float  # what is seen of each, where there are few


def page_ink(grey: Grey) -> PageInk | None:
    """Return the ink of a page, dark on light or light on dark; None where nothing stands out."""
    tone = _contrast(grey)
    sheet = _sheet(grey)
    if sheet is not None:
        tone = tone * sheet
    noise = _noise(tone)
    tone = tone.clip(0, 1)
    first = tone > _least_ink(noise)
    if not first.any():
        return None
    tone, turn = _upright(tone, _skew_deg(first))
    inside = None
    if sheet is not None:  # where it lies on the upright page
        inside = np.asarray(cv2.warpAffine(sheet, turn, tone.shape[::-1])) > 0.99
    tone = without_rules(tone, noise, inside)
    least = _least_ink(noise)
    inked = tone[tone > least]
    if not len(inked):
        return None
    dark = float(np.percentile(inked, DARK_PERCENTILE))
    even = np.asarray(cv2.GaussianBlur(tone, (0, 0), EVEN), np.float32)
    mask = _hung_together(even, INK_SHARE * dark, max(least, SURE_SHARE * dark))
    if inside is not None:
        mask &= ~_at_edge(mask, inside)
    return PageInk(tone, mask, turn)


def n_letters_of(mask: Mask) -> int:
    """Return how many components are as high as a letter at least."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2]
    return int((np.asarray(stats)[1:, cv2.CC_STAT_HEIGHT] >= LEAST_HEIGHT).sum())


def _at_edge(mask: Mask, inside: Mask) -> Mask:
    """Mark the ink whose connected component lies mostly at the sheet's edge."""
    reach = round(RIM_SHARE * max(mask.shape)) | 1
    inner = np.asarray(cv2.erode(inside.astype(np.uint8), np.ones((reach, reach), np.uint8)))
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    labels = np.asarray(labels)
    ink = np.bincount(labels[mask], minlength=int(labels.max()) + 1)
    outer = np.bincount(labels[mask & (inner == 0)], minlength=len(ink))
    return np.asarray((outer > ink / 2)[labels]) & mask


def _hung_together(tone: Tone, least: float, sure: float) -> Mask:
    """Mark pixels of faint ink whose connected component also has sure ink (hysteresis)."""
    some = tone > least
    _, labels = cv2.connectedComponents(some.astype(np.uint8))
    labels = np.asarray(labels)
    kept = np.bincount(labels[tone > sure], minlength=int(labels.max()) + 1) > 0
    kept[0] = False
    return np.asarray(kept[labels])


def _contrast(grey: Grey) -> Tone:
    """Return the share of the paper's light that each pixel lacks."""
    height, width = grey.shape
    share = min(1.0, PAPER_SIDE / max(height, width))
    small = _resized(grey, (max(1, round(width * share)), max(1, round(height * share))))
    reach = max(3, round(PAPER_REACH * max(small.shape)) | 1)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    above = np.asarray(cv2.morphologyEx(small, cv2.MORPH_CLOSE, disk), np.float32)
    below = np.asarray(cv2.morphologyEx(small, cv2.MORPH_OPEN, disk), np.float32)
    middle = np.asarray(cv2.medianBlur(small, 2 * reach + 1), np.float32)
    darker = np.maximum(middle - small - 255 * LEAST_CONTRAST, 0).sum()
    lighter = np.maximum(small - middle - 255 * LEAST_CONTRAST, 0).sum()
    pixels = grey.astype(np.float32)
    if lighter > 2 * darker:  # chalk: turned over, it is ink
        above, pixels = 255 - below, 255 - pixels
    light = np.asarray(cv2.GaussianBlur(above, (0, 0), reach / 4), np.float32)
    light = np.maximum(_resized(light, (width, height)), 1)
    tone: Tone = 1 - pixels / light
    return tone - np.float32(np.median(tone))


def _resized(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return the image in another width and height."""
    smaller = size[0] < image.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=kind))


def _noise(tone: Tone) -> float:
    """Estimate the paper's noise from the differences of neighbouring pixels."""
    steps = np.abs(np.diff(tone[::2], axis=1))
    if not steps.size:  # a single column
        return 0.0
    return float(np.median(steps)) / (0.6745 * math.sqrt(2))


def _least_ink(noise: float) -> float:
    """Return the tone from which a pixel is ink rather than noise of the paper."""
    return max(LEAST_CONTRAST, NOISE_FACTOR * noise)


def _sheet(grey: Grey) -> Tone | None:
    """Return 1 on the sheet and 0 on the desk around it, if its edges are visible."""
    height, width = grey.shape
    share = min(1.0, SHEET_SIDE / max(height, width))
    small = _resized(grey, (max(8, round(width * share)), max(8, round(height * share))))
    small = np.asarray(cv2.medianBlur(small, 7), np.float32)  # without ink
    low, high = np.percentile(small, (2, 98)).tolist()
    hulls = [_hull(small > tone) for tone in np.linspace(low, high, SHEET_STEPS + 2)[1:-1]]
    edged = [hull for hull in hulls if hull is not None and _has_edge(small, hull)]
    if not edged:
        return None
    inside = min(edged, key=lambda hull: int(hull.sum()))
    inside = np.asarray(cv2.erode(inside, np.ones((9, 9), np.uint8), borderValue=1))
    return (_resized(inside.astype(np.float32), (width, height)) > 0.99).astype(np.float32)


def _hull(bright: Mask) -> Grey | None:
    """Return the convex hull of the largest bright area if it has a sheet's shape and size."""
    n, labels, stats, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8))
    if n < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    outlines, _ = cv2.findContours(
        (labels == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    outline = max(outlines, key=cv2.contourArea)
    hull = cv2.convexHull(outline)
    area, low, high = cv2.contourArea(hull), *SHEET_SHARES
    if not low * bright.size <= area <= high * bright.size:
        return None
    if cv2.contourArea(outline) < SHEET_SOLID * area:
        return None
    filled = np.zeros(bright.shape, np.uint8)
    return np.asarray(cv2.fillConvexPoly(filled, hull, 1))


def _has_edge(light: Tone, hull: Grey) -> bool:
    """Tell whether it is darker just outside the hull on all sides; a shadow's edge is softer."""
    square = np.ones((3, 3), np.uint8)
    outside = np.asarray(cv2.dilate(hull, square, iterations=4))
    ring = (outside > np.asarray(cv2.dilate(hull, square, iterations=3))) & (hull == 0)
    ring[[0, -1]], ring[:, [0, -1]] = False, False
    lit = np.where(np.asarray(cv2.erode(hull, square, iterations=2)) > 0, light, np.float32(0))
    near = np.asarray(cv2.dilate(lit, np.ones((17, 17), np.uint8)))
    if not ring.any():
        return False
    return float((light[ring] < SHEET_DROP * near[ring]).mean()) >= SHEET_EDGE


def _skew_deg(mask: Mask) -> float:
    """Estimate the clockwise skew of the writing: the angle with the sharpest row profile."""
    y, x = np.nonzero(mask)
    step = math.ceil(len(y) / SKEW_POINTS)
    scale = min(1.0, PAPER_SIDE / max(mask.shape)) / SKEW_ROWS
    y, x = y[::step] * scale, x[::step] * scale
    best, reach, found = 0.0, MOST_SKEW_DEG, 0.0
    for fine in SKEW_STEPS_DEG:
        angles = np.arange(best - reach, best + reach + fine / 2, fine)
        sharpness = [_sharpness(x, y, angle) for angle in angles]
        best, found = float(angles[int(np.argmax(sharpness))]), max(sharpness)
        reach = fine
    is_sure = abs(best) <= SMALL_SKEW_DEG or found > SURE_SKEW * _sharpness(x, y, 0.0)
    return best if is_sure or n_letters_of(mask) > FEW_LETTERS else 0.0


def _sharpness(x: NDArray[Any], y: NDArray[Any], angle_deg: float) -> float:
    """Measure how much neighbouring rows differ in ink after turning the page back by an angle.

    It is shared out over the rows that the ink takes: a word turned until its strokes stand upright
    has as sharp a profile, but on more of them.
    """
    angle = math.radians(angle_deg)
    rows = np.rint(y * math.cos(angle) - x * math.sin(angle)).astype(np.int64)
    profile = np.bincount(rows - rows.min()).astype(np.float64)
    low, high = np.searchsorted(np.cumsum(profile), np.multiply(SKEW_EXTENT, len(rows)))
    return float((np.diff(profile) ** 2).sum()) / float(high - low + 1)


def _upright(tone: Tone, skew_deg: float) -> tuple[Tone, Matrix]:
    """Return the page turned back by its skew, nothing of it cut off, and how places moved."""
    height, width = tone.shape
    middle = (width / 2, height / 2)
    turn = np.asarray(cv2.getRotationMatrix2D(middle, skew_deg, 1.0), np.float64)
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    seen = corners @ turn.T
    turn[:, 2] -= seen.min(0)
    size = np.ceil(seen.max(0) - seen.min(0)).astype(int).tolist()
    turned = cv2.warpAffine(tone, turn, (size[0], size[1]), flags=cv2.INTER_CUBIC)
    return np.asarray(turned, np.float32).clip(0, 1), turn


def without_rules(tone: Tone, noise: float, inside: Mask | None = None) -> Tone:
    """Return the ink without the paper's printed rules, which are nearly level and upright.

    What is darker than its rule stays, and a stroke that crosses one is drawn across it. `noise` is
    the deviation of the paper, `inside` where the sheet is, None for everywhere.
    """
    height, width = tone.shape
    if inside is not None:
        height, width = int(inside.any(1).sum()), int(inside.any(0).sum())
    for share in (RULE_SHARE, LONE_RULE_SHARE):
        level = Rules(SHORT_RULE_SHARE * width, RULE_SHARE * width, share * width)
        left, are_many = _without_level_rules(tone, noise, level)
        # In a picture that is wide and low a stem is no rule, however much of the height it takes.
        side = height if are_many else max(width, height)
        long = min(RULE_SHARE * side, LONE_RULE_SHARE * height)
        upright = Rules(SHORT_RULE_SHARE * height, long, share * side)
        turned, _ = _without_level_rules(np.ascontiguousarray(left.T), noise, upright)
        left = np.ascontiguousarray(turned.T)
        if n_letters_of(left > _least_ink(noise)) > FEW_LETTERS:
            break
    return left


def _without_level_rules(tone: Tone, noise: float, lengths: Rules) -> tuple[Tone, bool]:
    """Return the ink without its level rules, and whether these are many."""
    dark = (tone > max(LEAST_CONTRAST / 2, RULE_NOISE * noise)).astype(np.uint8)
    thick = np.asarray(cv2.dilate(dark, np.ones((3, 1), np.uint8)), np.float32)
    run = max(25, round(RULE_RUN * max(tone.shape)))
    cover = np.asarray(cv2.blur(thick, (run, 1)))
    beside = np.zeros_like(cover)
    beside[RULE_GAP:] = cover[:-RULE_GAP]
    np.maximum(beside[:-RULE_GAP], cover[RULE_GAP:], out=beside[:-RULE_GAP])
    found = ((cover > RULE_COVER) & (beside < RULE_BESIDE)).astype(np.uint8)
    rules, are_many = _drawn_rules(found, run, lengths)
    seen = tone[rules & (found > 0) & (dark > 0)]
    if not len(seen):
        return tone, are_many
    level = float(np.median(seen))
    rest = np.where(rules, np.maximum(tone - level - 2 * noise, 0), tone)
    # Ink that a rule runs through, or along, has more ink right beside it.
    grown = np.asarray(cv2.dilate(rest, np.ones((RULE_GAP, 1), np.uint8)))
    return np.where(rules, np.minimum(grown, tone), tone), are_many


def _drawn_rules(found: Grey, run: int, lengths: Rules) -> tuple[Mask, bool]:
    """Locate long rules, also where writing hides them, and tell whether there are many.

    Writing may hide much of a rule, so once there are several a shorter part is enough.
    """
    joined = np.asarray(cv2.dilate(found, np.ones((3, run // 2), np.uint8)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    widths = np.asarray(stats)[:, cv2.CC_STAT_WIDTH]
    height, width = found.shape
    are_many = int((widths[1:] >= lengths.long).sum()) >= MANY_RULES
    least = lengths.short if are_many else lengths.lone
    rules = np.zeros(found.shape, bool)
    y, x = np.nonzero(found)
    own = np.asarray(labels)[y, x]
    for number in (1 + np.flatnonzero(widths[1:] >= least)).tolist():
        own_x, own_y = x[own == number], y[own == number]
        if np.ptp(own_x) < run:
            continue
        curve = np.polyfit(own_x, own_y, 2 if np.ptp(own_x) > lengths.long else 1)
        left, right = max(0, own_x.min() - 2 * run), min(width, own_x.max() + 2 * run)
        along = np.arange(left, right)
        across = np.rint(np.polyval(curve, along)).astype(np.int64)
        reach = min(RULE_GAP // 2, math.ceil(len(own_x) / max(1, np.ptp(own_x)) / 2))
        for beside in range(-reach, reach + 1):
            rules[(across + beside).clip(0, height - 1), along] = True
    return rules, are_many
