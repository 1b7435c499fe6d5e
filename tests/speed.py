"""How fast the rasteriser is, on one core: `python -m tests.speed`."""

import json
import time

import numpy as np
from numpy.typing import NDArray

from model.ink import rasterise

WORDS = 200
ROUNDS = 20  # the fastest counts, in time of the processor: others share the machine
COLUMN_HEIGHT = 32


def word(random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Loops of the size of a word: 150 points, 5 strokes, 80 columns, 280 pixels of ink."""
    share = np.linspace(0, 1, 150)
    x = 3 + 74 * share + 3 * np.sin(60 * share)
    y = 16 + 13 * np.sin(40 * share + random.uniform(0, 6)) * np.cos(7 * share)
    cuts = random.choice(np.arange(5, 145), 4, replace=False)
    return np.stack([x, y], 1).astype(np.float32), np.array([0, *np.sort(cuts), 150])


def words_per_s() -> float:
    """Words of 32 rows that `rasterise` draws in a second."""
    random = np.random.default_rng(0)
    words = [word(random) for _ in range(WORDS)]
    times_s = []
    for _ in range(ROUNDS):
        begun_s = time.process_time()
        for points, stroke_starts in words:
            rasterise(points, stroke_starts, COLUMN_HEIGHT)
        times_s.append(time.process_time() - begun_s)
    return WORDS / min(times_s)


if __name__ == "__main__":
    print(json.dumps({"rasteriser_words_per_s": round(words_per_s())}))
