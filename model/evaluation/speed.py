"""How fast lines are drawn, read and decoded, on one core."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.greedy import TranscriptDecoder
from inkstream.model.evaluation.material import Material
from inkstream.model.metrics import Figures
from inkstream.model.reader import Reader, Scores, batches

ROUNDS: Final = 3  # the fastest counts, in time of the processor: others may share the machine
LINES: Final = 64  # of middle width
MANY: Final = 100  # columns that come at once, as when a file is sent
SINGLE_COLUMNS: Final = 500  # that come one by one


def speed(reader: Reader, material: Material, places: Sequence[int]) -> Figures:
    """Pieces a second of the drawing, columns a second of net and decoder.

    Args:
        reader: whose net and decoder are measured.
        material: the pieces.
        places: of those that are drawn and read; none gives no figures.
    """
    chosen = places[max(0, (len(places) - LINES) // 2) :][:LINES]
    if not chosen:
        return {}
    drawn = material.drawn(chosen)
    batch = next(batches(drawn))
    scores = reader.scores(batch)
    n_padded = len(batch) * max(map(len, scores))
    whole_s = least_s(lambda: _decode(reader, batch, scores, MANY))
    singly_s = least_s(lambda: _decode(reader, batch, scores, 1))
    n_columns = sum(map(len, scores))
    return {
        "drawn_pieces_per_s": len(chosen) / least_s(lambda: material.drawn(chosen)),
        "net_columns_per_s": n_padded / least_s(lambda: reader.scores(batch)),
        "net_streams": len(batch),
        "decoder_columns_per_s": n_columns / whole_s,
        "decoder_columns_per_s_singly": n_columns / singly_s,
        "single_column_us": 1e6 * _single_column_s(reader, drawn),
    }


def _decode(
    reader: Reader, lines: Sequence[LineSample], scores: Sequence[Scores], portion: int
) -> None:
    """Decode lines, so many columns at once."""
    decoder = TranscriptDecoder(reader.config.labels, reader.config.flush_columns)
    for line, own in zip(lines, scores, strict=True):
        decoder.reset()
        n_columns = len(line.columns)
        for first in range(0, n_columns, portion):
            end = min(first + portion, n_columns)
            decoder.step(own[first:end], line.columns[first:end])
        decoder.step_beyond(own[n_columns:])
        decoder.flush()


def _single_column_s(reader: Reader, lines: Sequence[LineSample]) -> float:
    """Seconds from a column to its answer, net and decoder, in a stream that comes singly."""
    columns = np.concatenate([line.columns for line in lines])[:SINGLE_COLUMNS]

    def read() -> None:
        decoder = TranscriptDecoder(reader.config.labels, reader.config.flush_columns)
        state = reader.runtime.initial_state(1)
        for column in columns:
            scores, state = reader.runtime.run(column[None, None], state)
            decoder.step(scores[:, 0], column[None])

    return least_s(read) / len(columns)


def least_s(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of the processor that some work takes, the least of several rounds."""
    times_s = []
    for _ in range(rounds):
        begun_s = time.process_time()
        work()
        times_s.append(time.process_time() - begun_s)
    return min(times_s)
