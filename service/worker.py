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
Order = tuple[asyncio.Future[Any], Job]


class Worker:
    """Does one job after another and tells the event loop the outcome."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="inkstream-net", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End after the job at hand, and wait for that; what was ordered later is not done."""
        self._orders.put(None)
        self._thread.join()

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Order a job; the future of the running loop gets what it returns or raises."""
        future = asyncio.get_running_loop().create_future()
        self._orders.put((future, job))
        return future

    def _serve(self) -> None:
        while (order := self._orders.get()) is not None:
            future, job = order
            try:
                outcome = job()
            except Exception as error:
                future.get_loop().call_soon_threadsafe(_fail, future, error)
            else:
                future.get_loop().call_soon_threadsafe(_settle, future, outcome)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():  # nobody waits any more
        future.set_result(outcome)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
