"""Put a load of WebSockets on a server, from one process that costs less than the server.

A client library costs more a message than the server under test. So this is the part of RFC 6455
that a client needs to repeat one binary message and count text answers; the mask is a constant, so
the message is masked once.

Run as a module it takes a `Load` as JSON, puts it on a server, and prints a `Measured` as JSON.
"""

import asyncio
import base64
import itertools
import secrets
import sys
import time
from collections import deque
from typing import Any, Final, cast

import numpy as np
import uvloop
from pydantic import BaseModel

from inkstream.model.errors import InkstreamError
from inkstream.service.protocol.server_messages import PATH

RESULT: Final = b'{"type":"result"'
ERROR: Final = b'{"type":"error"'
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # whole frames: RFC 6455, 5.2
MASK: Final = bytes(4)  # zeros: the masked message is the message
WARM_UP_S: Final = 0.3  # connections, caches and batches settle before anything is counted
CONNECT_TIMEOUT_S: Final = 10.0
MAX_PAYLOAD: Final = 0xFFFF  # bytes whose length fits the frame header's two-byte form


class LoadError(InkstreamError):
    """The server under test refused, failed or stopped; nothing was measured."""

    code = "bench_failed"


class Load(BaseModel):
    """Which load is put on a server."""

    port: int
    connections: int = 64
    n_columns: int = 1  # in one message
    column_height: int = 28
    n_results: int = 1  # that answer one message
    configure: str = ""  # text that each connection sends before its first message
    seconds: float = 2.0
    messages_per_s: float | None = None  # in all; None: each connection's next follows its answer


class Measured(BaseModel):
    """The answers to a load, without the warm-up."""

    answered_per_s: float  # columns
    p50_ms: float  # from the write of a message to its last result
    p99_ms: float


