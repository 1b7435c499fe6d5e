"""Who is connected: how many may come, and how all of them are told that the server stops.

A session is counted inside a `with` block and nowhere else, so that no way of leaving (an error, a
reset connection, a cancelled task) can leave a count behind.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from service.errors import ClientFullError, ServerFullError, StoppingError
from service.messages import Limits
from service.observer import Observer

ID_BYTES: Final = 9  # 72 random bits: ids of a server's whole life do not collide

Goodbye = Callable[[float], None]  # told the seconds that are left


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
        `goodbye` is called when the server is about to stop.
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

    async def drain(self, time_left_s: float) -> None:
        """Let nobody in any more, tell everyone, and wait until all have left or time is up."""
        self.stopping = True
        for goodbye in list(self._goodbyes.values()):
            goodbye(time_left_s)
        try:
            async with asyncio.timeout(time_left_s):
                await self._empty.wait()
        except TimeoutError:
            pass
