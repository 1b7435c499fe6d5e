"""A client of the WebSocket endpoint without sockets: it exchanges ASGI events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.decoding.ngrams import Language
from inkstream.service.access import Access, Sessions
from inkstream.service.page_workers.pool import PageWorkers
from inkstream.service.rest import work
from inkstream.service.sealing import Sealer, random_key
from inkstream.service.service import RunningModel, Service
from inkstream.service.session import SessionModel
from inkstream.service.settings import Settings
from inkstream.service.websocket import StreamEndpoint
from tests.helpers.engine_sessions import (
    DEADLINE_S,
    Net,
    PausableEngine,
    RecordingMetrics,
)

Event = MutableMapping[str, Any]


class AsgiClient:
    """One client's connection; `events` are those that the server has sent."""

    def __init__(
        self,
        service: Service,
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        client: str = "192.0.2.1",
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.events: list[Event] = []
        self.may_send = asyncio.Event()  # cleared: the client reads nothing
        self.may_send.set()
        self.n_receives = 0  # how often the server has asked for an event
        self._incoming: asyncio.Queue[Event] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._lost = False
        scope = {
            "type": "websocket",
            "path": "/v1/stream",
            "client": (client, 1),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            "subprotocols": list(subprotocols),
            "state": dict(state or {}),
        }
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(StreamEndpoint(service)(scope, self._receive, self._send))

    def send(self, *messages: str | bytes) -> None:
        """Send messages."""
        for message in messages:
            kind = "text" if isinstance(message, str) else "bytes"
            self._incoming.put_nowait({"type": "websocket.receive", kind: message})

    def vanish(self) -> None:
        """Cut the connection."""
        self._lost = True
        self.may_send.set()
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})

    @property
    def received(self) -> list[dict[str, Any]]:
        """Return the messages that the client has got."""
        return [json.loads(event["text"]) for event in self.events if "text" in event]

    @property
    def close(self) -> int | None:
        """Return the closing code that the client has got."""
        codes = [event["code"] for event in self.events if event["type"] == "websocket.close"]
        return codes[0] if codes else None

    async def wait_until(self, enough: Callable[["AsgiClient"], bool]) -> None:
        """Wait until `enough` is true; look again after each event."""
        async with asyncio.timeout(DEADLINE_S):
            while not enough(self):
                self._changed.clear()
                await self._changed.wait()

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Wait for `count` messages after `ready`; return all messages after `ready`."""
        await self.wait_until(
            lambda client: len(client.received) > count or client.close is not None
        )
        return self.received[1:]

    async def wait_for_end(self) -> int | None:
        """Wait until the server is done with this client; return the closing code."""
        async with asyncio.timeout(DEADLINE_S):
            await self.task
        return self.close

    async def _receive(self) -> Event:
        self.n_receives += 1
        self._changed.set()
        return await self._incoming.get()

    async def _send(self, event: Event) -> None:
        await self.may_send.wait()
        if self._lost:
            raise ConnectionResetError
        self.events.append(event)
        self._changed.set()
        if event["type"] == "websocket.close":  # as uvicorn does
            self._incoming.put_nowait({"type": "websocket.disconnect", "code": event["code"]})


@asynccontextmanager
async def serving(
    checkpoint: Checkpoint,
    metrics: RecordingMetrics | None = None,
    languages: Mapping[str, Language] = MappingProxyType({}),
    **settings: Any,
) -> AsyncIterator[tuple[Service, PausableEngine]]:
    """Run a service of one model while the block runs; yield it and its engine."""
    metrics = metrics or RecordingMetrics()
    net, chosen = Net(checkpoint), Settings.load(**settings)
    engine = PausableEngine(net, max_batch=8, max_columns=64, metrics=metrics)
    model = SessionModel.of(net.metadata, chosen.limits, languages)
    models = {"tiny": RunningModel.of(model, engine)}
    sessions = Sessions(chosen.limits, metrics)
    page_workers = PageWorkers(work.__name__, chosen)
    access = Access(chosen, Sealer([random_key()], "token"))
    service = Service(chosen, chosen.limits, models, sessions, access, metrics, page_workers)
    engine.start()
    try:
        yield service, engine
    finally:
        engine.stop()
