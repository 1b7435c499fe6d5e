"""Metrics for Prometheus, counted where it happens: by the engine and the endpoints.

Each app has its own registry, so that two apps in a process (tests) never share a count.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

PREFIX: Final = "inkstream_"
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks for it


def share(folder: Path, number: int) -> None:
    """Keep the metrics that are made from now on in files of a folder that all workers share.

    Each of them then renders the sums. `number` tells the workers that live at the same time apart;
    a worker goes on with the counts of an earlier one of its number.
    """
    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)


class Metrics:
    """All metrics of one app. The methods that count neither fail nor wait."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._sessions = self._gauge("sessions", "Sessions connected now.")
        self._workers = self._gauge("workers", "Processes that accept connections.")
        self._tasks = self._gauge("tasks", "Tasks of asyncio that have not ended.")
        self._columns = self._counter("columns", "Columns answered.")
        self._errors = self._counter("errors", "Errors sent to clients, by code.", "code")
        self._errors.labels("internal")  # 0 from the start: an alert sees the first one
        self._refused = self._counter("refused", "Visitors turned away, by reason.", "reason")
        self._lines_dropped = self._counter(
            "log_lines_dropped",
            "Lines of the log that were dropped because nobody read those before them.",
        )
        self._batch_sessions = self._histogram(
            "batch_sessions",
            "Sessions that shared one run of the net.",
            (1, 2, 4, 8, 16, 32, 64, 128, 256),
        )
        self._run_seconds = self._histogram(
            "run_seconds",
            "Time of one run of the net.",
            # From a step of a small net (40 us) to a full batch of a large one on a busy machine.
            (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5),
        )
        self._wait_seconds = self._histogram(
            "queue_wait_seconds",
            "Wait of the oldest session of a run for its turn.",
            (1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0, 5.0),
        )
        self._stall_seconds = self._histogram(
            "loop_stall_seconds",
            "Time for which the event loop stood still and computed, 5 ms and longer.",
            (5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5),
        )
        self._requests = self._histogram(
            "request_seconds",
            "Time of an image by REST, by status.",
            (1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
            "status",
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(PREFIX + name, text, registry=self.registry, multiprocess_mode="livesum")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self.registry)

    def sessions(self, count: int) -> None:
        """Set how many sessions are open; a state and no difference, so that it cannot drift."""
        self._sessions.set(count)

    def accepts(self, is_accepting: bool) -> None:
        """Set whether this process accepts connections."""
        self._workers.set(is_accepting)

    def tasks(self, count: int) -> None:
        """Set how many tasks the event loop has."""
        self._tasks.set(count)

    def ran(self, sessions: int, columns: int, run_s: float, wait_s: float) -> None:
        """Count a run of the net; its oldest session had waited `wait_s` seconds."""
        self._batch_sessions.observe(sessions)
        self._columns.inc(columns)
        self._run_seconds.observe(run_s)
        self._wait_seconds.observe(wait_s)

    def held(self, columns: int) -> None:
        """Count columns that wait for their partners, and so were answered without a run."""
        self._columns.inc(columns)

    def stalled(self, stall_s: float) -> None:
        """Count a time in which the event loop stood still."""
        self._stall_seconds.observe(stall_s)

    def requested(self, status: int, request_s: float) -> None:
        """Count a request for recognition that was answered by REST."""
        self._requests.labels(str(status)).observe(request_s)

    def error(self, code: str) -> None:
        """Count an error that was sent to a client."""
        self._errors.labels(code).inc()

    def refused(self, reason: str) -> None:
        """Count a session or request that was refused before it began."""
        self._refused.labels(reason).inc()

    def line_dropped(self) -> None:
        """Count a line of the log that was dropped."""
        self._lines_dropped.inc()

    def render(self) -> bytes:
        """Return the metrics, those of all workers together, in Prometheus' text format."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)
