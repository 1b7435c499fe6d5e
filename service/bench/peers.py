"""Serve what the service is compared with, on the same uvicorn: an echo, and a simple server.

The echo bounds FastAPI's WebSockets: the same bytes in, a constant text of a result's size out. The
simple server, `afternoon` in reports, is written in an afternoon: FastAPI, the same net in PyTorch,
one forward a message, nothing shared between sessions.
"""

import sys
from contextlib import suppress
from typing import Final

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from inkstream.model import checkpoint
from inkstream.service.protocol.server_messages import PATH, Result, encode


def echo(model: str) -> FastAPI:
    """Return a server that answers every message with the same result."""
    labels = checkpoint.read(checkpoint.find(model)).metadata.config.labels
    probabilities = dict.fromkeys(labels, 0.123456)
    answer = encode(Result(epoch=0, column=1000, probabilities=probabilities))
    app = FastAPI()

    @app.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                await socket.receive_bytes()
                await socket.send_text(answer)

    return app


def afternoon(model: str) -> FastAPI:
    """Return a server that runs PyTorch for each message; random weights take as long."""
    import torch  # noqa: PLC0415 - the only peer that needs it, and it is optional

    from inkstream.model.network import ColumnLSTM  # noqa: PLC0415

    torch.set_num_threads(1)
    config = checkpoint.read(checkpoint.find(model)).metadata.config
    net = ColumnLSTM(config).eval()
    app = FastAPI()

    @app.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        state, n_columns = None, 0
        with suppress(WebSocketDisconnect):
            while True:
                data = bytearray(await socket.receive_bytes())
                columns = torch.frombuffer(data, dtype=torch.uint8) / 255
                with torch.inference_mode():
                    scores, state = net(columns.view(1, -1, config.column_height), state)
                    probabilities = torch.softmax(scores[0, -1], 0).tolist()
                n_columns += scores.shape[1]
                await socket.send_json(
                    {
                        "type": "result",
                        "column": n_columns - 1,
                        "probabilities": dict(zip(config.labels, probabilities, strict=True)),
                    }
                )

    return app


PEERS: Final = {"echo": echo, "afternoon": afternoon}


def main(name: str, model: str, port: str) -> None:
    """Serve one of `PEERS` for the dimensions of a model."""
    uvicorn.run(
        PEERS[name](model),
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
