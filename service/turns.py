"""Turns of clients at a few slots, so that no client's queue delays the others.

Each client waits in a queue of its own, and the queues are served in turn (round robin). A client
never has all slots, except where there is only one.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inkstream.service.protocol.errors import ServerFullError


class Turns:
    """Slots for work of many clients; used on one event loop."""

    def __init__(self, n_slots: int, *, most_waiting: int, most_waiting_each: int) -> None:
        """Prepare.

        Args:
            n_slots: pieces of work that run at once.
            most_waiting: pieces of work that wait, of all clients together.
            most_waiting_each: the same of one client.
        """
        self._free = n_slots
        self._most_each = max(1, n_slots - 1)
        self._most_waiting = most_waiting
        self._most_waiting_each = most_waiting_each
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # the next client first
        self._n_waiting = 0

    @asynccontextmanager
    async def turn(self, client: str, *, has_begun: bool = False) -> AsyncIterator[None]:
        """Wait for a slot, and hold it while the block runs.

        `client` is the client's address. Raises `ServerFullError` if too many wait already, but not
        for work that `has_begun`, and would be lost.
        """
        if self._may_start(client):
            self._start(client)
        else:
            if not has_begun:
                self._check_room(client)
            await self._wait(client)
        try:
            yield
        finally:
            self._end(client)

    def _may_start(self, client: str) -> bool:
        return self._free > 0 and self._running[client] < self._most_each

    def _start(self, client: str) -> None:
        self._free -= 1
        self._running[client] += 1

    def _check_room(self, client: str) -> None:
        n_own = len(self._waiting.get(client, ()))
        if self._n_waiting >= self._most_waiting or n_own >= self._most_waiting_each:
            raise ServerFullError(
                f"{self._n_waiting} bodies wait to be read, {n_own} of them yours: try again"
            )

    async def _wait(self, client: str) -> None:
        own = self._waiting.get(client, deque())
        turn = asyncio.get_running_loop().create_future()
        own.append(turn)
        self._waiting[client] = own
        self._n_waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn in own:
                own.remove(turn)
                self._n_waiting -= 1
                if not own:
                    del self._waiting[client]
            elif not turn.cancelled():  # the turn came just before
                self._end(client)
            raise

    def _end(self, client: str) -> None:
        """Free a slot, and let those who wait have it."""
        self._free += 1
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
        while (following := next(filter(self._may_start, self._waiting), None)) is not None:
            own = self._waiting.pop(following)
            turn = own.popleft()
            self._n_waiting -= 1
            if own:
                self._waiting[following] = own  # behind all others
            if not turn.cancelled():
                self._start(following)
                turn.set_result(None)
