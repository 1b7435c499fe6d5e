"""A simulated network: connections that are slow, break in the middle, and damage what they carry.

Each direction of a connection keeps its order, as TCP does, and loses its end when it breaks: how
much of what was under way still arrives is drawn for each direction alone. Both sides hear of it
later, the server perhaps much later: meanwhile the client may have another connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close

from inkstream.service.protocol.server_messages import PROTOCOL
from inkstream.service.websocket import ABNORMAL, DIRECT, AsgiEvent, StreamEndpoint

if TYPE_CHECKING:
    from tests.simulation.workers import Cluster, Worker

PATH: Final = "/v1/stream"
HIGH, LOW = 24, 8  # messages under way: from the first on a sender waits, until the second

Message = str | bytes


@dataclass(frozen=True)
class Faults:
    """How often something goes wrong, each a probability; times in seconds."""

    refused: float = 0.0  # of a connection
    breaks: float = 0.0  # of a connection, at each message
    damaged: float = 0.0  # of a snapshot
    delay_s: float = 0.005  # of a message, at most
    notice_s: float = 0.5  # until a side hears that the connection has broken, at most


class Wire:
    """One direction of a connection."""

    def __init__(self, deliver: Callable[[Any], None], cluster: "Cluster") -> None:
        self._deliver = deliver
        self._cluster = cluster
        self._rng = cluster.rng
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[tuple[float, Any]] = deque()  # when it arrives, and what
        self._timer: asyncio.TimerHandle | None = None  # of the first of them
        self.room = asyncio.Event()  # without which a sender has to wait
        self.room.set()

    def put(self, item: Any, delay_s: float | None = None) -> None:
        """Send something; it arrives behind all that was sent before it."""
        most_s = self._cluster.faults.delay_s if delay_s is None else delay_s
        arrival_s = self._loop.time() + self._rng.random() * most_s
        if self._under_way:
            arrival_s = max(arrival_s, self._under_way[-1][0])
        self._under_way.append((arrival_s, item))
        if self._timer is None:
            self._timer = self._loop.call_at(arrival_s, self._arrive)
        if len(self._under_way) >= HIGH:
            self.room.clear()

    def _arrive(self) -> None:
        _, item = self._under_way.popleft()
        self._timer = None
        if self._under_way:
            self._timer = self._loop.call_at(self._under_way[0][0], self._arrive)
        if len(self._under_way) <= LOW:
            self.room.set()
        self._deliver(item)

    def cut(self) -> None:
        """Lose the end of what is under way; tell the receiver that nothing more will come."""
        n_kept = self._rng.randint(0, len(self._under_way))
        while len(self._under_way) > n_kept:
            self._under_way.pop()
        if not self._under_way and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.put(None, self._cluster.faults.notice_s)
        self.room.set()


class Connection:
    """One connection, from its handshake on, with the faults that the network has now."""

    def __init__(self, cluster: "Cluster", worker: "Worker", query: str) -> None:
        self.worker = worker
        self.is_broken = False
        self._cluster = cluster
        self._rng = cluster.rng
        self.client = ClientSocket(self)
        self.server = ServerSocket(self, query)
        self.to_client = Wire(self.client.arrive, cluster)
        self.to_server = Wire(self.server.arrive, cluster)

    def passes(self) -> None:
        """Count a message; break now if that is drawn."""
        if self._rng.random() < self._cluster.faults.breaks:
            self.cut()

    def cut(self) -> None:
        """Break the connection."""
        if not self.is_broken:
            self.is_broken = True
            self.to_client.cut()
            self.to_server.cut()

    def send_to_client(self, text: str) -> None:
        """Carry a message of the server; a snapshot may be damaged on its way."""
        if self.is_broken:
            return
        if '"type":"snapshot"' in text and self._rng.random() < self._cluster.faults.damaged:
            text = damaged(text, self._rng)
        self.to_client.put(text)
        self.passes()

    def close_to_client(self, close: Close) -> None:
        """Carry the server's close."""
        if not self.is_broken:
            self.to_client.put(close)

    def send_to_server(self, data: Message) -> None:
        """Carry a message of the client."""
        if not self.is_broken:
            self.to_server.put(data)
            self.passes()


def damaged(text: str, rng: Random) -> str:
    """Return a message whose blob is torn, or differs in one character."""
    start = text.index('"blob":"') + len('"blob":"')
    end = text.index('"', start)
    blob, place = text[start:end], rng.randrange(end - start)
    if rng.random() < 0.5:
        blob = blob[:place]
    else:
        blob = blob[:place] + ("A" if blob[place] != "A" else "B") + blob[place + 1 :]
    return text[:start] + blob + text[end:]


