"""An event loop whose time is simulated: where nothing is ready, it jumps to the next timer."""

import asyncio
import selectors
from typing import Any, Final

LONGEST_S: Final = 86_400.0  # a history takes minutes, unless a client reconnects for ever


class StuckError(Exception):
    """Nothing will ever happen again, or the same for ever: something waits in vain."""


class _Selector(selectors.SelectSelector):
    """Waits for no socket; moves the time on instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("no timer is set, and nothing is ready")
        self.now_s += max(timeout, 0.0)
        if self.now_s > LONGEST_S:
            raise StuckError(f"it is not over after {LONGEST_S:g} s")
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Runs tasks in an order that depends on nothing but what they do."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the simulated time in seconds."""
        return self._clock.now_s
