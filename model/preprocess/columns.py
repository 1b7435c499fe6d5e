"""Images -> columns: what is done to a picture before the net sees it.

A digit goes MNIST's own way (LeCun et al., Proc. IEEE 86(11), 1998), made fit for photos and scans:
find the paper, take what differs from it as ink, fit the ink into a box of 20 pixels in a field of
28, and put its centre of mass in the middle. A line of writing is found in the same way and fitted
into the rows, without the dark borders and the rule that a scanner or printer adds. Training,
`recognize` and the REST endpoint share this code.

Where an image looks like something else than it was read as, the answer says so.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

from inkstream.model.config import Kind, ModelConfig
from inkstream.model.errors import BlankImageError, ImageError
from inkstream.model.preprocess.image import (
    MAX_PIXELS,
    MAX_SIDE,
    Grey,
    ImageSource,
    read_image,
)

Ink = NDArray[np.float32]  # [h, w], 0 = paper

BOX_SHARE: Final = 20 / 28  # MNIST's box for the ink over its field

# A pixel counts as paper within this distance of the fitted tone, however small the noise is.
PAPER_TOLERANCE: Final = 4.0  # of 255
MIN_CONTRAST: Final = 24.0  # of 255: with less than this between paper and ink an image is blank
NOISE_FACTOR: Final = 5.0  # ink is further from the paper than so many deviations of the paper
FINE: Final = 4  # the box is drawn so many times finer while its strokes are measured and widened

# A line's ink fills so much of the rows, as in training, and stands in their middle: 29 of 32.
LINE_SHARE: Final = 29 / 32
LINE_MARGIN: Final = 2  # blank columns before and behind it
LINE_SIDE: Final = 1 << 14  # pixels: an image of a line that is longer is reduced
MAX_LINE_COLUMNS: Final = 1 << 14
FLAT_STROKES: Final = 5.0  # strokes: what is less high, a dash or a dot, is no measure of the rows

SHIPPED: Final[dict[Kind, str]] = {"classifier": "digits", "transcriber": "lines"}

# Width / height of what holds a line: photos have up to 16 / 9. In a narrower picture a border
# or rule may be a letter's stem or bar.
WIDE: Final = 2.0

LEAST_PAGE_SIDE: Final = 64  # pixels: what is narrower or lower shows no three lines
NO_WRITING: Final = "no writing found"
LOOKS_LIKE_LINE: Final = (
    "this looks like a line of writing, and a classifier reads one character:"
    " try a model that reads lines, such as lines"
)
LOOKS_LIKE_PAGE: Final = "this looks like a page of several lines: have it read as a page"


def to_columns(ink: Grey) -> NDArray[np.uint8]:
    """Return columns [T, H], oldest first, of ink [H, T]: column t is `ink[:, t]`."""
    return np.ascontiguousarray(ink.T)


def digit_columns(image: ImageSource, column_height: int) -> NDArray[np.uint8]:
    """Return columns of one digit or letter, dark on light or light on dark, of any size.

    They are [H, H], 0 = paper, 255 = ink; an image prepared as MNIST's are comes back unchanged.
    Raises `ImageError` if this is no image, `BlankImageError` if nothing stands out from the paper.
    """
    ink, threshold = _ink(_halved(read_image(image)))
    if _fits(ink, column_height):
        return to_columns(np.rint(ink).astype(np.uint8))
    ink = _saturated(ink, threshold)
    cell = math.ceil(max(ink.shape) / 64)
    ink = _without_specks(ink, cell, lambda mass: 0.05 * float(mass.max()))
    box = round(column_height * BOX_SHARE)
    drawn = _redrawn(_part(ink), lambda image: box / max(image.size))
    return to_columns(_centred(drawn, column_height))


def line_columns(image: ImageSource, column_height: int) -> NDArray[np.uint8]:
    """Return columns of one line of writing, dark on light or light on dark, of any size.

    They are [T, H], 0 = paper, 255 = ink; what is as high as H and fills the rows comes back
    unchanged. Raises `ImageError` if this is no image, its strokes vanish at the scale of the rows,
    or it is too long, and `BlankImageError` if nothing stands out from the paper.
    """
    ink, threshold = _ink(without_borders(read_image(image, max_side=LINE_SIDE)))
    ink = _without_underline(without_rule(ink, threshold), threshold)
    top, bottom, *_ = _bounds(ink)
    if len(ink) == column_height and bottom - top >= round(column_height * LINE_SHARE) - 1:
        return to_columns(np.rint(ink).astype(np.uint8))
    ink = _saturated(ink, threshold)
    dot = stroke_width(ink) ** 2  # pixels of an i's dot
    ink = _without_specks(ink, math.ceil(len(ink) / 32), lambda _: 0.4 * dot)
    return to_columns(_in_rows(ink, column_height))


def strip_columns(grey: Grey, column_height: int, width: float = 1.0) -> NDArray[np.uint8]:
    """Return columns [T, H] of a straight strip of paper, dark on light, cut about a line.

    Nothing is erased: rules and what reaches in of other lines stay, for the net has learned to
    look past them, and letters that stand on a rule keep their feet. The strip [h, w] is about as
    high as the writing with its tall letters and tails; columns are `width` times as wide as the
    scale of the rows makes them. 0 = paper, 255 = the body of a stroke.
    """
    absorbed = 1 - np.minimum(grey / np.maximum(_paper_along(grey), 1), 1)
    size = max(1, round(width * (column_height / grey.shape[0]) * grey.shape[1])), column_height
    image = Image.fromarray(absorbed.astype(np.float32))
    ink = np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32)
    paper = float(np.median(ink))
    noise = 1.4826 * float(np.median(abs(ink[ink <= paper] - paper)))
    low = paper + 2 * noise
    inked = ink[ink > low + MIN_CONTRAST / 255]
    if not len(inked):
        return np.zeros(size, np.uint8)
    dark = float(np.percentile(inked, 75))  # the body of a stroke
    return to_columns(np.rint(((ink - low) / (dark - low)).clip(0, 1) * 255).astype(np.uint8))


def _paper_along(grey: Grey) -> Ink:
    """Return the tone of a strip's paper [1, w]: the light pixels around each column."""
    height, width = grey.shape
    n_parts = max(1, round(width / height / 2))
    edges = np.linspace(0, width, n_parts + 1).astype(int)
    tones = [float(np.percentile(grey[:, a:b], 75)) for a, b in pairwise(edges)]
    middles = (edges[:-1] + edges[1:]) / 2
    return np.interp(np.arange(width), middles, tones).astype(np.float32)[None]


