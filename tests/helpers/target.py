"""A server's process to be attacked: with its log, its metrics and its memory."""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from typing import Any, Self

from tests.helpers.command_line import INKSTREAM, ROOT
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.serving_process import ServingProcess


class Target:
    """`inkstream serve` on a free port; all its log lines are read, in `log`."""

    def __init__(self, *flags: str, **environment: str) -> None:
        command = [*INKSTREAM, "serve", "--port", "0", "--log-format", "json", *flags]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ | environment
        )
        self.log: list[dict[str, Any]] = []  # a line that is no JSON is under "text"
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            self.http = self.wait_for("serving")["url"]
        except AssertionError:
            self._end()
            raise
        self.port = int(self.http.rpartition(":")[2])
        self.url = f"ws://127.0.0.1:{self.port}/v1/stream"
        self.memory = ServingProcess(self.process.pid, self.http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for text in lines:
                try:
                    self.log.append(json.loads(text))
                except ValueError:
                    self.log.append({"event": "", "text": text})

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
