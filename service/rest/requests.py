"""A request while it is answered: its client, its session, and what ends it early."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from inkstream.service.access import network_of

T = TypeVar("T")


def address_of(request: Request) -> str:
    """Return the client: its address, which a trusted proxy may have named, or its network."""
    return network_of(request.client.host) if request.client else "unknown"


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work` for a request whose body was read; cancel it when the client disconnects.

    Raises `ClientDisconnect` then.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    leaving = asyncio.create_task(disconnected())
    working = asyncio.create_task(work)
    try:
        await asyncio.wait([leaving, working], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait([leaving, working])  # nothing is being read any more
