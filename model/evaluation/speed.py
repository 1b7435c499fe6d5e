"""Measure how fast lines are drawn, read and decoded, on one core."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from inkstream.model.data.batches import LineSample
from inkstream.model.decoding.base import Scores
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.metrics import Figures
from inkstream.model.reader import Reader, batches

ROUNDS: Final = 3  # the fastest counts, in processor time: others may share the machine
LINES: Final = 64  # of middle width
MANY: Final = 100  # columns that come at once, as when a file is sent
SINGLE_COLUMNS: Final = 500  # that come column by column


def speed(reader: Reader, pieces: EvaluationSet, indices: Sequence[int]) -> Figures:
    """Return pieces drawn a second, and columns a second of net and decoder.

    Args:
        reader: whose net and decoder are measured.
        pieces: the evaluation set.
        indices: of the pieces that are drawn and read; no figures without any.
    """
    chosen = indices[max(0, (len(indices) - LINES) // 2) :][:LINES]
    if not chosen:
        return {}
    lines = pieces.samples(chosen)
    batch = next(batches(lines))
    scores = reader.scores(batch)
    n_padded = len(batch) * max(map(len, scores))
    whole_s = least_s(lambda: _decode(reader, batch, scores, MANY))
    singly_s = least_s(lambda: _decode(reader, batch, scores, 1))
    n_columns = sum(map(len, scores))
    return {
        "drawn_pieces_per_s": len(chosen) / least_s(lambda: pieces.samples(chosen)),
        "net_columns_per_s": n_padded / least_s(lambda: reader.scores(batch)),
        "net_streams": len(batch),
        "decoder_columns_per_s": n_columns / whole_s,
        "decoder_columns_per_s_singly": n_columns / singly_s,
        "single_column_us": 1e6 * _single_column_s(reader, lines),
    }


def _decode(
    reader: Reader, lines: Sequence[LineSample], scores: Sequence[Scores], portion: int
) -> None:
    """Decode lines in portions of so many columns."""
    decoder = GreedyDecoder(reader.config.labels, reader.config.flush_columns)
    for line, own in zip(lines, scores, strict=True):
        decoder.reset()
        n_columns = len(line.columns)
        for first in range(0, n_columns, portion):
            end = min(first + portion, n_columns)
            decoder.step(own[first:end], line.columns[first:end])
        decoder.flush(own[n_columns:])


def _single_column_s(reader: Reader, lines: Sequence[LineSample]) -> float:
    """Return the seconds of net and decoder for a column that comes alone."""
    columns = np.concatenate([line.columns for line in lines])[:SINGLE_COLUMNS]

    def read() -> None:
        decoder = GreedyDecoder(reader.config.labels, reader.config.flush_columns)
        state = reader.runtime.initial_state(1)
        for column in columns:
            scores, state = reader.runtime.run(column[None, None], state)
            decoder.step(scores[:, 0], column[None])

    return least_s(read) / len(columns)


def least_s(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the processor time of some work in seconds, the least of several rounds."""
    times_s = []
    for _ in range(rounds):
        begun_s = time.process_time()
        work()
        times_s.append(time.process_time() - begun_s)
    return min(times_s)
