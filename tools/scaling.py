"""Compute what many writers need, from what one machine was measured to give.

    python -m tools.scaling --measure
    python -m tools.scaling --core-hour 0.04 --memory-hour 0.005 --gigabyte-out 0.05

The first command measures what `inkstream bench` does not: the bytes, columns and messages of
writers, and the memory of their sessions, with the pens of `service.bench.pens` and the Python
client. It writes `docs/reports/scaling.json`. The second one prints the tables of
`docs/scaling.md`, with the prices that it is given.
"""

import asyncio
import itertools
import json
import math
import socket
import struct
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import click
import psutil

from inkstream.model.checkpoint import find, read
from inkstream.model.runtime import Runtime
from inkstream.service import installed_version
from inkstream.service.bench.pens import ink_messages
from inkstream.service.bench.processes import allow_connections, describe_machine, serving
from inkstream.service.client import connect
from tools.writing import Writer

REPORTS: Final = Path(__file__).parent.parent / "docs" / "reports"
REPORT: Final = REPORTS / "scaling.json"
MODEL: Final = "lines"
FEW_WRITERS, WRITERS = 8, 48
FEW_IDLE, IDLE = 50, 450  # sessions that read a column and then wait
SECONDS: Final = 15.0  # of writing
TCP_BYTES: Final = struct.Struct("=QQ")  # tcpi_bytes_acked and tcpi_bytes_received of tcp_info
TCP_BYTES_AT: Final = 120

SIZES: Final = (10_000, 1_000_000, 100_000_000)  # people who write at the same time
LOAD: Final = 0.6  # of what a core was measured to serve: the rest is for peaks
ZONES: Final = 3  # of which two must be enough
CORES_OF_REPLICA: Final = 4
SERIES_OF_REPLICA: Final = 100  # of Prometheus, about: 66, and a few for each label in use
# A replica that takes a line over reads up to 512 columns again: docs/decisions/serving.md.
RESUME_S: Final = 0.045


@dataclass(frozen=True)
class Measured:
    """What one writer and one core were measured to take and give."""

    writers_per_core: float
    idle_bytes: float  # of a process without sessions
    session_bytes: float
    columns_per_s: float  # of a writer
    messages_per_s: float
    up_bytes_per_s: float
    down_bytes_per_s: float
    idle_session_bytes: float  # of one that waits
    state_bytes: float  # of these, the net's state

    @classmethod
    def read(cls) -> Self:
        """Read the reports."""
        bench = REPORTS / "bench" / installed_version() / f"writers-{MODEL}.json"
        counted = json.loads(bench.read_text("utf-8"))
        footprint = json.loads((REPORTS / "footprint.json").read_text("utf-8"))
        report = json.loads(REPORT.read_text("utf-8"))
        return cls(
            writers_per_core=median(counted["writers"]) / int(counted["machine"]["cores"]),
            idle_bytes=1e6 * footprint["both_resident_mb"],
            **report["writer"],
            idle_session_bytes=report["idle_session_bytes"],
            state_bytes=report["state_bytes"],
        )


@dataclass(frozen=True)
class Need:
    """What so many writers need."""

    cores: int
    replicas: int
    memory_bytes: float
    up_bits_per_s: float
    down_bits_per_s: float
    deploy_core_s: float  # to read the lines again that a deploy moves

    @classmethod
    def of(cls, writers: int, measured: Measured) -> Self:
        """Compute it; two zones of three must be enough."""
        replica = measured.writers_per_core * CORES_OF_REPLICA * LOAD
        replicas = math.ceil(writers / replica * ZONES / (ZONES - 1) / ZONES) * ZONES
        return cls(
            cores=replicas * CORES_OF_REPLICA,
            replicas=replicas,
            memory_bytes=replicas * CORES_OF_REPLICA * measured.idle_bytes
            + writers * measured.session_bytes,
            up_bits_per_s=8 * writers * measured.up_bytes_per_s,
            down_bits_per_s=8 * writers * measured.down_bytes_per_s,
            deploy_core_s=writers * RESUME_S,
        )


