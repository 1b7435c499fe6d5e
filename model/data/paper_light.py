"""What a camera or a scanner makes of a page: paper, rules and ink in the light of a room."""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

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
PAPERS: Final = ((250, 250, 248), (244, 238, 222), (228, 226, 220))  # white, cream, recycled
RULES: Final = ((150, 180, 214), (176, 176, 176), (206, 170, 178))  # blue, grey, red
DESK: Final = (96, 72, 54)  # beside a sheet that lies askew


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
    """Paper, rules and ink in colour, in the light of the room, as a camera or scanner sees it."""
    shape = ink.shape
    tone = np.array(PAPERS[int(random.integers(len(PAPERS)))], np.float32)
    texture = 1 + random.uniform(0.005, 0.02) * (
        _clouds(shape, 3, random) + _clouds(shape, 40, random)
    )
    colour = tone * texture[:, :, None]
    if rules is not None:
        rule = np.array(RULES[int(random.integers(len(RULES)))], np.float32)
        share = np.float32(random.uniform(0.5, 1)) * rules[:, :, None]
        colour = colour * (1 - share) + rule * share
    pen = np.array(PENS[look.pen], np.float32)
    colour = colour * (1 - ink[:, :, None]) + pen * ink[:, :, None]
    if paper is not None:
        desk = np.array(DESK, np.float32) * (1 + 0.15 * _clouds(shape, 25, random))[:, :, None]
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


def _clouds(shape: tuple[int, ...], size: float, random: np.random.Generator) -> Tone:
    """Smooth noise, about -1..1, whose clouds are so many pixels wide."""
    height, width = shape
    small = random.normal(0, 0.5, (math.ceil(height / size) + 2, math.ceil(width / size) + 2))
    image = Image.fromarray(small.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def _light(shape: tuple[int, ...], random: np.random.Generator) -> Tone:
    """What share of the light falls where: it fades to one side, and a shadow may lie on it."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y / height - 0.5, x / width - 0.5
    heading = random.uniform(0, 2 * math.pi)
    fade = random.uniform(0.1, 0.45)
    light = 1 - fade * (0.5 + x * math.cos(heading) + y * math.sin(heading)).clip(0, 1.2)
    if random.random() < 0.6:
        heading, place = random.uniform(0, 2 * math.pi), random.uniform(-0.3, 0.3)
        soft = random.uniform(0.01, 0.1)
        edge = (x * math.cos(heading) + y * math.sin(heading) - place) / soft
        light *= 1 - random.uniform(0.15, 0.4) / (1 + np.exp(-edge.clip(-30, 30)))
    lit: Tone = light.astype(np.float32)
    return lit
