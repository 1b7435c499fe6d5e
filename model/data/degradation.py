"""Degrade columns as pens, paper, scanners and cameras do.

A net that only reads what a rasteriser draws learns shortcuts: where grey and soft columns all
come from images of digits, whatever is grey and soft is a digit. So all that is trained, drawn ink
and images alike, is given one distribution of looks. The changes come in the order in which they
happen to a page: ink, neighbouring lines, rules, paper, optics, sensor, file.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Columns = NDArray[np.uint8]  # [T, H], 0 = paper, 255 = ink
Tone = NDArray[np.float32]  # [T, H], 0 = paper, 1 = ink
Random = np.random.Generator

Range = tuple[float, float]

BACKGROUND_CELL: Final = 12  # pixels of the finest structure of a paper's tone
BLOCK: Final = 2  # pixels a side of a large speck
INKED: Final = 128  # of 255: a pixel of drawn ink that is as dark belongs to a stroke
LEAST_TONE: Final = 1e-3  # of ink, below which there is none


@dataclass(frozen=True, slots=True)
class Degradation:
    """Draw a look for each line: the chance of each change, and the bounds of its uniform draws.

    Lengths are in pixels of a column, tones are shares of full ink.
    """

    thicker: float = 0.5
    thickness: Range = (0.5, 2.5)  # of the step to each pixel's darkest neighbour; 1 at most
    thinner: float = 0.06
    uneven: float = 0.2  # ink that runs dry, pencil
    unevenness: Range = (0.1, 0.6)
    neighbour: float = 0.3  # rows of the line above or below
    neighbour_share: float = 0.25  # of the rows, at most, at either end
    rule: float = 0.45
    rule_tone: Range = (0.08, 1.5)  # 1 at most: a third of the rules is as dark as ink
    rule_width: Range = (0.5, 3.0)
    rule_askew: float = 1.5  # rows that one end is higher than the other, at most
    sharp: float = 0.4  # share of the rules that cover whole rows, as a program draws them
    broken: float = 0.35  # share of the rules that are dashed, dotted or worn
    vertical: float = 0.15  # of the lines have vertical rules
    vertical_pitch: Range = (6.0, 60.0)
    paper: float = 0.25
    paper_tone: Range = (0.02, 0.2)
    texture: Range = (0.0, 0.06)
    specks: float = 0.15
    speck_share: Range = (0.001, 0.015)
    blur: float = 0.35
    blur_px: Range = (0.4, 1.4)
    paler: float = 0.4
    least_contrast: float = 0.22
    noise: float = 0.3
    noise_tone: Range = (0.01, 0.14)
    two_tones: float = 0.1
    two_tones_at: Range = (0.2, 0.65)  # of the way from paper to ink
    jpeg: float = 0.08
    jpeg_quality: Range = (15.0, 80.0)

    def __call__(
        self, columns: Columns, random: Random, neighbours: Sequence[Columns] = ()
    ) -> Columns:
        """Return the columns [T, H] of one line with a look drawn from `random`.

        `neighbours` are columns of other lines, of the same height; parts of them appear at the
        upper and lower rows of some lines.
        """
        tone: Tone = columns.astype(np.float32) / np.float32(255)
        tone = self._ink(tone, random)
        if neighbours and random.random() < self.neighbour:
            tone = np.maximum(tone, self._neighbour(tone.shape, random, neighbours))
        if random.random() < self.rule:
            tone = _over(tone, self._rules(tone.shape, random))
        if random.random() < self.vertical:
            tone = _over(tone, self._verticals(tone.shape, random))
        tone = self._paper(tone, random)
        tone = self._optics(tone, random)
        return self._sensor(tone, _contrast(tone, columns), random)

    def _ink(self, tone: Tone, random: Random) -> Tone:
        """Widen or narrow strokes, and let ink run dry."""
        draw = random.random()
        if draw < self.thicker:
            amount = np.float32(min(1, random.uniform(*self.thickness)))
            tone = _extreme(tone, np.maximum, amount)
        elif draw < self.thicker + self.thinner:
            tone = _extreme(tone, np.minimum, np.float32(random.uniform(0.2, 0.6)))
        if random.random() < self.uneven:
            dryness = clouds(tone.shape, float(random.uniform(1.5, 8)), random)
            amount = np.float32(random.uniform(*self.unevenness))
            tone = tone * (1 - amount * (0.5 + 0.5 * dryness)).clip(0, 1)
        return tone

    def _neighbour(
        self, shape: tuple[int, int], random: Random, neighbours: Sequence[Columns]
    ) -> Tone:
        """Return what reaches in of the lines above and below."""
        n_columns, height = shape
        seen = np.zeros(shape, np.float32)
        most = max(1, round(self.neighbour_share * height))
        for above in (True, False):
            if random.random() < 0.5:
                continue
            other = neighbours[int(random.integers(len(neighbours)))]
            if len(other) < 2:
                continue
            rows = int(random.integers(1, most + 1))
            cut = int(random.integers(height // 4))  # rows of the other line beyond what is seen
            start = int(random.integers(len(other)))
            part = np.take(other, np.arange(start, start + n_columns), 0, mode="wrap") / 255
            if above:
                seen[:, :rows] = part[:, height - cut - rows : height - cut]
            else:
                seen[:, height - rows :] = part[:, cut : cut + rows]
        return seen

    def _rules(self, shape: tuple[int, int], random: Random) -> Tone:
        """Return level rules: one near the writing's foot, or several at a pitch."""
        n_columns, height = shape
        rows = np.arange(height, dtype=np.float32)
        along = np.linspace(-0.5, 0.5, n_columns, dtype=np.float32)
        askew = random.uniform(-self.rule_askew, self.rule_askew) * min(1, n_columns / 200)
        width = random.uniform(*self.rule_width)
        tone = min(1, random.uniform(*self.rule_tone))
        place = height * (random.uniform(0.5, 1.0) if random.random() < 0.75 else random.random())
        if random.random() < self.sharp:
            askew, place, width = 0, round(place), float(max(1, round(width)))
        places = [place]
        if random.random() < 0.25:  # an exercise book's: several at one pitch
            pitch = random.uniform(0.12, 0.9) * height
            places += [place - k * pitch for k in range(1, 1 + int(place / pitch))]
        seen = np.zeros(shape, np.float32)
        for number, at in enumerate(places):
            middle = at + askew * along[:, None]
            covered = (width / 2 + 0.5 - abs(rows - middle)).clip(0, min(1, width))
            seen = np.maximum(seen, covered * (tone if number == 0 else tone * 0.7))
        if random.random() < self.broken:
            seen *= self._gaps(n_columns, random)[:, None]
        return seen.astype(np.float32)

    def _gaps(self, n_columns: int, random: Random) -> NDArray[np.float32]:
        """Return which columns a broken rule covers: dashes, dots, or worn at random."""
        if random.random() < 0.65:
            period = int(random.integers(2, 16))
            dash = int(random.integers(1, period))
            return (np.arange(n_columns) % period < dash).astype(np.float32)
        wear = clouds((n_columns, 1), float(random.uniform(4, 40)), random)[:, 0]
        return (0.6 + 1.5 * wear).clip(0, 1).astype(np.float32)

    def _verticals(self, shape: tuple[int, int], random: Random) -> Tone:
        """Return vertical rules: those of squared paper, or a margin alone."""
        n_columns, height = shape
        seen = np.zeros(shape, np.float32)
        width = random.uniform(0.5, 2)
        tone = min(1, random.uniform(*self.rule_tone))
        pitch = random.uniform(*self.vertical_pitch)
        places = np.arange(random.uniform(0, pitch), n_columns, pitch)
        if random.random() < 0.25:
            places = places[: int(random.integers(1, 3))]
        lean = random.uniform(-0.05, 0.05) * height * np.linspace(-0.5, 0.5, height)
        columns = np.arange(n_columns, dtype=np.float32)
        for at in places.tolist():
            low, high = max(0, math.floor(at) - 4), min(n_columns, math.ceil(at) + 5)
            middle = at + lean[None]
            covered = width / 2 + 0.5 - abs(columns[low:high, None] - middle)
            seen[low:high] = np.maximum(seen[low:high], covered.clip(0, min(1, width)) * tone)
        return seen

    def _paper(self, tone: Tone, random: Random) -> Tone:
        """Put ink on paper that is not white, with a texture and specks."""
        if random.random() < self.paper:
            paper = random.uniform(*self.paper_tone) * np.ones(tone.shape, np.float32)
            if random.random() < 0.5:  # light that falls off to one side
                first, last = random.uniform(0.2, 1.5, 2).tolist()
                paper *= np.linspace(first, last, len(tone), dtype=np.float32)[:, None]
            rough = random.uniform(*self.texture)
            paper += rough * clouds(tone.shape, float(random.uniform(1, BACKGROUND_CELL)), random)
            tone = _over(tone, paper.clip(0, 1).astype(np.float32))
        if random.random() < self.specks:
            share = random.uniform(*self.speck_share)
            dirt = random.random(tone.shape) < share
            if random.random() < 0.3:
                dirt[:-1] |= dirt[1:]
                dirt[:, :-1] |= dirt[:, 1:]
            shades = random.random(tone.shape).astype(np.float32)
            if random.random() < 0.5:
                shades = np.ones_like(shades)
            tone = np.where(dirt, np.maximum(tone, shades), tone)
        return tone

    def _optics(self, tone: Tone, random: Random) -> Tone:
        """Blur and fade."""
        if random.random() < self.blur:
            tone = _blurred(tone, random.uniform(*self.blur_px))
            if random.random() < 0.5:  # a camera's contrast gives back what blur took
                tone = (tone / max(LEAST_TONE, float(tone.max()))).astype(np.float32)
        if random.random() < self.paler:
            tone = tone * np.float32(math.exp(random.uniform(math.log(self.least_contrast), 0)))
        return tone

    def _sensor(self, tone: Tone, contrast: tuple[float, float], random: Random) -> Columns:
        """Add noise, and write the bytes as a file would keep them.

        Neither hides the ink: a line whose label cannot be seen teaches a net to read blank paper.
        `contrast` is the tone of the paper, and how much darker the ink is.
        """
        paper, ink = contrast
        if random.random() < self.noise:
            deviation = random.uniform(*self.noise_tone) * min(1, 2 * ink)
            grain = random.standard_normal(tone.shape, np.float32) * np.float32(deviation)
            if random.random() < 0.3:
                grain = _blurred(grain, 0.7) * 2
            tone = tone + grain
        draw = random.random()
        if draw < self.two_tones:
            tone = (tone > paper + ink * random.uniform(*self.two_tones_at)).astype(np.float32)
        seen: Columns = np.rint(tone.clip(0, 1) * 255).astype(np.uint8)
        if self.two_tones <= draw < self.two_tones + self.jpeg and len(seen):
            seen = _jpeg(seen, round(random.uniform(*self.jpeg_quality)))
        return seen