class ClientSocket:
    """The client's side, as `websockets` has it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.version = connection.worker.version  # of the weights behind it
        self._inbox: deque[str] = deque()
        self._closed: ConnectionClosed | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> "ClientSocket":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def arrive(self, item: str | Close | None) -> None:
        """Take a message, a close, or None where the connection broke."""
        if isinstance(item, str):
            self._inbox.append(item)
        elif self._closed is None:
            is_ok = isinstance(item, Close) and item.code in (1000, 1001)
            kind = ConnectionClosedOK if is_ok else ConnectionClosedError
            self._closed = kind(item, item, True if item else None)
            if item:
                self._connection.to_server.put(item)
        self._changed.set()

    async def recv(self) -> str:
        """Return the next message; raise `ConnectionClosed` behind the last."""
        while not self._inbox:
            if self._closed is not None:
                raise self._closed
            self._changed.clear()
            await self._changed.wait()
        return self._inbox.popleft()

    async def send(self, data: Message) -> None:
        """Send a message, once there is room for it."""
        while not self._connection.to_server.room.is_set() and self._closed is None:
            await self._connection.to_server.room.wait()
        if self._closed is not None:
            raise self._closed
        self._connection.send_to_server(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close; what has come unread is dropped."""
        if self._closed is None:
            close = Close(code, reason)
            self._closed = ConnectionClosedOK(close, close, False)
            if not self._connection.is_broken:
                self._connection.to_server.put(close)
        self._changed.set()


class ServerSocket:
    """The server's side: ASGI events, and a `DirectConnection` of `websocket`."""

    listener: Callable[[Message], None] | None = None

    def __init__(self, connection: Connection, query: str) -> None:
        self._connection = connection
        self._unread: deque[Any] = deque()  # that came while reading is paused
        self._is_paused = False
        self.is_over = False
        self._events: asyncio.Queue[AsgiEvent] = asyncio.Queue()
        self._events.put_nowait({"type": "websocket.connect"})
        self.transport: Any = SimpleNamespace(is_closing=lambda: self.is_over)
        scope = {
            "type": "websocket",
            "path": PATH,
            "client": ("192.0.2.1", 1),
            "query_string": query.encode(),
            "headers": [],
            "subprotocols": [PROTOCOL],
            "state": {DIRECT: lambda: self},
        }
        endpoint = StreamEndpoint(connection.worker.service)
        self.task = asyncio.ensure_future(endpoint(scope, self._events.get, self._send))

    # From the client

    def arrive(self, item: Message | Close | None) -> None:
        """Take a message, a close, or None where the connection broke."""
        if self._is_paused or self._unread:
            self._unread.append(item)
        else:
            self._take(item)

    def _take(self, item: Message | Close | None) -> None:
        if self.is_over and isinstance(item, str | bytes):
            return
        if isinstance(item, str | bytes):
            if self.listener:
                self.listener(item)
            else:
                kind = "text" if isinstance(item, str) else "bytes"
                self._events.put_nowait({"type": "websocket.receive", kind: item})
        else:
            self.is_over = True
            code = item.code if item else ABNORMAL
            self._events.put_nowait({"type": "websocket.disconnect", "code": code})

    def pause_reading(self) -> None:
        """Read no more."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Read what has come, then go on."""
        self._is_paused = False
        while self._unread and not self._is_paused:
            self._take(self._unread.popleft())

    # To the client

    @property
    def may_write(self) -> bool:
        """Whether the client takes what is sent."""
        return self._connection.to_client.room.is_set() and not self.is_over

    def send_now(self, texts: Iterable[bytes]) -> bool:
        """Send texts unless the client is slow."""
        if not self.may_write:
            return False
        for text in texts:
            self._connection.send_to_client(text.decode())
        return True

    async def _send(self, event: AsgiEvent) -> None:
        while not self._connection.to_client.room.is_set():
            await self._connection.to_client.room.wait()
        if self.is_over:
            raise ConnectionResetError
        if event["type"] == "websocket.send":
            self._connection.send_to_client(event["text"])
        elif event["type"] == "websocket.close":
            self._connection.close_to_client(Close(event["code"], event["reason"]))

    async def end(self) -> None:
        """End what serves the connection."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
