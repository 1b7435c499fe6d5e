"""Who is connected: how many may come, and how all of them are told that the server stops.

A session is counted inside a `with` block and nowhere else, so that no way of leaving (an error, a
reset connection, a cancelled task) can leave a count behind.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from inkstream.service.limits import Limits
from inkstream.service.metrics import Observer
from inkstream.service.protocol.errors import ClientFullError, ServerFullError, StoppingError

ID_BYTES: Final = 9  # 72 random bits: ids of a server's whole life do not collide

FAREWELL_S: Final = 1.0  # for the last messages and the close

Goodbye = Callable[[float], None]  # told the seconds that are left; 0: end now


class Sessions:
    """The sessions connected now."""

    def __init__(self, limits: Limits, observer: Observer) -> None:
        self._limits = limits
        self._observer = observer
        self._goodbyes: dict[str, Goodbye] = {}
        self._per_client: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()
        self.stopping = False

    def __len__(self) -> int:
        """Sessions connected now."""
        return len(self._goodbyes)

    @contextmanager
    def admit(self, client: str, goodbye: Goodbye) -> Iterator[str]:
        """Count one session of the address `client` while the block runs; gives its id.

        Raises `ServerFullError`, `ClientFullError` or `StoppingError`; then nothing counts.
        `goodbye` is called when the server is about to stop, and again when it stops.
        """
        self._check(client)
        session_id = secrets.token_urlsafe(ID_BYTES)
        self._goodbyes[session_id] = goodbye
        self._per_client[client] += 1
        self._changed()
        try:
            yield session_id
        finally:
            del self._goodbyes[session_id]
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]
            self._changed()

    def _check(self, client: str) -> None:
        if self.stopping:
            raise StoppingError("the server is about to stop")
        if len(self) >= self._limits.max_sessions:
            raise ServerFullError(f"{len(self)} sessions are connected, all that are allowed")
        own = self._per_client.get(client, 0)
        if own >= self._limits.max_sessions_per_client:
            raise ClientFullError(f"{own} sessions of {client} are connected, all that are allowed")

    def _changed(self) -> None:
        self._observer.sessions(len(self))
        if self._goodbyes:
            self._empty.clear()
        else:
            self._empty.set()

    async def emptied(self) -> None:
        """Wait until nobody is connected."""
        await self._empty.wait()

    async def drain(self, time_left_s: float) -> None:
        """Let nobody in any more and tell everyone; returns when all have left.

        Who is still here when the time is up is told to end now.
        """
        self.stopping = True
        for left_s, patience_s in ((time_left_s, time_left_s), (0.0, FAREWELL_S)):
            for goodbye in list(self._goodbyes.values()):
                goodbye(left_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self.emptied()
