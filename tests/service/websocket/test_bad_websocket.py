"""Malformed messages through a real socket, beside a session whose results must stay correct.

Each gets an error that names what came and what is allowed, or the close that RFC 6455 or the
protocol requires; no other session is disturbed, and the server stays ready.
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
from tests.helpers import builders
from tests.helpers.raw_websocket import RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import INK, message, uninterrupted

PROTOCOL = Subprotocol("inkstream.v1")
N_HEALTHY = 24  # columns of the healthy session


@pytest.fixture(scope="module")
def running(tiny: Checkpoint) -> Iterator[Running]:
    with server(tiny.path.parent) as running:
        yield running


@asynccontextmanager
async def beside_a_healthy_session(running: Running, tiny: Checkpoint) -> AsyncIterator[None]:
    """Run the block in the middle of another session, and check that session's results."""
    columns = builders.columns(N_HEALTHY, seed=5)
    results = []
    async with connect(running.url) as healthy:
        await healthy.recv()
        for number, column in enumerate(columns):
            if number == N_HEALTHY // 2:
                yield
            await healthy.send(column.tobytes())
            results.append(json.loads(await healthy.recv()))
    probabilities = np.array([list(result["probabilities"].values()) for result in results])
    assert np.abs(probabilities - uninterrupted(Runtime(tiny), columns.tobytes())).max() < 1e-5


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


def columns_json(value: str) -> str:
    """Return a message with one column whose last pixel is this JSON value."""
    return '{"type":"columns","columns":[[' + "0," * 27 + value + "]]}"


# Invalid messages: the error is not fatal, nothing of them is taken, the stream goes on


MESSAGES = [
    (b"", "bad_columns", "0 bytes, expected 28 for each column"),
    (b"x" * 27, "bad_columns", "27 bytes, expected 28 for each column"),
    (b"x" * 29, "bad_columns", "29 bytes, expected 28 for each column"),
    (b"x" * 28 * 3000, "bad_columns", "3000 columns in one message, allowed: 1..2048"),
    ("", "bad_json", "text frame is not JSON"),
    ("{", "bad_json", "text frame is not JSON"),
    ('{"type":"ping"} x', "bad_json", "text frame is not JSON"),
    ("[]", "bad_json", "message is an array, expected an object with a type"),
    ("7", "bad_json", "message is 7, expected an object with a type"),
    ("null", "bad_json", "message is null, expected an object with a type"),
    ('"ping"', "bad_json", 'message is "ping", expected an object with a type'),
    ("{}", "unknown_type", "message has no type, allowed: columns"),
    ('{"type":7}', "unknown_type", "type is 7, allowed: columns"),
    ('{"type":"sing"}', "unknown_type", 'type is "sing", allowed: columns'),
    (message("ink", strokes=[], height=28), "bad_ink", "ink in a line of columns"),
    ("[" * 5_000, "bad_json", "text frame is not JSON"),
    ("[" * 5_000 + "]" * 5_000, "bad_json", "text frame is not JSON"),
    ("[" * 50_000, "bad_message", "50000 arrays and objects in one message, allowed: 15424"),
    (
        columns_json("300"),
        "bad_columns",
        "pixel 27 of column 0 is 300, allowed: whole numbers 0..255",
    ),
    (
        columns_json("-1"),
        "bad_columns",
        "pixel 27 of column 0 is -1, allowed: whole numbers 0..255",
    ),
    (
        columns_json("0.5"),
        "bad_columns",
        "pixel 27 of column 0 is 0.5, allowed: whole numbers 0..255",
    ),
    (
        columns_json('"9"'),
        "bad_columns",
        'pixel 27 of column 0 is "9", allowed: whole numbers 0..255',
    ),
    (
        columns_json("null"),
        "bad_columns",
        "pixel 27 of column 0 is null, allowed: whole numbers 0..255",
    ),
    (columns_json("NaN"), "bad_columns", "pixel 27 of column 0 is NaN"),
    (columns_json("Infinity"), "bad_columns", "pixel 27 of column 0 is Infinity"),
    (columns_json("1e400"), "bad_columns", "pixel 27 of column 0 is "),
    (columns_json("1" * 5000), "bad_json", "text frame is not JSON"),
    (columns_json("0,0"), "bad_columns", "column 0 has 29 pixels, expected 28"),
    ('{"type":"columns","columns":[0,1]}', "bad_columns", "column 0 is 0, expected an array"),
    ('{"type":"columns","columns":[[0],[0,1]]}', "bad_columns", "column 0 has 1 pixels"),
    (
        '{"type":"columns","columns":[]}',
        "bad_columns",
        "columns is empty, expected at least one column",
    ),
    ('{"type":"columns","columns":null}', "bad_columns", "columns is null"),
    ('{"type":"columns"}', "bad_", "columns"),
    (message("rewind", column=-1), "bad_value", "column is -1, allowed: "),
    (message("rewind", column=99), "bad_value", "column is 99, allowed: 0..1"),
    (message("rewind", column="two"), "bad_value", 'column is "two", allowed: '),
    (message("rewind"), "bad_value", "rewind has no column"),
    (message("configure", every="second"), "bad_value", 'every is "second", allowed: '),
    (message("configure", top_k=0), "bad_value", "top_k is 0, allowed: "),
    (message("configure", top_k=11), "bad_value", "top_k is 11, allowed: 1..10"),
    (message("configure", polarity="up"), "bad_value", 'polarity is "up", allowed: '),
    (message("configure", characters="xyz"), "bad_value", "characters"),
    (message("configure", line_end_columns=-1), "bad_value", "line_end_columns is -1, allowed: "),
]


