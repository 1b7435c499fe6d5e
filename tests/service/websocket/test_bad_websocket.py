"""Malformed messages and refused clients through a real socket.

Each gets an error that names what came and what is allowed, or the close that the protocol
requires. `test_conformance` has the faults for which RFC 6455 lets a server close.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import INK, message, uninterrupted

PROTOCOL = Subprotocol("inkstream.v1")


@pytest.fixture(scope="module")
def running(tiny: Checkpoint) -> Iterator[Running]:
    with server(tiny.path.parent) as running:
        yield running


@asynccontextmanager
async def session(running: Running, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(running.url, **options) as stream:
        assert json.loads(await stream.recv())["type"] == "ready"
        yield stream


async def closing_code_of(stream: ClientConnection) -> int:
    """Return the code with which the server closes; skip the messages before it."""
    with suppress(ConnectionClosed):
        async for _ in stream:
            pass
    assert stream.close_code is not None
    return stream.close_code


# Invalid messages: the error is not fatal, nothing of them is taken, the stream goes on


BAD: list[tuple[str | bytes, str, str]] = [
    (b"", "bad_columns", "0 bytes, expected 28 for each column"),
    (b"x" * 29, "bad_columns", "29 bytes, expected 28 for each column"),
    (b"x" * 28 * 3000, "bad_columns", "3000 columns in one message, allowed: 1..2048"),
    ("", "bad_json", "text frame is not JSON"),
    ("[]", "bad_json", "message is an array, expected an object with a type"),
    ("[" * 5_000 + "]" * 5_000, "bad_json", "text frame is not JSON"),
    ("[" * 50_000, "bad_message", "50000 arrays and objects in one message, allowed: 15424"),
    ('{"type":"sing"}', "unknown_type", 'type is "sing", allowed: columns'),
    (message("ink", strokes=[], height=28), "bad_ink", "ink in a line of columns"),
    (message("columns", columns=[[300] * 28]), "bad_columns", "pixel 0 of column 0 is 300"),
    ('{"type":"columns","columns":[[%s]]}' % ("1" * 5000), "bad_json", "text frame is not JSON"),
    (message("rewind", column=-1), "bad_value", "column is -1, allowed: "),
    (message("configure", top_k=11), "bad_value", "top_k is 11, allowed: 1..10"),
]


async def test_invalid_messages_get_errors_and_the_stream_goes_on(
    running: Running, tiny: Checkpoint
) -> None:
    async with session(running) as stream:
        await stream.send(INK)
        await stream.recv()
        for index, (bad, code, text) in enumerate(BAD, 1):
            await stream.send(bad)
            error = json.loads(await stream.recv())
            assert (error["type"], error["code"], error["fatal"]) == ("error", code, False)
            assert text in error["message"]
            assert (error["index"], error["seq"]) == (index, index + 1)
        await stream.send(INK)
        result = json.loads(await stream.recv())
    assert result["column"] == 1  # nothing of the bad messages was taken
    expected = uninterrupted(Runtime(tiny), INK * 2)[1]
    assert np.abs([p for _, p in result["probabilities"]] - expected).max() < 1e-5


# Refused clients


@pytest.mark.parametrize("path", ["/", "/v1/streams", "/v1/recognize", "/web", "/web/pad/app.js"])
async def test_the_error_at_another_path_names_the_path_of_the_stream(
    running: Running, path: str
) -> None:
    url = f"ws://127.0.0.1:{running.port}{path}"
    text = f"no WebSocket is at {path}, expected /v1/stream"
    with pytest.raises(InvalidStatus) as caught:
        await connect(url)
    assert caught.value.response.status_code == 404
    error = json.loads(caught.value.response.body)["error"]
    assert (error["code"], error["message"]) == ("not_found", text)
    async with connect(url, subprotocols=[PROTOCOL]) as stream:
        error = json.loads(await stream.recv())
        assert (error["code"], error["message"]) == ("not_found", text)
        assert await closing_code_of(stream) == 4404


async def test_sessions_beyond_the_limit_are_refused_until_others_end(
    tiny: Checkpoint,
) -> None:
    with server(tiny.path.parent, max_sessions=3, max_sessions_per_client=2) as running:
        async with session(running):
            async with session(running):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(running.url)
                assert caught.value.response.status_code == 429
                assert int(caught.value.response.headers["Retry-After"]) > 0
                async with connect(running.url, subprotocols=[PROTOCOL]) as stream:
                    assert await closing_code_of(stream) == 4429
            async with session(running):
                pass
