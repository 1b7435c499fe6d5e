"""Measure the speed of rasteriser, decoder and session on one core: `python -m tools.speed`."""

import json

import numpy as np
from numpy.typing import NDArray

from inkstream.model.config import Kind, ModelConfig
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.preprocess.ink import rasterise
from inkstream.service.protocol.server_messages import ModelInfo, encode
from inkstream.service.session import (
    Close,
    Restore,
    Session,
    SessionModel,
    shown_of,
)
from tests.helpers.single_session import LIMITS

N_WORDS = 200
N_ROUNDS = 20  # the fastest counts, in processor time, because the machine is shared
COLUMN_HEIGHT = 32
CHARACTERS = tuple(map(chr, range(32, 127)))
DIGITS = tuple("0123456789")
N_COLUMNS = 4_000  # of a line with a letter in every 10 and a space in every 60
PORTION_COLUMNS = 32  # columns of one call


def word(random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return loops of the size of a word: 150 points, 5 strokes, 80 columns, 280 pixels of ink."""
    t = np.linspace(0, 1, 150)
    x = 3 + 74 * t + 3 * np.sin(60 * t)
    y = 16 + 13 * np.sin(40 * t + random.uniform(0, 6)) * np.cos(7 * t)
    cuts = random.choice(np.arange(5, 145), 4, replace=False)
    return np.stack([x, y], 1).astype(np.float32), np.array([0, *np.sort(cuts), 150])


def words_per_s() -> float:
    """Return the words of 32 rows that `rasterise` draws in a second."""
    random = np.random.default_rng(0)
    words = [word(random) for _ in range(N_WORDS)]

    def draw() -> None:
        for points, stroke_starts in words:
            rasterise(points, stroke_starts, COLUMN_HEIGHT)

    return N_WORDS / least_s(draw, N_ROUNDS)


def line() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return scores [T, S] of a net that reads a line, and columns [T, H]."""
    random = np.random.default_rng(0)
    n_steps = N_COLUMNS // 2
    raw = random.normal(0, 1, (n_steps, 1 + len(CHARACTERS)))
    raw[:, 0] += 9
    letters, spaces = np.arange(0, n_steps, 5), np.arange(2, n_steps, 30)
    raw[letters, random.integers(1, raw.shape[1], len(letters))] += 18
    raw[spaces, 1] += 18
    symbols = raw - np.log(np.exp(raw).sum(1, keepdims=True))
    steps = np.concatenate([symbols, np.log(random.random((n_steps, 1)) ** 4)], 1)
    scores = steps[np.arange(N_COLUMNS) // 2].astype(np.float32)
    return scores, random.integers(0, 256, (N_COLUMNS, COLUMN_HEIGHT), np.uint8)


def decoded_per_s(portion: int) -> float:
    """Return the columns of a line that the greedy decoder reads in a second, in portions."""
    scores, columns = line()

    def decode() -> None:
        decoder = GreedyDecoder(CHARACTERS)
        for start in range(0, N_COLUMNS, portion):
            decoder.step(scores[start : start + portion], columns[start : start + portion])

    return N_COLUMNS / least_s(decode, N_ROUNDS)


def column_us(kind: Kind) -> float:
    """Return the microseconds of a column in a session and its encoding, without the net."""
    classifier = kind == "classifier"
    labels, height = (DIGITS, 28) if classifier else (CHARACTERS, COLUMN_HEIGHT)
    config = ModelConfig(labels, kind, height, features=256, channels=() if classifier else (8,))
    limits = LIMITS.model_copy(update={"max_line_columns": 1_000_000})
    info = ModelInfo("speed", "1", kind, labels, height)
    model = SessionModel(info, config, limits, {})
    scores = np.full((N_COLUMNS, 10), -2.3, np.float32) if classifier else line()[0]
    state, column = np.zeros(1000, np.uint8), bytes([0, 9, 200, 255] * (height // 4))

    def serve() -> None:
        session = Session("speed", model)
        session.open()
        for index in range(N_COLUMNS):
            session.receive(column, 0.0)
            session.take(1)
            column_scores = scores[index : index + 1]
            (shown,) = shown_of([session], [column_scores])
            for effect in session.step(column_scores, state, shown):
                assert not isinstance(effect, Restore | Close)
                encode(effect)

    return least_s(serve, N_ROUNDS) / N_COLUMNS * 1e6


if __name__ == "__main__":
    figures = {
        "rasteriser_words_per_s": round(words_per_s()),
        "decoder_columns_per_s": round(decoded_per_s(PORTION_COLUMNS)),
        "decoder_columns_per_s_one_by_one": round(decoded_per_s(1)),
        "classifier_session_column_us": round(column_us("classifier"), 1),
        "transcriber_session_column_us": round(column_us("transcriber"), 1),
    }
    print(json.dumps(figures))
