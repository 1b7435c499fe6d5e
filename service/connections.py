"""Connections from `accept` on: how many a client may have, and what they may hold together.

A client is one IPv4 address, or one /64 network of IPv6: a provider gives each customer that many
(RFC 6177). A proxy that is trusted stands for many clients: only the bounds of all hold for it.
"""

import asyncio
import errno
import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final

from inkstream.service.access import network_of
from inkstream.service.balance import Balance
from inkstream.service.logs import get_logger
from inkstream.service.metrics import Metrics
from inkstream.service.settings import Settings

ACCEPTS_A_TURN: Final = 16  # connections accepted before others get their turn of the event loop
YIELD_S: Final = 0.005  # for which a connection is left to workers that have fewer
ACCEPT_AGAIN_S: Final = 0.5  # after the system has had no descriptor for one
NO_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # accept(2)
STEPS_S: Final = 0.002  # for requests, ends of connections, frames that waited, in one turn
# About what the application takes in later turns, which counts as such a step's time.
REQUEST_S: Final = 0.0007  # to answer a request or to open a session
END_S: Final = 0.0003  # to end a session
WRITING_S: Final = 0.002  # to write the messages of a client that has begun to read again
FRAMES_S: Final = 0.001  # for the frames of a client but the first of each read, in one turn
FIRST_FRAMES_S: Final = 0.003  # for those too
MAX_HELD_BYTES: Final = 32 * 1024 * 1024  # of a client: parts of frames, and answers not taken
MAX_HELD_CLIENTS: Final = 4  # times as much is held for all
LOG_EVERY_S: Final = 60.0  # the same reason of the same client is logged once in this time
MAX_LOGGED: Final = 100  # lines in this time, of all clients
REFUSAL: Final = "HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

log = get_logger()


def refusal(status: HTTPStatus) -> bytes:
    """Return an answer without a body, after which the connection is closed."""
    return (REFUSAL % (status, status.phrase)).encode()


class Peer:
    """One client: how many connections it has, what they hold, its time in this turn."""

    def __init__(self, name: str, connections: "Connections", *, is_proxy: bool) -> None:
        self.name = name
        self.is_proxy = is_proxy
        self.n_connections = 0
        self._connections = connections
        self._held_bytes = 0
        self._turn_start_s: float | None = None

    def refused(self, reason: str) -> None:
        """Count that this client was refused or disconnected, and log it once in a while."""
        self._connections.refused(reason, self.name)

    def hold(self, n_bytes: int) -> bool:
        """Count memory that is held for this client, or is free again if below 0.

        Returns whether that is allowed. It is counted in any case.
        """
        self._held_bytes += n_bytes
        self._connections.held_bytes += n_bytes
        if n_bytes <= 0 or self._connections.held_bytes > MAX_HELD_CLIENTS * MAX_HELD_BYTES:
            return n_bytes <= 0
        return self.is_proxy or self._held_bytes <= MAX_HELD_BYTES

    def has_time(self, seconds: float) -> bool:
        """Whether it is no longer since this client's first frame in this turn of the loop."""
        now_s = time.monotonic()
        if self._turn_start_s is None:
            self._turn_start_s = now_s
            asyncio.get_running_loop().call_soon(self._end_turn)
        return now_s < self._turn_start_s + seconds

    def run(self, step: Callable[[], None]) -> bool:
        """Run a costly step now, or in a later turn of the loop if too many came; order is kept.

        Returns whether it was run now.
        """
        return self._connections.steps.run(self, step)

    def run_later(self, step: Callable[[], None]) -> None:
        """Run a costly step in a later turn of the loop."""
        self._connections.steps.run_later(self, step)

    def spend(self, seconds: float) -> None:
        """Count time that a step will take the application, whose tasks run later."""
        self._connections.steps.spend(seconds)

    def left(self) -> None:
        """Count one connection less."""
        self._connections.left(self)

    def _end_turn(self) -> None:
        self._turn_start_s = None


