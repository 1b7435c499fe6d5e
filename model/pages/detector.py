"""Where the text of a page is: PP-OCRv6's small detector, run with ONNX Runtime.

The net (README.md beside this file) gives each pixel the probability that it belongs to the middle
of a line of text, with half of the line's height or less, so that neighbouring lines stay apart
(Liao et al., Real-time scene text detection with differentiable binarization, AAAI 2020).
"""

import math
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.checkpoint import load_graph

TextMap = NDArray[np.uint8]  # [h, w], probability of the middle of a line of text, 255 = sure

DETECTOR: Final = Path(__file__).parent / "detector.onnx"
STRIDE: Final = 32  # pixels: the sides of what the net reads are multiples of it
MARGIN: Final = 16  # pixels of paper around the page, for text at its edge
THREADS: Final = 2  # of a run, where nothing else is asked for


def text_map(
    grey: NDArray[np.uint8], n_pixels: int, threads: int = THREADS
) -> tuple[TextMap, float]:
    """Return the text map of an image [h, w], reduced to at most `n_pixels`, and its scale.

    The scale is pixels of the map for one of the image, at most 1.
    """
    height, width = grey.shape
    scale = min(1.0, math.sqrt(n_pixels / grey.size))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX), np.float32)
    behind = [MARGIN + -(length + 2 * MARGIN) % STRIDE for length in small.shape]
    ends = [(MARGIN, each) for each in behind]
    padded = np.pad(small, ends, constant_values=np.float32(np.median(small)))
    planes = np.broadcast_to(padded / 127.5 - 1, (1, 3, *padded.shape))
    (found,) = _session(threads).run(None, {"x": np.ascontiguousarray(planes)})
    inner = np.s_[MARGIN : MARGIN + size[1], MARGIN : MARGIN + size[0]]
    return np.rint(found[0, 0][inner] * 255).astype(np.uint8), scale


@cache
def _session(threads: int) -> Any:
    """Return the net, loaded when the first page is read."""
    return load_graph(DETECTOR.read_bytes(), threads)
