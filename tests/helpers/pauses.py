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
import subprocess
import sys
import threading
import time

from tests.helpers.command_line import ROOT

PERIOD_S = 0.001
NOTED_S = 0.005  # waking takes less
PRIORITY = 50  # of 1 to 99: before all programs, after the kernel's own threads


class Pauses:
    """A process on each processor that notes when it wakes late, until it is closed."""

    def __init__(self) -> None:
        self._spans: list[list[tuple[float, float]]] = []  # begin and end, by processor
        self._processes = []
        self._readers = []
        for cpu in sorted(os.sched_getaffinity(0)):
            command = [sys.executable, "-m", "tests.helpers.pauses", str(cpu)]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            self._spans.append([])
            arguments = process, self._spans[-1]
            reader = threading.Thread(target=self._read, args=arguments, daemon=True)
            reader.start()
            self._processes.append(process)
            self._readers.append(reader)

    def _read(self, process: "subprocess.Popen[str]", spans: list[tuple[float, float]]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for text in lines:
                begin_s, end_s = json.loads(text)
                spans.append((begin_s, end_s))

    def longest_s(self, begin_s: float, end_s: float) -> float:
        """Return for how long between two times (`time.time`) a processor stood still.

        That of the processor which stood still longest.
        """
        return max(
            sum(max(0.0, min(end_s, end) - max(begin_s, begin)) for begin, end in [*spans])
            for spans in self._spans
        )

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        for reader in self._readers:
            reader.join()


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
