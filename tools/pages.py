"""Make pages of the ink in `examples/hello.jsonl`, whose lines and text are known.

`python -m tools.pages` makes `examples/page.jpg`.
"""

import io
import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkstream.model.evaluation.sheets import Look, Sheet, WrittenLine, sheet

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
WORDS: Final = ("hello,", "world!")
PLAIN: Final = Look("scan", "plain", "black")
EXAMPLE: Final = ((0, 1), (0, 0, 1), (0, 1, 1), (0,), (0, 1, 0, 1), (0, 0))  # words of its lines
PHOTO: Final = Look("photo", "ruled", "blue", desk=True, skew_deg=6.0)


def line(*numbers: int) -> WrittenLine:
    """Return a line of the greeting's words with these numbers."""
    (greeting,) = (EXAMPLES / "hello.jsonl").read_text().splitlines()
    strokes = [np.array(stroke, np.float64) for stroke in json.loads(greeting)["strokes"]]
    points = np.concatenate(strokes)
    low, height = points.min(0), float(np.ptp(points[:, 1]))
    scaled = [(stroke - low) / height - np.array([0, 0.5]) for stroke in strokes]
    parted = _split_words(scaled)
    strokes_written, left = [], 0.0
    for number in numbers:
        begin = min(stroke[:, 0].min() for stroke in parted[number])
        word_strokes = [stroke + np.array([left - begin, 0]) for stroke in parted[number]]
        strokes_written += word_strokes
        left = max(float(stroke[:, 0].max()) for stroke in word_strokes) + 0.6
    return WrittenLine(strokes_written, " ".join(WORDS[number] for number in numbers))


def _split_words(strokes: list[NDArray[np.float64]]) -> list[list[NDArray[np.float64]]]:
    """Return the strokes of both words, separated at the widest gap."""
    ordered = sorted(strokes, key=lambda stroke: float(stroke[:, 0].min()))
    reached = np.maximum.accumulate([stroke[:, 0].max() for stroke in ordered])
    starts = np.array([stroke[:, 0].min() for stroke in ordered])
    cut = int((starts[1:] - reached[:-1]).argmax()) + 1
    return [ordered[:cut], ordered[cut:]]


def page(look: Look = PLAIN, n_lines: int = 5, n_blocks: int = 1, seed: int = 1) -> Sheet:
    """Return a page of lines of one and two words."""
    word_lists = ((0, 1), (1,), (1, 0), (0,), (0, 0), (1, 1))
    blocks = [
        [line(*word_lists[(index + block) % len(word_lists)]) for index in range(n_lines)]
        for block in range(n_blocks)
    ]
    return sheet(blocks, look, np.random.default_rng(seed))


def encoded(image: NDArray[np.uint8], kind: str = "JPEG") -> bytes:
    """Return an image as a file."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, kind)
    return data.getvalue()


def textured(height: int = 600, width: int = 800) -> NDArray[np.uint8]:
    """Return an image without writing: light and dark shapes of all sizes."""
    random = np.random.default_rng(5)
    image = np.full((height, width), 120.0)
    for size in (3, 8, 25, 90):
        small = random.normal(0, 30, (height // size + 2, width // size + 2)).astype(np.float32)
        large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        image += np.asarray(large)
    return image.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    example = sheet([[line(*words) for words in EXAMPLE]], PHOTO, np.random.default_rng(1))
    (EXAMPLES / "page.jpg").write_bytes(encoded(example.image))
