"""One thread beside the event loop, for the net alone.

`ThreadPoolExecutor` does as much with several locks and a dozen calls a job. Each of those is a
chance to lose the interpreter to the event loop and to be woken for it again: over 64 WebSockets at
one column a message a column cost 1.2 times as much processor time.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

Job = Callable[[], Any]
Done = Callable[[Any], None]  # hears what the job returned
Failed = Callable[[Exception], None]  # hears what it raised
Order = tuple[Job, Done, Failed]


class Worker:
    """Does one job after another, and tells the event loop the outcome in the same order."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="inkstream-net", daemon=True)
        self._stopped = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to work; outcomes are told on `loop`."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """End after the job at hand, and wait for that; no outcome is told any more."""
        self._stopped = True
        self._orders.put(None)
        self._thread.join()

    def submit(self, job: Job, done: Done, failed: Failed) -> None:
        """Order a job; the loop calls `done` with what it returns, or `failed` with its error."""
        self._orders.put((job, done, failed))

    def _serve(self) -> None:
        while (order := self._orders.get()) is not None and not self._stopped:
            job, done, failed = order
            try:
                outcome = job()
            except Exception as error:  # any: the engine logs it and tries each session alone
                self._loop.call_soon_threadsafe(self._tell, failed, error)
            else:
                self._loop.call_soon_threadsafe(self._tell, done, outcome)

    def _tell(self, listener: Callable[[Any], None], outcome: Any) -> None:
        if not self._stopped:
            listener(outcome)
