"""What the engine and the doors tell to whoever counts; `service/metrics.py` listens."""

from typing import Protocol


class Observer(Protocol):
    """Told what happens, where it happens; no method may fail or wait."""

    def sessions(self, count: int) -> None:
        """So many sessions are connected now."""

    def ran(self, sessions: int, columns: int, run_s: float, wait_s: float) -> None:
        """One run answered `columns` columns; its oldest session had waited `wait_s` seconds."""

    def error(self, code: str) -> None:
        """An error was sent to a client."""

    def refused(self, reason: str) -> None:
        """A session or request was turned away before it began."""
