"""Interleaved streams, uninterrupted runs, REST and the evaluation give equal answers."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream import load
from inkstream.model.checkpoint import find, read
from inkstream.model.data.batches import LineSample
from inkstream.model.evaluation.digits import predictor
from inkstream.model.preprocess.ink import flatten, rasterise
from inkstream.model.reader import Reader
from inkstream.service.client.stream import connect
from inkstream.service.protocol.server_messages import Event
from tests.helpers import builders
from tests.helpers.http import client_of
from tests.helpers.running_server import Running, server

pytestmark = pytest.mark.slow

SESSIONS = 64
ALLOWED = 1e-5


async def interleave(url: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stream all images at once, column by column in turn; return probabilities [N, T, K]."""
    results_of: list[list[list[float]]] = [[] for _ in images]

    async def write(index: int, turns: asyncio.Barrier) -> None:
        async with connect(url) as stream:
            for column in images[index]:
                await turns.wait()
                async for result in stream.send(column.tobytes()):
                    results_of[index].append(list(result.probabilities.values()))

    turns = asyncio.Barrier(len(images))
    async with asyncio.TaskGroup() as group:
        for index in range(len(images)):
            group.create_task(write(index, turns))
    return np.array(results_of, np.float32)


def curve_by_rest(running: Running, image: NDArray[np.uint8]) -> list[list[float]]:
    with client_of(running) as client:
        answer = client.post("/v1/classify?curve=true", json={"columns": image.tolist()})
    return [[p for _, p in sorted(pairs)] for pairs in answer.json()["curve"]]


def test_64_interleaved_sessions_equal_uninterrupted_runs_rest_and_evaluation(
    tmp_path: Path,
) -> None:
    images = builders.excerpt(SESSIONS).columns
    recognizer = load("digits")
    uninterrupted = np.array(
        [
            [list(result.probabilities.values()) for result in recognizer.stream(image)]
            for image in images
        ]
    )
    with server(tmp_path, models="digits") as running:
        streamed = asyncio.run(interleave(running.url, images))
        posted = np.array([curve_by_rest(running, image) for image in images])
    evaluated = predictor(read(find("digits")))(images)
    ways = {"streams": streamed, "REST": posted, "evaluation": evaluated}
    for name, probabilities in ways.items():
        largest = float(np.abs(probabilities - uninterrupted).max())
        print(f"largest difference of {name} from uninterrupted runs: {largest:.1e}")
        assert largest < ALLOWED


# Lines


def drawn_line(seed: int) -> NDArray[np.uint8]:
    """Return the columns [T, 32] of loops that look like two words."""
    random = np.random.default_rng(seed)
    strokes = []
    for word in range(2):
        t = np.linspace(0, 1, 90)
        x = 3 + 70 * word + 55 * t + 3 * np.sin(random.uniform(50, 70) * t)
        y = 16 + 12 * np.sin(random.uniform(30, 50) * t) * np.cos(random.uniform(5, 9) * t)
        strokes.append(np.stack([x, y], 1))
    return rasterise(*flatten(strokes), 32)


async def transcribe(url: str, lines: list[NDArray[np.uint8]]) -> list[list[tuple[str, int, int]]]:
    """Stream all lines at once, one column a message; return the events of each."""

    async def read(columns: NDArray[np.uint8]) -> list[tuple[str, int, int]]:
        async with connect(url, model="lines") as stream:
            events: list[Event] = []
            for column in columns:
                async for result in stream.send(column.tobytes()):
                    events += result.events
            flushed = await stream.flush()
        return [content(event) for event in (*events, *flushed.events)]

    return await asyncio.gather(*map(read, lines))


def content(event: Event) -> tuple[str, int, int]:
    text = event.text if event.type == "word" else event.char
    return text, event.start, event.end


def test_interleaved_lines_equal_whole_lines_rest_and_evaluation(tmp_path: Path) -> None:
    lines = [drawn_line(seed) for seed in range(24)]
    recognizer = load("lines")
    readings = [recognizer.read(columns) for columns in lines]
    expected = [
        {(e.char, e.start, e.end) for e in each.letters}
        | {(e.text, e.start, e.end) for e in each.words}
        for each in readings
    ]
    assert sum(map(len, expected)) > 100
    with server(tmp_path, models="lines") as running:
        streamed = asyncio.run(transcribe(running.url, lines))
        with client_of(running) as client:
            posted = [
                client.post("/v1/recognize", json={"columns": columns.tolist()}).json()
                for columns in lines
            ]
    assert [set(each) for each in streamed] == expected
    assert [answer["text"] for answer in posted] == [each.text for each in readings]
    samples = [LineSample(columns, "", np.empty(0, np.float32)) for columns in lines]
    assert [reading.text for reading in Reader(read(find("lines"))).read(samples)] == [
        each.text for each in readings
    ]
