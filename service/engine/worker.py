"""One thread beside the event loop, for the net alone.

`ThreadPoolExecutor` does the same with several locks and a dozen calls a job. Each of those is a
chance to lose the interpreter to the event loop and to be woken for it again: over 64 WebSockets at
one column a message a column cost 1.2 times as much processor time.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

Job = Callable[[], Any]
OnResult = Callable[[Any], None]  # gets what the job returned
OnError = Callable[[Exception], None]  # gets what it raised


class Worker:
    """Runs one job after another; the event loop gets their outcomes in the same order."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Job, OnResult, OnError] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="inkstream-net", daemon=True)
        self._stopped = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; outcomes are handed out on `loop`."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """Stop after the job under way, and wait for it; no outcome is handed out any more."""
        self._stopped = True
        self._jobs.put(None)
        self._thread.join()

    def submit(self, job: Job, on_result: OnResult, on_error: OnError) -> None:
        """Run a job; the loop calls `on_result` with what it returns, or `on_error`."""
        self._jobs.put((job, on_result, on_error))

    def _run(self) -> None:
        while (order := self._jobs.get()) is not None and not self._stopped:
            job, on_result, on_error = order
            try:
                result = job()
            except Exception as error:  # any: the engine logs it and tries each session alone
                self._loop.call_soon_threadsafe(self._hand_out, on_error, error)
            else:
                self._loop.call_soon_threadsafe(self._hand_out, on_result, result)

    def _hand_out(self, callback: Callable[[Any], None], outcome: Any) -> None:
        if not self._stopped:
            callback(outcome)
