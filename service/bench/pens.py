"""Write as people write: what a pen sends, and when, for any number of writers.

`pens.json` is measured: how fast pens of UNIPEN's donors write and sample, how long they pause
between strokes (`python -m tools.pens` of commit 6ab60da3), and strokes of one line. Each writer
writes lines of one to three such texts with one of these pens. Points are sent as the writing pad
sends them: at once when the pen comes down and when it is lifted, between these in pieces, 20 to 60
a second by writer.
Everything follows from the writer's number.

A message is due when its last point is written: its answer is late by all that follows.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import Kind, ModelConfig
from inkstream.model.preprocess.ink import stroke_columns

INK_SHARE: Final = {"transcriber": 29 / 32, "classifier": 20 / 28}  # of the frame, by kind of model
SPACE: Final = 0.4  # between two texts, in heights of the ink

Stroke = NDArray[np.float64]  # [n, 2], x to the right, y downwards


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of a writer."""

    due_s: float  # from the writer's start
    data: str | bytes
    answered: bool = True  # whether its answer is measured


@dataclass(frozen=True, slots=True, eq=False)
class Pens:
    """The contents of `pens.json`."""

    pens: list[tuple[float, float]]  # points a second; rows of a column a second, 32 to the frame
    gaps_s: list[float]  # quantiles of the pauses between strokes
    strokes: list[Stroke]  # of one text
    height: float  # of its ink

    @classmethod
    @cache
    def read(cls) -> "Pens":
        """Read the file."""
        contents = json.loads(Path(__file__).with_name("pens.json").read_text("utf-8"))
        strokes = [np.array(stroke) for stroke in contents["strokes"]]
        points = np.concatenate(strokes)
        strokes = [stroke - points.min(0) for stroke in strokes]
        pens = [(rate, speed) for rate, speed in contents["pens"]]
        return cls(pens, contents["gaps_s"], strokes, float(np.ptp(points[:, 1])))


def ink_messages(number: int, kind: Kind) -> Iterator[Sent]:
    """Yield all that a writer sends, without end, in the order in which it is due."""
    pens, rng = Pens.read(), np.random.default_rng(number)
    points_per_s, rows_per_s = pens.pens[number % len(pens.pens)]
    interval_s = 1 / rng.uniform(20, 60)
    height = pens.height / INK_SHARE[kind]
    speed = rows_per_s * height / 32
    now_s = rng.uniform(0, interval_s)
    line = _line(pens, rng, kind)
    line = _moved_to_start(line[rng.integers(len(line)) :], line)  # no two begin at the same place
    # Every fourth message asks for its answer: clients seldom do.
    asks = itertools.cycle([True, False, False, False])
    pause_s, flush_s = 0.35, 1.2  # from lifting the pen to `pause` and to `flush`, as on the pad
    while True:
        for name, stroke in enumerate(line):
            points, times_s = _sampled(stroke, speed, points_per_s)
            for start, stop in _pieces(times_s, interval_s):
                last = stop == len(points)
                piece = {"id": name, "points": points[start:stop].round(1).tolist(), "last": last}
                message = {"type": "ink", "strokes": [piece], "height": round(height, 1)}
                yield Sent(now_s + float(times_s[stop - 1]), json.dumps(message), next(asks))
            now_s += float(times_s[-1])
            lifted_s, gap_s = now_s, float(rng.choice(pens.gaps_s))
            if gap_s > pause_s:
                yield Sent(lifted_s + pause_s, '{"type":"ink","pause":true}', next(asks))
            now_s += gap_s
        now_s = max(now_s, lifted_s + flush_s)
        yield Sent(now_s, '{"type":"flush"}', next(asks))
        yield Sent(now_s, '{"type":"reset"}', next(asks))
        line = _line(pens, rng, kind)


def column_messages(number: int, kind: Kind, column_height: int) -> Iterator[Sent]:
    """Yield the columns of a writer's lines one by one, without end."""
    pens, rng = Pens.read(), np.random.default_rng(number)
    rows = ModelConfig(("a", "b"), column_height=column_height)  # all that drawing asks of it
    interval_s = 1 / np.exp(rng.uniform(*np.log((60, 200))))
    now_s = rng.uniform(0, interval_s)
    while True:
        frame = pens.height / INK_SHARE[kind]
        for column in stroke_columns(_line(pens, rng, kind), rows, frame):
            yield Sent(now_s, column.tobytes())
            now_s += interval_s
        yield Sent(now_s, '{"type":"flush"}', answered=False)
        yield Sent(now_s, '{"type":"reset"}', answered=False)


def _line(pens: Pens, rng: np.random.Generator, kind: Kind) -> list[Stroke]:
    """Return the strokes of a line: texts one behind the other, or one stroke for a classifier."""
    margin = (1 / INK_SHARE[kind] - 1) / 2 * pens.height  # above the ink, and before it
    if kind == "classifier":
        stroke = pens.strokes[rng.integers(len(pens.strokes))]
        return [stroke - (stroke[:, 0].min() - margin, -margin)]
    width = max(stroke[:, 0].max() for stroke in pens.strokes) + SPACE * pens.height
    n_texts = int(rng.integers(1, 4))
    corners = [(margin + text * width, margin) for text in range(n_texts)]
    return [stroke + corner for corner in corners for stroke in pens.strokes]


def _moved_to_start(strokes: list[Stroke], line: list[Stroke]) -> list[Stroke]:
    """Return strokes of a line where the line begins: a pen leaves no paper blank before it."""
    left, start = (min(stroke[:, 0].min() for stroke in part) for part in (strokes, line))
    return [stroke - (left - start, 0) for stroke in strokes]


def _sampled(
    stroke: Stroke, speed: float, points_per_s: float
) -> tuple[Stroke, NDArray[np.float64]]:
    """Return the points of a pen at a constant speed, [n, 2], and when each is written, [n]."""
    walked = np.concatenate([[0.0], np.hypot(*np.diff(stroke, axis=0).T).cumsum()])
    n_points = max(2, round(walked[-1] / speed * points_per_s))
    distances = np.linspace(0, walked[-1], n_points)
    points = np.stack([np.interp(distances, walked, axis) for axis in stroke.T], 1)
    return points, np.arange(n_points) / points_per_s


def _pieces(times_s: NDArray[np.float64], interval_s: float) -> Iterator[tuple[int, int]]:
    """Yield the ranges of points that are sent together: the first at once, then by interval."""
    start, stop = 0, 1
    while start < len(times_s):
        yield start, stop
        next_s = times_s[stop - 1] + interval_s
        start, stop = stop, max(stop + 1, int(np.searchsorted(times_s, next_s, "right")))
