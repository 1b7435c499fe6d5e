"""A server under attack: what it may take, and what its neighbours may notice.

Times and memory are measured, so these tests are run by `make hostile`, on a machine that does
nothing else. Those without `Unnoticed`, which measure nothing, are run by `make test` too.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from inkstream.service.observe.watchdog import INTERVAL_S, LOGGED_S
from tests.helpers.target import Target
from tests.hostile.neighbours import Neighbours
from tests.hostile.pauses import Pauses

# What an attack may cost on two cores.
MAX_P99_MS = 25.0  # of a neighbour's column
MAX_STALL_S = LOGGED_S  # a bucket of inkstream_loop_stall_seconds, too
MAX_BYTES = 200 << 20  # above what the server took before
MAX_BYTES_AFTER = 30 << 20


class Unnoticed:
    """Runs a block as an attack on a server, and checks that nobody notices it."""

    def __init__(self, target: Target, neighbours: Neighbours, pauses: Pauses) -> None:
        self.target = target
        self._neighbours = neighbours
        self._pauses = pauses

    @contextmanager
    def _at_lowest_priority(self) -> Iterator[None]:
        """Run this thread, and those that it starts, on what the server and others leave.

        An attacker has a machine of its own, and takes no processor time from the server's.
        """
        before = os.sched_getscheduler(0)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        try:
            yield
        finally:
            os.sched_setscheduler(0, before, os.sched_param(0))

    @contextmanager
    def attack(self, *, settle_s: float = 1.0) -> Iterator[Target]:
        """Attack in the block, beside neighbours; afterwards check all figures.

        Their texts must be those of a line that nobody disturbs, and no traceback may be logged.
        `settle_s` is how long the server has to give back its memory and that of its page workers.
        """
        target = self.target
        n_stalls, n_logged = target.stalls(str(MAX_STALL_S)), len(target.log)
        before = target.memory.reset_peak()
        start_s = time.monotonic()
        with self._at_lowest_priority():
            yield target
        end_s = time.monotonic()
        p99_ms = self._neighbours.p99_ms(start_s, end_s)
        peak = target.memory.peak_bytes
        target.sleep(settle_s)
        n_stalls = target.stalls(str(MAX_STALL_S)) - n_stalls
        logged = target.log[n_logged:]
        stalls_s = [seconds_of(line, self._pauses) for line in logged if is_stall(line)]
        print(
            f"p99 {p99_ms:.1f} ms, memory {(peak - before) >> 20} MB more at most,"
            f" {(target.memory.own_bytes - before) >> 20} MB afterwards, {len(stalls_s)} stalls,"
            f" without the machine's pauses at most {1000 * max(stalls_s, default=0.0):.1f} ms"
        )
        assert not faults_in(logged)
        assert len(self._neighbours.lines) <= 1
        assert n_stalls == len(stalls_s)
        assert not [seconds for seconds in stalls_s if seconds > MAX_STALL_S]
        assert p99_ms < MAX_P99_MS
        assert peak - before < MAX_BYTES
        assert target.memory.own_bytes - before < MAX_BYTES_AFTER


def post_all(
    target: Target, query: str, count: int, threads: int, **body: Any
) -> list[httpx.Response]:
    """Post a body so many times, by threads that begin here; return the answers."""
    url = f"{target.http}/v1/recognize?{query}"

    def post(_: int) -> httpx.Response:
        return httpx.post(url, timeout=60, **body)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(post, range(count)))


def faults_in(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of a log that have a traceback, or are no JSON."""
    return [line for line in log if "exception" in line or "text" in line]


def is_stall(line: dict[str, Any]) -> bool:
    """Whether a line of the log says that the event loop stood still."""
    return bool(line["event"] == "event loop stood still")


def seconds_of(stall: dict[str, Any], pauses: Pauses) -> float:
    """Return how long the loop stood still, less the time for which the machine did.

    The line was written when it ended. What kept it may have begun before its timer was due.
    """
    end_s = datetime.fromisoformat(stall["timestamp"]).timestamp()
    seconds: float = stall["seconds"]
    return seconds - pauses.longest_s(end_s - seconds - INTERVAL_S, end_s)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that measure."""
    for item in items:
        if "unnoticed" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.hostile)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """Serve the shipped models with default settings."""
    flags = "--models", "lines,digits", "--languages", "english", "--log-level", "debug"
    with Target(*flags) as target:
        yield target


@pytest.fixture(scope="module")
def unnoticed(target: Target) -> Iterator[Unnoticed]:
    """Return what runs an attack and checks that nobody notices it."""
    neighbours, pauses = Neighbours(target.url), Pauses()
    try:
        neighbours.wait()
        yield Unnoticed(target, neighbours, pauses)
    finally:
        neighbours.close()
        pauses.close()
