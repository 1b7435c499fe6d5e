"""Connections from `accept` on: how many a client may have, and their time in a turn of the loop.

A client is one IPv4 address, or one /64 network of IPv6: a provider gives each customer that many
(RFC 6177). A trusted proxy stands for many clients: only the bound of all connections holds for it.
"""

import asyncio
import errno
import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final

from inkstream.service.access import network_of
from inkstream.service.observe.logs import get_logger
from inkstream.service.observe.metrics import Metrics
from inkstream.service.observe.watchdog import Watchdog
from inkstream.service.server.balance import Balance
from inkstream.service.settings import Settings

STEPS_S: Final = 0.002  # a turn, for requests, ends of connections and frames that waited
LOG_EVERY_S: Final = 60.0  # the same reason of the same client is logged once in this time
MAX_LOGGED: Final = 100  # lines in this time, of all clients

log = get_logger()


def refusal(status: HTTPStatus) -> bytes:
    """Return an answer without a body, after which the connection is closed."""
    head = f"HTTP/1.1 {status} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    return head.encode()


class Turn:
    """The turn of the event loop: how long costly steps may take in it, and those that wait.

    They are run in later turns, of all clients by turns.
    """

    def __init__(self, watchdog: Watchdog) -> None:
        self.number = 0
        self.waiting: deque[Peer] = deque()  # clients with steps that wait, the next one first
        self._watchdog = watchdog
        self._is_begun = False
        self._end_s = 0.0  # for steps

    def begin(self) -> None:
        """Note that something comes in, so that this turn is measured and has an end."""
        if not self._is_begun:
            self._is_begun = True
            self._end_s = time.monotonic() + STEPS_S
            asyncio.get_running_loop().call_soon(self._next)
            self._watchdog.wake()

    def has_time(self) -> bool:
        """Return whether steps may still be run in this turn."""
        self.begin()
        return time.monotonic() < self._end_s

    def spend(self, seconds: float) -> None:
        """Take time from the steps of this turn: the application takes it in later ones."""
        self.begin()
        self._end_s -= seconds

    def _next(self) -> None:
        self.number += 1
        self._is_begun = False
        waiting, self.waiting = self.waiting, deque()  # which steps of this turn wait in
        while waiting:
            self.begin()
            peer = waiting.popleft()
            step = peer.steps.popleft()
            if peer.steps:
                waiting.append(peer)
            step()
            if not self.has_time():
                break
        self.waiting.extendleft(reversed(waiting))


class Peer:
    """One client: what it has of the server, and its time in this turn of the event loop."""

    def __init__(self, name: str, is_proxy: bool, connections: "Connections") -> None:
        self.name = name
        self.is_proxy = is_proxy
        self.n_connections = 0
        self.unread_bytes = 0  # of frames that are not whole
        self.turn = connections.turn
        self.steps: deque[Callable[[], None]] = deque()  # that wait for a later turn
        self.refused = partial(connections.refused, client=name)
        self._connections = connections
        self._turn_number = -1  # of the last turn in which a frame came
        self._turn_start_s = 0.0

    def left(self) -> None:
        """Count one connection less."""
        self._connections.count(self, -1)

    def has_time(self, seconds: float) -> bool:
        """Return whether it is no longer since this client's first frame in this turn."""
        now_s = time.monotonic()
        turn = self.turn
        if self._turn_number != turn.number:
            self._turn_number = turn.number
            self._turn_start_s = now_s
            turn.begin()
        return now_s < self._turn_start_s + seconds

    def run(self, step: Callable[[], None]) -> bool:
        """Run a costly step now, or in a later turn if there is no time; return whether now."""
        if is_now := not self.turn.waiting and self.turn.has_time():
            step()
        else:
            self.run_later(step)
        return is_now

    def run_later(self, step: Callable[[], None]) -> None:
        """Run a costly step in a later turn, after those of this client that wait."""
        if not self.steps:
            self.turn.waiting.append(self)
        self.steps.append(step)
        self.turn.begin()


