"""Measure snapshots of `lines`: their size, and the time that they take the event loop.

    python -m tools.snapshots

A line of 1,000 columns is written with a pen of UNIPEN's donors (see `service/bench/pens.py`), and
sent as columns or as ink. The time is processor time, the least of many rounds.
"""

import json
from collections.abc import Iterator

import numpy as np

from inkstream.model import checkpoint
from inkstream.model.config import ModelConfig
from inkstream.model.decoding.ngrams import load
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.preprocess.ink import stroke_columns
from inkstream.model.runtime import Runtime
from inkstream.service.bench.pens import INK_SHARE, SPACE, Pens, Stroke
from inkstream.service.protocol.server_messages import Limits, Snapshot
from inkstream.service.sealing import Sealer, SnapshotSealer, random_key
from inkstream.service.session import Session
from tests.helpers.single_session import SessionClient, message

N_COLUMNS = 1000
N_ROUNDS = 200
POINTS_A_MESSAGE = 4
POINTS_A_COLUMN = 1.5  # of a pen that writes 60 columns a second and sends 90 points


def line(pens: Pens) -> list[Stroke]:
    """Return the strokes of a line that is long enough, in the units of the pens."""
    margin = (1 / INK_SHARE["transcriber"] - 1) / 2 * pens.height
    width = max(stroke[:, 0].max() for stroke in pens.strokes) + SPACE * pens.height
    columns_of_text = width / frame(pens) * 32
    n_texts = int(np.ceil(N_COLUMNS / columns_of_text)) + 1
    places = [(margin + text * width, margin) for text in range(n_texts)]
    return [stroke + place for place in places for stroke in pens.strokes]


def frame(pens: Pens) -> float:
    """Return the height of the frame."""
    return pens.height / INK_SHARE["transcriber"]


def ink(pens: Pens) -> Iterator[str]:
    """Yield the messages of ink of a line, points as a pen samples them."""
    for name, stroke in enumerate(line(pens)):
        walked = np.concatenate([[0.0], np.hypot(*np.diff(stroke, axis=0).T).cumsum()])
        n_points = max(2, round(walked[-1] / frame(pens) * 32 / 3 * POINTS_A_COLUMN))
        places = np.linspace(0, walked[-1], n_points)
        points = np.stack([np.interp(places, walked, axis) for axis in stroke.T], 1).round(1)
        for start in range(0, n_points, POINTS_A_MESSAGE):
            last = start + POINTS_A_MESSAGE >= n_points
            piece = points[start : start + POINTS_A_MESSAGE].tolist()
            stroke_piece = {"id": name, "points": piece, "last": last}
            yield message("ink", strokes=[stroke_piece], height=round(frame(pens), 1))


def columns(pens: Pens, config: ModelConfig) -> Iterator[bytes]:
    """Yield the columns of a line, some a message."""
    pixels = stroke_columns(line(pens), config, frame(pens))[:N_COLUMNS]
    for start in range(0, len(pixels), 8):
        yield pixels[start : start + 8].tobytes()


def measure(runtime: Runtime, *, is_ink: bool, language: str | None) -> dict[str, float]:
    """Return the figures of one kind of session."""
    pens = Pens.read()
    languages = {"english": load("english")}
    seals = SnapshotSealer(Sealer([random_key()], "snapshot"), b"model")
    client = SessionClient(runtime, Limits(), languages, seals)
    client.ask(message("configure", language_model=language))
    frames = ink(pens) if is_ink else columns(pens, runtime.config)
    for each in frames:
        client.ask(each)
        if client.session.line.column >= N_COLUMNS:
            break
    session: Session = client.session
    snapshots = [each for each in session.goaway(5.0) if isinstance(each, Snapshot)]
    took_s = least_s(lambda: session.goaway(5.0), N_ROUNDS)
    return {
        "columns": snapshots[0].column,
        "letters": snapshots[0].letters,
        "blob_characters": len(snapshots[0].blob),
        "us": round(took_s * 1e6, 1),
    }


if __name__ == "__main__":
    runtime = Runtime(checkpoint.read(checkpoint.find("lines")))
    for is_ink in (False, True):
        for language in (None, "english"):
            figures = measure(runtime, is_ink=is_ink, language=language)
            kind = "ink" if is_ink else "columns"
            print(json.dumps({"sent": kind, "language_model": language} | figures))
