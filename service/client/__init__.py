"""The Python client: the stream for asyncio and without, and the protocol from its side."""
