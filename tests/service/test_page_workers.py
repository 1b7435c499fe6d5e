"""Page workers: what they answer, their limits, and how they end."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from inkstream.model.errors import InkstreamError
from inkstream.service.observe import logs
from inkstream.service.page_workers import pool as page_workers
from inkstream.service.page_workers.pool import PageWorkers
from inkstream.service.protocol.errors import (
    OverLimitError,
    ServerFullError,
    StoppingError,
    UnreadableError,
)
from inkstream.service.settings import Settings
from tests.helpers.engine_sessions import DEADLINE_S
from tests.service import odd_page_worker

MB = 1 << 20


def made(**settings: int) -> PageWorkers:
    return PageWorkers(odd_page_worker.__name__, Settings.load(**settings))


@pytest.fixture
async def some() -> AsyncIterator[PageWorkers]:
    some = made()
    yield some
    some.stop()


async def ask(some: PageWorkers, order: bytes, body: bytes = b"", client: str = "a") -> bytes:
    return await some.run(client, [order, body])


def children() -> list[psutil.Process]:
    """Return the page workers that run."""
    found = []
    for each in psutil.Process().children():
        with suppress(psutil.Error):  # it ends just now
            if odd_page_worker.__name__ in each.cmdline():
                found.append(each)
    return found


def resident_bytes(pid: int, name: str) -> int:
    """Return the resident memory of a process: VmRSS now, VmHWM at its peak (proc(5))."""
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if name in x)
    return 1024 * int(line.split()[1])


async def wait_for_children(count: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while len(children()) != count:  # noqa: ASYNC110 - nothing tells of processes
            await asyncio.sleep(0.01)


async def test_a_page_worker_answers_again_and_again(some: PageWorkers) -> None:
    assert not children()  # before there is something to do
    for body in (b"", b"one", bytes(20 * MB)):
        assert await ask(some, b"echo", body) == body
    assert len({await ask(some, b"number") for _ in range(3)}) == 1


async def test_a_page_worker_sees_no_setting(
    some: PageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKSTREAM_API_KEYS", "secret")
    monkeypatch.setenv("OTHER", "1")
    names = (await ask(some, b"environment")).split()
    assert b"OTHER" in names
    assert b"INKSTREAM_API_KEYS" not in names


async def test_a_page_worker_holds_one_request_and_none_that_it_has_answered(
    some: PageWorkers,
) -> None:
    number = int(await ask(some, b"number"))
    before = resident_bytes(number, "VmRSS")
    for _ in range(3):
        await ask(some, b"echo", bytes(20 * MB))
    assert resident_bytes(number, "VmHWM") < before + 35 * MB  # two requests are 40
    async with asyncio.timeout(page_workers.IDLE_S / 2):
        while resident_bytes(number, "VmRSS") > before + 5 * MB:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


async def test_a_page_worker_gets_no_more_memory_than_is_allowed() -> None:
    some = made(page_worker_memory_bytes=256 * MB)
    assert await ask(some, b"allocate", str(100 * MB).encode()) == b""
    assert await ask(some, b"allocate", str(300 * MB).encode()) == b"refused"
    some.stop()


@pytest.mark.parametrize(
    ("order", "wall_s_per_cpu_s", "text"),
    [
        # The clock has more time where the processor is busy elsewhere.
        (b"compute", 60, "takes more than 1 s of processor time, the most allowed"),
        (b"wait", 1, "takes longer than 1 s"),
    ],
)
async def test_what_takes_too_long_is_killed_and_refused(
    monkeypatch: pytest.MonkeyPatch, order: bytes, wall_s_per_cpu_s: int, text: str
) -> None:
    monkeypatch.setattr(page_workers, "WALL_S_PER_CPU_S", wall_s_per_cpu_s)
    some = made(page_worker_cpu_s=1)
    with pytest.raises(OverLimitError, match=text):
        await ask(some, order)
    await wait_for_children(0)
    assert await ask(some, b"echo", b"next") == b"next"
    some.stop()


@pytest.mark.parametrize(("order", "reason"), [(b"exit", "EOFError"), (b"answer much", "OSError")])
async def test_a_page_worker_that_fails_is_replaced_and_logged(
    some: PageWorkers, log: io.StringIO, order: bytes, reason: str
) -> None:
    logs.configure("json", stream=log)
    with pytest.raises(UnreadableError, match="the server's log says why"):
        await ask(some, order, str(page_workers.MAX_ANSWER_BYTES + 1).encode())
    line = json.loads(log.getvalue().splitlines()[-1])
    assert line["event"] == "page worker ended without an answer"
    assert reason in line["reason"]
    await wait_for_children(0)
    assert await ask(some, b"echo", b"next") == b"next"


async def test_an_idle_page_worker_that_was_killed_is_replaced(some: PageWorkers) -> None:
    psutil.Process(int(await ask(some, b"number"))).kill()
    await wait_for_children(0)
    assert await ask(some, b"echo", b"next") == b"next"


async def test_an_idle_page_worker_that_dies_before_it_reads_a_request_is_replaced(
    some: PageWorkers,
) -> None:
    worker = psutil.Process(int(await ask(some, b"number")))
    worker.suspend()
    answer = asyncio.create_task(ask(some, b"echo", b"next"))
    await asyncio.sleep(0.2)  # the request has been sent
    worker.kill()
    assert await answer == b"next"


async def test_a_page_worker_is_killed_when_its_client_leaves(some: PageWorkers) -> None:
    work = asyncio.create_task(ask(some, b"compute"))
    await wait_for_children(1)
    work.cancel()
    await wait_for_children(0)
    assert await ask(some, b"echo", b"next") == b"next"


async def test_an_idle_page_worker_ends(some: PageWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_workers, "IDLE_S", 0.1)
    await ask(some, b"echo")
    assert len(children()) == 1
    await wait_for_children(0)


async def test_all_page_workers_are_killed_when_the_server_stops(some: PageWorkers) -> None:
    orders = [asyncio.create_task(ask(some, b"compute", client=client)) for client in "aab"]
    idle = asyncio.create_task(ask(some, b"echo", client="c"))
    await wait_for_children(2)
    started_s = time.monotonic()
    some.stop()
    for result in await asyncio.gather(*orders, idle, return_exceptions=True):
        assert isinstance(result, StoppingError)
    assert time.monotonic() - started_s < 1
    await wait_for_children(0)
    with pytest.raises(StoppingError):
        await ask(some, b"echo")


async def test_a_client_with_a_long_queue_delays_no_other(some: PageWorkers) -> None:
    flood = [
        asyncio.create_task(ask(some, b"compute"))
        for _ in range(2 * page_workers.MAX_CLIENT_WAITING_REQUESTS)
    ]
    await wait_for_children(1)
    for _ in range(3):
        assert await asyncio.wait_for(ask(some, b"echo", b"mine", "b"), DEADLINE_S) == b"mine"
    for work in flood:
        work.cancel()
    results = await asyncio.gather(*flood, return_exceptions=True)
    refused = [each for each in results if isinstance(each, InkstreamError)]
    assert len(refused) == page_workers.MAX_CLIENT_WAITING_REQUESTS - 1
    assert all(isinstance(each, ServerFullError) for each in refused)
