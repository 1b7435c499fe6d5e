"""Let a service of several workers serve a mixed load for hours: it must not grow, nor err.

    python -m tools.soak --minutes 120 --workers 2 --seed 0

`inkstream serve` runs on this machine under the writers of `writing` and the load of `mixed_load`,
with the load generator beside it. In the middle third of the time, in turn, one worker, drawn at
random, is killed (SIGKILL) and all workers are replaced (SIGHUP); connections are cut all the time.
What every process takes is sampled at equal intervals. New workers have new memory, so memory is
judged for each process that lives long enough, after its warm-up: the workers of the first third,
those of the last third, and the supervisor.

Writes `report.json` and `soak.png` into `docs/reports/soak`. The exit code is 1 if anything is
wrong: memory that grows, descriptors, tasks, sessions or processes that do not come back to what
they were before the load, lines and answers other than without load, errors of the server.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from matplotlib.figure import Figure

from inkstream.model import checkpoint
from inkstream.model.decoding import ngrams
from inkstream.model.plots import ACCENT, GREY, SECOND, WRONG, save
from inkstream.service.bench.processes import (
    Server,
    allow_connections,
    describe_machine,
    serving,
)
from tools.mixed_load import MixedLoad
from tools.writing import KINDS, Writers, disturb, workers_of

REPORT = Path(__file__).parent.parent / "docs" / "reports" / "soak"
MODELS = ("lines", "digits")
LANGUAGE = "english"
SUPERVISOR, WORKER = "supervisor", "worker"
MIB = 1 << 20
IDLE_S = 5.0  # before the load


@dataclass(frozen=True, slots=True)
class Process:
    """What one process takes."""

    pid: int
    name: str  # SUPERVISOR or WORKER
    resident_bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a service takes at one time."""

    at_s: float  # of the monotonic clock
    processes: list[Process]
    page_workers: int  # processes
    sessions: int
    tasks: int  # of asyncio, of all workers

    @property
    def levels(self) -> dict[str, int]:
        """What must come back to where it was once there is no load; of workers the largest."""
        levels = {
            "workers": sum(process.name == WORKER for process in self.processes),
            "page_workers": self.page_workers,
            "sessions": self.sessions,
            "tasks": self.tasks,
        }
        for name in (WORKER, SUPERVISOR):
            processes = [process for process in self.processes if process.name == name]
            levels[f"{name}_descriptors"] = max((p.descriptors for p in processes), default=0)
            levels[f"{name}_threads"] = max((p.threads for p in processes), default=0)
        return levels


def take(server: Server) -> Sample:
    """Take a sample now; this waits for the answer of /metrics."""
    supervisor = psutil.Process(server.pid)
    processes, n_page_workers = [], 0
    for process in (supervisor, *workers_of(server.pid)):
        name = SUPERVISOR if process is supervisor else WORKER
        with suppress(psutil.Error):  # It may just be ending.
            with process.oneshot():
                resident_bytes, n_descriptors = process.memory_info().rss, process.num_fds()
                n_threads = process.num_threads()
            if resident_bytes:  # A killed process has none until its parent knows of its end.
                sampled = Process(process.pid, name, resident_bytes, n_descriptors, n_threads)
                processes.append(sampled)
            n_page_workers += len(process.children()) if name == WORKER else 0
    metrics = read_metrics(server.port)
    sessions, tasks = int(metrics["inkstream_sessions"]), int(metrics["inkstream_tasks"])
    return Sample(time.monotonic(), processes, n_page_workers, sessions, tasks)


def read_metrics(port: int) -> dict[str, float]:
    """Return all metrics by their names with labels, from a worker that lives."""
    end_s = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
            break
        except (OSError, HTTPException):  # The worker that was asked has just been killed.
            if time.monotonic() > end_s:
                raise
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


