"""Make up scans and photos of written pages, with what stands where known to the pixel.

Real strokes are laid out in lines on plain, ruled or squared paper, which is turned, seen from the
side and lit as chance will have it. All that is geometry happens to points, before anything is
drawn, so the truth is exact; light, blur and noise come after. All chance comes from one generator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from inkstream.model.data.degradation import clouds
from inkstream.model.preprocess.ink import flatten, rasterise

Points = NDArray[np.float64]  # [P, 2], x right, y down
Tone = NDArray[np.float32]  # [h, w], 0..1
Take = Literal["scan", "photo"]
Ruling = Literal["plain", "ruled", "squared"]
Pen = Literal["black", "blue", "faint"]

# Red, green, blue. Ball pens and pencils as scans of them show, not as their makers call them.
PENS: Final[dict[Pen, tuple[float, float, float]]] = {
    "black": (40, 38, 42),
    "blue": (38, 58, 140),
    "faint": (142, 142, 148),
}
STRONG: Final[dict[Pen, float]] = {"black": 0.8, "blue": 0.8, "faint": 0.6}  # the lightest line
PAPERS: Final = ((250, 250, 248), (244, 238, 222), (228, 226, 220))  # white, cream, recycled
RULES: Final = ((150, 180, 214), (176, 176, 176), (206, 170, 178))  # blue, grey, red
TURN: Final = 2 * math.pi
MARGIN: Final = 1.3  # frames around the writing


@dataclass(frozen=True, slots=True)
class Look:
    """What kind of page it is."""

    take: Take
    ruling: Ruling
    pen: Pen
    desk: bool = False  # whether its corners show what it lies on
    skew_deg: float = 0.0  # clockwise


def photographed(
    ink: Tone, rules: Tone | None, paper: Tone | None, look: Look, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Render paper, rules and ink in colour and uneven light, as a camera or scanner would."""
    shape = ink.shape
    tone = np.array(PAPERS[int(random.integers(len(PAPERS)))], np.float32)
    texture = 1 + random.uniform(0.005, 0.02) * (
        clouds(shape, 3, random) + clouds(shape, 40, random)
    )
    colour = tone * texture[:, :, None]
    if rules is not None:
        rule = np.array(RULES[int(random.integers(len(RULES)))], np.float32)
        share = np.float32(random.uniform(0.5, 1)) * rules[:, :, None]
        colour = colour * (1 - share) + rule * share
    pen = np.array(PENS[look.pen], np.float32)
    colour = colour * (1 - ink[:, :, None]) + pen * ink[:, :, None]
    if paper is not None:
        brown = np.array((96, 72, 54), np.float32)
        desk = brown * (1 + 0.15 * clouds(shape, 25, random))[:, :, None]
        colour = colour * paper[:, :, None] + desk * (1 - paper[:, :, None])
    if look.take == "photo":
        colour = colour * _light(shape, random)[:, :, None]
    picture = Image.fromarray(colour.clip(0, 255).astype(np.uint8))
    blur = random.uniform(0.3, 1.0 if look.take == "photo" else 0.6)
    picture = picture.filter(ImageFilter.GaussianBlur(blur))
    noise = random.uniform(1, 5 if look.take == "photo" else 2.5)
    grain = random.normal(0, noise, shape).astype(np.float32)[:, :, None]
    noisy: NDArray[np.uint8] = (np.asarray(picture) + grain).clip(0, 255).astype(np.uint8)
    return noisy


