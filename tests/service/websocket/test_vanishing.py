"""Connections that are lost, never read or never written: nothing remains, and others go on."""

import asyncio
import gc
import json
import resource
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.websocket import Stream
from tests.helpers import builders
from tests.helpers.engine_sessions import DEADLINE_S, PausableEngine
from tests.helpers.http import client_of, wait_for_no_sessions
from tests.helpers.raw_websocket import TEXT, RawClient, frame
from tests.helpers.running_server import Running, server
from tests.helpers.single_session import INK, message, uninterrupted

pytestmark = pytest.mark.slow

WARM_UP_ROUNDS = 5  # until allocators have reserved their memory
FLOOD_BYTES = 8 * 1024 * 1024  # of memory, for a client that never reads, however much it sends
ALLOWED_GROWTH_BYTES = 8 * 1024 * 1024  # a leaked session is some 20 kB, three rounds 18 MB


@pytest.fixture
def running(tiny: Checkpoint) -> Iterator[Running]:
    with server(tiny.path.parent, stall_timeout_s=1) as running:
        yield running


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])  # proc(5)
    return pages * resource.getpagesize()


def n_sessions(running: Running) -> float:
    """Return the number of connected sessions by `/metrics`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("inkstream_sessions ")]
    return float(line.split()[1])


def one_round(running: Running) -> None:
    """Run 300 sessions: a half ends by TCP reset, some within a frame; a quarter sends `end`."""
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(running.port)) for _ in range(300)]
        for client in clients:
            client.read()
            client.send(frame(INK) * 3)
        assert n_sessions(running) == 300
        for number, client in enumerate(clients):
            if number % 4 == 0:
                client.send(frame(INK)[:17])
                client.reset()
            elif number % 4 == 1:
                client.reset()
            elif number % 4 == 2:
                client.send(frame(message("end").encode(), TEXT))
                client.read_to_the_end()
    running.wait_until_empty(within_s=10)
    assert n_sessions(running) == 0


def test_rounds_of_300_clients_half_of_them_cut_by_reset_leak_no_memory(running: Running) -> None:
    for _ in range(WARM_UP_ROUNDS):
        one_round(running)
    for _ in range(3):  # a leak grows each time, what an allocator reserves does not
        before = resident_bytes()
        for _ in range(3):
            one_round(running)
        if (grown := resident_bytes() - before) < ALLOWED_GROWTH_BYTES:
            break
    gc.collect()
    assert not [
        each for each in gc.get_objects() if type(each) is Stream
    ]  # isinstance would load lazy modules
    assert grown < ALLOWED_GROWTH_BYTES


async def test_a_client_that_floods_and_never_reads_does_not_slow_others(
    running: Running, tiny: Checkpoint
) -> None:
    before = resident_bytes()
    columns = builders.columns(40, seed=7)
    with RawClient(running.port, receive_buffer_bytes=4096) as flooding:
        sent = asyncio.create_task(asyncio.to_thread(flood_until_cut_off, flooding))
        results = []
        async with connect(running.url) as healthy:
            await healthy.recv()
            for column in columns:
                await healthy.send(column.tobytes())
                results.append(json.loads(await healthy.recv()))
        n_columns = await sent
    running.wait_until_empty()
    probabilities = np.array([[p for _, p in result["probabilities"]] for result in results])
    assert np.abs(probabilities - uninterrupted(Runtime(tiny), columns.tobytes())).max() < 1e-5
    assert n_columns > 10_000
    assert resident_bytes() - before < FLOOD_BYTES


def flood_until_cut_off(client: RawClient) -> int:
    """Send columns and read nothing until the server hangs up; return the number of columns."""
    n_columns = 0
    try:
        while True:
            client.send(frame(INK * 64))
            n_columns += 64
    except ConnectionError:
        return n_columns


def test_a_client_that_disconnects_cancels_its_recognition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engines: list[PausableEngine]
) -> None:
    runs = []

    def run_and_pause(*args: Any) -> Any:
        runs.append(args)
        engines[0].pause()
        return run(*args)

    run = Runtime.run_ragged
    body = json.dumps({"columns": [[9] * 28] * 10_000}).encode()
    head = f"POST /v1/recognize HTTP/1.1\r\nHost: [::1]\r\nContent-Length: {len(body)}\r\n"
    with server(tmp_path) as running, client_of(running) as client:
        monkeypatch.setattr(Runtime, "run_ragged", run_and_pause)
        with socket.create_connection(("127.0.0.1", running.port)) as leaving:
            leaving.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            assert engines[0].has_work.wait(DEADLINE_S)
        wait_for_no_sessions(client)
        engines[0].resume()
        assert client.get("/healthz").status_code == 200
    assert len(runs) == 1
