"""TCP proxies on this machine: they cut connections, or serve a server below a path."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@dataclass(frozen=True)
class Cut:
    """When a connection is cut, and what happens to the next ones."""

    sent: int | None = None  # once so many bytes went to the server; None: never for that
    received: int | None = None  # the same of what the server sends
    refused: int = 0  # how many of the next connections are closed at once


class CuttingProxy:
    """A proxy whose connections take the next cut of the plan each; later ones are not cut."""

    def __init__(self, port: int, plan: Sequence[Cut]) -> None:
        self.n_cut = 0
        self._port = port  # of the server
        self._plan = [*plan]
        self._n_refused = 0

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Serve one connection."""
        if self._n_refused:
            self._n_refused -= 1
            writer.transport.abort()
            return
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        cut = self._plan.pop(0) if self._plan else Cut()
        copies = [
            asyncio.create_task(_copy(reader, to_server, cut.sent)),
            asyncio.create_task(_copy(from_server, writer, cut.received)),
        ]
        try:
            done, _ = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            if any(copy.result() for copy in done):
                self.n_cut += 1
                self._n_refused = cut.refused
        finally:
            for copy in copies:
                copy.cancel()
            writer.transport.abort()
            to_server.transport.abort()


@contextmanager
def cutting_proxy(port: int, plan: Sequence[Cut] = ()) -> Iterator[tuple[CuttingProxy, str]]:
    """Serve the server on `port` while the block runs; yield the proxy and its address."""
    proxy = CuttingProxy(port, plan)
    with _serving(proxy.serve) as url:
        yield proxy, url


class Switch:
    """A proxy that goes on to another server, or to none, and then cuts all connections."""

    def __init__(self) -> None:
        self._port: int | None = None  # of the server; None: connections are closed at once
        self._writers: set[Writer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Serve one connection."""
        self._loop = asyncio.get_running_loop()
        if self._port is None:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:  # the server has just stopped
            writer.transport.abort()
            return
        both = {writer, to_server}
        self._writers |= both
        await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))
        self._writers -= both

    def to(self, port: int | None) -> None:
        """Serve the server on `port` from now on."""
        self._port = port
        for writer in [*self._writers]:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(writer.transport.abort)


@contextmanager
def switched_proxy() -> Iterator[tuple[Switch, str]]:
    """Serve a server, or none at first, while the block runs; yield the proxy and its address."""
    switch = Switch()
    with _serving(switch.serve) as url:
        yield switch, url


@contextmanager
def path_proxy(port: int, path: str) -> Iterator[str]:
    """Serve the server on `port` below `path` while the block runs; yield the address, without /.

    The path is removed. Requests have no bodies: each head is rewritten, and after an upgrade
    everything passes.
    """

    async def serve(reader: Reader, writer: Writer) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        copying = asyncio.create_task(_copy(from_server, writer))
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, fields = head.split(b" ", 2)
                assert re.match(rf"{path}(/|$)", target.decode()), target
                to_server.write(b" ".join((method, target[len(path) :] or b"/", fields)))
                if b"upgrade: websocket" in fields.lower():
                    await _copy(reader, to_server)
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            to_server.close()
            writer.close()
            await copying

    with _serving(serve) as url:
        yield url + path


async def _copy(reader: Reader, writer: Writer, max_bytes: int | None = None) -> bool:
    """Copy until the end or until `max_bytes` were copied; return whether that many were."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            if max_bytes is not None and len(data) >= max_bytes:
                writer.write(data[:max_bytes])
                await writer.drain()
                return True
            max_bytes = None if max_bytes is None else max_bytes - len(data)
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()  # what was written arrives before the other direction is cut
    return False


@contextmanager
def _serving(serve: Callable[[Reader, Writer], Awaitable[None]]) -> Iterator[str]:
    """Serve connections from another thread while the block runs; yield the address."""
    started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        is_over = asyncio.Event()
        port = listener.sockets[0].getsockname()[1]
        started.set_result((port, asyncio.get_running_loop(), is_over))
        await is_over.wait()
        listener.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    port, loop, is_over = started.result(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join(10)