class Connections:
    """The open connections of one server, whose number `balance` gets."""

    def __init__(
        self, settings: Settings, metrics: Metrics, balance: Balance | None = None
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self.balance = balance or Balance()
        self._proxies = [ipaddress.ip_network(network) for network in settings.trusted_proxies]
        self._peers: dict[str, Peer] = {}
        self._n_open = 0
        self.turn = Turn(Watchdog(metrics))
        self._logged: set[tuple[str, str]] = set()
        self._logged_from_s = time.monotonic()

    def __len__(self) -> int:
        return self._n_open

    def admit(self, address: str) -> Peer | HTTPStatus:
        """Count one connection and return whose it is, or return why it is refused."""
        name, parsed = network_of(address), ipaddress.ip_address(address.partition("%")[0])
        is_proxy = any(parsed in network for network in self._proxies)
        peer = self._peers.get(name) or Peer(name, is_proxy, self)
        if peer.n_connections >= self._settings.max_connections_per_client and not is_proxy:
            peer.refused("too_many_connections")
            return HTTPStatus.TOO_MANY_REQUESTS
        if self._n_open >= self._settings.max_connections:
            peer.refused("server_full")
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._peers[name] = peer
        self.count(peer, 1)
        return peer

    def count(self, peer: Peer, change: int) -> None:
        """Count one connection of a client more, or less."""
        peer.n_connections += change
        self._n_open += change
        self.balance.set(self._n_open)
        if not peer.n_connections:
            del self._peers[peer.name]

    def refused(self, reason: str, client: str) -> None:
        """Count that a client was refused or disconnected, and log it once in a while."""
        self._metrics.refused(reason)
        now_s = time.monotonic()
        if now_s >= self._logged_from_s + LOG_EVERY_S:
            self._logged.clear()
            self._logged_from_s = now_s
        if (reason, client) not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add((reason, client))
            log.warning("connection refused", reason=reason, client=client)


class Acceptor:
    """Accept connections on listening sockets, a few in each turn of the event loop.

    asyncio would accept all that wait in one turn, and make a transport and a task for each before
    anything could refuse it.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        connections: Connections,
        protocol: Callable[[Peer], asyncio.Protocol],
    ) -> None:
        self._listeners = list(listeners)
        self._connections = connections
        self._new_protocol = protocol
        self._loop = asyncio.get_running_loop()
        self.opening: set[asyncio.Task[None]] = set()  # of connections that are not open yet
        self._timer: asyncio.TimerHandle | None = None  # while none is accepted

    def start(self) -> None:
        """Begin to accept."""
        self._timer = None
        self._connections.balance.join(len(self._connections))
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def stop(self) -> None:
        """Accept no more; the listeners are closed."""
        self._connections.balance.leave()
        if self._timer is not None:
            self._timer.cancel()
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners = []

    def _pause(self, seconds: float, go_on: Callable[[], None]) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, go_on)

    def _accept(self, listener: socket.socket) -> None:
        self._connections.turn.begin()
        for _ in range(16):  # before others get their turn of the event loop
            if not self._connections.balance.is_even():
                # Workers that have fewer connections may take the next one for 5 ms.
                self._pause(0.005, self._accept_what_is_left)
                return
            if not self._accept_one(listener):
                return

    def _accept_what_is_left(self) -> None:
        """Accept a connection that waits although other workers had time to, and go on."""
        self.start()
        for listener in self._listeners:
            self._accept_one(listener)

    def _accept_one(self, listener: socket.socket) -> bool:
        """Accept a connection; return False if none waits, or none can be accepted now."""
        try:
            accepted, address = listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            # For lack of a descriptor or of memory the connection waits: accept(2).
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                return True  # this one is gone already
            log.warning("connections have to wait", reason=error.strerror)
            self._connections.balance.leave()
            self._pause(0.5, self.start)
            return False
        accepted.setblocking(False)
        peer = self._connections.admit(address[0])
        if isinstance(peer, Peer):
            task = self._loop.create_task(self._open(accepted, peer))
            self.opening.add(task)
            task.add_done_callback(self.opening.discard)
        else:
            with accepted, suppress(OSError):
                accepted.send(refusal(peer))  # nothing more, as no request has been read
        return True

    async def _open(self, accepted: socket.socket, peer: Peer) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._new_protocol(peer), accepted)
        except OSError:  # it is gone already
            accepted.close()
            peer.left()
