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

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Columns = NDArray[np.uint8]  # [T, H], 0 = paper, 255 = ink
Tone = NDArray[np.float32]  # [T, H], 0 = paper, 1 = ink
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Degradation:
    """Draws a look for a line, by the chance of each change.

    Lengths are in pixels of a column, tones in shares of full ink.
    """

    thicker: float = 0.5
    thinner: float = 0.06
    uneven: float = 0.2  # ink that runs dry, pencil
    neighbour: float = 0.3  # rows of the line above or below
    rule: float = 0.45
    sharp: float = 0.4  # share of the rules that cover whole rows, as a program draws them
    broken: float = 0.35  # share of the rules that are dashed, dotted or worn
    vertical: float = 0.15  # of the lines have vertical rules
    paper: float = 0.25
    specks: float = 0.15
    blur: float = 0.35
    paler: float = 0.4
    noise: float = 0.3
    two_tones: float = 0.1
    jpeg: float = 0.08

    def __call__(self, columns: Columns, random: Random, neighbours: Sequence[Columns]) -> Columns:
        """Return the columns [T, H] of one line with a look.

        Parts of `neighbours`, other lines, appear at the upper and lower rows of some lines.
        """
        tone: Tone = columns.astype(np.float32) / np.float32(255)
        tone = self._ink(tone, random)
        if random.random() < self.neighbour:
            tone = np.maximum(tone, _neighbour(tone.shape, random, neighbours))
        if random.random() < self.rule:
            tone = _over(tone, self._rules(tone.shape, random))
        if random.random() < self.vertical:
            tone = _over(tone, _verticals(tone.shape, random))
        tone = self._paper(tone, random)
        tone = self._optics(tone, random)
        return self._sensor(tone, columns, random)

    def _ink(self, tone: Tone, random: Random) -> Tone:
        """Widen or narrow strokes, and let ink run dry."""
        draw, around = random.random(), np.ones((3, 3), np.uint8)  # a pixel
        if draw < self.thicker:
            amount = np.float32(min(1, random.uniform(0.5, 2.5)))  # of the way to the darkest
            tone = tone + amount * (cv2.dilate(tone, around) - tone)
        elif draw < self.thicker + self.thinner:
            amount = np.float32(random.uniform(0.2, 0.6))
            tone = tone + amount * (cv2.erode(tone, around) - tone)
        if random.random() < self.uneven:
            dryness = clouds(tone.shape, float(random.uniform(1.5, 8)), random)
            amount = np.float32(random.uniform(0.1, 0.6))
            tone = tone * (1 - amount * (0.5 + 0.5 * dryness)).clip(0, 1)
        return tone

    def _rules(self, shape: tuple[int, int], random: Random) -> Tone:
        """Return level rules: one near the writing's foot, or several at a pitch."""
        n_columns, height = shape
        rows = np.arange(height, dtype=np.float32)
        along = np.linspace(-0.5, 0.5, n_columns, dtype=np.float32)
        askew = random.uniform(-1.5, 1.5) * min(1, n_columns / 200)  # rows that one end is higher
        width = random.uniform(0.5, 3)
        tone = _rule_tone(random)
        lowest = height * (random.uniform(0.5, 1.0) if random.random() < 0.75 else random.random())
        if random.random() < self.sharp:
            askew, lowest, width = 0, round(lowest), float(max(1, round(width)))
        rules = [lowest]
        if random.random() < 0.25:  # an exercise book has several at one pitch
            pitch = random.uniform(0.12, 0.9) * height
            rules += [lowest - k * pitch for k in range(1, 1 + int(lowest / pitch))]
        seen = np.zeros(shape, np.float32)
        for number, rule in enumerate(rules):
            middle = rule + askew * along[:, None]
            covered = (width / 2 + 0.5 - abs(rows - middle)).clip(0, min(1, width))
            seen = np.maximum(seen, covered * (tone if number == 0 else tone * 0.7))
        if random.random() < self.broken:
            seen *= _gaps(n_columns, random)[:, None]
        return seen.astype(np.float32)

    def _paper(self, tone: Tone, random: Random) -> Tone:
        """Put ink on paper that is not white, with a texture and specks."""
        if random.random() < self.paper:
            paper = random.uniform(0.02, 0.2) * np.ones(tone.shape, np.float32)
            if random.random() < 0.5:  # light falls off to one side
                first, last = random.uniform(0.2, 1.5, 2).tolist()
                paper *= np.linspace(first, last, len(tone), dtype=np.float32)[:, None]
            rough = random.uniform(0, 0.06)
            paper += rough * clouds(tone.shape, float(random.uniform(1, 12)), random)
            tone = _over(tone, paper.clip(0, 1).astype(np.float32))
        if random.random() < self.specks:
            share = random.uniform(0.001, 0.015)
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
            tone = _blurred(tone, random.uniform(0.4, 1.4))
            if random.random() < 0.5:  # a camera's contrast gives back what blur took
                tone = (tone / max(1e-3, float(tone.max()))).astype(np.float32)
        if random.random() < self.paler:
            tone = tone * np.float32(math.exp(random.uniform(math.log(0.22), 0)))
        return tone

    def _sensor(self, tone: Tone, columns: Columns, random: Random) -> Columns:
        """Add noise, and write the bytes as a file would keep them.

        Neither hides the ink of the columns: a line whose label cannot be seen teaches a net to
        read blank paper.
        """
        inked, blank = tone[columns >= 128], tone[columns == 0]
        paper, ink = 0.0, 1.0  # the tone of the paper, and how much darker the ink is
        if inked.size and blank.size:
            paper = float(np.median(blank))
            ink = max(0.0, float(np.median(inked)) - paper)
        if random.random() < self.noise:
            deviation = random.uniform(0.01, 0.14) * min(1, 2 * ink)
            grain = random.standard_normal(tone.shape, np.float32) * np.float32(deviation)
            if random.random() < 0.3:
                grain = _blurred(grain, 0.7) * 2
            tone = tone + grain
        draw = random.random()
        if draw < self.two_tones:
            tone = (tone > paper + ink * random.uniform(0.2, 0.65)).astype(np.float32)
        seen: Columns = np.rint(tone.clip(0, 1) * 255).astype(np.uint8)
        if self.two_tones <= draw < self.two_tones + self.jpeg:
            file, quality = io.BytesIO(), round(random.uniform(15, 80))
            Image.fromarray(255 - seen.T).save(file, "JPEG", quality=quality)
            seen = np.ascontiguousarray((255 - np.asarray(Image.open(file))).T)
        return seen


