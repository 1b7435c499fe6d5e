"""A TCP proxy on this machine that cuts connections after so many bytes, and then refuses some."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

READ_BYTES = 65_536


@dataclass(frozen=True)
class Cut:
    """When a connection is cut, and what happens to the next ones."""

    sent: int | None = None  # once so many bytes went to the server; None: never for that
    received: int | None = None  # the same of what the server sends
    refused: int = 0  # how many of the next connections are closed at once


class CuttingProxy:
    """The proxy: each connection takes the next cut of the plan; later ones are not cut."""

    def __init__(self, port: int, plan: Sequence[Cut]) -> None:
        self.port = port  # of the server; it may change
        self.n_cut = 0
        self._plan = [*plan]
        self._n_refused = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if self._n_refused:
            self._n_refused -= 1
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        cut = self._plan.pop(0) if self._plan else Cut()
        copies = [
            asyncio.create_task(_copy(reader, back, cut.sent)),
            asyncio.create_task(_copy(there, writer, cut.received)),
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
            back.transport.abort()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int | None
) -> bool:
    """Copy until the end or until `max_bytes` were copied; return whether that many were."""
    with suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            if max_bytes is not None and len(data) >= max_bytes:
                writer.write(data[:max_bytes])
                await writer.drain()
                return True
            max_bytes = None if max_bytes is None else max_bytes - len(data)
            writer.write(data)
            await writer.drain()
    writer.close()
    await writer.wait_closed()  # what was written arrives before the other direction is cut
    return False


@contextmanager
def cutting_proxy(port: int, plan: Sequence[Cut] = ()) -> Iterator[tuple[CuttingProxy, str]]:
    """Serve the server on `port` while the block runs; yield the proxy and its address."""
    proxy = CuttingProxy(port, plan)
    with serving(proxy.serve) as url:
        yield proxy, url


@contextmanager
def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> Iterator[str]:
    """Serve connections from another thread while the block runs; yield the address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    async def shut() -> None:
        listener.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)  # Transports end in the next turn of the loop.

    listener = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(shut(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
