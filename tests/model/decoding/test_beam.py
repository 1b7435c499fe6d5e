"""The beam against the sum over all paths of a few steps, computed one by one."""

import copy
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack
from numpy.typing import NDArray

from inkstream.model.decoding.base import Guide
from inkstream.model.decoding.beam import Beam

LABELS = "ab "  # symbols 1, 2, 3
SPACE = 3
N_SYMBOLS = 1 + len(LABELS)


class PairGuide(Guide):
    """A guide that adds a weight from a table for each pair of characters."""

    def __init__(self, table: NDArray[np.float32]) -> None:
        self.table = table  # [1 + K, K], by the symbol before
        self.ends = table.sum(1)

    def begin(self, text: str) -> int:
        return SPACE

    def row(self, state: int) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self.table[state]
        return row

    def follow(self, state: int, label: int) -> int:
        return 1 + label

    def end(self, state: int) -> float:
        return float(self.ends[state])


NO_PREFERENCE = PairGuide(np.zeros((N_SYMBOLS, len(LABELS)), np.float32))


def text_of_path(path: tuple[int, ...]) -> tuple[int, ...]:
    """Return the text of a path: a run is one symbol, and repeated spaces are one."""
    symbols = [symbol for symbol, _ in itertools.groupby(path) if symbol]
    symbols_kept: list[int] = []
    for symbol in symbols:
        if symbol != SPACE or (symbols_kept and symbols_kept[-1] != SPACE):
            symbols_kept.append(symbol)
    return tuple(symbols_kept)


def text_weights(scores: NDArray[np.float32], guide: PairGuide) -> dict[tuple[int, ...], float]:
    """Return the weight of every text."""
    weights: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(N_SYMBOLS), repeat=len(scores)):
        probability = float(np.exp(sum(scores[step, symbol] for step, symbol in enumerate(path))))
        text = text_of_path(path)
        weights[text] = weights.get(text, 0.0) + probability
    for text in weights:
        before = SPACE
        for symbol in text:
            weights[text] *= float(np.exp(guide.table[before, symbol - 1]))
            before = symbol
        weights[text] *= float(np.exp(guide.end(before)))
    return weights


def score_arrays(n_rows: int, n_columns: int) -> st.SearchStrategy[NDArray[np.float32]]:
    return st.lists(
        st.lists(st.floats(-4, 0, width=32), min_size=n_columns, max_size=n_columns),
        min_size=n_rows,
        max_size=n_rows,
    ).map(lambda values: np.array(values, np.float32))


def normalised(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return (scores - np.logaddexp.reduce(scores, 1, keepdims=True)).astype(np.float32)


def step_all(beam: Beam, scores: NDArray[np.float32], first: int = 0) -> None:
    for step, log_p in enumerate(scores, first):
        beam.step(log_p, step)


def text_of(decided: Any) -> tuple[int, ...]:
    return tuple(each.symbol.symbol for each in decided)


@given(scores=st.integers(1, 5).flatmap(lambda n: score_arrays(n, N_SYMBOLS)).map(normalised),
       table=score_arrays(N_SYMBOLS, len(LABELS)))  # fmt: skip
@pytest.mark.slow
def test_a_wide_beam_finds_the_text_with_the_largest_sum_over_paths(
    scores: NDArray[np.float32], table: NDArray[np.float32]
) -> None:
    guide = PairGuide(table)
    beam = Beam(guide, SPACE, width=500)
    step_all(beam, scores)
    weights = text_weights(scores, guide)
    found = text_of(beam.finished())
    assert weights[found] == pytest.approx(max(weights.values()), rel=1e-4)


@given(scores=score_arrays(6, N_SYMBOLS).map(normalised))
@pytest.mark.slow
def test_a_narrow_beam_is_no_better_than_a_wide_one(scores: NDArray[np.float32]) -> None:
    weights = text_weights(scores, NO_PREFERENCE)
    found = []
    for width in (1, 4, 500):
        beam = Beam(NO_PREFERENCE, SPACE, width)
        step_all(beam, scores)
        found.append(weights[text_of(beam.finished())])
    assert found[0] <= found[2] * (1 + 1e-4)
    assert found[1] <= found[2] * (1 + 1e-4)


@given(
    scores=score_arrays(12, N_SYMBOLS).map(normalised),
    sure=st.floats(0.5, 1),
    cut=st.integers(0, 12),
)
@pytest.mark.slow
def test_decided_symbols_stay_and_copies_are_independent(
    scores: NDArray[np.float32], sure: float, cut: int
) -> None:
    beam = Beam(NO_PREFERENCE, SPACE, 8)
    decided: list[int] = []
    saved: tuple[Beam, list[int]] | None = None
    for step, log_p in enumerate(scores):
        if step == cut:
            saved = copy.copy(beam), list(decided)
        beam.step(log_p, step)
        decided += text_of(beam.decided(sure, step - 5))
    complete = decided + list(text_of(beam.finished()))
    assert all(before != SPACE or after != SPACE for before, after in itertools.pairwise(complete))
    if saved is not None:
        copied, decided_before = saved
        restored = copied.restored(msgpack.decode(msgpack.encode(copied.to_dict())))
        for other in (copied, restored):
            text = list(decided_before)
            for step, log_p in enumerate(scores[cut:], cut):
                other.step(log_p, step)
                text += text_of(other.decided(sure, step - 5))
            assert text + list(text_of(other.finished())) == complete


def test_symbols_are_decided_if_they_are_sure_enough_or_old() -> None:
    scores = np.log(np.array([[0.02, 0.5, 0.46, 0.02], [0.97, 0.01, 0.01, 0.01]], np.float32))
    beam = Beam(NO_PREFERENCE, SPACE, 8)
    step_all(beam, scores)
    assert beam.decided(0.9, -1) == []
    assert text_of(copy.copy(beam).decided(0.4, -1)) == (1,)
    assert text_of(beam.decided(0.9, 0)) == (1,)
    assert text_of(beam.finished()) == ()


def test_a_symbol_has_its_step_and_its_alternatives() -> None:
    certain = np.full((6, N_SYMBOLS), -9.0, np.float32)
    for step, symbol in enumerate((0, 1, 1, 0, 2, 0)):
        certain[step, symbol] = 0
    certain[4, 1] = -1.5
    beam = Beam(NO_PREFERENCE, SPACE, 8)
    step_all(beam, normalised(certain))
    first, second = (each.symbol for each in beam.finished())
    assert (first.symbol, first.step, second.symbol, second.step) == (1, 1, 2, 4)
    assert second.weights[2] > second.weights[1] > 0.1
    assert second.weights.sum() == pytest.approx(1)
