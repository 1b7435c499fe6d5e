"""How fast messages may come that are not columns."""

from typing import Final

BURST_S: Final = 5  # "for too long": messages of so many seconds may come at once


class Pace:
    """A token bucket: so many a second in the long run."""

    def __init__(self, rate_per_s: int) -> None:
        self.rate_per_s = rate_per_s
        self._left = float(BURST_S * rate_per_s)
        self._newest_s: float | None = None

    def keeps(self, now_s: float, cost: int = 1) -> bool:
        """Count a message that comes now and is as good as `cost`; False if that is too many.

        Who has been silent for long may always send one message, whatever it costs.
        """
        since_s = 0.0 if self._newest_s is None else now_s - self._newest_s
        self._newest_s = now_s
        most = BURST_S * self.rate_per_s
        self._left = min(self._left + since_s * self.rate_per_s, most) - min(cost, most)
        return self._left >= 0
