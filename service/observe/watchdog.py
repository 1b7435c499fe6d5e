"""Measure how long the event loop stands still, which every session feels, and count its tasks.

While something comes in, a timer is due every `INTERVAL_S`; an idle loop has none. If the timer
comes late because the loop was computing, the loop stood still: by as much as the timer is late,
but no longer than the thread used the processor. So a busy machine, on which the whole process
waits, is no stall of ours.
"""

import asyncio
import time
from typing import Final

from inkstream.service.observe.logs import get_logger
from inkstream.service.observe.metrics import Metrics

INTERVAL_S: Final = 0.01
LOGGED_S: Final = 0.02  # for those who look for the cause of a stall
N_IDLE: Final = 10  # intervals in which nothing comes and the loop is not busy: then it is idle
COUNT_EVERY: Final = 200  # intervals; 1,500 tasks, of 500 sessions, are counted in 1 ms

log = get_logger()


class Watchdog:
    """Measures the running loop from each `wake` on until the loop is idle."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._timer: asyncio.TimerHandle | None = None
        self._n_left = 0  # intervals until the loop counts as idle
        self._n_measured = 0

    def wake(self) -> None:
        """Measure from now on: something has come in."""
        self._n_left = N_IDLE
        if self._timer is None:
            self._loop = asyncio.get_running_loop()
            self._wait()

    def _wait(self) -> None:
        self._due_s = self._loop.time() + INTERVAL_S
        self._worked_s = time.thread_time()
        self._timer = self._loop.call_at(self._due_s, self._measure)

    def _measure(self) -> None:
        late_s = self._loop.time() - self._due_s
        worked_s = time.thread_time() - self._worked_s
        if late_s > 0.005:
            stall_s = min(late_s, worked_s)
            self._metrics.stalled(stall_s)
            if stall_s > LOGGED_S:
                write = log.warning if stall_s > 0.1 else log.debug
                write("event loop stood still", seconds=round(stall_s, 4))
        is_busy = worked_s > 0.001  # s in this interval: the loop still works on what came
        self._n_left = N_IDLE if is_busy else self._n_left - 1
        self._n_measured += 1
        if self._n_left <= 0 or self._n_measured % COUNT_EVERY == 0:
            self._metrics.tasks(len(asyncio.all_tasks(self._loop)))
        if self._n_left > 0:
            self._wait()
        else:
            self._timer = None
