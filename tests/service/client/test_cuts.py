"""Connections to a real server that are cut anywhere: a program gets what it gets without cuts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from inkstream.service.client import stream as client
from inkstream.service.client.stream import Stream, connect_sync
from tests.helpers import builders
from tests.helpers.cutting_proxy import Cut, cutting_proxy
from tests.helpers.running_server import Running, server

Program = Callable[[Stream], Iterator[Any]]
N_CUTS: Final = 5
MOST_BYTES: Final = 300_000  # before a cut
SEEDS: Final = range(12)


@pytest.fixture(scope="module")
def running(line_weights: Path) -> Iterator[Running]:
    with server(line_weights, models="tiny,tiny_lines", ink_margin_columns=0) as running:
        yield running


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_WAIT_S", client.FIRST_WAIT_S)


def plan(seed: int) -> list[Cut]:
    """Return cuts in all phases: as many among the first bytes as among all."""
    rng = np.random.default_rng(seed)
    cuts = []
    for _ in range(N_CUTS):
        n_bytes = int(np.exp(rng.uniform(np.log(30), np.log(MOST_BYTES))))
        refused = int(rng.integers(3))
        if rng.random() < 0.5:
            cuts.append(Cut(received=n_bytes, refused=refused))
        else:
            cuts.append(Cut(sent=n_bytes // 10, refused=refused))
    return cuts


def write_columns(stream: Stream) -> Iterator[Any]:
    """Write lines of columns with flushes, rewinds, other options and an end of its own."""
    columns = builders.columns(900, 3, 16)
    yield stream.configure(snapshot_columns=64)
    yield from stream.send(columns)
    yield stream.flush()
    yield stream.rewind(700)
    yield from stream.send(columns[:250])
    yield stream.configure(top_k=2, characters="ab ")
    yield from stream.send(columns[:300])
    yield stream.reset()
    yield from stream.send(columns[:90])
    yield stream.configure(line_end_columns=5, snapshot_columns=512, characters=None)
    ended = np.concatenate([columns[1:2] | 1, np.zeros((6, 16), np.uint8), columns[:200] | 1])
    yield from stream.send(ended)
    yield stream.ended_line
    yield stream.end()


def write_ink(stream: Stream) -> Iterator[Any]:
    """Write lines of ink in pieces, with late strokes, undone strokes, pauses and fits."""
    x = np.arange(30, 3000, 6.0)
    wave = np.stack([x, 80 + 70 * np.sin(x / 30)], 1).tolist()
    yield stream.configure(snapshot_columns=64)
    for start in range(0, len(wave), 25):
        piece = {"id": "wave", "points": wave[start : start + 25], "last": False}
        yield from stream.ink([piece], 160)
        if start % 150 == 125:
            at = x[start] - 200
            yield from stream.ink([{"id": start, "points": [(at, 4), (at + 9, 150)]}], 160)
            yield stream.revised
        if start % 300 == 275:
            yield from stream.undo(start - 150)
    yield from stream.ink([{"id": "wave", "points": wave[-1:]}], 160, pause=True)
    yield stream.flush()
    yield from stream.ink([[(2900, 10), (2990, 150)]], 160, pause=True, fit=True)
    yield stream.revised
    yield stream.reset()
    yield from stream.ink([wave[:40], [(100, 4)]], 160)
    yield from stream.ink([[(60, 7)]], 160, pause=True, fit=True)
    yield stream.flush()
    yield stream.end()


def write_digits(stream: Stream) -> Iterator[Any]:
    """Write with a classifier."""
    yield from stream.send(builders.columns(300))
    yield stream.rewind(100)
    yield from stream.send(builders.columns(400))
    yield stream.flush()
    yield stream.end()


def answers(program: Program, url: str, model: str) -> tuple[list[Any], Any]:
    with connect_sync(url, model=model) as stream:
        return [*program(stream)], stream.reconnected


PROGRAMS: Final = {"tiny_lines": [write_columns, write_ink], "tiny": [write_digits]}


@pytest.mark.parametrize(
    ("model", "program"),
    [(model, program) for model, programs in PROGRAMS.items() for program in programs],
)
def test_a_program_gets_the_same_answers_wherever_its_connection_is_cut(
    running: Running, model: str, program: Program
) -> None:
    expected, reconnected = answers(program, running.url, model)
    assert reconnected is None
    n_cut = 0
    for seed in SEEDS:
        with cutting_proxy(running.port, [Cut(received=4000), *plan(seed)]) as (proxy, url):
            got, reconnected = answers(program, url, model)
            n_cut += proxy.n_cut
        assert got == expected, f"seed {seed}"
        assert reconnected is not None
    assert n_cut > 2 * len(SEEDS)
