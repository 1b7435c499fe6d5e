"""How long the machine itself stands still: all its programs, whatever their priority.

A virtual machine is taken off its processors for some 10 ms now and then. The kernel does not know
it, and counts that time as the processor time of whatever ran, so a server's watchdog cannot tell
it from work. What can is a thread of real-time priority, which the kernel wakes before all others:
if it wakes late, nothing could run. cyclictest measures in the same way (rt-tests).

Run as a module with the number of a processor, it prints each pause as a line of JSON.
"""

import gc
import json
import os
import sys
import time

from tests.helpers.target import Reports

PERIOD_S = 0.001
NOTED_S = 0.005  # waking takes less
PRIORITY = 50  # of 1 to 99: before all programs, after the kernel's own threads


class Pauses:
    """A process on each processor that notes when it wakes late, until it is closed."""

    def __init__(self) -> None:
        self._processors = [
            Reports([sys.executable, "-m", "tests.hostile.pauses", str(cpu)])
            for cpu in sorted(os.sched_getaffinity(0))
        ]

    def longest_s(self, begin_s: float, end_s: float) -> float:
        """Return for how long between two times (`time.time`) a processor stood still.

        That of the processor which stood still longest.
        """

        def stood_still_s(spans: list[tuple[float, float]]) -> float:
            return sum(max(0.0, min(end_s, end) - max(begin_s, begin)) for begin, end in spans)

        return max(stood_still_s([*processor.reports]) for processor in self._processors)

    def close(self) -> None:
        """End the processes."""
        for processor in self._processors:
            processor.close()


def _main(cpu: int) -> None:
    os.sched_setaffinity(0, {cpu})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        print("pauses of the machine count as the server's: no real-time priority", file=sys.stderr)
        return
    due_s = time.time() + PERIOD_S
    while True:
        time.sleep(max(0.0, due_s - time.time()))
        now_s = time.time()
        if now_s - due_s > NOTED_S:
            print(json.dumps((due_s, now_s)), flush=True)
        due_s = now_s + PERIOD_S


if __name__ == "__main__":
    gc.disable()
    _main(int(sys.argv[1]))
