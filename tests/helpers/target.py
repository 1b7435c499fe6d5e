"""A server in a process of its own: with its log, its metrics and its memory."""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import psutil

from tests.helpers.command_line import INKSTREAM, ROOT
from tests.helpers.engine_sessions import DEADLINE_S


class Reports:
    """A process, and the lines of JSON that it prints, which a thread reads.

    A line that is no JSON is kept as an event without a name, under "text".
    """

    def __init__(self, command: Sequence[str], prints_to: str = "stdout", **options: Any) -> None:
        self._command, self._prints_to = command, prints_to
        self._options: dict[str, Any] = {"cwd": ROOT, "text": True, prints_to: subprocess.PIPE}
        self._options |= options
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.reports: list[Any] = []
        self.process: subprocess.Popen[str] = subprocess.Popen(self._command, **self._options)
        lines = getattr(self.process, self._prints_to)
        self._reader = threading.Thread(target=self._read, args=[lines], daemon=True)
        self._reader.start()

    def _read(self, lines: Any) -> None:
        with lines:
            for text in lines:
                try:
                    self.reports.append(json.loads(text))
                except ValueError:
                    self.reports.append({"event": "", "text": text})

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self._reader.join()


class Target(Reports):
    """`inkstream serve` on a free port; all its log lines are read, in `log`."""

    def __init__(
        self, *flags: str, command: Sequence[str] = (), stdout: Any = None, **environment: Any
    ) -> None:
        """Start it, behind a command if there is one, and wait until it serves."""
        command = [*command, *INKSTREAM, "serve", "--port", "0", "--log-format", "json", *flags]
        super().__init__(command, "stderr", env=os.environ | environment, stdout=stdout)

    def start(self) -> None:
        """Start it, and wait until it serves."""
        super().start()
        try:
            self.http = self.wait_for("serving")["url"]
        except AssertionError:
            self.close()
            raise
        self.port = int(self.http.rpartition(":")[2])
        self.url = f"ws://127.0.0.1:{self.port}/v1/stream"
        self.memory = Memory(self.process.pid)

    @property
    def log(self) -> list[dict[str, Any]]:
        """All lines of its log."""
        return self.reports

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for(self, event: str, start: int = 0) -> dict[str, Any]:
        """Return the first line of the log, from place `start` on, with this event."""
        end_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < end_s:
            for line in self.log[start:]:
                if line["event"] == event:
                    return line
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.01)
        raise AssertionError(f"no {event!r} in {self.log[-20:]}")

    def sleep(self, seconds: float) -> None:
        """Wait; the server must still run afterwards."""
        time.sleep(seconds)
        assert self.process.poll() is None

    def stop(self, signal_number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code, and the seconds that it took."""
        start_s = time.monotonic()
        self.process.send_signal(signal_number)
        return self.process.wait(DEADLINE_S), time.monotonic() - start_s

    def restart(self) -> None:
        """Have it drain and end, and start it again; flags should name its port."""
        code, _ = self.stop()
        assert code == 0
        self.start()

    def metrics(self) -> dict[str, float]:
        """Return all metrics by their names with labels."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=DEADLINE_S) as response:
            lines = response.read().decode().splitlines()
        pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name: float(value) for name, _, value in pairs}

    def metric(self, name: str) -> float:
        """Return the value of a metric with its labels; 0 if it was never counted."""
        return self.metrics().get(name, 0.0)

    def stalls(self, longer_than: str) -> float:
        """Return how often the event loop stood still for longer than the bound of a bucket."""
        name, metrics = "inkstream_loop_stall_seconds", self.metrics()
        return metrics[f"{name}_count"] - metrics[f'{name}_bucket{{le="{longer_than}"}}']


class Memory:
    """The memory of a server's process and its page workers.

    Pages of files are not counted: programs and libraries are in the machine's memory once, however
    many processes map them, and the system drops them when it needs room. Each page worker maps
    50 MB that the server maps too. Proportional shares (PSS) divide them, but by all processes of
    the machine, and the kernel keeps no peak of them. It does of all that is resident (proc(5)).
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._file_bytes: dict[int, int] = {}  # by process, at `reset_peak`

    @property
    def own_bytes(self) -> int:
        """Return the memory that it takes now."""
        statuses = filter(None, map(_status, self._pids()))
        return sum(status["VmRSS"] - status["RssFile"] for status in statuses)

    @property
    def peak_bytes(self) -> int:
        """Return at least the most memory that it took since `reset_peak`.

        That is the peak of each process that still runs, less the pages of files that it had all
        the time. A page worker that was started later had nearly all when its first request came.
        """
        total = 0
        for pid in self._pids():
            if status := _status(pid):
                now = status["RssFile"]
                total += status["VmHWM"] - min(now, self._file_bytes.get(pid, now))
        return total

    def reset_peak(self) -> int:
        """Let the peak begin with the present memory, and return that."""
        present = self.own_bytes
        self._file_bytes.clear()
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            self._file_bytes[pid] = _status(pid).get("RssFile", 0)
        return present

    def _pids(self) -> list[int]:
        return [self._pid, *(child.pid for child in psutil.Process(self._pid).children())]


def _status(pid: int) -> dict[str, int]:
    """Return the kinds of memory of a process in bytes; nothing of one that has just ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = [line.split(":", 1) for line in lines if line.endswith(" kB")]
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}