def _light(shape: tuple[int, ...], random: np.random.Generator) -> Tone:
    """Draw the light on the page: it fades to one side and may hold a shadow."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y / height - 0.5, x / width - 0.5
    heading = random.uniform(0, TURN)
    fade = random.uniform(0.1, 0.45)
    light = 1 - fade * (0.5 + x * math.cos(heading) + y * math.sin(heading)).clip(0, 1.2)
    if random.random() < 0.6:
        heading, distance = random.uniform(0, TURN), random.uniform(-0.3, 0.3)
        soft = random.uniform(0.01, 0.1)
        edge = (x * math.cos(heading) + y * math.sin(heading) - distance) / soft
        light *= 1 - random.uniform(0.15, 0.4) / (1 + np.exp(-edge.clip(-30, 30)))
    lit: Tone = light.astype(np.float32)
    return lit


@dataclass(frozen=True, slots=True, eq=False)
class WrittenLine:
    """One line of ink in its frame: x from 0 on, y from -0.5 to 0.5, both in frames."""

    strokes: list[Points]
    label: str

    @property
    def width(self) -> float:
        """In frames."""
        return max(float(stroke[:, 0].max()) for stroke in self.strokes)


@dataclass(frozen=True, slots=True, eq=False)
class SheetLine:
    """The truth of one line."""

    label: str
    box: Points  # [4, 2], pixels: corners of its ink, clockwise from the writing's upper left
    block: int


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """One page."""

    image: NDArray[np.uint8]  # [h, w, 3]
    lines: tuple[SheetLine, ...]  # as they are read
    look: Look


def any_look(random: np.random.Generator) -> Look:
    """Draw the kind of a page; every second one is a photo."""
    take: Take = "photo" if random.random() < 0.5 else "scan"
    ruling: Ruling = ("plain", "ruled", "squared")[int(random.integers(3))]
    pen: Pen = ("black", "blue", "faint")[int(random.integers(3))]
    most = 15.0 if take == "photo" else 3.0  # degrees
    desk = take == "photo" and random.random() < 0.4
    return Look(take, ruling, pen, desk, float(random.uniform(-most, most)))


def sheet(
    blocks: Sequence[Sequence[WrittenLine]], look: Look, random: np.random.Generator
) -> Sheet:
    """Lay out blocks of lines side by side on one page, and take its picture."""
    frame = random.uniform(38, 60)  # pixels, of the writing: paper at about 150 dots an inch
    pitch = frame * random.uniform(1.15, 1.7)  # from line to line
    lines, size = _laid_out(blocks, frame, pitch, random)
    view = _View(size, look, random)
    pen = frame * random.uniform(0.04, 0.075)  # half a millimetre of nine is 0.055
    strengths = random.uniform(STRONG[look.pen], 1, len(lines))
    ink = np.zeros(view.shape, np.float32)
    truth = []
    for line, strength in zip(lines, strengths.tolist(), strict=True):
        drawn = _drawn([view(stroke) for stroke in line.strokes], view.shape, pen)
        np.maximum(ink, drawn * np.float32(strength), out=ink)
        truth.append(SheetLine(line.label, view(line.box(pen / 2)), line.block))
    rules = _rules(look, size, pitch, view, random)
    paper = _area(view.corners, view.shape) if look.desk else None
    return Sheet(photographed(ink, rules, paper, look, random), tuple(truth), look)


@dataclass(frozen=True, slots=True, eq=False)
class _PlacedLine:
    """A line on the flat page, in pixels."""

    strokes: list[Points]
    label: str
    block: int
    start: Points  # [2], of its middle's left end
    slope: float  # radians

    def box(self, beyond: float) -> Points:
        """Return the corners of its ink along its own slope, a half pen `beyond` the points."""
        along = np.array([math.cos(self.slope), math.sin(self.slope)])
        turn = np.stack([along, [-along[1], along[0]]])  # [2, 2]: along and across
        local = (np.concatenate(self.strokes) - self.start) @ turn.T
        (left, top), (right, bottom) = local.min(0) - beyond, local.max(0) + beyond
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        placed: Points = corners @ turn + self.start
        return placed


def _laid_out(
    blocks: Sequence[Sequence[WrittenLine]],
    frame: float,
    pitch: float,
    random: np.random.Generator,
) -> tuple[list[_PlacedLine], Points]:
    """Return the lines of blocks on a flat page, and its width and height [2]."""
    lines: list[_PlacedLine] = []
    left = MARGIN * frame
    for number, block in enumerate(blocks):
        trend = math.radians(random.uniform(-1.5, 1.5))  # which all lines of a block share
        top = MARGIN * frame + frame / 2 + pitch * random.uniform(0, 1) * (len(blocks) > 1)
        for row, line in enumerate(block):
            slope = trend + math.radians(random.uniform(-0.5, 0.5))
            start = np.array([left + frame * random.uniform(0, 0.4), top + row * pitch])
            strokes = [frame * stroke + start for stroke in _waved(line.strokes, slope, random)]
            lines.append(_PlacedLine(strokes, line.label, number, start, slope))
        left += frame * (max(line.width for line in block) + random.uniform(1.6, 2.6))
    points = np.concatenate([stroke for line in lines for stroke in line.strokes])
    low = points.min(0) - MARGIN * frame  # a slope may lead beyond the margin
    lines = [
        replace(line, strokes=[stroke - low for stroke in line.strokes], start=line.start - low)
        for line in lines
    ]
    return lines, points.max(0) - low + MARGIN * frame


def _waved(strokes: Sequence[Points], slope: float, random: np.random.Generator) -> list[Points]:
    """Turn the strokes of a line by its slope, and bend them along a slight random wave."""
    length, phase = random.uniform(5, 12), random.uniform(0, TURN)
    wave = 0.06 * random.uniform(0, 1)  # frames
    cos, sin = math.cos(slope), math.sin(slope)
    waved = []
    for stroke in strokes:
        x, y = stroke.T.astype(np.float64)
        y = y + wave * np.sin(x * (TURN / length) + phase)
        waved.append(np.stack([cos * x - sin * y, sin * x + cos * y], 1))
    return waved


class _View:
    """Turns the page and, of a photo, sees it from the side: places on it to pixels."""

    def __init__(self, size: Points, look: Look, random: np.random.Generator) -> None:
        angle = math.radians(look.skew_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        self._middle = size / 2
        self._turn = np.array([[cos, sin], [-sin, cos]])
        tilt = 0.06 if look.take == "photo" else 0.0  # nearer at one edge, by half
        self._tilt = random.uniform(-tilt, tilt, 2) / self._middle.max()
        self._origin = np.zeros(2)
        width, height = size.tolist()
        corners = self(np.array([[0, 0], [width, 0], [width, height], [0, height]]))
        self._origin = corners.min(0)
        self.corners: Points = corners - self._origin  # [4, 2], of the sheet
        n_columns, n_rows = np.ceil(self.corners.max(0)).astype(int).tolist()
        self.shape: tuple[int, int] = n_rows, n_columns

    def __call__(self, points: Points) -> Points:
        """Return pixels of places [n, 2] on the flat page."""
        local = (points - self._middle) @ self._turn
        depth = 1 + local @ self._tilt
        seen: Points = local / depth[:, None] + self._middle - self._origin
        return seen


def _drawn(strokes: Sequence[Points], shape: tuple[int, int], pen_width: float) -> Tone:
    """Return ink 0..1 of strokes in a picture [h, w]."""
    height, width = shape
    points, starts = flatten(strokes)
    low = max(0, math.floor(float(points[:, 1].min()) - pen_width - 1))
    high = min(height, math.ceil(float(points[:, 1].max()) + pen_width + 1))
    inside = points - np.array([0, low])
    inside[:, 0] = inside[:, 0].clip(0, width)
    columns = rasterise(inside, starts, max(1, high - low), pen_width)[:width]
    field = np.zeros(shape, np.float32)
    field[low:high, : len(columns)] = columns.T[: max(0, high - low)] / np.float32(255)
    return field


def _area(corners: Points, shape: tuple[int, int]) -> Tone:
    """Return 1 inside four corners and 0 outside, with a soft edge of one pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    inside = np.ones(shape, np.float32)
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        way = (end - start) / np.hypot(*(end - start))
        distance = (y - start[1]) * way[0] - (x - start[0]) * way[1]
        np.minimum(inside, (distance + 0.5).clip(0, 1), out=inside)
    return inside


def _rules(
    look: Look, size: Points, pitch: float, view: _View, random: np.random.Generator
) -> Tone | None:
    """Return the paper's printed rules, 0..1."""
    if look.ruling == "plain":
        return None
    width, height = size.tolist()
    step = pitch if look.ruling == "ruled" else pitch / random.uniform(1.6, 2.4)
    beyond = 0.0 if look.desk else max(width, height)  # where no edge is seen, paper goes on
    rows = np.arange(random.uniform(0, step) - beyond, height + beyond, step)
    lines = [np.array([[-beyond, y], [width + beyond, y]]) for y in rows]
    if look.ruling == "squared":
        columns = np.arange(random.uniform(0, step) - beyond, width + beyond, step)
        lines += [np.array([[x, -beyond], [x, height + beyond]]) for x in columns]
    thick = random.uniform(1, 1.8)  # pixels
    share = np.linspace(0, 1, 400)[:, None]  # so many that the far ends may be left out
    seen = [view(start * (1 - share) + end * share) for start, end in lines]
    inside = [line[((line >= 0) & (line <= view.shape[::-1])).all(1)] for line in seen]
    kept = [line for line in inside if len(line) > 1]
    return _drawn(kept, view.shape, thick) if kept else None
