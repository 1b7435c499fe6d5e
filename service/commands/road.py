"""A server as a road for `model.evaluate`: many images through its WebSocket, column by column."""

import asyncio
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.client import AsyncStream, connect

STREAMS: Final = 32  # at a time: enough that the server batches


def websocket_road(
    url: str, columns: NDArray[np.uint8], *, model: str | None = None, key: str | None = None
) -> NDArray[np.float32]:
    """The probabilities [N, T, K] that the server at `url` gives for images [N, T, H].

    Each image is a line of its own. Raises what `service.client.connect` raises.
    """
    return asyncio.run(_read_all(url, columns, model, key))


async def _read_all(
    url: str, columns: NDArray[np.uint8], model: str | None, key: str | None
) -> NDArray[np.float32]:
    n_streams = min(STREAMS, len(columns))

    async def read(share: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        async with connect(url, model=model, key=key) as stream:
            return [await _read_image(stream, image) for image in share]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(columns[first::n_streams])) for first in range(n_streams)]
    probabilities = np.empty((*columns.shape[:2], len(tasks[0].result()[0][0])), np.float32)
    for first, task in enumerate(tasks):
        probabilities[first::n_streams] = task.result()
    return probabilities


async def _read_image(stream: AsyncStream, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows = [list(result.probabilities.values()) async for result in stream.send(image)]
    await stream.reset()
    return np.array(rows, np.float32)  # [T, K]
