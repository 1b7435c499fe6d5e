"""A proxy on this machine that serves another server below a path, and removes the path."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.helpers.cutting_proxy import READ_BYTES, serving

HEAD_END: Final = b"\r\n\r\n"


@contextmanager
def proxy(port: int, path: str) -> Iterator[str]:
    """Serve the server on `port` below `path` while the block runs; yield the address, without /.

    Requests have no bodies: each head is rewritten, and after an upgrade everything passes.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", port)
        copying = asyncio.create_task(_copy(upstream[0], writer))
        try:
            while head := await reader.readuntil(HEAD_END):
                method, target, fields = head.split(b" ", 2)
                assert re.match(rf"{path}(/|$)", target.decode()), target
                upstream[1].write(b" ".join((method, target[len(path) :] or b"/", fields)))
                if b"upgrade: websocket" in fields.lower():
                    await _copy(reader, upstream[1])
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            upstream[1].close()
            writer.close()
            await copying

    with serving(serve) as url:
        yield url + path


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