@dataclass(frozen=True)
class Prices:
    """List prices; in any currency."""

    core_hour: float
    memory_hour: float  # of a gigabyte
    gigabyte_out: float


def of_an_hour(need: Need, prices: Prices) -> float:
    """Return what an hour costs."""
    gigabytes_out = need.down_bits_per_s / 8 * 3600 / 1e9
    return (
        need.cores * prices.core_hour
        + need.memory_bytes / 1e9 * prices.memory_hour
        + gigabytes_out * prices.gigabyte_out
    )


def figures_table(measured: Measured) -> str:
    """Return the measured figures as a table, each with its command."""
    ours = "`python -m tools.scaling --measure`"
    rows = [
        ("writers a core", f"{measured.writers_per_core:.0f}", "`inkstream bench writers`"),
        (
            "columns; messages of these a second",
            f"{measured.writers_per_core * measured.columns_per_s:,.0f};"
            f" {measured.writers_per_core * measured.messages_per_s:,.0f}",
            "from the rows above and below",
        ),
        ("memory of a process without sessions", mega(measured.idle_bytes), "`make footprint`"),
        ("memory of a session", kilo(measured.session_bytes), ours),
        (
            "memory of a session that waits; of it, the net's state",
            f"{kilo(measured.idle_session_bytes)}; {kilo(measured.state_bytes)}",
            ours,
        ),
        ("columns of a writer a second", f"{measured.columns_per_s:.0f}", ours),
        ("messages of a writer a second", f"{measured.messages_per_s:.0f}", ours),
        ("bytes of a writer a second, up", f"{measured.up_bytes_per_s:,.0f}", ours),
        ("bytes of a writer a second, down", f"{measured.down_bytes_per_s:,.0f}", ours),
        (
            "bytes a column, up; down",
            f"{measured.up_bytes_per_s / measured.columns_per_s:.0f};"
            f" {measured.down_bytes_per_s / measured.columns_per_s:.0f}",
            ours,
        ),
    ]
    return table(("of `lines`, ink", "measured", "command"), rows)


def needs_table(measured: Measured) -> str:
    """Return what each number of writers needs as a table."""
    needs = [Need.of(writers, measured) for writers in SIZES]
    rows = [
        ("cores", *(f"{need.cores:,}" for need in needs)),
        (f"replicas of {CORES_OF_REPLICA} cores", *(f"{need.replicas:,}" for need in needs)),
        ("memory, GB", *(f"{need.memory_bytes / 1e9:,.0f}" for need in needs)),
        ("Gbit a second up", *(f"{need.up_bits_per_s / 1e9:,.2f}" for need in needs)),
        ("Gbit a second down", *(f"{need.down_bits_per_s / 1e9:,.2f}" for need in needs)),
        ("GB an hour down", *(f"{need.down_bits_per_s / 8e9 * 3600:,.0f}" for need in needs)),
        (
            "series in Prometheus",
            *(f"{need.replicas * SERIES_OF_REPLICA:,}" for need in needs),
        ),
        ("core-seconds to move all lines", *(f"{need.deploy_core_s:,.0f}" for need in needs)),
    ]
    return table(("people who write at once", *(f"{writers:,}" for writers in SIZES)), rows)


def kilo(n_bytes: float) -> str:
    return f"{n_bytes / 1e3:.0f} kB"


def mega(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.0f} MB"


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def tcp_bytes(connection: socket.socket) -> tuple[int, int]:
    """Return how many bytes a connection has sent and received: struct tcp_info of linux/tcp.h."""
    found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    sent, received = TCP_BYTES.unpack_from(found, TCP_BYTES_AT)
    return sent, received


@dataclass
class Written:
    """What some writers sent and got."""

    seconds: float = 0.0  # of writing, of all writers together
    columns: int = 0
    messages: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    memory_bytes: int = 0  # of the server while all of them are connected, their lines not ended


