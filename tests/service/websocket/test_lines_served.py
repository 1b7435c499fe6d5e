"""A transcriber over real sockets beside a classifier: errors, and sessions that must not mix."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.recognizer import Recognizer, load
from inkstream.service.client import connect
from inkstream.service.websocket import MERGE_FROM
from tests.helpers import builders
from tests.helpers.asgi_websocket import AsgiClient, serving
from tests.helpers.engine_sessions import RecordingMetrics
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
    (ink([[1, float("inf")]]), "bad_ink", "point 0 of stroke 0 is [1, Infinity]"),
    (ink([[1, 2, 3]]), "bad_ink", "point 0 of stroke 0 is [1, 2, 3]"),
    (ink("points"), "bad_ink", 'points of stroke 0 is "points"'),
    (ink([[-1, 2]]), "bad_ink", "x is from -0.1 to -0.1, allowed: 0 to"),
    (ink([[1e300, 2]]), "bad_ink", "x is from 1e+299"),
    (ink([[2, 1e300]]), "bad_ink", "y is from 1e+299"),
    (ink([[0, 0], [900_000, 0]]), "bad_ink", "the pen goes 90000 pixels"),
    (ink([[0, 0], [600_000, 0]]), "bad_ink", "new columns, allowed: up to 2048"),
    (ink([[5, 5]] * 9_000), "bad_ink", "9000 points in one message, allowed: up to 8192"),
    (ink([[0, 0], [9_000, 0]] * 400), "bad_ink", "the pen goes 719100 pixels"),
    (ink([[1, 2]], height=0), "bad_value", "height is 0"),
    (ink([[1, 2]], height=99), "bad_ink", "height is 99, expected 160"),
    (
        message("ink", strokes=[{"points": [[1, 2]]}], id=7),
        "bad_ink",
        "ink with strokes has no height",
    ),
    (message("ink", undo=3, id=7), "bad_ink", "undo is 3, allowed: the id of a stroke"),
    (message("ink", undo=[3], id=7), "bad_value", "undo is an array, allowed: a whole number"),
    (message("ink", pause=1, id=7), "bad_value", "pause is 1, allowed: true or false"),
    (message("ink", fit=None, id=7), "bad_value", "fit is null, allowed: true or false"),
    (
        message("ink", strokes=[{"id": 0, "points": []}] * 2, height=160, id=7),
        "bad_ink",
        "stroke 0 is complete, allowed: a new id",
    ),
    (
        message("ink", strokes=[{"id": 1, "points": [], "last": 1}], height=160, id=7),
        "bad_ink",
        "last of stroke 0 is 1, allowed: true or false",
    ),
]


@pytest.mark.parametrize(("bad", "code", "text"), BAD_INK)
async def test_invalid_ink_gets_an_error_and_the_stream_goes_on(
    running: Running, reader: Recognizer, bad: str, code: str, text: str
) -> None:
    stroke = [[10 + 3 * i, 80 + 60 * float(np.sin(i))] for i in range(40)]
    async with (
        beside_a_healthy_session(running, reader),
        session(running) as stream,
        session(running) as untroubled,
    ):
        for each in (stream, untroubled):
            await each.send(ink(stroke))
        await stream.send(bad)
        error = (await messages_until(stream, "error"))[-1]
        for each in (stream, untroubled):
            await each.send(message("flush"))
        texts = [
            (await messages_until(each, "flushed"))[-1]["text"] for each in (stream, untroubled)
        ]
    assert (error["code"], error["fatal"], error["index"], error["ref"]) == (code, False, 1, 7)
    assert error["message"].startswith(text) or text in error["message"]
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


async def test_interleaved_sessions_of_both_models_do_not_mix(
    running: Running, line_weights: Path, reader: Recognizer
) -> None:
    digits = load(line_weights / "tiny.onnx")
    lines = [builders.columns(90, seed, 16) for seed in range(24)]
    images = [builders.columns(28, seed) for seed in range(24)]

    async def read_line(columns: NDArray[np.uint8]) -> str | None:
        async with connect(running.url, model="tiny_lines") as stream:
            for start in range(0, len(columns), 3):
                async for _ in stream.send(columns[start : start + 3]):
                    pass
            return (await stream.flush()).text

    async def read_image(columns: NDArray[np.uint8]) -> str | None:
        async with connect(running.url, model="tiny") as stream:
            for column in columns:
                async for _ in stream.send(column.tobytes()):
                    pass
            return (await stream.flush()).label

    texts, labels = await asyncio.gather(
        asyncio.gather(*map(read_line, lines)), asyncio.gather(*map(read_image, images))
    )
    assert list(texts) == [reader.read(columns).text for columns in lines]
    assert list(labels) == [digits.read(columns).label for columns in images]


async def test_results_for_a_slow_reader_are_merged_but_events_are_not(
    tiny_lines: Checkpoint, reader: Recognizer
) -> None:
    n_columns = 3 * MERGE_FROM
    columns = builders.columns(n_columns, 3, 16)
    metrics = RecordingMetrics()
    async with serving(tiny_lines, metrics) as (service, _):
        client = AsgiClient(service)
        await client.wait_for(0)
        client.may_send.clear()
        client.send(columns.tobytes(), message("flush", id="f"))
        await metrics.wait_until(n_columns)
        client.may_send.set()
        await client.wait_until(lambda client: client.received[-1]["type"] == "flushed")
        client.vanish()
        await client.wait_for_end()
    messages = client.received[1:]
    expected = reader.read(columns)
    results = [each for each in messages if each["type"] == "result"]
    letters = [each for each in messages if each["type"] == "letter"]
    assert [(each["char"], each["end"]) for each in letters] == [
        (letter.char, letter.end) for letter in expected.letters
    ]
    assert [each["text"] for each in messages if each["type"] == "word"] == [
        word.text for word in expected.words
    ]
    # From then on each result replaces one before it, if no event is between them.
    assert len(results) <= MERGE_FROM + len(messages) - len(results)
    assert results[-1]["column"] == n_columns - 1
    assert messages[-1]["text"] == expected.text
