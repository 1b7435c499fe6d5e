"""The limit on messages other than columns: a token bucket."""

from dataclasses import dataclass
from typing import Final

BURST_S: Final = 5  # tokens of so many seconds may be spent at once


@dataclass(slots=True)
class TokenBucket:
    """Holds tokens, of which `rate_per_s` a second come in the long run."""

    rate_per_s: int
    tokens: float
    newest_s: float | None = None  # when tokens were last spent

    @classmethod
    def full(cls, rate_per_s: int) -> "TokenBucket":
        """Return a bucket with the tokens of `BURST_S` seconds."""
        return cls(rate_per_s, float(BURST_S * rate_per_s))

    def spend(self, now_s: float, cost: int = 1) -> bool:
        """Spend `cost` tokens; return False if the bucket is overdrawn.

        A full bucket allows one message of any cost.
        """
        since_s = 0.0 if self.newest_s is None else now_s - self.newest_s
        self.newest_s = now_s
        capacity = BURST_S * self.rate_per_s
        refilled = min(self.tokens + since_s * self.rate_per_s, capacity)
        self.tokens = refilled - min(cost, capacity - 1)
        return self.tokens >= 0
