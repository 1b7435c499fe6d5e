"""Time the parts of what is running: seconds within named functions, without those they call."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any


class Parts:
    """Seconds of each part, of all threads together."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._here = threading.local()

    def add(self, part: str, owner: object, name: str) -> None:
        """Let a function or method, the attribute `name` of `owner`, be timed as a part.

        What it spends in other functions that are timed is theirs alone.
        """
        function: Callable[..., Any] = getattr(owner, name)

        @wraps(function)
        def timed(*args: Any, **named: Any) -> Any:
            before, self._here.inner = getattr(self._here, "inner", 0.0), 0.0
            started_s = time.perf_counter()
            try:
                return function(*args, **named)
            finally:
                elapsed_s = time.perf_counter() - started_s
                self.seconds[part] += elapsed_s - self._here.inner
                self._here.inner = before + elapsed_s

        setattr(owner, name, timed)
