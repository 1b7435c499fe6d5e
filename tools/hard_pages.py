"""Measure how long the hardest pages take, and how much memory: `python -m tools.hard_pages`.

A server reads each page of `tests.helpers.hard_pages` over REST. A line of JSON about each has the
status, the lines, the seconds from request to answer, and the growth of the server's memory in MB;
the last line has the largest of both. The exit code is 1 if one is beyond its bound.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial

import httpx

from tests.helpers.hard_pages import DRAWN, EXTREME, Grey, drawn
from tests.helpers.serving_process import serving_process
from tools.pages import encoded

MOST_S = 5.0  # on a core that does nothing else
MOST_MB = 400.0
PAGE = "/v1/recognize?page=true"
SIZES = ((2339, 1654), (1654, 2339), (600, 4000), (300, 300))  # A4 at 200 dots an inch, and others
SEEDS = 2
TIMEOUT_S = 600
MB = 1_000_000


def main() -> int:
    """Measure and print; return the exit code."""
    pages: dict[str, Callable[[], Grey]] = dict(EXTREME)
    pages |= {
        f"{height} x {width} of {name}, {seed}": partial(drawn, name, seed, height, width)
        for name in DRAWN
        for height, width in SIZES
        for seed in range(SEEDS)
    }
    longest_s = largest_mb = 0.0
    with (
        serving_process("lines") as serving,
        httpx.Client(base_url=serving.url, timeout=TIMEOUT_S) as client,
    ):
        idle_bytes = serving.own_bytes
        for name, draw in pages.items():
            content = encoded(draw(), "PNG")
            serving.reset_peak()
            started_s = time.perf_counter()
            answer = client.post(PAGE, content=content)
            taken_s = time.perf_counter() - started_s
            growth_mb = (serving.peak_bytes - idle_bytes) / MB
            n_lines = len(answer.json().get("lines", ()))
            longest_s, largest_mb = max(longest_s, taken_s), max(largest_mb, growth_mb)
            found = {"page": name, "status": answer.status_code, "lines": n_lines}
            print(json.dumps(found | {"s": round(taken_s, 2), "mb": round(growth_mb)}), flush=True)
    print(json.dumps({"longest_s": round(longest_s, 2), "largest_mb": round(largest_mb)}))
    return int(longest_s > MOST_S or largest_mb > MOST_MB)


if __name__ == "__main__":
    sys.exit(main())
