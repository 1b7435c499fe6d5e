"""How fast messages may come that are not columns."""

from typing import Final

from inkstream.service.protocol.errors import TooManyControlError

BURST_S: Final = 5  # "for too long": messages of so many seconds may come at once


class Pace:
    """A token bucket: so many a second in the long run."""

    def __init__(self, rate_per_s: int) -> None:
        self.rate_per_s = rate_per_s
        self._left = float(BURST_S * rate_per_s)
        self._newest_s: float | None = None

    @property
    def error(self) -> TooManyControlError:
        """What is said to who does not keep it."""
        return TooManyControlError(
            "too many messages other than columns or too much ink,"
            f" allowed: {self.rate_per_s} a second"
        )

    def keeps(self, now_s: float, cost: int = 1) -> bool:
        """Count a message that comes now, or that it is as good as `cost` more; False if too many.

        Who has been silent for long may always send one message, whatever it costs.
        """
        since_s = 0.0 if self._newest_s is None else now_s - self._newest_s
        self._newest_s = now_s
        most = BURST_S * self.rate_per_s
        self._left = min(self._left + since_s * self.rate_per_s, most) - min(cost, most - 1)
        return self._left >= 0