@pytest.mark.parametrize(("bad", "code", "text"), MESSAGES)
async def test_an_invalid_message_gets_an_error_and_the_stream_goes_on(
    running: Running, tiny: Checkpoint, bad: str | bytes, code: str, text: str
) -> None:
    async with beside_a_healthy_session(running, tiny), session(running) as stream:
        await stream.send(INK)
        await stream.recv()
        await stream.send(bad)
        error = json.loads(await stream.recv())
        await stream.send(INK)
        result = json.loads(await stream.recv())
    assert error["type"] == "error"
    assert error["code"].startswith(code)
    assert text in error["message"]
    assert (error["fatal"], error["index"]) == (False, 1)
    assert result["column"] == 1  # nothing of the bad message was taken
    probabilities = list(result["probabilities"].values())
    assert np.abs(probabilities - uninterrupted(Runtime(tiny), INK * 2)[1]).max() < 1e-5


async def test_too_many_bad_messages_close_the_stream(running: Running, tiny: Checkpoint) -> None:
    async with beside_a_healthy_session(running, tiny), session(running) as stream:
        for _ in range(running.service.limits.max_bad_messages):
            await stream.send(b"x")
        assert await closing_code_of(stream) == 4400


# Faults that the WebSocket layer closes


async def test_a_frame_over_the_limit_is_closed_with_1009(
    running: Running, tiny: Checkpoint
) -> None:
    most = running.service.limits.max_frame_bytes
    for n_bytes in (most + 1, 10 * 1024 * 1024):
        async with beside_a_healthy_session(running, tiny), session(running) as stream:
            with suppress(ConnectionClosed):  # the server may close before all is written
                await stream.send(bytes(n_bytes))
            assert await closing_code_of(stream) == 1009


