"""Where the text of a page is: PP-OCRv6's small detector, run with ONNX Runtime.

The net (README.md beside this file) gives each pixel the probability that it belongs to the middle
of a line of text, with half of the line's height or less, so that neighbouring lines stay apart
(Liao et al., Real-time scene text detection with differentiable binarization, AAAI 2020).
"""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.checkpoint import load_graph

TextMap = NDArray[np.uint8]  # [h, w], probability of the middle of a line of text, 255 = sure

DETECTOR: Final = Path(__file__).parent / "detector.onnx"
WEIGHTS: Final = "detector.weights"  # the file beside it
STRIDE: Final = 32  # pixels: the sides of what the net reads are multiples of it
MARGIN: Final = 16  # pixels of paper around the page, for text at its edge
WHOLE_PIXELS: Final = 1 << 18  # of an image that the net reads at once; more are read in bands
BAND_PIXELS: Final = 3 << 16  # of a band at most: 30 MB
OVERLAP: Final = 16  # pixels of a band on each side that the next band has too
THREADS: Final = 2  # of a run, where nothing else is asked for


def text_map(
    grey: NDArray[np.uint8], n_pixels: int, threads: int = THREADS
) -> tuple[TextMap, float]:
    """Return the text map of an image [h, w], and its pixels for one of the image, at most 1."""
    height, width = grey.shape
    scale = min(1.0, math.sqrt(n_pixels / grey.size))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    ends = [(MARGIN, MARGIN + -(length + 2 * MARGIN) % STRIDE) for length in small.shape]
    padded = np.pad(small, ends, constant_values=np.uint8(np.median(small)))
    text = np.empty_like(padded)
    along = int(np.argmax(padded.shape))  # bands are rows, or columns of a wide page
    page, page_text = (np.moveaxis(image, along, 0) for image in (padded, text))
    for band, kept in bands(len(page), page.shape[1]):
        planes = np.moveaxis(page[band], 0, along).astype(np.float32)[None, None] / 127.5 - 1
        (answer,) = _session(threads).run(None, {"x": planes})
        page_text[band][kept] = np.rint(np.moveaxis(answer[0, 0], along, 0)[kept] * 255)
    return text[MARGIN : MARGIN + size[1], MARGIN : MARGIN + size[0]], scale


def bands(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Yield the rows of each band of an image, and which rows of the band are kept.

    All bands have the same height, a multiple of `STRIDE` like that of the image.
    """
    n_pixels = WHOLE_PIXELS if height * width <= WHOLE_PIXELS else BAND_PIXELS
    inner = height - 2 * OVERLAP
    most = max(STRIDE, (n_pixels // width - 2 * OVERLAP) // STRIDE * STRIDE)
    step = math.ceil(inner / math.ceil(inner / most) / STRIDE) * STRIDE
    for start in range(0, inner, step):
        first, is_last = min(start, inner - step), start + step >= inner
        kept_from = start - first + OVERLAP if start else 0
        kept_to = step + 2 * OVERLAP if is_last else step + OVERLAP
        yield slice(first, first + step + 2 * OVERLAP), slice(kept_from, kept_to)


@cache
def _session(threads: int) -> Any:
    """Return the net, loaded when the first page is read."""
    return load_graph(DETECTOR.read_bytes(), threads, DETECTOR.parent)
