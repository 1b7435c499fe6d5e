"""The watchdog counts what stops the event loop, and the loop's tasks."""

import asyncio
import io
import time

import pytest

from inkstream.service.observe import logs, watchdog
from inkstream.service.observe.metrics import Metrics
from inkstream.service.observe.watchdog import Watchdog
from inkstream.service.server.frames import WebSocketConnection
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.raw_websocket import frame
from tests.service.server.test_connections import opened


def computing(seconds: float) -> None:
    """Use the processor for so long."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


async def idle(within_s: float) -> None:
    """Return once the loop has no timer due within so long."""
    loop = asyncio.get_running_loop()

    def timers() -> list[asyncio.TimerHandle]:
        due_s = loop.time() + within_s
        scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]
        return [timer for timer in scheduled if not timer.cancelled() and timer.when() < due_s]

    async with asyncio.timeout(DEADLINE_S):
        while timers():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def watched(metrics: Metrics, stop_s: float) -> None:
    """Compute for so long on a watched loop."""
    Watchdog(metrics).wake()
    await asyncio.sleep(0.03)
    computing(stop_s)
    await asyncio.sleep(0.03)


def stalls(metrics: Metrics, longer_than: str) -> int:
    """Return how many stalls were longer than the bound of a bucket."""
    counts = {
        line.split()[0]: float(line.split()[1])
        for line in metrics.render().decode().splitlines()
        if line.startswith("inkstream_loop_stall_seconds")
    }
    name = f'inkstream_loop_stall_seconds_bucket{{le="{longer_than}"}}'
    return int(counts["inkstream_loop_stall_seconds_count"] - counts[name])


async def test_a_stall_is_counted_and_logged_also_of_a_loop_that_was_idle(log: io.StringIO) -> None:
    logs.configure("json", "info", log)
    metrics = Metrics()
    for n_stalls in (1, 2):
        await watched(metrics, 0.2)
        assert stalls(metrics, "0.1") == n_stalls
        assert log.getvalue().count('"event": "event loop stood still"') == n_stalls
        await idle(1.0)


async def test_a_loop_that_waits_or_takes_short_steps_does_not_stall() -> None:
    metrics = Metrics()
    Watchdog(metrics).wake()
    await asyncio.sleep(0.05)
    time.sleep(0.1)  # noqa: ASYNC251 - as if the machine were busy elsewhere
    await asyncio.sleep(0.05)
    for stop_s in (0.0, 0.001):
        await watched(metrics, stop_s)
    assert stalls(metrics, "0.02") == 0


async def test_tasks_are_counted_while_the_loop_is_busy_and_when_it_becomes_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "COUNT_EVERY", 1)
    metrics = Metrics()
    watching = Watchdog(metrics)

    def counted() -> bool:
        return f"\ninkstream_tasks {len(asyncio.all_tasks())}.0\n" in metrics.render().decode()

    watching.wake()
    others = [asyncio.create_task(asyncio.sleep(DEADLINE_S)) for _ in range(3)]
    async with asyncio.timeout(DEADLINE_S):
        while not counted():
            watching.wake()
            await asyncio.sleep(0.01)
    for other in others:
        other.cancel()
    await asyncio.wait(others)
    await idle(1.0)
    assert counted()


async def test_an_idle_connection_leaves_no_timer_that_is_due_within_a_second() -> None:
    async with opened(WebSocketConnection, direct=True) as peer:
        peer.connection.data_received(frame(b"column"))
        assert peer.received == [b"column"]
        await idle(1.0)
