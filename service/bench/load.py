"""Put a load of connections on a server, from one process that costs less than the server.

A client library costs more a message than the server under test. So this is the part of RFC 6455
that a client needs to send messages and count answers; the mask is a constant, so that each message
is framed once. Each connection comes from an address of 127.0.0.0/8 of its own, since a server has
work for each client address.

A load is closed, each connection's next message follows its answer, or open: messages are sent when
they are due, whatever the server does. A time is counted from when a message was due, not from when
it was sent, and a message without an answer counts too: else a server that stalls would be asked
less, and would look faster than it is (coordinated omission: Tene, "How NOT to Measure Latency").

Run as a module it takes a `Load` as JSON, puts it on a server, and prints a `Measured` as JSON.
"""

import asyncio
import base64
import gc
import itertools
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import uvloop
from pydantic import BaseModel

from inkstream.model.config import Kind
from inkstream.model.errors import InkstreamError
from inkstream.service.bench.pens import column_messages, ink_messages
from inkstream.service.protocol.server_messages import PATH

RESULT: Final = b'{"type":"result"'
PONG_MESSAGE: Final = b'{"type":"pong"'
ERROR: Final = b'{"type":"error"'
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # whole frames: RFC 6455, 5.2
MASK: Final = bytes(4)  # zeros: the masked message is the message
MESSAGE_COLUMNS: Final = 16  # of a message with several
WARM_UP_S: Final = 0.3  # connections, caches and batches settle before anything is counted
GRACE_S: Final = 0.2  # answers to measured messages may come so long after the end
CONNECT_TIMEOUT_S: Final = 60.0  # some servers listen before they have loaded the net
CLOCK_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


Due = tuple[float, int, bytes | None, bool]  # seconds from the start, connection, data, answered


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
    warm_up_s: float = WARM_UP_S
    seconds: float = 2.0
    messages_per_s: float | None = None  # in all; None: each connection's next follows its answer
    writers: Literal["", "ink", "columns"] = ""  # each connection is a writer, see `pens`
    kind: Kind = "classifier"  # of the model that writers write for
    server_pid: int | None = None  # of the process whose CPU time is measured, with its workers


class Measured(BaseModel):
    """The answers to a load, without the warm-up."""

    answered_per_s: float  # columns; of writers messages
    p50_ms: float  # from when a message was due to its last result
    p99_ms: float
    load_cores: float  # CPU time a second of the process that makes the load
    server_us: float | None = None  # CPU time of the server a column; of writers a message

    @property
    def server_cores(self) -> float:
        """CPU time a second of the server, 0 where it was not measured."""
        return (self.server_us or 0.0) * self.answered_per_s / 1e6


class Connection(asyncio.Protocol):
    """A WebSocket that sends messages and counts their answers: results, of ink pongs.

    `open` is done when it may send; `failure`, of all connections, gets the first error.
    """

    def __init__(self, load: Load, message: bytes, failure: asyncio.Future[None]) -> None:
        self.open = asyncio.get_running_loop().create_future()
        self.waiting: deque[float] = deque()  # when each message on its way was due
        self.answered: list[tuple[float, float]] = []  # when due, and when answered
        self._load = load
        self._message = message  # of a closed load
        self._failure = failure
        self._is_closed_loop = load.messages_per_s is None and not load.writers
        self._missing = load.n_results  # of the oldest message on its way
        self._answer = PONG_MESSAGE if load.writers == "ink" else RESULT
        self._unread = b""

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
        data = self._unread + data
        if not self.open.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._unread = head
                return
            self._upgraded(head)
        self._unread = data[self._frames(data) :]

    def connection_lost(self, error: Exception | None) -> None:
        """Fail: the server should not close a connection before the load ends."""
        self._fail(f"the server closed the connection ({error or 'no error'})")

    def send(self, due_s: float, data: bytes | None = None, answered: bool = True) -> None:
        """Send bytes that were due at `due_s`; None is the message of this connection."""
        if answered:
            self.waiting.append(due_s)
        self._transport.write(self._message if data is None else data)

    def close(self) -> None:
        """Close the connection; what comes later does not count."""
        self._transport.abort()

    def _count(self) -> None:
        self._missing -= 1
        if self._missing:
            return
        self._missing = self._load.n_results
        now_s = time.perf_counter()
        self.answered.append((self.waiting.popleft(), now_s))
        if self._is_closed_loop:
            self.send(now_s)

    def _fail(self, message: str) -> None:
        if not self._failure.done():
            self._failure.set_exception(LoadError(message))

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

        Other messages than answers and errors need nothing.
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
            if data.startswith(self._answer, start):
                self._count()
            elif data[position] == PING:
                self._transport.write(frame(PONG, data[start : start + length]))
            elif data[position] == CLOSE or data.startswith(ERROR, start):
                text = data[start : start + length].decode("utf-8", "replace")
                self._fail(f"the server answered {text!r}")
            position = start + length
        return position


def frame(kind: int, payload: bytes) -> bytes:
    """Return a whole frame of a client; `kind` is its first byte."""
    length = len(payload)
    if length > 0xFFFF:  # whose length would not fit the header's two-byte form
        raise LoadError(f"message of {length} bytes, allowed: up to {0xFFFF}")
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
    due = list(_due(load))  # before the load begins, which then costs less
    message = frame(BINARY, ink(load.n_columns, load.column_height))
    connections: list[Connection] = []
    try:
        for number in range(load.connections):
            # Each comes from an address of its own: on Linux all of 127.0.0.0/8 is local.
            address = f"127.1.{number // 250}.{number % 250 + 1}"
            _, connection = await loop.create_connection(
                partial(Connection, load, message, failure),
                "127.0.0.1",
                load.port,
                local_addr=(address, 0),
            )
            connections.append(connection)
        opened = asyncio.gather(*(connection.open for connection in connections))
        await _wait(failure, CONNECT_TIMEOUT_S, opened)
        if not opened.done():
            raise LoadError(
                f"not all {load.connections} connections were accepted"
                f" within {CONNECT_TIMEOUT_S:g} s"
            )
        return await _measure(load, connections, due, failure)
    except OSError as error:
        raise LoadError(f"no connection to port {load.port}: {error.strerror}") from error
    finally:
        for connection in connections:
            connection.close()
        failure.cancel()


