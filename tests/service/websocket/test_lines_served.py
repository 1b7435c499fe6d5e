"""A transcriber over real sockets beside a classifier: errors, and sessions that must not mix."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket

from inkstream.model.recognizer import Recognizer
from inkstream.service.client.stream import connect
from tests.helpers import builders
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import message

LINES = "?model=tiny_lines"
N_HEALTHY = 60  # columns of the healthy session


@pytest.fixture(scope="module")
def running(line_weights: Path) -> Iterator[Running]:
    with server(line_weights, models="tiny,tiny_lines", max_frame_bytes=4_000_000) as running:
        yield running


@asynccontextmanager
async def session(running: Running) -> AsyncIterator[ClientConnection]:
    async with open_socket(running.url + LINES) as stream:
        assert json.loads(await stream.recv())["type"] == "ready"
        yield stream


async def messages_until(stream: ClientConnection, last: str) -> list[dict[str, Any]]:
    """Return the messages up to one of type `last`."""
    messages = [json.loads(await stream.recv())]
    while messages[-1]["type"] != last:
        messages.append(json.loads(await stream.recv()))
    return messages


@asynccontextmanager
async def beside_a_healthy_session(running: Running, reader: Recognizer) -> AsyncIterator[None]:
    """Run the block in the middle of another session, and check that session's results."""
    columns = builders.columns(N_HEALTHY, 5, 16)
    async with connect(running.url, model="tiny_lines") as healthy:
        first = [result async for result in healthy.send(columns[: N_HEALTHY // 2])]
        yield
        rest = [result async for result in healthy.send(columns[N_HEALTHY // 2 :])]
        flushed = await healthy.flush()
    assert [result.column for result in first + rest] == list(range(N_HEALTHY))
    assert flushed.text == reader.read(columns).text


def ink(points: Any, height: Any = 160) -> str:
    return message("ink", strokes=[{"points": points}], height=height, id=7)


BAD_INK = [
    (ink([[1, float("nan")]]), "bad_ink", "point 0 of stroke 0 is [1, NaN]"),
    (ink([[-1, 2]]), "bad_ink", "x is from -0.1 to -0.1, allowed: 0 to"),
    (ink([[0, 0], [900_000, 0]]), "bad_ink", "the pen goes 90000 pixels"),
    (ink([[0, 0], [600_000, 0]]), "bad_ink", "ink brings 59998 new columns, allowed: up to 2048"),
    (ink([[5, 5]] * 9_000), "bad_ink", "9000 points in one message, allowed: up to 8192"),
    (ink([[1, 2]], height=0), "bad_value", "height is 0"),
    (ink([[1, 2]], height=99), "bad_ink", "height is 99, expected 160"),
    (ink([[1, 2]], height=None), "bad_ink", "ink with strokes has no height"),
    (message("ink", undo=3, id=7), "bad_ink", "undo is 3, allowed: the id of a stroke"),
    (message("ink", pause=1, id=7), "bad_value", "pause is 1, allowed: true or false"),
]


async def test_invalid_ink_gets_errors_and_the_stream_goes_on(
    running: Running, reader: Recognizer
) -> None:
    stroke = ink([[10 + 3 * i, 80 + 60 * float(np.sin(i))] for i in range(40)])
    async with (
        beside_a_healthy_session(running, reader),
        session(running) as stream,
        session(running) as untroubled,
    ):
        for each in (stream, untroubled):
            await each.send(stroke)
        for index, (bad, code, text) in enumerate(BAD_INK, 1):
            await stream.send(bad)
            error = (await messages_until(stream, "error"))[-1]
            fields = [error[name] for name in ("code", "fatal", "index", "ref")]
            assert fields == [code, False, index, 7]
            assert error["message"].startswith(text)
        texts = []
        for each in (stream, untroubled):
            await each.send(message("flush"))
            texts.append((await messages_until(each, "flushed"))[-1]["text"])
    assert texts[0] == texts[1]


async def test_no_strokes_one_point_and_many_points_are_all_answered(running: Running) -> None:
    async with session(running) as stream:
        await stream.send(message("ink", strokes=[], height=160))
        await stream.send(ink([]))
        await stream.send(ink([[50, 80]]))
        await stream.send(ink([[60 + i / 10, 80 + i % 60] for i in range(8000)]))
        await stream.send(message("end"))
        messages = await messages_until(stream, "done")
    assert not [each for each in messages if each["type"] == "error"]
    assert messages[-1]["columns"] == 87
