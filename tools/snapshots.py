"""Measure snapshots of `lines`: their size, their time, and what they cost a session in speed.

    python -m tools.snapshots

Lines are written with a pen of UNIPEN's donors (see `service/bench/pens.py`), and sent as columns,
16 a message, or as ink. All time is processor time. A snapshot is of a line of 1,000 columns; its
time, in which the event loop does nothing else, is the least of many rounds. The speed that is lost
is the median of many rounds: in each a session with a snapshot every 512 columns and one without
read the same line of 2,048 columns, in changing order; the net and answers in JSON are included.
"""

import json
import time
from collections.abc import Iterable, Iterator
from statistics import median

import numpy as np

from inkstream.model import checkpoint
from inkstream.model.config import ModelConfig
from inkstream.model.decoding.ngrams import load
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.preprocess.ink import stroke_columns
from inkstream.model.runtime import Runtime
from inkstream.service.bench.kernels import MESSAGE_COLUMNS
from inkstream.service.bench.pens import INK_SHARE, SPACE, Pens, Stroke
from inkstream.service.protocol.server_messages import Limits, Snapshot, encode
from inkstream.service.sealing import Sealer, SnapshotSealer, random_key
from inkstream.service.session import Session
from tests.helpers.single_session import SessionClient, message

N_COLUMNS = 1000
N_ROUNDS = 200
READ_COLUMNS = 2048  # by a session with snapshots, and by one without
READ_ROUNDS = 40
SPACING = 512  # columns between two snapshots
POINTS_A_MESSAGE = 4
POINTS_A_COLUMN = 1.5  # of a pen that writes 60 columns a second and sends 90 points


def line(pens: Pens, n_columns: int) -> list[Stroke]:
    """Return the strokes of a line that is long enough, in the units of the pens."""
    margin = (1 / INK_SHARE["transcriber"] - 1) / 2 * pens.height
    width = max(stroke[:, 0].max() for stroke in pens.strokes) + SPACE * pens.height
    columns_of_text = width / frame(pens) * 32
    n_texts = int(np.ceil(n_columns / columns_of_text)) + 1
    places = [(margin + text * width, margin) for text in range(n_texts)]
    return [stroke + place for place in places for stroke in pens.strokes]


def frame(pens: Pens) -> float:
    """Return the height of the frame."""
    return pens.height / INK_SHARE["transcriber"]


def ink(pens: Pens, n_columns: int = N_COLUMNS) -> Iterator[str]:
    """Yield the messages of ink of a line, points as a pen samples them."""
    for name, stroke in enumerate(line(pens, n_columns)):
        walked = np.concatenate([[0.0], np.hypot(*np.diff(stroke, axis=0).T).cumsum()])
        n_points = max(2, round(walked[-1] / frame(pens) * 32 / 3 * POINTS_A_COLUMN))
        places = np.linspace(0, walked[-1], n_points)
        points = np.stack([np.interp(places, walked, axis) for axis in stroke.T], 1).round(1)
        for start in range(0, n_points, POINTS_A_MESSAGE):
            last = start + POINTS_A_MESSAGE >= n_points
            piece = points[start : start + POINTS_A_MESSAGE].tolist()
            stroke_piece = {"id": name, "points": piece, "last": last}
            yield message("ink", strokes=[stroke_piece], height=round(frame(pens), 1))


def columns(pens: Pens, config: ModelConfig, n_columns: int = N_COLUMNS) -> Iterator[bytes]:
    """Yield the columns of a line, some a message."""
    drawn = stroke_columns(line(pens, n_columns), config, frame(pens))
    pixels = drawn[:n_columns, : config.column_height]
    for start in range(0, len(pixels), MESSAGE_COLUMNS):
        yield pixels[start : start + MESSAGE_COLUMNS].tobytes()


def new_client(
    runtime: Runtime, language: str | None = None, **options: int | str
) -> SessionClient:
    """Return a client that has configured these options."""
    languages = {} if language is None else {language: load(language)}
    seals = SnapshotSealer(Sealer([random_key()], "snapshot"), b"model")
    client = SessionClient(runtime, Limits(), languages, seals)
    client.ask(message("configure", language_model=language, **options))
    return client


def measure(runtime: Runtime, *, is_ink: bool, language: str | None) -> dict[str, float]:
    """Return the figures of one kind of session."""
    pens = Pens.read()
    client = new_client(runtime, language)
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


def read_per_s(runtime: Runtime, frames: Iterable[str | bytes], spacing: int) -> float:
    """Return the columns a second of a session with snapshots so far apart; 0: without any."""
    client = new_client(runtime, every="message", text="tail", snapshot_columns=spacing)
    n_snapshots, start_s = 0, time.process_time()
    for each in frames:
        for answer in client.ask(each):
            encode(answer)
            n_snapshots += isinstance(answer, Snapshot)
    took_s = time.process_time() - start_s
    if (n_snapshots > 0) != (spacing > 0):
        raise RuntimeError(f"{n_snapshots} snapshots came, {spacing} columns apart")
    return client.session.line.column / took_s


def measure_lost(runtime: Runtime, *, is_ink: bool) -> dict[str, float]:
    """Return the share of the columns a second that is lost by snapshots, and both numbers."""
    pens = Pens.read()
    sent = ink(pens, READ_COLUMNS) if is_ink else columns(pens, runtime.config, READ_COLUMNS)
    frames = [*sent]
    found: dict[int, list[float]] = {0: [], SPACING: []}
    for number in range(READ_ROUNDS):
        for spacing in sorted(found, reverse=number % 2 > 0):
            found[spacing].append(read_per_s(runtime, frames, spacing))
    ratios = [own / none for own, none in zip(found[SPACING], found[0], strict=True)]
    return {
        "columns_per_s": round(median(found[0])),
        "with_snapshots": round(median(found[SPACING])),
        "lost_percent": round(100 * (1 - median(ratios)), 2),
    }


if __name__ == "__main__":
    runtime = Runtime(checkpoint.read(checkpoint.find("lines")))
    for is_ink in (False, True):
        for language in (None, "english"):
            figures = measure(runtime, is_ink=is_ink, language=language)
            kind = "ink" if is_ink else "columns"
            print(json.dumps({"sent": kind, "language_model": language} | figures))
        lost = measure_lost(runtime, is_ink=is_ink)
        print(json.dumps({"sent": kind, "snapshot_columns": SPACING} | lost))