def by_process(samples: list[Sample]) -> dict[tuple[str, int], list[tuple[float, Process]]]:
    """Return what each process took, and when."""
    series: dict[tuple[str, int], list[tuple[float, Process]]] = {}
    for sample in samples:
        for process in sample.processes:
            series.setdefault((process.name, process.pid), []).append((sample.at_s, process))
    return series


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast the memory of a process grew between two times."""

    process: str
    pid: int
    from_s: float
    to_s: float
    mib: float  # at `from_s`
    mib_per_h: float

    @property
    def allowed_mib_per_h(self) -> float:
        """How fast it may grow: 8 MiB an hour, or 4 MiB, which an allocator may keep, in all."""
        return max(8, 3600 * 4 / (self.to_s - self.from_s))


def growths(samples: list[Sample], *, warm_up_s: float, min_s: float) -> Iterator[Growth]:
    """Yield how fast the memory of each process grew while these samples were taken.

    The slope is the median of those between any two samples (Theil 1950; Sen 1968), so that single
    large requests do not count. The first `warm_up_s` of each process are left out, and so are
    processes that lived for less than `min_s` after them.
    """
    for (name, pid), taken in by_process(samples).items():
        times, mib = np.array([(at_s, process.resident_bytes / MIB) for at_s, process in taken]).T
        is_warm = times >= times[0] + warm_up_s
        times, mib = times[is_warm], mib[is_warm]
        if len(times) > 1 and times[-1] - times[0] >= min_s:
            first, second = np.triu_indices(len(times), 1)
            slopes = (mib[second] - mib[first]) / (times[second] - times[first])
            mib_per_h = 3600 * float(np.median(slopes))
            yield Growth(name, pid, float(times[0]), float(times[-1]), float(mib[0]), mib_per_h)


@dataclass
class Soaked:
    """What was seen of a service; times are of the monotonic clock."""

    seconds: float  # of the whole load
    writers: Writers
    load: MixedLoad
    start_s: float = 0.0  # of the load
    end_s: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    disturbances: list[tuple[float, str]] = field(default_factory=list)
    idle: dict[str, int] = field(default_factory=dict)  # the levels before the load
    metrics: dict[str, float] = field(default_factory=dict)  # at the end
    log: str = ""

    def count(self, kind: str) -> int:
        """Return the number of disturbances of a kind."""
        return sum(kind == other for _, other in self.disturbances)

    def growths(self) -> list[Growth]:
        """Return how fast memory grew under the whole load.

        A twelfth of the time is the warm-up of a process, which then must live for another one.
        """
        under_load = [s for s in self.samples if 0 <= s.at_s - self.start_s <= self.seconds]
        part_s = self.seconds / 12
        return [*growths(under_load, warm_up_s=max(part_s, 30.0), min_s=part_s)]

    def too_high(self) -> list[str]:
        """Return a sentence for each level that is now above the one before the load."""
        now = self.samples[-1].levels
        # The pool of asyncio has 32 threads at most, and keeps them.
        return [
            f"{name} after the load: {now[name]}, before it: {idle}"
            for name, idle in self.idle.items()
            if now[name] > idle + 32 * (name == "worker_threads")
        ]

    def logged(self) -> tuple[int, list[str]]:
        """Return the number of tracebacks in the server's log, and the lines with errors."""
        errors = [line for line in self.log.splitlines() if "[error" in line]
        return self.log.count("Traceback (most recent call last)"), errors

    def faults(self) -> Iterator[str]:
        """Yield a sentence for all that is wrong."""
        load, kills, (tracebacks, errors) = self.load, self.count("kill"), self.logged()
        yield from self.too_high()
        for growth in self.growths():
            rate, allowed = growth.mib_per_h, growth.allowed_mib_per_h
            if rate > allowed:
                name = f"{growth.process} {growth.pid}"
                yield f"memory of {name} grows by {rate:.1f} MiB an hour, allowed: {allowed:.1f}"
        for kind in {SUPERVISOR, WORKER} - {growth.process for growth in self.growths()}:
            yield f"no {kind} lived long enough to judge its memory"
        if not self.writers.written["lines"]:
            yield "no lines were written"
        if not load.errors:
            yield "no invalid messages were refused"
        if len(errors) != kills:
            yield f"errors in the server's log: {len(errors)}, killed workers: {kills}"
        differences = self.writers.differences()
        if kills:  # A worker may be killed just when a writer connects to it.
            differences.pop("writers that failed with no_connection", None)
        internal = self.metrics.get('inkstream_errors_total{code="internal"}', 0)
        counts = {
            **differences,
            **{f"answers that differ, {name}": n for name, n in load.answers_different.items()},
            **{f"answers of {code}": n for code, n in load.statuses.items() if code >= 500},
            "requests without answer, without those of killed workers": (
                load.requests_broken - kills
            ),
            "internal errors": max(internal, load.errors["internal"]),
            "tracebacks in the server's log": tracebacks,
        }
        yield from (f"{name}: {n:.0f}, allowed: 0" for name, n in counts.items() if n > 0)

    def report(self) -> dict[str, Any]:
        """Return the figures."""
        tracebacks, errors = self.logged()
        under_load = [s.levels for s in self.samples if self.start_s <= s.at_s <= self.end_s]
        counted = {name: n for name, n in vars(self.load).items() if not name.startswith("_")}
        return {
            "deploys": self.count("deploy"),
            "kills": self.count("kill"),
            "samples": len(self.samples),
            "load": {
                "written": self.writers.written,
                "lines_resumed": self.writers.lines_resumed,
                **counted,
                "failures": self.writers.failures,
            },
            "levels": {
                "before": self.idle,
                "most": {name: max(levels[name] for levels in under_load) for name in self.idle},
                "after": self.samples[-1].levels,
            },
            "settled_after_s": round(self.samples[-1].at_s - self.end_s, 1),
            "memory": [
                {
                    "process": growth.process,
                    "from_s": round(growth.from_s - self.start_s),
                    "to_s": round(growth.to_s - self.start_s),
                    "mib": round(growth.mib, 1),
                    "mib_per_h": round(growth.mib_per_h, 2),
                    "allowed_mib_per_h": round(growth.allowed_mib_per_h, 2),
                }
                for growth in self.growths()
            ],
            "log": {"tracebacks": tracebacks, "errors": errors},
            "faults": [*self.faults()],
        }

    def plot(self) -> Figure:
        """Plot memory, descriptors, tasks and sessions over the time."""
        figure = Figure(figsize=(8, 7), layout="constrained")
        memory, descriptors, tasks = figure.subplots(3, 1, sharex=True)
        for (name, _), taken in by_process(self.samples).items():
            minutes = [self._minute(at_s) for at_s, _ in taken]
            line: dict[str, Any] = {"color": GREY if name == SUPERVISOR else ACCENT, "linewidth": 1}
            memory.plot(minutes, [process.resident_bytes / MIB for _, process in taken], **line)
            descriptors.plot(minutes, [process.descriptors for _, process in taken], **line)
        minutes = [self._minute(sample.at_s) for sample in self.samples]
        for name, colour in (("tasks", ACCENT), ("sessions", SECOND)):
            values = [sample.levels[name] for sample in self.samples]
            tasks.plot(minutes, values, color=colour, linewidth=1, label=name)
        for axes in (memory, descriptors, tasks):
            for at_s, kind in self.disturbances:
                colour = WRONG if kind == "kill" else SECOND
                axes.axvline(self._minute(at_s), color=colour, linewidth=0.6, alpha=0.5)
            axes.set_ylim(bottom=0)
        memory.set(ylabel="memory of a process (MiB)")
        memory.set_title("blue: workers, grey: supervisor; orange lines: deploys, red: kills")
        descriptors.set(ylabel="descriptors of a process")
        tasks.set(ylabel="of all workers", xlabel="minutes of the load")
        tasks.legend(frameon=False)
        return figure

    def _minute(self, at_s: float) -> float:
        return (at_s - self.start_s) / 60


