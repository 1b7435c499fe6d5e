"""Show an answer to people: the columns that were read, and the letters beneath them."""

import importlib
import io
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.decoding.base import Letter
from inkstream.model.errors import InkstreamError

ZOOM: Final = 3  # pixels of a browser for each of a column
UNSURE: Final = "#dc2626"  # the colour of uncertain letters


def html(text: str, pixels: NDArray[np.uint8], letters: Sequence[Letter]) -> str:
    """Return columns [T, H], and the letters that were read on them, as a piece of a web page.

    An uncertain letter is red and underlined; each names its alternatives under the mouse.
    """
    pixels = np.pad(pixels, [(0, not len(pixels)), (0, 0)])  # a blank image has none
    Image.fromarray(255 - pixels.T).save(file := io.BytesIO(), "PNG")
    shown = []
    for letter in letters:
        readings = [(letter.char, letter.confidence), *letter.alternatives]
        title = escape(", ".join(f"{char} {p:.0%}" for char, p in readings))
        left = ZOOM * (letter.start + letter.end) // 2
        style = f"position:absolute;left:{left}px;transform:translateX(-50%)"
        style += f";color:{UNSURE};text-decoration:underline" if letter.is_uncertain else ""
        shown.append(f'<span title="{title}" style="{style}">{escape(letter.char)}</span>')
    width, height = ZOOM * pixels.shape[0], ZOOM * pixels.shape[1]
    source = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    style = f"width:{width}px;max-width:none;height:{height}px;image-rendering:pixelated"
    image = f'<img alt="{escape(text)}" src="{source}" style="{style}">'
    row = f'<div style="position:relative;height:1.5em">{"".join(shown)}</div>'
    return f'<div style="overflow-x:auto">{image}{row}</div>'


def plot(text: str, pixels: NDArray[np.uint8], letters: Sequence[Letter], axes: Any) -> Any:
    """Draw columns [T, H], and the letters that were read on them, on matplotlib's `axes`.

    None makes axes. Returns the axes; raises `InkstreamError` without matplotlib.
    """
    pixels = np.pad(pixels, [(0, not len(pixels)), (0, 0)])  # a blank image has none
    if axes is None:
        try:
            pyplot = importlib.import_module("matplotlib.pyplot")
        except ImportError as error:
            text = "plot needs matplotlib: pip install 'inkstream[plot]'"
            raise InkstreamError(text) from error
        size = max(3.0, len(pixels) / 30), 1.5  # inches
        axes = pyplot.figure(figsize=size, layout="constrained").subplots()
    axes.imshow(pixels.T, cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.set_title(text, parse_math=False)  # a dollar is a character that was written
    for letter in letters:
        middle, colour = (letter.start + letter.end - 1) / 2, UNSURE if letter.is_uncertain else "k"
        beneath = {"ha": "center", "va": "top", "parse_math": False, "color": colour}
        axes.text(middle, pixels.shape[1], letter.char, **beneath)
    return axes
