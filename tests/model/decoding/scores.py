"""Scores of a net, written as text, and a decoder that reads them."""

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import Event, Letter, allowed_labels
from inkstream.model.decoding.greedy import GreedyDecoder

LABELS = " abcd.5"
PATIENCE = 4  # blank columns of a flush
H = 3  # rows of a column

Scores = NDArray[np.float32]
Columns = NDArray[np.uint8]


def line(steps: str, unsure: str = "", ends: dict[int, float] | None = None) -> Scores:
    """Return scores [2n, S] of a net with one symbol a step, `-` for the blank.

    Args:
        steps: the most probable symbol of each step.
        unsure: where not a space, the label that is half as probable; neither is certain then.
        ends: steps at which the score of a letter's end is this probability.
    """
    scores = np.full((len(steps), 2 + len(LABELS)), 1e-6)
    symbols = "-" + LABELS
    for step, symbol in enumerate(steps):
        other = unsure[step] if step < len(unsure) else " "
        scores[step, symbols.index(symbol)] = 0.99 if other == " " else 0.48
        if other != " ":
            scores[step, symbols.index(other)] = 0.24
            scores[step, 0] = 0.28
        scores[step, -1] = (ends or {}).get(step, 0.01)
    scores[:, :-1] /= scores[:, :-1].sum(1, keepdims=True)
    stepped = np.concatenate([np.full((1, scores.shape[1]), 1e-9), scores])
    stepped[0, 0] = 1
    repeated: Scores = np.log(stepped[(np.arange(2 * len(steps)) + 1) // 2]).astype(np.float32)
    return repeated


def ink(n_columns: int, blank: str = "") -> Columns:
    """Return columns [n, H] with ink, except where `blank` has a space."""
    columns = np.full((n_columns, H), 255, np.uint8)
    for column, mark in enumerate(blank):
        columns[column] *= mark != " "
    return columns


def read(decoder: GreedyDecoder, scores: Scores, columns: Columns | None = None) -> list[Event]:
    """Return the events of a decoder that gets all scores at once."""
    return decoder.step(scores, ink(len(scores)) if columns is None else columns).events


def flush(decoder: GreedyDecoder, scores: Scores | None = None) -> list[Event]:
    """Return the events of a flush whose blank columns have these scores."""
    beyond = line("-" * (PATIENCE // 2))[1:] if scores is None else scores
    return decoder.flush(beyond)


def decoder(characters: str | None = None) -> GreedyDecoder:
    new_decoder = GreedyDecoder(LABELS, PATIENCE)
    new_decoder.allowed = allowed_labels(LABELS, characters)
    return new_decoder


def texts(events: list[Event]) -> list[str]:
    return [event.char if isinstance(event, Letter) else event.text for event in events]