class StepQueue:
    """Costly steps: for some time in each turn of the event loop, and of all clients by turns."""

    def __init__(self) -> None:
        self._turn_end_s: float | None = None  # None before the first step of a turn
        self._waiting: dict[Peer, deque[Callable[[], None]]] = {}  # the next client comes first

    def run(self, peer: Peer, step: Callable[[], None]) -> bool:
        """Run a step now, or after those that wait; return whether it was run now."""
        if not self._waiting and self._has_time():
            step()
            return True
        self.run_later(peer, step)
        return False

    def run_later(self, peer: Peer, step: Callable[[], None]) -> None:
        """Run a step in a later turn, after those that wait."""
        self._waiting.setdefault(peer, deque()).append(step)
        self._has_time()

    def spend(self, seconds: float) -> None:
        """Take time from the steps of this turn."""
        self._has_time()
        assert self._turn_end_s is not None
        self._turn_end_s -= seconds

    def _has_time(self) -> bool:
        """Whether steps may still be run in this turn; the next one will come."""
        now_s = time.monotonic()
        if self._turn_end_s is None:
            self._turn_end_s = now_s + STEPS_S
            asyncio.get_running_loop().call_soon(self._next_turn)
        return now_s < self._turn_end_s

    def _next_turn(self) -> None:
        self._turn_end_s = None
        if self._waiting:
            self._has_time()  # it begins now
        while self._waiting:
            peer, steps = next(iter(self._waiting.items()))
            step = steps.popleft()
            del self._waiting[peer]
            if steps:
                self._waiting[peer] = steps
            step()
            if not self._has_time():
                break


class Connections:
    """The open connections of one server, whose number `balance` gets."""

    def __init__(
        self, settings: Settings, metrics: Metrics, balance: Balance | None = None
    ) -> None:
        self._metrics = metrics
        self.balance = balance or Balance()
        self._most_of_one = settings.most_connections_of_client
        self._most = settings.most_connections
        self._proxies = [ipaddress.ip_network(each) for each in settings.trusted_proxies]
        self._peers: dict[str, Peer] = {}
        self._count = 0
        self.held_bytes = 0
        self.steps = StepQueue()
        self._logged: set[tuple[str, str]] = set()
        self._logged_from_s = time.monotonic()

    def __len__(self) -> int:
        return self._count

    def admit(self, address: str) -> Peer | HTTPStatus:
        """Count one connection and return whose it is, or return why it is refused."""
        name = network_of(address)
        peer = self._peers.get(name) or Peer(name, self, is_proxy=self._is_proxy(address))
        if not peer.is_proxy and peer.n_connections >= self._most_of_one:
            peer.refused("too_many_connections")
            return HTTPStatus.TOO_MANY_REQUESTS
        if self._count >= self._most:
            peer.refused("server_full")
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._peers[name] = peer
        peer.n_connections += 1
        self._count += 1
        self.balance.set(self._count)
        return peer

    def left(self, peer: Peer) -> None:
        """Count one connection of a client less."""
        peer.n_connections -= 1
        self._count -= 1
        self.balance.set(self._count)
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

    def _is_proxy(self, address: str) -> bool:
        found = ipaddress.ip_address(address.partition("%")[0])
        return any(found in proxies for proxies in self._proxies)


class Acceptor:
    """Accept connections on listening sockets, a few in each turn of the event loop.

    asyncio would accept all that wait in one turn, and make a transport and a task for each before
    anything could refuse it.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        connections: Connections,
        new_protocol: Callable[[Peer], asyncio.Protocol],
    ) -> None:
        self._listeners = list(listeners)
        self._connections = connections
        self._new_protocol = new_protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_opening(self) -> bool:
        """Whether a connection is accepted that is not open yet."""
        return bool(self._opening)

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
        self._pause()
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    def _pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_A_TURN):
            if not self._connections.balance.is_even():
                self._pause()
                self._timer = self._loop.call_later(YIELD_S, self._accept_what_is_left)
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
            if error.errno not in NO_RESOURCES:
                return True  # this one is gone already
            log.warning("connections have to wait", reason=error.strerror)
            self._connections.balance.leave()
            self._pause()
            self._timer = self._loop.call_later(ACCEPT_AGAIN_S, self.start)
            return False
        peer = self._connections.admit(address[0])
        if isinstance(peer, Peer):
            task = self._loop.create_task(self._open(accepted, peer))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            _refuse(accepted, peer)
        return True

    async def _open(self, accepted: socket.socket, peer: Peer) -> None:
        accepted.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(lambda: self._new_protocol(peer), accepted)
        except OSError:  # it is gone already
            accepted.close()
            peer.left()


def _refuse(accepted: socket.socket, status: HTTPStatus) -> None:
    """Answer and close; who has not read a whole request cannot do more than that."""
    accepted.setblocking(False)
    try:
        accepted.send(refusal(status))
    except OSError:
        pass
    finally:
        accepted.close()
