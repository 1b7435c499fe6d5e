"""Turns of clients at a few slots, so that no client's queue delays the others.

A client's work waits in line for the client's share of the slots, and only then for a slot, where
all clients wait in one line. So the clients take turns, and none has all slots unless there is
only one. Clients whose work takes long have one more line before it, and together no more slots
than one client, as in a multilevel feedback queue (Corbató et al., An experimental time-sharing
system, 1962).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from inkstream.service.protocol.errors import ServerFullError

LONG_WORK_MEMORY_S: Final = 60.0  # after which such work is forgotten


class Turns:
    """Slots for work of many clients; used on one event loop."""

    def __init__(self, n_slots: int, max_waiting: int, max_waiting_per_client: int) -> None:
        self._slots = asyncio.Semaphore(n_slots)
        self._n_per_client = max(1, n_slots - 1)
        self._share_of_long_work = asyncio.Semaphore(self._n_per_client)
        self._long_until_s: dict[str, float] = {}  # by client
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._max_waiting = max_waiting
        self._max_waiting_per_client = max_waiting_per_client
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, client: str, *, has_begun: bool = False) -> AsyncIterator[None]:
        """Wait for a slot, and hold it while the block runs.

        `client` is the client's address. Raises `ServerFullError` if too many wait already, but not
        for work that `has_begun`, and would be lost.
        """
        n_all, n_of_client = self._waiting.total(), self._waiting[client]
        is_full = n_all >= self._max_waiting or n_of_client >= self._max_waiting_per_client
        if is_full and not has_begun:
            raise ServerFullError(
                f"{n_all} bodies wait to be read, {n_of_client} of them yours: try again"
            )
        share = self._shares.setdefault(client, asyncio.Semaphore(self._n_per_client))
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as held:
            self._waiting[client] += 1
            try:
                await held.enter_async_context(share)
                if self._long_until_s.get(client, 0.0) > loop.time():
                    await held.enter_async_context(self._share_of_long_work)
                await held.enter_async_context(self._slots)
            finally:
                self._waiting -= Counter([client])  # which leaves out clients that have none
            start_s = loop.time()
            try:
                yield
            finally:
                if (now_s := loop.time()) > start_s + 2.0:  # a full page takes less
                    clients = self._long_until_s.items()
                    remembered = {other: until_s for other, until_s in clients if until_s > now_s}
                    self._long_until_s = remembered | {client: now_s + LONG_WORK_MEMORY_S}