def image_columns(
    image: ImageSource, config: ModelConfig, max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[np.uint8], str | None]:
    """Return the columns that a net reads of an image, and the hint of `image_hint`.

    A blank image has no columns, and `NO_WRITING` is its hint. For errors see `read_image`,
    `digit_columns` and `line_columns`.
    """
    reads_lines = config.kind == "transcriber"
    grey = read_image(image, max_pixels, LINE_SIDE if reads_lines else MAX_SIDE)
    try:
        columns = (line_columns if reads_lines else digit_columns)(grey, config.column_height)
    except BlankImageError:
        return np.zeros((0, config.column_height), np.uint8), NO_WRITING
    return columns, image_hint(grey, config.kind)


def image_hint(grey: Grey, kind: Kind) -> str | None:
    """Return a sentence if an image [h, w] looks like something else than a model of `kind` reads.

    A transcriber reads single characters too, so a small image is no reason for a hint.
    """
    if looks_like_page(grey):
        return LOOKS_LIKE_PAGE
    height, width = grey.shape
    return LOOKS_LIKE_LINE if kind == "classifier" and width >= WIDE * height else None


def looks_like_page(grey: Grey) -> bool:
    """Tell whether the writing on an image [h, w] is as dense as that of many lines.

    Of MNIST's digits none crosses more than 2.9 strokes and a single line has about 1.5; of 181
    scanned pages of handwriting less than twice as wide as high none has less than 5.8.
    """
    return min(grey.shape) >= LEAST_PAGE_SIDE and strokes_crossed(grey) >= 3.5