def _neighbour(shape: tuple[int, int], random: Random, neighbours: Sequence[Columns]) -> Tone:
    """Return what reaches in of the lines above and below."""
    n_columns, height = shape
    seen = np.zeros(shape, np.float32)
    for above in (True, False):
        if random.random() < 0.5:
            continue
        other = neighbours[int(random.integers(len(neighbours)))]
        if len(other) < 2:
            continue
        rows = int(random.integers(1, round(height / 4) + 1))
        cut = int(random.integers(height // 4))  # rows of the other line lie beyond what is seen
        start = int(random.integers(len(other)))
        part = np.take(other, np.arange(start, start + n_columns), 0, mode="wrap") / 255
        if above:
            seen[:, :rows] = part[:, height - cut - rows : height - cut]
        else:
            seen[:, height - rows :] = part[:, cut : cut + rows]
    return seen


def _gaps(n_columns: int, random: Random) -> NDArray[np.float32]:
    """Return which columns a broken rule covers: dashes, dots, or worn at random."""
    if random.random() < 0.65:
        period = int(random.integers(2, 16))
        return (np.arange(n_columns) % period < random.integers(1, period)).astype(np.float32)
    wear = clouds((n_columns, 1), float(random.uniform(4, 40)), random)[:, 0]
    return (0.6 + 1.5 * wear).clip(0, 1).astype(np.float32)


def _verticals(shape: tuple[int, int], random: Random) -> Tone:
    """Return vertical rules: those of squared paper, or a margin alone."""
    n_columns, height = shape
    seen = np.zeros(shape, np.float32)
    width = random.uniform(0.5, 2)
    tone = _rule_tone(random)
    pitch = random.uniform(6, 60)
    rules = np.arange(random.uniform(0, pitch), n_columns, pitch)
    if random.random() < 0.25:
        rules = rules[: int(random.integers(1, 3))]
    lean = random.uniform(-0.05, 0.05) * height * np.linspace(-0.5, 0.5, height)
    columns = np.arange(n_columns, dtype=np.float32)
    for rule in rules.tolist():
        low, high = max(0, math.floor(rule) - 4), min(n_columns, math.ceil(rule) + 5)
        covered = width / 2 + 0.5 - abs(columns[low:high, None] - (rule + lean[None]))
        seen[low:high] = np.maximum(seen[low:high], covered.clip(0, min(1, width)) * tone)
    return seen


def _rule_tone(random: Random) -> float:
    """Draw the tone of a rule: a third of them is as dark as ink."""
    return min(1, random.uniform(0.08, 1.5))


def _over(below: Tone, above: Tone) -> Tone:
    """Return the tone where two inks lie on each other: both let through their share of light."""
    tone: Tone = 1 - (1 - below) * (1 - above)
    return tone


def _blurred(tone: Tone, deviation: float) -> Tone:
    """Convolve with a Gaussian of so many pixels along both axes; edges repeat."""
    reach = max(1, math.ceil(2.5 * deviation))
    distances = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (distances / deviation) ** 2).astype(np.float32)
    weights /= weights.sum()
    for _ in range(2):  # along the columns, then along the rows
        padded = np.pad(tone, ((reach, reach), (0, 0)), mode="edge")
        tone = sum(weight * padded[at : at + len(tone)] for at, weight in enumerate(weights)).T
    return tone


def clouds(shape: tuple[int, ...], size: float, random: Random) -> Tone:
    """Draw smooth noise of about -1..1 with structures so many pixels wide."""
    height, width = shape
    small = random.normal(0, 0.5, (math.ceil(height / size) + 2, math.ceil(width / size) + 2))
    image = Image.fromarray(small.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32)
