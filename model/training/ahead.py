"""Making what the next step needs while this one is being computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """What `make` makes for a step, for several threads: made once, and that of the next one too.

    The steps are to be asked for one after the other, each as often as is wanted.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1)
        self._made: dict[int, Future[T]] = {}
        self._lock = Lock()

    def __call__(self, step: int) -> T:
        """What was made for `step`; raises what `make` raised."""
        with self._lock:
            self._made = {
                near: self._made.get(near) or self._thread.submit(self._make, near)
                for near in (step, step + 1)
            }
            wanted = self._made[step]
        return wanted.result()
