"""Real connections that are cut anywhere: a program hears what it hears without cuts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from inkstream.service.client import stream as client
from inkstream.service.client.stream import SyncStream, connect, connect_sync
from tests.helpers import builders
from tests.helpers.proxies import Cut, cutting_proxy
from tests.helpers.running_server import Running, server
from tests.simulation.programs import Heard, Program, Step, columns_program, ink_program

N_SEEDS = 12


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
    cuts = [Cut(received=4000)]
    for _ in range(5):
        n_bytes = int(np.exp(rng.uniform(np.log(30), np.log(300_000))))
        refused = int(rng.integers(3))
        if rng.random() < 0.5:
            cuts.append(Cut(received=n_bytes, refused=refused))
        else:
            cuts.append(Cut(sent=n_bytes // 10, refused=refused))
    return cuts


async def heard_by(steps: list[Step], url: str) -> tuple[list[Heard], bool]:
    """Return what a program hears, and whether its connection was replaced."""
    async with connect(url, model="tiny_lines") as stream:
        heard = [step async for step in Program(steps).run(stream)]
        return heard, stream.reconnected is not None


@pytest.mark.slow
@pytest.mark.parametrize("program", [columns_program, ink_program])
async def test_a_program_hears_the_same_wherever_its_connection_is_cut(
    running: Running, program: Callable[[Random], list[Step]]
) -> None:
    n_cut = 0
    for seed in range(N_SEEDS):
        rng = Random(seed)
        steps = [*program(rng)[:-1], *program(rng)[:-1], *program(rng)]  # each ends the stream
        steps = [step for step in steps if step[0] != "sleep"]
        expected = await heard_by(steps, running.url)
        with cutting_proxy(running.port, plan(seed)) as (proxy, url):
            assert await heard_by(steps, url) == (expected[0], proxy.n_cut > 0), f"seed {seed}"
            n_cut += proxy.n_cut
    assert n_cut > 2 * N_SEEDS


def digits(stream: SyncStream) -> Iterator[object]:
    """Write with a classifier, without asyncio; yield all answers."""
    yield from stream.send(builders.columns(300))
    yield stream.rewind(100)
    yield from stream.send(builders.columns(400))
    yield stream.flush()
    yield stream.end()


@pytest.mark.slow
def test_a_classifier_is_heard_the_same_without_asyncio(running: Running) -> None:
    with connect_sync(running.url, model="tiny") as stream:
        expected = [*digits(stream)]
    for seed in range(N_SEEDS):
        with (
            cutting_proxy(running.port, plan(seed)) as (_, url),
            connect_sync(url, model="tiny") as stream,
        ):
            assert [*digits(stream)] == expected, f"seed {seed}"
            assert stream.reconnected is not None
