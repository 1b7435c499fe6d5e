"""Let writers write while a service of several workers is deployed and killed again and again.

    python -m tools.chaos --writers 200 --deploys 10 --kills 10

`inkstream serve --workers 3` runs on this machine. Each writer has a connection of the Python
client and writes lines as `service.bench.pens` has measured people to write. At equal intervals, in
turn, all workers are replaced (SIGHUP) and one worker, drawn at random, is killed (SIGKILL). Then
every finished line is sent again to a server that nothing disturbs: text, columns and events must
be equal, and no event may have come twice. A writer's gap is how late the answer comes to the
message during which its connection was replaced. Writes `report.json` and `gaps.png` into
`docs/reports/chaos`; the exit code is 1 if anything differs.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
import numpy as np

from inkstream.model.plots import ACCENT, WRONG, new_axes, save
from inkstream.service.bench.pens import Sent, ink_messages
from inkstream.service.bench.processes import await_workers, describe_machine, serving
from inkstream.service.client.stream import AsyncStream, connect
from inkstream.service.protocol.errors import StoppingError
from tools.writing import RESET, Line, Writer, compare, differences, workers_of

REPORT: Final = Path(__file__).parent.parent / "docs" / "reports" / "chaos"
MODEL: Final = "lines"
N_WORKERS: Final = 3
AT_ONCE: Final = 16  # writers that are read again together


@dataclass
class Heard:
    """What all writers heard."""

    lines: list[Line] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)  # of each answer
    gaps_ms: dict[str, list[float]] = field(default_factory=lambda: {"deploy": [], "kill": []})


async def write(stream: AsyncStream, sent: Iterable[Sent], start_s: float, heard: Heard) -> None:
    """Send messages when they are due, the next once the one before is answered."""
    writer = Writer(stream)
    for each in sent:
        due_s = start_s + each.due_s
        await asyncio.sleep(max(due_s - time.monotonic(), 0))
        before = stream.reconnected
        if (line := await writer.send(each.data)) is not None:
            heard.lines.append(line)
        late_ms = 1000 * (time.monotonic() - due_s)
        heard.late_ms.append(late_ms)
        after = stream.reconnected
        if after is not None and after is not before:
            is_move = isinstance(after.reason, StoppingError)
            heard.gaps_ms["deploy" if is_move else "kill"].append(late_ms)


def messages_of(number: int, seconds: float) -> list[Sent]:
    """Return what a writer sends in so many seconds, up to the end of its last line."""
    sent = []
    for each in ink_messages(number, "transcriber"):
        sent.append(each)
        if each.due_s > seconds and '"reset"' in str(each.data):
            break
    return sent


async def write_all(url: str, n_writers: int, seconds: float, heard: Heard) -> None:
    """Let all writers write."""

    async def write_as(number: int) -> None:
        async with connect(url, model=MODEL) as stream:
            await write(stream, messages_of(number, seconds), time.monotonic(), heard)

    async with asyncio.TaskGroup() as group:
        for number in range(n_writers):
            group.create_task(write_as(number))


async def read_again(url: str, lines: Sequence[Line], at_once: int = AT_ONCE) -> list[Line]:
    """Return lines as a server reads them that nothing disturbs, by so many sessions."""
    again: list[Line | None] = [None] * len(lines)

    async def read(numbers: range) -> None:
        async with connect(url, model=MODEL, reconnect=False) as stream:
            writer = Writer(stream)
            for number in numbers:
                for message in [*lines[number].messages, RESET]:
                    again[number] = await writer.send(message)

    async with asyncio.TaskGroup() as group:
        for first in range(at_once):
            group.create_task(read(range(first, len(lines), at_once)))
    return [line for line in again if line is not None]


async def disturb(pid: int, port: int, kinds: Sequence[str], interval_s: float) -> None:
    """Deploy and kill, each at its time, and wait until all workers serve again."""
    rng = random.Random(0)
    for kind in kinds:
        await asyncio.sleep(interval_s)
        if kind == "deploy":
            os.kill(pid, signal.SIGHUP)
        else:
            rng.choice([*workers_of(pid)]).kill()
        print(kind, flush=True)
    await asyncio.sleep(interval_s)
    await asyncio.to_thread(await_workers, port, N_WORKERS)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the number of values, and what they do not exceed in 50 % and in 99 %."""
    if not values:
        return {"n": 0}
    median, high = np.quantile(values, (0.5, 0.99)).round(1).tolist()
    return {"n": len(values), "p50_ms": median, "p99_ms": high, "max_ms": round(max(values), 1)}


def plot(gaps_ms: dict[str, list[float]]) -> None:
    """Plot the share of gaps that are no longer than a time."""
    figure, axes = new_axes(
        title="What writers see of deploys and kills",
        xlabel="gap in ms",
        ylabel="share of gaps up to it",
        xscale="log",
    )
    for (kind, values), colour in zip(gaps_ms.items(), (ACCENT, WRONG), strict=True):
        if values:
            shares = np.arange(1, len(values) + 1) / len(values)
            axes.plot(np.sort(values), shares, color=colour, label=f"{kind} ({len(values)})")
    axes.legend(frameon=False)
    save({"gaps": figure}, REPORT)


@click.command()
@click.option("--writers", default=200, show_default=True)
@click.option("--deploys", default=10, show_default=True)
@click.option("--kills", default=10, show_default=True)
@click.option("--interval", "interval_s", default=8.0, show_default=True, help="Seconds.")
def main(writers: int, deploys: int, kills: int, interval_s: float) -> None:
    """Write, deploy and kill; compare, and write the report."""
    kinds = sorted(
        [
            *[(n / deploys, "deploy") for n in range(deploys)],
            *[(n / kills, "kill") for n in range(kills)],
        ]
    )
    seconds = interval_s * (len(kinds) + 1)
    heard = Heard()

    async def run(url: str, pid: int, port: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(write_all(url, writers, seconds, heard))
            group.create_task(disturb(pid, port, [kind for _, kind in kinds], interval_s))

    with serving(MODEL, workers=N_WORKERS) as server:
        asyncio.run(run(f"ws://127.0.0.1:{server.port}", server.pid, server.port))
    with serving(MODEL) as server:
        alone = asyncio.run(read_again(f"ws://127.0.0.1:{server.port}", heard.lines))
    found = compare(heard.lines, alone)
    report = {
        "writers": writers,
        "deploys": deploys,
        "kills": kills,
        **found,
        "gaps": {kind: quantiles(values) for kind, values in heard.gaps_ms.items()},
        "all_answers": quantiles(heard.late_ms),
        "machine": describe_machine(),
    }
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    plot(heard.gaps_ms)
    print(json.dumps(report, indent=2))
    sys.exit(bool(differences(found)))


if __name__ == "__main__":
    main()
