"""The beam against all ways in which a few steps may say a text, added up one by one."""

import copy
import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkstream.model.decoding.base import Guide
from inkstream.model.decoding.beam import Beam

LABELS = "ab "  # symbols 1, 2, 3
SPACE = 3
N_SYMBOLS = 1 + len(LABELS)


class Prefers(Guide):
    """A guide whose state is the text; it adds what a table says of each pair of characters."""

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


INDIFFERENT = Prefers(np.zeros((N_SYMBOLS, len(LABELS)), np.float32))


def spelt(way: tuple[int, ...]) -> tuple[int, ...]:
    """What a way through the steps says: runs are one symbol, and only single spaces count."""
    symbols = [symbol for symbol, _ in itertools.groupby(way) if symbol]
    said: list[int] = []
    for symbol in symbols:
        if symbol != SPACE or (said and said[-1] != SPACE):
            said.append(symbol)
    return tuple(said)


def all_ways(scores: NDArray[np.float32], guide: Prefers) -> dict[tuple[int, ...], float]:
    """The weight of every text."""
    weights: dict[tuple[int, ...], float] = {}
    for way in itertools.product(range(N_SYMBOLS), repeat=len(scores)):
        p = float(np.exp(sum(scores[step, symbol] for step, symbol in enumerate(way))))
        text = spelt(way)
        weights[text] = weights.get(text, 0.0) + p
    for text in weights:
        before = SPACE
        for symbol in text:
            weights[text] *= float(np.exp(guide.table[before, symbol - 1]))
            before = symbol
        weights[text] *= float(np.exp(guide.end(before)))
    return weights


def numbers(rows: int, columns: int) -> st.SearchStrategy[NDArray[np.float32]]:
    return st.lists(
        st.lists(st.floats(-4, 0, width=32), min_size=columns, max_size=columns),
        min_size=rows,
        max_size=rows,
    ).map(lambda values: np.array(values, np.float32))


def normalised(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return (scores - np.logaddexp.reduce(scores, 1, keepdims=True)).astype(np.float32)


def run(beam: Beam, scores: NDArray[np.float32], first: int = 0) -> None:
    for step, row in enumerate(scores, first):
        beam.step(row, step)


def text_of(decided: Any) -> tuple[int, ...]:
    return tuple(each.symbol.symbol for each in decided)


@given(scores=st.integers(1, 5).flatmap(lambda n: numbers(n, N_SYMBOLS)).map(normalised),
       table=numbers(N_SYMBOLS, len(LABELS)))  # fmt: skip
@pytest.mark.slow
def test_a_wide_beam_finds_the_text_that_all_ways_together_favour(
    scores: NDArray[np.float32], table: NDArray[np.float32]
) -> None:
    guide = Prefers(table)
    beam = Beam(guide, SPACE, width=500)
    run(beam, scores)
    weights = all_ways(scores, guide)
    found = text_of(beam.finished())
    assert weights[found] == pytest.approx(max(weights.values()), rel=1e-4)


@given(scores=numbers(6, N_SYMBOLS).map(normalised))
@pytest.mark.slow
def test_a_narrow_beam_is_no_better_than_a_wide_one(scores: NDArray[np.float32]) -> None:
    weights = all_ways(scores, INDIFFERENT)
    found = []
    for width in (1, 4, 500):
        beam = Beam(INDIFFERENT, SPACE, width)
        run(beam, scores)
        found.append(weights[text_of(beam.finished())])
    assert found[0] <= found[2] * (1 + 1e-4)
    assert found[1] <= found[2] * (1 + 1e-4)


@given(
    scores=numbers(12, N_SYMBOLS).map(normalised), sure=st.floats(0.5, 1), cut=st.integers(0, 12)
)
@pytest.mark.slow
def test_what_is_decided_stays_and_copies_go_on_alone(
    scores: NDArray[np.float32], sure: float, cut: int
) -> None:
    beam = Beam(INDIFFERENT, SPACE, 8)
    decided: list[int] = []
    kept: tuple[Beam, list[int]] | None = None
    for step, row in enumerate(scores):
        if step == cut:
            kept = copy.copy(beam), list(decided)
        beam.step(row, step)
        decided += text_of(beam.decided(sure, step - 5))
    whole = decided + list(text_of(beam.finished()))
    assert all(before != SPACE or after != SPACE for before, after in itertools.pairwise(whole))
    if kept is not None:
        other, again = kept
        stored = other.restored(json.loads(json.dumps(other.to_dict())))
        for way in (other, stored):
            said = list(again)
            for step, row in enumerate(scores[cut:], cut):
                way.step(row, step)
                said += text_of(way.decided(sure, step - 5))
            assert said + list(text_of(way.finished())) == whole


def test_what_nearly_all_agree_on_is_decided_and_what_is_old_in_any_case() -> None:
    scores = np.log(np.array([[0.02, 0.5, 0.46, 0.02], [0.97, 0.01, 0.01, 0.01]], np.float32))
    beam = Beam(INDIFFERENT, SPACE, 8)
    run(beam, scores)
    assert beam.decided(0.9, -1) == []
    assert text_of(copy.copy(beam).decided(0.4, -1)) == (1,)
    assert text_of(beam.decided(0.9, 0)) == (1,)
    assert text_of(beam.finished()) == ()


def test_a_symbol_has_its_step_and_its_alternatives() -> None:
    certain = np.full((6, N_SYMBOLS), -9.0, np.float32)
    for step, symbol in enumerate((0, 1, 1, 0, 2, 0)):
        certain[step, symbol] = 0
    certain[4, 1] = -1.5
    beam = Beam(INDIFFERENT, SPACE, 8)
    run(beam, normalised(certain))
    first, second = (each.symbol for each in beam.finished())
    assert (first.symbol, first.step, second.symbol, second.step) == (1, 1, 2, 4)
    assert second.weights[2] > second.weights[1] > 0.1
    assert second.weights.sum() == pytest.approx(1)
