"""A long line, written with the strokes that the bench's pens write."""

from collections.abc import Iterator

import numpy as np

from inkstream.model.config import ModelConfig
from inkstream.model.preprocess.ink import stroke_columns
from inkstream.service.bench.load import MESSAGE_COLUMNS
from inkstream.service.bench.pens import INK_SHARE, SPACE, Pens, Stroke
from tests.helpers.single_session import message

N_COLUMNS = 1000
POINTS_A_MESSAGE = 4
POINTS_A_COLUMN = 1.5  # of a pen that writes 60 columns a second and sends 90 points


def line(pens: Pens) -> list[Stroke]:
    """Return the strokes of a line of `N_COLUMNS` at least, in the units of the pens."""
    margin = (1 / INK_SHARE["transcriber"] - 1) / 2 * pens.height
    width = max(stroke[:, 0].max() for stroke in pens.strokes) + SPACE * pens.height
    n_texts = int(np.ceil(N_COLUMNS / (width / frame(pens) * 32))) + 1
    places = [(margin + text * width, margin) for text in range(n_texts)]
    return [stroke + place for place in places for stroke in pens.strokes]


def frame(pens: Pens) -> float:
    """Return the height of the frame."""
    return pens.height / INK_SHARE["transcriber"]


def ink(pens: Pens) -> Iterator[str]:
    """Yield the messages of ink of the line, points as a pen samples them."""
    for name, stroke in enumerate(line(pens)):
        walked = np.concatenate([[0.0], np.hypot(*np.diff(stroke, axis=0).T).cumsum()])
        n_points = max(2, round(walked[-1] / frame(pens) * 32 / 3 * POINTS_A_COLUMN))
        places = np.linspace(0, walked[-1], n_points)
        points = np.stack([np.interp(places, walked, axis) for axis in stroke.T], 1).round(1)
        for start in range(0, n_points, POINTS_A_MESSAGE):
            end = start + POINTS_A_MESSAGE
            piece = {"id": name, "points": points[start:end].tolist(), "last": end >= n_points}
            yield message("ink", strokes=[piece], height=round(frame(pens), 1))


def columns(pens: Pens, config: ModelConfig) -> Iterator[bytes]:
    """Yield the columns of the line, some a message."""
    pixels = stroke_columns(line(pens), config, frame(pens))[:N_COLUMNS, : config.column_height]
    for start in range(0, len(pixels), MESSAGE_COLUMNS):
        yield pixels[start : start + MESSAGE_COLUMNS].tobytes()
