"""Ray Serve: a WebSocket of a FastAPI ingress; `serve.batch` makes one run of several messages."""

import os
import sys
import time
from contextlib import suppress
from typing import Any

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled")  # before it is imported

import numpy as np
import ray
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from numpy.typing import NDArray
from ray import serve

from inkstream.service.bench.peers.answers import MAX_BATCH, answer, columns_of, load
from inkstream.service.protocol.server_messages import PATH

BATCH_TIMEOUT_S = 0.001  # that a batch waits for more messages

Message = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # columns [n, H], state [D]

app = FastAPI()


@serve.deployment(max_ongoing_requests=1000)
@serve.ingress(app)
class Peer:
    """The net behind a WebSocket."""

    def __init__(self, model: str) -> None:
        self.runtime = load(model)

    @app.websocket(PATH)
    async def stream(self, socket: WebSocket) -> None:
        """Answer each message."""
        await socket.accept()
        state = self.runtime.initial_state(1)[0]
        with suppress(WebSocketDisconnect):
            while True:
                columns = columns_of(await socket.receive_bytes(), self.runtime)
                scores, state = await self.run((columns, state))
                await socket.send_json(answer(scores, self.runtime))

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=BATCH_TIMEOUT_S)  # type: ignore[untyped-decorator]
    async def run(self, messages: list[Message]) -> list[tuple[Any, Any]]:
        """Run the net once for all messages; return scores [n, S] and state [D] of each."""
        columns, states = zip(*messages, strict=True)
        scores, after = self.runtime.run_ragged(columns, np.stack(states))
        return list(zip(scores, after, strict=True))


if __name__ == "__main__":
    ray.init("local", include_dashboard=False, log_to_driver=False)  # not what runs here already
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
    serve.run(Peer.bind(sys.argv[1]))  # type: ignore[attr-defined]
    while True:
        time.sleep(1)
