"""The watchdog counts what stops the event loop, and the loop's tasks."""

import asyncio
import io
import time

import pytest

from inkstream.service import logs, watchdog
from inkstream.service.metrics import Metrics
from inkstream.service.watchdog import Watchdog
from tests.helpers.engine_sessions import DEADLINE_S


def computing(seconds: float) -> None:
    """Use the processor for so long."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


async def watched(metrics: Metrics, stop_s: float) -> None:
    """Compute for so long on a watched loop."""
    watchdog = Watchdog(metrics)
    watchdog.start()
    await asyncio.sleep(0.03)
    computing(stop_s)
    await asyncio.sleep(0.03)
    watchdog.stop()


def stalls(metrics: Metrics, longer_than: str) -> int:
    """Return how many stalls were longer than the bound of a bucket."""
    counts = {
        line.split()[0]: float(line.split()[1])
        for line in metrics.render().decode().splitlines()
        if line.startswith("inkstream_loop_stall_seconds")
    }
    name = f'inkstream_loop_stall_seconds_bucket{{le="{longer_than}"}}'
    return int(counts["inkstream_loop_stall_seconds_count"] - counts[name])


async def test_a_stall_is_counted_and_a_long_one_is_logged(log: io.StringIO) -> None:
    logs.configure("json", "info", log)
    metrics = Metrics()
    await watched(metrics, 0.2)
    assert stalls(metrics, "0.1") == 1
    assert '"event": "event loop stood still"' in log.getvalue()


async def test_a_loop_that_waits_is_no_stall() -> None:
    metrics = Metrics()
    watchdog = Watchdog(metrics)
    watchdog.start()
    await asyncio.sleep(0.05)
    time.sleep(0.1)  # noqa: ASYNC251 - as if the machine were busy elsewhere
    await asyncio.sleep(0.05)
    watchdog.stop()
    assert stalls(metrics, "0.02") == 0


@pytest.mark.parametrize("stop_s", [0.0, 0.001])
async def test_short_steps_are_no_stalls(stop_s: float) -> None:
    metrics = Metrics()
    await watched(metrics, stop_s)
    assert stalls(metrics, "0.02") == 0


async def test_tasks_are_counted_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "COUNT_EVERY_S", 0.01)
    metrics = Metrics()
    watching = Watchdog(metrics)

    async def wait_until_counted(count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while f"\ninkstream_tasks {count:.1f}\n" not in metrics.render().decode():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    watching.start()
    others = [asyncio.create_task(asyncio.sleep(DEADLINE_S)) for _ in range(3)]
    await wait_until_counted(len(asyncio.all_tasks()))
    for other in others:
        other.cancel()
    await asyncio.wait(others)
    await wait_until_counted(len(asyncio.all_tasks()))
    watching.stop()
