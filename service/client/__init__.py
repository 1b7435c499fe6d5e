"""The Python client: `connect` for asyncio, `connect_sync` without."""

from inkstream.service.client.client import AsyncStream, Stream, connect, connect_sync
from inkstream.service.client.conversation import NoConnectionError, Result

__all__ = ["AsyncStream", "NoConnectionError", "Result", "Stream", "connect", "connect_sync"]