def _contrast(tone: Tone, columns: Columns) -> tuple[float, float]:
    """Return the tone of the paper, and how much darker the ink of `columns` is on it."""
    ink, paper = tone[columns >= INKED], tone[columns == 0]
    if not ink.size or not paper.size:
        return 0.0, 1.0
    below = float(np.median(paper))
    return below, max(0.0, float(np.median(ink)) - below)


def _over(below: Tone, above: Tone) -> Tone:
    """Return the tone where two inks lie on each other: each lets through its share of light."""
    tone: Tone = 1 - (1 - below) * (1 - above)
    return tone


def _extreme(tone: Tone, of: np.ufunc, amount: np.float32) -> Tone:
    """Return a mixture of a tone and the maximum or minimum of each pixel's 3 x 3 neighbours."""
    padded = np.pad(tone, 1, mode="edge")
    across = of(of(padded[:-2], padded[1:-1]), padded[2:])
    square = of(of(across[:, :-2], across[:, 1:-1]), across[:, 2:])
    mixed: Tone = tone + amount * (square - tone)
    return mixed


def _blurred(tone: Tone, deviation: float) -> Tone:
    """Convolve with a Gaussian of so many pixels along both axes; edges repeat."""
    reach = max(1, math.ceil(2.5 * deviation))
    places = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (places / deviation) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        ends = [(0, 0), (0, 0)]
        ends[axis] = (reach, reach)
        padded = np.pad(tone, ends, mode="edge")
        length = tone.shape[axis]
        parts = (padded.take(range(at, at + length), axis) for at in range(len(weights)))
        tone = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    return tone


def _jpeg(columns: Columns, quality: int) -> Columns:
    """Return columns as they come back from a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(255 - columns.T).save(file, "JPEG", quality=quality)
    return np.ascontiguousarray((255 - np.asarray(Image.open(file))).T)


def clouds(shape: tuple[int, ...], size: float, random: Random) -> Tone:
    """Draw smooth noise of about -1..1 with structures so many pixels wide."""
    height, width = shape
    small = random.normal(0, 0.5, (math.ceil(height / size) + 2, math.ceil(width / size) + 2))
    image = Image.fromarray(small.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32)