async def write(url: str, pid: int, n_writers: int, seconds: float) -> Written:
    """Let writers write as fast as they are answered."""
    found, over, ready = Written(), asyncio.Event(), asyncio.Semaphore(0)

    async def write_as(number: int) -> None:
        async with connect(url, model=MODEL) as stream:
            writer = Writer(stream)
            for sent in itertools.takewhile(
                lambda sent: sent.due_s < seconds, ink_messages(number, "transcriber")
            ):
                line = await writer.send(sent.data)
                found.messages += 1
                found.columns += line.columns if line else 0
            found.seconds += seconds
            flushed = await stream.flush()
            found.columns += flushed.columns
            assert stream._socket is not None
            up, down = tcp_bytes(stream._socket.transport.get_extra_info("socket"))
            found.up_bytes, found.down_bytes = found.up_bytes + up, found.down_bytes + down
            ready.release()
            await over.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(n_writers):
            group.create_task(write_as(number))
        for _ in range(n_writers):
            await ready.acquire()
        found.memory_bytes = psutil.Process(pid).memory_full_info().uss
        over.set()
    return found


async def idle_memory(url: str, pid: int, sessions: int) -> int:
    """Return the bytes of the server while so many sessions have read a column and wait."""
    async with AsyncExitStack() as streams:
        for _ in range(sessions):
            stream = await streams.enter_async_context(connect(url, model=MODEL))
            async for _ in stream.send(bytes(stream.ready.column_height)):
                pass
        return int(psutil.Process(pid).memory_full_info().uss)


def measure() -> dict[str, Any]:
    """Return the report: what a writer takes of a server that serves nothing else."""
    allow_connections()
    with serving(MODEL) as server:
        url = f"ws://127.0.0.1:{server.port}"
        few_idle = asyncio.run(idle_memory(url, server.pid, FEW_IDLE))
        idle = asyncio.run(idle_memory(url, server.pid, IDLE))
        few = asyncio.run(write(url, server.pid, FEW_WRITERS, SECONDS))
        many = asyncio.run(write(url, server.pid, WRITERS, SECONDS))
    return {
        "writers": [FEW_WRITERS, WRITERS],
        "seconds": SECONDS,
        "writer": {
            "session_bytes": (many.memory_bytes - few.memory_bytes) / (WRITERS - FEW_WRITERS),
            "columns_per_s": many.columns / many.seconds,
            "messages_per_s": many.messages / many.seconds,
            "up_bytes_per_s": many.up_bytes / many.seconds,
            "down_bytes_per_s": many.down_bytes / many.seconds,
        },
        "idle_session_bytes": (idle - few_idle) / (IDLE - FEW_IDLE),
        "state_bytes": Runtime(read(find(MODEL))).state_size,
        "machine": describe_machine(),
    }


@click.command()
@click.option("--measure", "is_measuring", is_flag=True, help="Measure, and write the report.")
@click.option("--core-hour", default=0.0, help="Price of a core for an hour.")
@click.option("--memory-hour", default=0.0, help="Price of a gigabyte of memory for an hour.")
@click.option("--gigabyte-out", default=0.0, help="Price of a gigabyte that is sent.")
def main(is_measuring: bool, core_hour: float, memory_hour: float, gigabyte_out: float) -> None:
    """Measure if that is asked for; print the tables, and what an hour costs at these prices."""
    if is_measuring:
        REPORT.write_text(json.dumps(measure(), indent=2) + "\n")
    measured, prices = Measured.read(), Prices(core_hour, memory_hour, gigabyte_out)
    print(figures_table(measured))
    print(needs_table(measured))
    for writers in SIZES:
        cost = of_an_hour(Need.of(writers, measured), prices)
        print(
            f"{writers:,} people who write at once: {cost:,.2f} an hour, {cost / writers:.6f} each"
        )


if __name__ == "__main__":
    main()
