"""Which sessions are open: how many are admitted, and how they end when the server stops.

A session is counted inside a `with` block and nowhere else, so that it is no longer counted however
it ends: by an error, a lost connection or a cancelled task.
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
CLOSING_S: Final = 1.0  # for the last messages and the close

Goodbye = Callable[[float], None]  # called with the seconds that are left; 0: end now


class Sessions:
    """The open sessions."""

    def __init__(self, limits: Limits, observer: Observer) -> None:
        self._limits = limits
        self._observer = observer
        self._goodbyes: dict[str, Goodbye] = {}
        self._per_client: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._goodbyes)

    @contextmanager
    def admit(self, client: str, goodbye: Goodbye = lambda _: None) -> Iterator[str]:
        """Count one session of the address `client` while the block runs; yield its id.

        `goodbye` is called when the server is about to stop, and again when it stops; a request
        needs none, since the server waits for its answer. Raises `ServerFullError`,
        `ClientFullError` or `StoppingError`; then nothing is counted.
        """
        if self.stopping:
            raise StoppingError("the server is about to stop")
        if len(self) >= self._limits.max_sessions:
            raise ServerFullError(f"{len(self)} sessions are connected, all that are allowed")
        own = self._per_client[client]
        if own >= self._limits.max_sessions_per_client:
            raise ClientFullError(f"{own} sessions of {client} are connected, all that are allowed")
        session_id = secrets.token_urlsafe(ID_BYTES)
        self._goodbyes[session_id] = goodbye
        self._per_client[client] += 1
        self._empty.clear()
        self._observer.sessions(len(self))
        try:
            yield session_id
        finally:
            del self._goodbyes[session_id]
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]
            if not self._goodbyes:
                self._empty.set()
            self._observer.sessions(len(self))

    async def emptied(self) -> None:
        """Wait until no session is open."""
        await self._empty.wait()

    async def drain(self, time_left_s: float) -> None:
        """Admit no more sessions and say goodbye to all; return when they have ended.

        Sessions that are still open when the time is up are ended then.
        """
        self.stopping = True
        for left_s, patience_s in ((time_left_s, time_left_s), (0.0, CLOSING_S)):
            for goodbye in list(self._goodbyes.values()):
                goodbye(left_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self.emptied()
