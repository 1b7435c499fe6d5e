"""Images that are hard to read as pages: rules, noise, grids, and very long sides.

They are sent as pages, and each must be answered or refused with an error that says why.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tools.pages import page

Grey = NDArray[np.uint8]  # [h, w], 0 = black
Random = np.random.Generator
Draw = Callable[[Random, int, int], Grey]  # with a height and a width, in pixels

LARGE: Final = (4000, 4000)  # pixels: the most that a server takes
LONG: Final = 20_000


def rules(random: Random, height: int, width: int) -> Grey:
    """Return rules of any number, thickness, tone and slope, some of them wavy or dashed."""
    image = np.full((height, width), random.integers(180, 256), np.uint8)
    for _ in range(random.integers(1, 2 + min(400, height // 8))):
        wave = random.choice([0, 0, 0, 2, 8])
        middle, slope = random.uniform(0, height), random.choice([0, 0, random.normal(0, 0.1)])
        draw_rule(
            image,
            middle + slope * np.arange(width) + wave * np.sin(np.arange(width) / 90 + middle),
            thickness=int(random.integers(1, 9)),
            tone=int(random.integers(0, 220)),
            dash=int(random.choice([width, width, 2, 7, 40])),
        )
    return image


def draw_rule(
    image: Grey, y: NDArray[np.float64], thickness: int, tone: int, dash: int | None = None
) -> None:
    """Draw a rule that is at `y` [w] in each column, solid or in dashes of so many pixels."""
    x = np.arange(len(y))
    for row in range(thickness):
        rows = y.astype(np.int64) + row
        shown = (rows >= 0) & (rows < len(image))
        if dash is not None:
            shown &= x // dash % 2 == 0
        image[rows[shown], x[shown]] = tone


def squares(random: Random, height: int, width: int) -> Grey:
    """Return squared paper, from squares of two pixels on, with lines of one pixel or more."""
    image = np.full((height, width), 240, np.uint8)
    step, thickness = random.integers(2, 70), random.integers(1, 4)
    for start in range(min(step, thickness)):
        image[start::step] = image[:, start::step] = random.integers(0, 200)
    return image


def noise(random: Random, height: int, width: int) -> Grey:
    """Return noise of any strength, or none."""
    scale = random.choice([0.0, 2.0, 20.0, 90.0])
    tones = 200 + scale * random.standard_normal((height, width), np.float32)
    noisy: Grey = tones.clip(0, 255).astype(np.uint8)
    return noisy


def specks(random: Random, height: int, width: int) -> Grey:
    """Return black specks on white, from very few to half of all pixels."""
    share = 10 ** random.uniform(-4, -0.3)
    return np.where(random.random((height, width), np.float32) < share, 0, 255).astype(np.uint8)


def gradient(random: Random, height: int, width: int) -> Grey:
    """Return tones that change evenly in one direction, perhaps several times or in steps."""
    angle, turns = random.uniform(0, 2 * np.pi), random.choice([1, 1, 3, 50])
    y, x = np.ogrid[:height, :width]
    along = np.cos(angle) * x / width + np.sin(angle) * y / height
    step = random.choice([1, 64])
    tones: Grey = ((255 * turns * along) % 256 // step * step).astype(np.uint8)
    return tones


def written(random: Random, height: int, width: int) -> Grey:
    """Return three lines of writing, and rules that are not quite straight below them."""
    image = np.full((height, width), 235, np.uint8)
    part = scaled_writing(float(random.integers(1, 4)))[:height, :width]
    image[: part.shape[0], : part.shape[1]] = part
    gap, x = int(random.integers(30, 110)), np.arange(width)
    thickness, tone = int(random.integers(1, 5)), int(random.integers(0, 160))
    for middle in range(len(part) + gap // 2, height, gap):
        y = middle + random.choice([0, 2, 5]) * np.sin(6 * x / width + middle)
        draw_rule(image, y, thickness, tone)
    return image


def scaled_writing(scale: float) -> Grey:
    """Return the image of three written lines, so many times as large as they are drawn."""
    writing = Image.fromarray(page(n_lines=3).image).convert("L")
    return np.asarray(writing.resize((int(scale * writing.width), int(scale * writing.height))))


def dense(random: Random, height: int, width: int) -> Grey:
    """Return a page that is full of writing, from very small to large."""
    return tiled_writing(random.choice([0.2, 0.4, 0.7, 1.0]), height, width)


def tiled_writing(scale: float, height: int, width: int) -> Grey:
    """Return a page that is full of writing of one size."""
    part = scaled_writing(scale)
    down, across = height // len(part) + 1, width // part.shape[1] + 1
    return np.ascontiguousarray(np.tile(part, (down, across))[:height, :width])


DRAWN: Final[dict[str, Draw]] = {
    draw.__name__: draw for draw in (rules, squares, noise, specks, gradient, written, dense)
}


def drawn(name: str, seed: int, height: int, width: int) -> Grey:
    """Return a page of one of the kinds in `DRAWN`."""
    return DRAWN[name](np.random.default_rng(seed), height, width)


_SIDES = st.integers(1, 12) | st.integers(1, 700)
PAGES: Final = st.builds(  # of any kind and any size, the long sides apart
    drawn, st.sampled_from(list(DRAWN)), st.integers(0, 2**32 - 1), _SIDES, _SIDES
)


def few_words_on_a_ruled_sheet() -> Grey:
    """Return a sheet of three written lines, and twenty empty rules that are nearly level.

    Its rules are so flat that, read as lines, they would have tens of thousands of columns.
    """
    image = np.full((3500, 2255), 235, np.uint8)
    image[:1032, 100:1276] = scaled_writing(3)
    for number in range(20):
        y = 1081 + 98 * number + 4 * np.sin(6 * np.arange(2255) / 2255 + number)
        draw_rule(image, y, thickness=2, tone=8)
    return image


EXTREME: Final[dict[str, Callable[[], Grey]]] = {  # as large, or as long, as a page can be
    "few words on a ruled sheet": few_words_on_a_ruled_sheet,
    **{f"16 megapixels of {name}": partial(drawn, name, 1, *LARGE) for name in DRAWN},
    **{f"{LONG} pixels of {name}": partial(drawn, name, 1, 1, LONG) for name in DRAWN},
    **{f"{LONG} rows of {name}": partial(drawn, name, 1, LONG, 1) for name in DRAWN},
    "16 million pixels in a row": partial(drawn, "specks", 1, 1, LARGE[0] * LARGE[1]),
}
