"""Watch how long the event loop stands still, which every session feels, and count its tasks.

A timer is due every `INTERVAL_S`. If it comes late because the loop was computing, the loop stood
still: by as much as the timer is late, but no longer than the thread used the processor. So a busy
machine, on which the whole process waits, is no stall of ours.
"""

import asyncio
import time
from typing import Final

from inkstream.service.logs import get_logger
from inkstream.service.metrics import Metrics

INTERVAL_S: Final = 0.01
NOTED_S: Final = 0.005  # shorter stalls are not counted
LOGGED_S: Final = 0.02  # for those who look for its cause
WARNED_S: Final = 0.1
COUNT_EVERY_S: Final = 2.0  # 1,500 tasks, of 500 sessions, are counted in 1 ms

log = get_logger()


class Watchdog:
    """Measures the loop on which it was started, until it is stopped."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def start(self) -> None:
        """Begin on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._wait()
        self._count()

    def stop(self) -> None:
        """Measure no more."""
        self._timer.cancel()
        self._counter.cancel()

    def _count(self) -> None:
        self._metrics.tasks(len(asyncio.all_tasks(self._loop)))
        self._counter = self._loop.call_later(COUNT_EVERY_S, self._count)

    def _wait(self) -> None:
        self._due_s = self._loop.time() + INTERVAL_S
        self._worked_s = time.thread_time()
        self._timer = self._loop.call_at(self._due_s, self._measure)

    def _measure(self) -> None:
        late_s = self._loop.time() - self._due_s
        if late_s > NOTED_S:
            stall_s = min(late_s, time.thread_time() - self._worked_s)
            self._metrics.stalled(stall_s)
            if stall_s > LOGGED_S:
                write = log.warning if stall_s > WARNED_S else log.debug
                write("event loop stood still", seconds=round(stall_s, 4))
        self._wait()
