"""A real server on a free port of this machine, in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.app import create_app
from service.connections import Config
from service.server import Server, listen
from service.serving import Service
from service.settings import Settings
from tests import builders


@dataclass(frozen=True)
class Running:
    """Where it listens, and its parts."""

    port: int
    service: Service
    server: Server

    @property
    def url(self) -> str:
        """Of its WebSocket."""
        return f"ws://127.0.0.1:{self.port}/v1/stream"


@contextmanager
def server(folder: Path, **settings: Any) -> Iterator[Running]:
    """Serve a small net with random weights, named `tiny`, while the block runs."""
    builders.checkpoint(folder / "tiny.onnx")
    chosen = Settings.load(**{"port": 0, "models": "tiny", "weights": folder} | settings)
    listeners = listen(chosen)
    app = create_app(chosen)
    started = threading.Event()

    class Announcing(Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    running = Announcing(Config(app, chosen), app.state.service)
    thread = threading.Thread(target=running.run, args=[listeners])
    thread.start()
    try:
        assert started.wait(10)
        yield Running(listeners[0].getsockname()[1], app.state.service, running)
    finally:
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