def is_blank(grey: Grey) -> bool:
    """Return whether nothing on an image [h, w] stands out from the paper."""
    try:
        _ink(grey)
    except BlankImageError:
        return True
    return False


def strokes_crossed(grey: Grey) -> float:
    """Return how many strokes a vertical cut through the ink crosses on average."""
    try:
        ink, threshold = _ink(_halved(grey))
    except ImageError:  # the ink is so fine that it vanishes at this scale
        return 0.0
    dark = np.pad(ink > threshold, ((1, 0), (0, 0))).astype(np.int8)
    crossed = (np.diff(dark, axis=0) > 0).sum(0)  # [w]
    return float(crossed.sum()) / max(1, int((crossed > 0).sum()))


def ink_hint(strokes: Sequence[ArrayLike], kind: Kind) -> str | None:
    """Return a sentence if strokes, each [n, 2], look like a line and a classifier reads them."""
    if kind == "transcriber":
        return None
    points = np.concatenate([np.reshape(stroke, (-1, 2)) for stroke in strokes])
    width, height = np.ptp(points, axis=0)
    return LOOKS_LIKE_LINE if len(strokes) > 1 and width >= WIDE * height else None


def _halved(grey: Grey) -> Grey:
    """Halve the image until it fits 512 pixels; averaging also removes noise."""
    while max(grey.shape) > 512:
        grey = np.asarray(Image.fromarray(grey).reduce(2))
    return grey


def _ink(grey: Grey) -> tuple[Ink, float]:
    """Return each pixel's contrast to the paper, and the contrast from which it is ink."""
    paper, noise = _paper(grey)
    difference = grey - paper
    threshold = max(MIN_CONTRAST, NOISE_FACTOR * noise)
    darker = float(np.maximum(-difference - threshold, 0).sum())
    lighter = float(np.maximum(difference - threshold, 0).sum())
    if not darker and not lighter:
        reason = "the image is blank, nothing stands out from the paper"
        raise BlankImageError(f"{NO_WRITING}: {reason}")
    ink = -difference if darker >= lighter else difference
    ink[ink < NOISE_FACTOR * noise] = 0
    return np.maximum(ink, 0), threshold


