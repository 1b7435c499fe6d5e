"""Run other servers on the service's uvicorn: an echo, and a simple one with PyTorch."""

import json
import sys
from contextlib import suppress

import numpy as np
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from inkstream.model import checkpoint
from inkstream.model.config import ModelConfig
from inkstream.model.preprocess.ink import seen_by
from inkstream.service.protocol.server_messages import PATH


def echo(config: ModelConfig) -> FastAPI:
    """Return a server that answers every message with one result, of the size of the model's."""
    answer = _result(config)
    app = FastAPI()

    @app.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                await socket.receive_bytes()
                await socket.send_text(answer)

    return app


def _result(config: ModelConfig) -> str:
    """Return a result as the model's are: all labels, or the five most probable and a text."""
    labels = config.labels if config.kind == "classifier" else config.labels[:5]
    result = {
        "type": "result",
        "seq": 1000,
        "column": 1000,
        "probabilities": [[label, 0.123456] for label in labels],
    }
    if config.kind == "transcriber":
        result |= {"letter_end": 0.123456, "stable": 12, "text": "!"}
    return json.dumps(result, separators=(",", ":"))


def afternoon(config: ModelConfig) -> FastAPI:
    """Return a server that runs PyTorch for each message; random weights take as long."""
    import torch  # noqa: PLC0415 - it is optional

    from inkstream.model.network import ColumnLSTM, LineLSTM  # noqa: PLC0415

    torch.set_num_threads(1)
    is_classifier = config.kind == "classifier"
    net = (ColumnLSTM if is_classifier else LineLSTM)(config).eval()
    labels = config.labels if is_classifier else ("", *config.labels)  # The blank is first.
    app = FastAPI()

    @app.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        state, n_columns = None, 0
        waiting = torch.empty(0, config.seen_size)
        probabilities = [0.0] * len(labels)
        with suppress(WebSocketDisconnect):
            while True:
                data = np.frombuffer(await socket.receive_bytes(), np.uint8)
                seen = seen_by(config, data.reshape(-1, config.column_height))
                columns = torch.cat([waiting, torch.from_numpy(seen.copy()) / 255])
                n_whole = len(columns) - len(columns) % config.step_columns
                waiting, columns = columns[n_whole:], columns[:n_whole]
                if n_whole:  # a step of the model for lines reads two columns
                    with torch.inference_mode():
                        scores, *_, state = net(columns[None], state)
                        probabilities = torch.softmax(scores[0, -1], 0).tolist()
                n_columns += n_whole
                await socket.send_json(
                    {
                        "type": "result",
                        "column": n_columns + len(waiting) - 1,
                        "probabilities": dict(zip(labels, probabilities, strict=True)),
                    }
                )

    return app


def main(name: str, model: str, port: str) -> None:
    """Serve `echo`, or `afternoon`, the one with PyTorch, for the dimensions of a model."""
    config = checkpoint.read(checkpoint.find(model)).metadata.config
    uvicorn.run(
        {"echo": echo, "afternoon": afternoon}[name](config),
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
