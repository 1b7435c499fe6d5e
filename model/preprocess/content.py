"""What an input holds: one character, a line or a page; and which kind of model reads it.

A line that is read as a digit gets a confident digit and no error. So where no model is named, ink,
pages and wide images go to a transcriber and other images to a classifier; and where an image looks
like something else than it was read as, the answer says so. The command line, the library and REST
follow this one rule.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from inkstream.model.config import Kind
from inkstream.model.errors import ImageError
from inkstream.model.preprocess.columns import _halved, _ink
from inkstream.model.preprocess.image import Grey, ImageSource, upright_size

SHIPPED: Final[dict[Kind, str]] = {"classifier": "digits", "transcriber": "lines"}

WIDE: Final = 2.0  # width / height of what holds a line; photos have up to 16 / 9
# Strokes that a vertical cut through the ink crosses on average. Of MNIST's digits none has more
# than 2.9 and a single line has about 1.5; of 181 scanned pages of handwriting less than twice as
# wide as high none has less than 5.8.
PAGE_STROKES: Final = 3.5
PAGE_SIDE: Final = 64  # pixels: what is narrower or lower shows no three lines

LOOKS_LIKE_LINE: Final = (
    "this looks like a line of writing, and a classifier reads one character:"
    " try a transcriber, such as the model lines"
)
LOOKS_LIKE_PAGE: Final = (
    "this looks like a page of several lines: try page=true, or --page on the command line"
)


def kind_for(image: ImageSource | None) -> Kind:
    """Return the kind of model that reads an image, or ink where `image` is None.

    Only the image's header is looked at; what is no image gets "classifier", whose reading of it
    raises the error that explains it.
    """
    if image is None:
        return "transcriber"
    try:
        width, height = upright_size(image)
    except ImageError:
        return "classifier"
    return "transcriber" if width >= WIDE * height else "classifier"


def image_hint(grey: Grey, kind: Kind) -> str | None:
    """Return a sentence if an image [h, w] looks like something else than a model of `kind` reads.

    A transcriber reads single characters too, so a small image is no reason for a hint.
    """
    height, width = grey.shape
    if min(height, width) >= PAGE_SIDE and _strokes_crossed(grey) >= PAGE_STROKES:
        return LOOKS_LIKE_PAGE
    return LOOKS_LIKE_LINE if kind == "classifier" and width >= WIDE * height else None


def _strokes_crossed(grey: Grey) -> float:
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
