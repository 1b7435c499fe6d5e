"""A real server on a free port of this machine, in its own thread."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstream.service.app import create_app
from inkstream.service.server.listeners import listen
from inkstream.service.server.run import Config, Server
from inkstream.service.service import Service
from inkstream.service.settings import Settings
from tests.helpers import builders
from tests.helpers.engine_sessions import DEADLINE_S


@dataclass(frozen=True)
class Running:
    """A running server: its port and its parts."""

    port: int
    service: Service
    server: Server
    thread: threading.Thread
    loop: asyncio.AbstractEventLoop

    def wait_until_empty(self, within_s: float = DEADLINE_S) -> None:
        """Wait until no session is connected."""
        emptied = self.service.sessions.emptied()
        asyncio.run_coroutine_threadsafe(emptied, self.loop).result(within_s)

    @property
    def url(self) -> str:
        """Return the URL of its WebSocket."""
        return f"ws://127.0.0.1:{self.port}/v1/stream"


@contextmanager
def server(folder: Path, **options: Any) -> Iterator[Running]:
    """Serve a small net with random weights, named `tiny`, while the block runs."""
    builders.checkpoint(folder / "tiny.onnx")
    settings = Settings.load(**{"port": 0, "models": "tiny", "weights": folder} | options)
    listeners = listen(settings)
    app = create_app(settings)
    started: Future[asyncio.AbstractEventLoop] = Future()

    class AnnouncingServer(Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set_result(asyncio.get_running_loop())

    http_server = AnnouncingServer(Config(app, settings), app.state.service)
    thread = threading.Thread(target=http_server.run, args=[listeners])
    thread.start()
    try:
        loop = started.result(DEADLINE_S)
        port = listeners[0].getsockname()[1]
        yield Running(port, app.state.service, http_server, thread, loop)
    finally:
        http_server.should_exit = True
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
