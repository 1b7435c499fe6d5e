"""Every road gives one answer: 64 interleaved streams, lone runs, whole images, the evaluation."""

import asyncio
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model import load
from model.checkpoint import find, read
from model.evaluate import runtime_road
from service.client import connect
from service.road import websocket_road
from tests import builders
from tests.service.asking import client_of
from tests.service.running import Running, server

SESSIONS = 64
ALLOWED = 1e-5


async def interleave(url: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """All images at once, one stream each, one column of each after the other: [N, T, K]."""
    rows: list[list[list[float]]] = [[] for _ in images]

    async def write(index: int, turns: asyncio.Barrier) -> None:
        async with connect(url) as stream:
            for column in images[index]:
                await turns.wait()
                async for result in stream.send(column.tobytes()):
                    rows[index].append(list(result.probabilities.values()))

    turns = asyncio.Barrier(len(images))
    async with asyncio.TaskGroup() as group:
        for index in range(len(images)):
            group.create_task(write(index, turns))
    return np.array(rows, np.float32)


def curve_by_rest(running: Running, image: NDArray[np.uint8]) -> list[list[float]]:
    with client_of(running) as client:
        answer = client.post("/v1/recognize?curve=true", json={"columns": image.tolist()})
    return [list(row.values()) for row in answer.json()["curve"]]


def test_64_interleaved_sessions_equal_lone_runs_rest_and_evaluation(tmp_path: Path) -> None:
    images = builders.excerpt(SESSIONS).columns
    recognizer = load("digits")
    lone = np.array(
        [[list(r.probabilities.values()) for r in recognizer.stream(image)] for image in images]
    )
    with server(tmp_path, models="digits") as running:
        streamed = asyncio.run(interleave(running.url, images))
        posted = np.array([curve_by_rest(running, image) for image in images])
        shared = websocket_road(running.url, images)
    evaluated = runtime_road(read(find("digits")))(images)
    roads = {"streams": streamed, "REST": posted, "road": shared, "evaluation": evaluated}
    for name, probabilities in roads.items():
        largest = float(np.abs(probabilities - lone).max())
        print(f"largest difference of {name} from lone runs: {largest:.1e}")
        assert largest < ALLOWED
