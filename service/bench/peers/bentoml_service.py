"""BentoML: a WebSocket of a FastAPI application that is mounted; one run a message.

Its batches are for its HTTP endpoints.
"""

import os
import sys
from contextlib import suppress

import bentoml  # type: ignore[import-not-found]
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from inkstream.service.bench.peers.answers import answer, columns_of, load
from inkstream.service.protocol.server_messages import PATH

MODEL = "BENCH_MODEL"  # environment variable with the model, for BentoML's own processes

app = FastAPI()


@bentoml.service
@bentoml.asgi_app(app)
class Peer:
    """The net behind a WebSocket."""

    def __init__(self) -> None:
        self.runtime = load(os.environ[MODEL])

    @app.websocket(PATH)
    async def stream(self, socket: WebSocket) -> None:
        """Answer each message."""
        await socket.accept()
        state = self.runtime.initial_state(1)
        with suppress(WebSocketDisconnect):
            while True:
                columns = columns_of(await socket.receive_bytes(), self.runtime)
                scores, state = self.runtime.run(columns[:, None], state)
                await socket.send_json(answer(scores[:, 0], self.runtime))


if __name__ == "__main__":
    os.environ.update({MODEL: sys.argv[1], "BENTOML_DO_NOT_TRACK": "True"})
    command = ("serve", "inkstream.service.bench.peers.bentoml_service:Peer", "--port", sys.argv[2])
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *command])  # noqa: S606
