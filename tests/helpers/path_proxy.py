"""A proxy on this machine that serves another server below a path, and removes the path."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HEAD_END: Final = b"\r\n\r\n"
READ_BYTES: Final = 65_536


@contextmanager
def proxy(port: int, path: str) -> Iterator[str]:
    """Serve the server on `port` below `path` while the block runs; yield the address, without /.

    Requests have no bodies: each head is rewritten, and after an upgrade everything passes.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", port)
        copying = asyncio.create_task(_copy(upstream[0], writer))
        try:
            while head := await reader.readuntil(HEAD_END):
                method, target, rest = head.split(b" ", 2)
                assert re.match(rf"{path}(/|$)", target.decode()), target
                upstream[1].write(b" ".join((method, target[len(path) :] or b"/", rest)))
                if b"upgrade: websocket" in rest.lower():
                    await _copy(reader, upstream[1])
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            upstream[1].close()
            writer.close()
            await copying

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
    finally:
        asyncio.run_coroutine_threadsafe(_shut(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _shut(server: asyncio.Server) -> None:
    """Stop the server and cancel its connections."""
    server.close()
    serving = asyncio.all_tasks() - {asyncio.current_task()}
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    await asyncio.sleep(0)  # transports end in the next turn of the loop