def _due(load: Load) -> Iterator[Due]:
    """Yield all that an open load sends, in the order in which it is due."""
    end_s = load.warm_up_s + load.seconds + GRACE_S
    if load.messages_per_s is not None:
        for sent in range(int(end_s * load.messages_per_s)):
            yield sent / load.messages_per_s, sent % load.connections, None, True
    if load.writers:
        # Writers beyond a hundred write what another one writes, at other times.
        n_scripts = min(load.connections, 100)
        scripts = [list(_script(load, number, end_s)) for number in range(n_scripts)]
        late_s = np.random.default_rng(0).uniform(0, load.warm_up_s, load.connections)
        frames: list[Due] = [
            (float(late_s[i]) + due_s, i, data, answered)
            for i, script in zip(range(load.connections), itertools.cycle(scripts))
            for due_s, data, answered in script
        ]
        yield from sorted(frames, key=itemgetter(0))


def _script(load: Load, number: int, end_s: float) -> Iterator[tuple[float, bytes, bool]]:
    """Yield the frames of a writer; a ping behind ink whose answer is measured asks for it."""
    if load.writers == "ink":
        sent, ping = ink_messages(number, load.kind), frame(TEXT, b'{"type":"ping"}')
    else:
        sent, ping = column_messages(number, load.kind, load.column_height), b""
    for message in itertools.takewhile(lambda message: message.due_s < end_s, sent):
        if isinstance(message.data, bytes):
            data = frame(BINARY, message.data)
        else:
            data = frame(TEXT, message.data.encode()) + (ping if message.answered else b"")
        yield message.due_s, data, message.answered


async def _measure(
    load: Load, connections: list[Connection], due: list[Due], failure: asyncio.Future[None]
) -> Measured:
    start_s = time.perf_counter()
    unsent = iter(due)
    # Writers' messages are sent up to 1 ms late: to wake for each costs more.
    tick_s = 0.001 if load.writers else 0.0
    sending = asyncio.ensure_future(_send(start_s, connections, unsent, tick_s))
    if not due:
        for connection in connections:
            connection.send(start_s)
    try:
        await _wait(failure, load.warm_up_s)
        begin_s, load_s, server_s = time.perf_counter(), time.process_time(), _cpu_s(load)
        await _wait(failure, load.seconds)
        end_s = time.perf_counter()
        load_s = time.process_time() - load_s
        server_s = max(_cpu_s(load) - server_s, CLOCK_TICK_S)  # less cannot be told
        await _wait(failure, GRACE_S)
    finally:
        sending.cancel()
    now_s = time.perf_counter()
    answered = [pair for connection in connections for pair in connection.answered]
    # What has no answer yet is late by the time that it has waited; so is what could not be sent.
    missing = [due_s for connection in connections for due_s in connection.waiting]
    missing += [start_s + due_s for due_s, _, _, is_answered in unsent if is_answered]
    pairs = answered + [(due_s, now_s) for due_s in missing]
    times_ms = [1000 * (then_s - due_s) for due_s, then_s in pairs if begin_s <= due_s < end_s]
    n_answered = sum(begin_s <= then_s < end_s for _, then_s in answered)
    if not times_ms:
        raise LoadError(f"no message was answered within {load.seconds:g} s")
    asked = sum(is_answered for *_, is_answered in due)
    n_messages = n_answered * (len(due) / asked if asked else 1)  # those without answer too
    n_columns = n_messages * load.n_columns
    p50_ms, p99_ms = np.percentile(times_ms, [50, 99])
    return Measured(
        answered_per_s=n_columns / (end_s - begin_s),
        p50_ms=float(p50_ms),
        p99_ms=float(p99_ms),
        load_cores=load_s / (end_s - begin_s),
        server_us=1e6 * server_s / n_columns if load.server_pid and n_columns else None,
    )


def _cpu_s(load: Load) -> float:
    """Return the CPU time of the server's processes with all their threads, in seconds."""
    if load.server_pid is None:
        return 0.0
    children = Path(f"/proc/{load.server_pid}/task/{load.server_pid}/children").read_text("utf-8")
    ticks = 0
    for pid in (str(load.server_pid), *children.split()):
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # user and system time: proc(5)
    return ticks * CLOCK_TICK_S


async def _send(
    start_s: float, connections: list[Connection], unsent: Iterator[Due], tick_s: float
) -> None:
    """Send each message when it is due, or with those that are due up to `tick_s` after it."""
    woken_s = start_s
    for due_s, connection, data, is_answered in unsent:
        now_s = time.perf_counter()
        # After 2 ms of sending the answers are read.
        if now_s < start_s + due_s or now_s > woken_s + 0.002:
            await asyncio.sleep(max(start_s + due_s + tick_s - now_s, 0.0))
            woken_s = time.perf_counter()
        connections[connection].send(start_s + due_s, data, is_answered)


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
    gc.disable()  # it would stop for all that is waiting to be sent
    try:
        measured = uvloop.run(put(Load.model_validate_json(argument)))
    except LoadError as error:
        sys.exit(str(error))
    sys.stdout.write(measured.model_dump_json())


if __name__ == "__main__":
    main(sys.argv[1])