async def test_fragments_over_the_limit_are_closed_with_1009(
    running: Running, tiny: Checkpoint
) -> None:
    piece = bytes(running.service.limits.max_frame_bytes // 2)
    async with beside_a_healthy_session(running, tiny), session(running) as stream:
        with suppress(ConnectionClosed):
            await stream.send([piece, piece, piece])
        assert await closing_code_of(stream) == 1009


async def test_text_that_is_not_utf_8_is_closed_with_1007(
    running: Running, tiny: Checkpoint
) -> None:
    async with beside_a_healthy_session(running, tiny), session(running) as stream:
        await stream.send(b"\xff\xfe", text=True)
        assert await closing_code_of(stream) == 1007


async def test_frames_that_rfc_6455_forbids_are_closed_with_1002(
    running: Running, tiny: Checkpoint
) -> None:
    async with beside_a_healthy_session(running, tiny):
        for bytes_on_the_wire in (b"\x82\x01x", b"\x83\x80" + bytes(4), b"\xf2\x80" + bytes(4)):
            with RawClient(running.port) as client:  # unmasked, unknown kind, reserved bits
                client.read()
                client.send(bytes_on_the_wire)
                assert client.read()[:2] == (1002).to_bytes(2)


# Unusual but valid


async def test_a_fragmented_message_is_one_message(running: Running, tiny: Checkpoint) -> None:
    async with beside_a_healthy_session(running, tiny), session(running) as stream:
        await stream.send([INK[:1], INK[1:20], b"", INK[20:]])
        assert json.loads(await stream.recv())["column"] == 0
        await stream.send(['{"type":', '"ping","id":"ü"}'])
        assert json.loads(await stream.recv())["id"] == "ü"


async def test_bytes_may_come_one_at_a_time(running: Running, tiny: Checkpoint) -> None:
    async with beside_a_healthy_session(running, tiny):
        with RawClient(running.port) as client:
            client.read()
            for byte in frame(INK):
                client.send(bytes([byte]))
            assert json.loads(client.read())["type"] == "result"


async def test_a_ping_of_the_websocket_layer_is_answered(running: Running) -> None:
    async with session(running) as stream:
        await (await stream.ping())


# Refused clients


REFUSALS = [
    ("?model=klingon", {}, "unknown_model", 404, 4404),
    ("?model=", {}, "unknown_model", 404, 4404),
    ("?session=abc&epoch=0&letters=0&words=0", {}, "unknown_session", 404, 4404),
    ("", {"Origin": "https://evil.example"}, "forbidden_origin", 403, 4403),
    ("", {"Origin": "null"}, "forbidden_origin", 403, 4403),
]


@pytest.mark.parametrize(("query", "headers", "code", "status", "closing_code"), REFUSALS)
async def test_a_refused_client_gets_the_reason(
    running: Running,
    tiny: Checkpoint,
    query: str,
    headers: dict[str, str],
    code: str,
    status: int,
    closing_code: int,
) -> None:
    async with beside_a_healthy_session(running, tiny):
        with pytest.raises(InvalidStatus) as caught:
            await connect(running.url + query, additional_headers=headers)
        assert caught.value.response.status_code == status
        assert json.loads(caught.value.response.body)["error"]["code"] == code
        async with connect(
            running.url + query, additional_headers=headers, subprotocols=[PROTOCOL]
        ) as stream:
            error = json.loads(await stream.recv())
            assert (error["code"], error["fatal"]) == (code, True)
            assert await closing_code_of(stream) == closing_code


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


async def test_keys_are_required_in_header_or_subprotocol(tiny: Checkpoint) -> None:
    with server(tiny.path.parent, api_keys="good-key") as running:
        for headers in ({}, {"Authorization": "Bearer bad"}, {"Authorization": "Basic good-key"}):
            with pytest.raises(InvalidStatus) as caught:
                await connect(running.url + "?key=good-key", additional_headers=headers)
            assert caught.value.response.status_code == 401
        async with connect(running.url, subprotocols=[PROTOCOL, Subprotocol("key.bad")]) as stream:
            assert json.loads(await stream.recv())["code"] == "unauthorized"
            assert await closing_code_of(stream) == 4401
        async with connect(
            running.url, subprotocols=[PROTOCOL, Subprotocol("key.good-key")]
        ) as stream:
            assert json.loads(await stream.recv())["type"] == "ready"
            assert stream.subprotocol == PROTOCOL
        async with session(running, additional_headers={"Authorization": "Bearer good-key"}):
            pass


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