def _paper(grey: Grey) -> tuple[Ink, float]:
    """Return the paper's tone at each pixel, and its pixels' deviation from it (robust sigma).

    Light falls unevenly on a photo, so the tone is a quadratic of the place. The fit starts from
    the border's middle tone and narrows what it takes for paper while it gains freedom: so ink
    stays outside even where it crowds a tight crop.
    """
    rows, columns = (np.unique(np.linspace(0, length - 1, 64).astype(int)) for length in grey.shape)
    sample = grey[np.ix_(rows, columns)].astype(np.float32)
    border = np.concatenate([sample[0], sample[-1], sample[:, 0], sample[:, -1]])
    if border.min() == border.max():  # drawn by a program, or prepared already: nothing to fit
        return np.full(grey.shape, border[0]), 0.0
    tone = sample.ravel().astype(np.float64)
    height, width = grey.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    v, u = y[rows], x[:, columns]
    terms = np.stack(np.broadcast_arrays(np.ones_like(v), u, v, u * u, u * v, v * v))  # [6, h, w]
    terms = terms.reshape(6, -1)
    distance = abs(tone - np.sort(border)[len(border) // 2])
    noise, weights = math.inf, np.zeros(6)
    # The rounds use more and more terms, and tolerate less and less distance (of 255).
    for n_terms, tolerance in [(3, 60.0), (3, 40.0), *[(6, 25.0)] * 4]:
        near = distance <= min(tolerance, max(PAPER_TOLERANCE, 3 * noise))
        if not near.any():  # as much ink as paper, and all that is left of the paper is noise
            break
        basis = terms[:n_terms, near]
        normal = basis @ basis.T + 1e-6 * np.eye(n_terms)  # solvable for one pixel's width too
        weights[:n_terms] = np.linalg.solve(normal, basis @ tone[near])
        distance = abs(tone - weights @ terms)
        noise = 1.4826 * float(np.median(distance[near]))
    a, b, c, d, e, f = weights.astype(np.float32)
    paper: Ink = (a + b * x + d * x * x) + (c * y + f * y * y) + (e * x) * y
    return paper, noise


def _fits(ink: Ink, column_height: int) -> bool:
    """Return whether the ink already stands as MNIST's does: to resample it could only blur it.

    MNIST's images fill 19 or 20 of 28 pixels and stand within 0.52 pixels of the middle.
    """
    if ink.shape != (column_height, column_height) or ink.max() < 192:
        return False
    top, bottom, left, right = _bounds(ink)
    size, middle = max(bottom - top, right - left), column_height / 2
    return 17 / 28 * column_height <= size <= 22 / 28 * column_height and all(
        abs(centre - middle) <= 1 for centre in _centre(ink)
    )


def _saturated(ink: Ink, threshold: float) -> Ink:
    """Saturate ink to 0..1: shadows of the paper become 0, the body of a stroke 1."""
    dark = float(np.percentile(ink[ink > threshold], 90))
    low = max(threshold / 2, 0.2 * dark)
    return ((ink - low) / (0.8 * dark - low)).clip(0, 1)


def _without_underline(ink: Ink, threshold: float) -> Ink:
    """Return the ink without level strokes that lie apart from the writing at its foot.

    A piece of a printed rule, or of an underline, is often darker than the writing, which would
    vanish beside it, and makes it smaller.
    """
    cell = math.ceil(len(ink) / 64)
    dark = _in_cells(ink, cell).max((1, 3)) > threshold
    first = min(round(0.85 * len(dark)), len(dark) - 1)
    numbers = components(dark[first:])
    rows, columns = numbers.nonzero()
    of_pixel = numbers[rows, columns]
    span = np.tile(np.array([numbers.size, 0]), (2, numbers.max() + 1, 1))  # of rows, of columns
    for indices, (low, high) in zip((rows, columns), span.transpose(0, 2, 1), strict=True):
        np.minimum.at(low, of_pixel, indices)
        np.maximum.at(high, of_pixel, indices + 1)
    n_rows, n_columns = np.diff(span)[..., 0]
    is_line = n_columns >= np.maximum(0.25 * len(dark), FLAT_STROKES * n_rows)
    is_line &= span[0, :, 0] > 0  # what reaches higher is a part of the writing
    erased = np.zeros(dark.shape, np.bool_)
    erased[first:] = is_line[numbers] & (numbers > 0)
    if not erased.any() or not (dark & ~erased).any():
        return ink
    return np.where(_in_pixels(erased, cell, ink.shape), np.float32(0), ink)


def _in_pixels(cells: NDArray[np.bool_], cell: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of cells and of their neighbours, in which a stroke's faint rim may lie."""
    wide = _dilated(cells.astype(np.int32)) > 0
    return np.kron(wide, np.ones((cell, cell), np.bool_))[: shape[0], : shape[1]]


def _in_cells(ink: Ink, cell: int) -> Ink:
    """Return the ink in cells of `cell` pixels a side, [rows, cell, columns, cell]."""
    padded = np.pad(ink, [(0, -length % cell) for length in ink.shape])
    return padded.reshape(len(padded) // cell, cell, -1, cell)


def _without_specks(ink: Ink, cell: int, least: Callable[[NDArray[Any]], float]) -> Ink:
    """Return the ink, 0..1, without small pieces of dirt that would stretch its bounds.

    Components are made of squares of `cell` pixels a side; `least` gives the ink that one must
    have, from the ink of all.
    """
    cells = _in_cells(ink, cell)
    numbers = components(cells.max((1, 3)) > 0.5)
    mass = np.bincount(numbers.ravel(), cells.sum((1, 3)).ravel())
    mass[0] = 0
    is_kept = (mass >= least(mass))[numbers]
    return np.where(_in_pixels(is_kept, cell, ink.shape), ink, np.float32(0))


def components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return a number for each connected component of `mask`, corners connect; 0 outside.

    Each number gives way to the largest that it touches, and that one to its own (Shiloach and
    Vishkin, J. Algorithms 3, 1982): two rounds halve a component's numbers, however it winds.
    """
    all_numbers = np.arange(1, mask.size + 1, dtype=np.int32).reshape(mask.shape)
    numbers = np.where(mask, all_numbers, np.int32(0))
    while True:
        grown = np.where(mask, _dilated(numbers), np.int32(0))
        if np.array_equal(grown, numbers):
            return numbers
        larger = np.arange(mask.size + 1, dtype=np.int32)
        np.maximum.at(larger, numbers[mask], grown[mask])
        while not np.array_equal(larger, following := larger[larger]):
            larger = following
        numbers = larger[numbers]


def _dilated(cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the largest number of each cell and its eight neighbours."""
    tall = cells.copy()
    np.maximum(tall[1:], cells[:-1], out=tall[1:])
    np.maximum(tall[:-1], cells[1:], out=tall[:-1])
    wide = tall.copy()
    np.maximum(wide[:, 1:], tall[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], tall[:, 1:], out=wide[:, :-1])
    return wide


def _bounds(ink: Ink) -> tuple[int, int, int, int]:
    """Return first row with ink, the row after the last, and the same of columns."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _centre(ink: Ink) -> tuple[float, float]:
    """Return centre of mass, row and column, in pixels."""
    height, width = ink.shape
    mass = float(ink.sum())
    row = float(ink.sum(1) @ np.arange(height)) / mass
    return row, float(ink.sum(0) @ np.arange(width)) / mass


def _in_rows(ink: Ink, column_height: int) -> Grey:
    """Crop to the ink, scale it to fill the rows, and add blank columns around it."""
    part, rows = _part(ink), LINE_SHARE * column_height
    flat = FLAT_STROKES * stroke_width(np.asarray(part, np.float32) / np.float32(255))
    share = min(1.0, part.height / flat)  # of the rows: a dash stays one
    if (columns := part.width * share * rows / part.height) > MAX_LINE_COLUMNS:
        raise ImageError(f"the line is {columns:.0f} columns long, at most {MAX_LINE_COLUMNS}")
    drawn = _redrawn(part, lambda image: share * rows / image.height)
    field = np.zeros((column_height, drawn.shape[1] + 2 * LINE_MARGIN), np.uint8)
    top = (column_height - len(drawn)) // 2
    field[top : top + len(drawn), LINE_MARGIN:-LINE_MARGIN] = drawn
    return field


def _part(ink: Ink) -> Image.Image:
    """Return the part that holds ink."""
    top, bottom, left, right = _bounds(ink)
    return Image.fromarray(np.rint(ink[top:bottom, left:right] * 255).astype(np.uint8))


def _redrawn(part: Image.Image, scale: Callable[[Image.Image], float]) -> Grey:
    """Return the ink at another scale, `scale` of the image, none of its strokes too thin."""
    fine = part.resize(_scaled(part.size, FINE * scale(part)), Image.Resampling.BILINEAR)
    if not fine.getbbox():
        size = f"{fine.width} x {fine.height} pixels"
        raise ImageError(f"the ink is too fine: of its strokes nothing is left at {size}")
    wide = _widened(fine)
    drawn = np.asarray(wide.resize(_scaled(wide.size, scale(wide)), Image.Resampling.BOX))
    darkest: Grey = np.rint(drawn * (255 / drawn.max())).astype(np.uint8)
    return darkest


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _widened(ink: Image.Image) -> Image.Image:
    """Dilate the shape until its strokes have the width of those of 95 of 100 MNIST digits.

    Making a brush's strokes thinner was tried and gained nothing.
    """
    missing = FINE * 1.65 - stroke_width(np.asarray(ink, np.float32))
    margin = max(0, round(missing / 2))
    if not margin:
        return ink
    wide = Image.new("L", (ink.width + 2 * margin, ink.height + 2 * margin))
    wide.paste(ink, (margin, margin))
    return wide.filter(ImageFilter.MaxFilter(2 * margin + 1))


def stroke_width(ink: Ink) -> float:
    """Return the mean stroke width in pixels: twice the area over the length of the outline."""
    padded = np.pad(ink.astype(np.float32), 1)
    across, down = np.diff(padded, axis=1)[1:], np.diff(padded, axis=0)[:, 1:]
    return 2 * float(ink.sum()) / float(np.hypot(across, down).sum())


def _centred(ink: Grey, side: int) -> Grey:
    """Place the ink in a field of `side` pixels, its centre of mass nearest to the middle."""
    field = np.zeros((side, side), np.uint8)
    top, left = (
        min(max(round(side / 2 - centre), 0), side - length)
        for centre, length in zip(_centre(ink.astype(np.float32)), ink.shape, strict=True)
    )
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return field


# Writing that touches a side covers little of it, so what covers all of a side is none.
COVER: Final = 0.98  # of a side's pixels are the border's, and of a row's the rule's
BORDER_CONTRAST: Final = 40.0  # of 255, between border and paper: a shadow's edge is softer


def without_borders(grey: Grey) -> Grey:
    """Remove dark borders along whole sides of an image, such as of a frame or a scanner's lid."""
    inner, depths = grey, []
    for _ in range(4):
        depths.append(_border(inner))
        inner = np.rot90(inner[depths[-1] :])
    height, width = grey.shape
    return np.ascontiguousarray(inner) if width >= WIDE * height or all(depths) else grey


def _border(grey: Grey) -> int:
    """Return how many rows at the top are a dark border."""
    height = len(grey)
    far = abs(grey - np.float32(np.median(grey))) > BORDER_CONTRAST
    depths = np.where(far.all(0), height, (~far).argmax(0))  # [w]
    if (depths > 0).mean() < COVER:
        return 0
    depth = round(float(np.percentile(depths, 80)))  # it may lie askew, and writing touch it
    inner = depth + 2  # its edge is spread over two pixels
    if inner > 0.15 * height or not far[inner:].any():
        return 0
    step = float(np.median(grey[:depth])) - float(np.median(grey[inner : 2 * inner]))
    return inner if abs(step) > BORDER_CONTRAST else 0


def without_rule(ink: Ink, threshold: float) -> Ink:
    """Remove a level rule that runs from side to side of a wide image; keep what crosses it."""
    height, width = ink.shape
    if width < WIDE * height:
        return ink
    dark = ink > threshold
    is_rule = np.pad(dark.mean(1) >= COVER, 1)
    tops, bottoms = (np.flatnonzero(np.diff(is_rule.astype(np.int8)) == sign) for sign in (1, -1))
    left = ink.copy()
    for top, bottom in zip(tops, bottoms, strict=True):
        if bottom - top <= 0.1 * height:
            beside = [row for row in (top - 2, bottom + 1) if 0 <= row < height]
            left[max(top - 1, 0) : bottom + 1, ~dark[beside].any(0)] = 0
    return left if (left > threshold).any() else ink
