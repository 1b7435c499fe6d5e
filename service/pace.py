"""How fast messages may come that are not columns."""

from typing import Final

BURST_S: Final = 5  # "for too long": messages of so many seconds may come at once


class Pace:
    """A token bucket: so many a second in the long run."""

    def __init__(self, rate_per_s: int) -> None:
        self.rate_per_s = rate_per_s
        self._left = float(BURST_S * rate_per_s)
        self._newest_s: float | None = None

    def keeps(self, now_s: float) -> bool:
        """Count one message that comes now; False if it is one too many."""
        since_s = 0.0 if self._newest_s is None else now_s - self._newest_s
        self._newest_s = now_s
        self._left = min(self._left + since_s * self.rate_per_s, BURST_S * self.rate_per_s) - 1
        return self._left >= 0