class Connection(asyncio.Protocol):
    """One WebSocket that repeats one message.

    `open` is done after the upgrade; `failure`, of all connections, gets the first error.
    """

    def __init__(self, load: Load, message: bytes, failure: asyncio.Future[None]) -> None:
        self.open = asyncio.get_running_loop().create_future()
        self.times_ms: list[float] = []  # of each answered message
        self._load = load
        self._message = message
        self._failure = failure
        self._missing = load.n_results  # of the oldest message on its way
        self._sent_s: deque[float] = deque()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self._transport.write(
            f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{self._load.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Count the results in what came."""
        data = self._rest + data
        if not self.open.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._upgraded(head)
        self._rest = data[self._frames(data) :]

    def connection_lost(self, error: Exception | None) -> None:
        """Fail: the server should not close a connection before the load ends."""
        self._fail(f"the server closed the connection ({error or 'no error'})")

    def send(self) -> None:
        """Send the message once."""
        self._sent_s.append(time.perf_counter())
        self._transport.write(self._message)

    def close(self) -> None:
        """Close the connection; what comes later does not count."""
        self._transport.abort()

    def _upgraded(self, head: bytes) -> None:
        status = head.partition(b"\r\n")[0].decode("latin-1")
        if " 101 " not in status:
            self._fail(f"the server answered {status!r}, expected 101")
            return
        if self._load.configure:
            self._transport.write(frame(TEXT, self._load.configure.encode()))
        self.open.set_result(None)

    def _frames(self, data: bytes) -> int:
        """Handle the whole frames in `data`; return the position of the unfinished rest.

        `ready` and `configured` need nothing.
        """
        position = 0
        while len(data) - position >= 2:
            length = data[position + 1]
            start = position + 2
            if length >= 126:
                n_bytes = 2 if length == 126 else 8
                start += n_bytes
                if len(data) < start:
                    break
                length = int.from_bytes(data[start - n_bytes : start])
            if len(data) < start + length:
                break
            if data.startswith(RESULT, start):
                self._count()
            elif data[position] == PING:
                self._transport.write(frame(PONG, data[start : start + length]))
            elif data[position] == CLOSE or data.startswith(ERROR, start):
                text = data[start : start + length].decode("utf-8", "replace")
                self._fail(f"the server answered {text!r}")
            position = start + length
        return position

    def _count(self) -> None:
        self._missing -= 1
        if self._missing:
            return
        self._missing = self._load.n_results
        self.times_ms.append(1000 * (time.perf_counter() - self._sent_s.popleft()))
        if self._load.messages_per_s is None:
            self.send()

    def _fail(self, message: str) -> None:
        if not self._failure.done():
            self._failure.set_exception(LoadError(message))


def frame(kind: int, payload: bytes) -> bytes:
    """Return a whole frame of a client; `kind` is its first byte."""
    length = len(payload)
    if length > MAX_PAYLOAD:
        raise LoadError(f"message of {length} bytes, allowed: up to {MAX_PAYLOAD}")
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
    return bytes([kind]) + size + MASK + payload


def ink(n_columns: int, column_height: int) -> bytes:
    """Return the same columns [n, H] every time: a third of the pixels is ink, as in a digit."""
    rng = np.random.default_rng(0)
    drawn = rng.random((n_columns, column_height)) < 1 / 3
    return (rng.integers(1, 256, drawn.shape, np.uint8) * drawn).tobytes()


async def put(load: Load) -> Measured:
    """Put a load on a server and measure the answers; raise `LoadError` if it fails."""
    loop = asyncio.get_running_loop()
    failure: asyncio.Future[None] = loop.create_future()
    message = frame(BINARY, ink(load.n_columns, load.column_height))
    connections: list[Connection] = []
    try:
        for _ in range(load.connections):
            made = loop.create_connection(
                lambda: Connection(load, message, failure), "127.0.0.1", load.port
            )
            connections.append((await made)[1])
        opened = asyncio.gather(*(connection.open for connection in connections))
        await _wait(failure, CONNECT_TIMEOUT_S, opened)
        if not opened.done():
            text = f"not all {load.connections} were let in within {CONNECT_TIMEOUT_S:g} s"
            raise LoadError(text)
        return await _measure(load, connections, failure)
    except OSError as error:
        raise LoadError(f"no connection to port {load.port}: {error.strerror}") from error
    finally:
        for connection in connections:
            connection.close()
        failure.cancel()


async def _measure(
    load: Load, connections: list[Connection], failure: asyncio.Future[None]
) -> Measured:
    sending = asyncio.ensure_future(_send(load, connections))
    try:
        await _wait(failure, WARM_UP_S)
        for connection in connections:
            connection.times_ms.clear()
        started_s = time.perf_counter()
        await _wait(failure, load.seconds)
        elapsed_s = time.perf_counter() - started_s
    finally:
        sending.cancel()
    times_ms = [time_ms for connection in connections for time_ms in connection.times_ms]
    if not times_ms:
        raise LoadError(f"no message was answered within {load.seconds:g} s")
    p50_ms, p99_ms = np.percentile(times_ms, [50, 99])
    return Measured(
        answered_per_s=len(times_ms) * load.n_columns / elapsed_s,
        p50_ms=float(p50_ms),
        p99_ms=float(p99_ms),
    )


async def _send(load: Load, connections: list[Connection]) -> None:
    """Send the first message of each connection, or all messages at their pace, in turn."""
    if load.messages_per_s is None:
        for connection in connections:
            connection.send()
        return
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for sent in itertools.count():
        await asyncio.sleep(started_s + sent / load.messages_per_s - loop.time())
        connections[sent % len(connections)].send()


async def _wait(
    failure: asyncio.Future[None], seconds: float, until: asyncio.Future[Any] | None = None
) -> None:
    """Wait, at most until `until` is done; raise the first error."""
    awaited: list[asyncio.Future[Any]] = [failure] if until is None else [failure, until]
    await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if failure.done():
        failure.result()


def main(argument: str) -> None:
    """Put a `Load` on its server, and print a `Measured`."""
    try:
        measured = uvloop.run(put(Load.model_validate_json(argument)))
    except LoadError as error:
        sys.exit(str(error))
    sys.stdout.write(measured.model_dump_json())


if __name__ == "__main__":
    main(sys.argv[1])