async def soak(server: Server, soaked: Soaked, *, workers: int, seed: int) -> None:
    """Put the load on a server, disturb it, and note what is seen."""
    interval_s = max(0.5, soaked.seconds / 720)

    async def sample_for_ever() -> None:
        due_s = time.monotonic()
        while True:
            soaked.samples.append(await asyncio.to_thread(take, server))
            due_s = max(due_s + interval_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())

    async with asyncio.TaskGroup() as sampling:
        sampler = sampling.create_task(sample_for_ever())
        await asyncio.sleep(IDLE_S)
        levels = [sample.levels for sample in soaked.samples]
        soaked.idle = {name: max(level[name] for level in levels) for name in levels[0]}
        soaked.start_s = time.monotonic()
        disturbance = kill_and_deploy(server, soaked, workers, random.Random(seed))
        writing = soaked.writers.write_during(disturbance, [f"ws://127.0.0.1:{server.port}"])
        await soaked.load.put_during(writing, server.port, soaked.writers.streams)
        soaked.end_s = time.monotonic()
        await asyncio.sleep(2 * interval_s)  # for a sample after the load
        # An idle page worker ends after 10 s.
        while soaked.too_high() and time.monotonic() < soaked.end_s + 90:  # noqa: ASYNC110
            await asyncio.sleep(interval_s)
        sampler.cancel()
    soaked.metrics = read_metrics(server.port)


