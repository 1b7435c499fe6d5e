"""Paced sessions in a process of their own, which must not notice that a server is attacked.

Each sends the columns of one line, 50 a second, again and again. Run as a module with a URL, it
prints what the sessions see, once in a while, as a line of JSON: for each column when it was due
and after how long its result came, and the texts of lines that have ended.
"""

import asyncio
import gc
import json
import sys
import time
from typing import Any

import numpy as np

from inkstream.service.client.stream import connect
from tests.helpers.builders import columns as some_columns
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.target import Reports

N_SESSIONS = 20
COLUMNS_PER_S = 50.0
REPORT_S = 0.1
ANSWERED_S = 5.0  # within which a column must have its result


class Neighbours(Reports):
    """A process of sessions, and what they have seen since it began."""

    def __init__(self, url: str) -> None:
        super().__init__([sys.executable, "-m", "tests.hostile.neighbours", url])

    @property
    def _results(self) -> list[tuple[float, float]]:
        """When each column was due, and the milliseconds to its result."""
        return [(due_s, ms) for report in [*self.reports] for due_s, ms in report["results"]]

    @property
    def lines(self) -> set[str]:
        """The texts of the lines."""
        return {text for report in [*self.reports] for text in report["lines"]}

    def wait(self) -> None:
        """Wait for the first results."""
        end_s = time.monotonic() + DEADLINE_S
        while not self._results:
            assert time.monotonic() < end_s, "columns have no results"
            time.sleep(REPORT_S)

    def p99_ms(self, start_s: float, end_s: float) -> float:
        """Return the time to a result of the columns that were due between two times.

        Fails if they do not all come, or the sessions have ended.
        """
        while (results := self._results)[-1][0] <= end_s:
            assert time.monotonic() < end_s + ANSWERED_S, "columns have no results"
            assert self.process.poll() is None, "the sessions have ended"
            time.sleep(REPORT_S)
        times_ms = [ms for due_s, ms in results if start_s <= due_s < end_s]
        expected = N_SESSIONS * COLUMNS_PER_S * (end_s - start_s)
        assert len(times_ms) > expected / 2, f"{len(times_ms)} results, expected {expected:.0f}"
        return float(np.percentile(times_ms, 99))


async def _write(url: str, number: int, seen: dict[str, list[Any]]) -> None:
    """Write lines for ever, and add what is seen."""
    async with connect(url) as stream:
        line = some_columns(100, 0, stream.ready.column_height)
        await asyncio.sleep(number / N_SESSIONS / COLUMNS_PER_S)
        while True:
            due_s = time.monotonic()
            for column in line:
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                async for _ in stream.send(column[None]):
                    seen["results"].append((due_s, 1000 * (time.monotonic() - due_s)))
                due_s += 1 / COLUMNS_PER_S
            flushed = await stream.flush()
            seen["lines"].append(str(flushed.text if flushed.text is not None else flushed.label))
            await stream.reset()


async def _main(url: str) -> None:
    seen: dict[str, list[Any]] = {"results": [], "lines": []}
    async with asyncio.TaskGroup() as sessions:
        for number in range(N_SESSIONS):
            sessions.create_task(_write(url, number, seen))
        while True:
            await asyncio.sleep(REPORT_S)
            report = json.dumps(seen)
            seen["results"].clear()
            seen["lines"].clear()
            # The reader may be slow: its process attacks at the lowest priority.
            await asyncio.to_thread(print, report, flush=True)


if __name__ == "__main__":
    gc.disable()  # a collection takes 0.1 s here, for which the server would be blamed
    asyncio.run(_main(*sys.argv[1:]))
