"""Metrics for Prometheus, counted where it happens: by the engine and the endpoints.

Each app has its own registry, so that two apps in a process (tests) never share a count.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from inkstream.service.logs import dropped_lines

PREFIX: Final = "inkstream_"
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

BATCH_SESSIONS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# From one step of a small net (40 us measured) to a full batch of a large one on a busy machine.
RUN_SECONDS: Final = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5)
WAIT_SECONDS: Final = (1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0, 5.0)
STALL_SECONDS: Final = (5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5)
REQUEST_SECONDS: Final = (1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class _DroppedLines(Collector):
    """Counts the lines of the log that were dropped, which belong to the process and to no app."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        text = "Lines of the log that were dropped because nobody read those before them."
        yield CounterMetricFamily(PREFIX + "log_lines_dropped", text, value=dropped_lines())


class Metrics:
    """All metrics of one app. The methods that count neither fail nor wait."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_DroppedLines())
        self._sessions = Gauge(
            PREFIX + "sessions", "Sessions connected now.", registry=self.registry
        )
        self._columns = self._counter("columns", "Columns answered.")
        self._errors = self._counter("errors", "Errors sent to clients, by code.", "code")
        self._refused = self._counter("refused", "Visitors turned away, by reason.", "reason")
        self._batch_sessions = self._histogram(
            "batch_sessions", "Sessions that shared one run of the net.", BATCH_SESSIONS
        )
        self._run_seconds = self._histogram(
            "run_seconds", "Time of one run of the net.", RUN_SECONDS
        )
        self._wait_seconds = self._histogram(
            "queue_wait_seconds", "Wait of the oldest session of a run for its turn.", WAIT_SECONDS
        )
        self._stall_seconds = self._histogram(
            "loop_stall_seconds",
            "Time for which the event loop stood still and computed, 5 ms and longer.",
            STALL_SECONDS,
        )
        self._requests = self._histogram(
            "request_seconds", "Time of an image by REST, by status.", REQUEST_SECONDS, "status"
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self.registry)

    def sessions(self, count: int) -> None:
        """Set how many sessions are open; a state and no difference, so that it cannot drift."""
        self._sessions.set(count)

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

    def render(self) -> bytes:
        """Return the registry in Prometheus' text format."""
        return generate_latest(self.registry)