async def kill_and_deploy(server: Server, soaked: Soaked, workers: int, rng: random.Random) -> None:
    """Kill and deploy by turns in the middle third of the time, twenty times at most."""
    third_s = soaked.seconds / 3
    interval_s = max(20.0, third_s / 20)
    kind, due_s = "kill", soaked.start_s + third_s
    while max(due_s, time.monotonic()) < soaked.start_s + 2 * third_s:
        await asyncio.sleep(due_s - time.monotonic())
        soaked.disturbances.append((time.monotonic(), kind))
        await disturb(kind, server, workers, rng)
        kind = "kill" if kind == "deploy" else "deploy"
        due_s = max(due_s + interval_s, time.monotonic())
    await asyncio.sleep(soaked.start_s + soaked.seconds - time.monotonic())


async def answer_alone(port: int, soaked: Soaked) -> None:
    """Have a server read all lines and answer all requests without load."""
    await soaked.writers.read_alone(f"ws://127.0.0.1:{port}", n_at_once=1)
    await soaked.load.ask_alone(port)


def run(*, seconds: float, workers: int, writers: Writers, seed: int) -> Soaked:
    """Have a server answer without load, then soak one; return what was seen."""
    allow_connections()
    models = ",".join(MODELS)
    soaked = Soaked(seconds, writers, MixedLoad(seed))
    with serving(models, languages=LANGUAGE) as server:
        asyncio.run(answer_alone(server.port, soaked))
    with tempfile.TemporaryFile() as log:
        with serving(models, languages=LANGUAGE, workers=workers, log=log) as server:
            asyncio.run(soak(server, soaked, workers=workers, seed=seed))
        log.seek(0)
        soaked.log = log.read().decode()
    return soaked


@click.command()
@click.option("--minutes", default=120.0, show_default=True, help="Of the load.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(2))
@click.option("--writers", "n_writers", default=24, show_default=True)
@click.option("--pace", default=1.0, show_default=True, help="Times as fast as people write.")
@click.option("--seed", default=0, show_default=True)
def main(minutes: float, workers: int, n_writers: int, pace: float, seed: int) -> None:
    """Soak a server, judge it, and write the report."""
    writers = Writers(n_writers, KINDS, pace=pace, seed=seed, reopen=True)
    soaked = run(seconds=60 * minutes, workers=workers, writers=writers, seed=seed)
    report = {
        "minutes": minutes,
        "workers": workers,
        "writers": n_writers,
        "pace": pace,
        "seed": seed,
        "digests": {
            **{name: checkpoint.read(checkpoint.find(name)).digest for name in MODELS},
            LANGUAGE: ngrams.LanguageFile(ngrams.find(LANGUAGE), keep=False).digest,
            "sent": writers.digest(),
        },
        **soaked.report(),
        "machine": describe_machine(),
    }
    text = json.dumps(report, indent=2)
    (REPORT / "report.json").write_text(text + "\n")
    save({"soak": soaked.plot()}, REPORT)
    print(text)
    sys.exit(bool(report["faults"]))


if __name__ == "__main__":
    main()
