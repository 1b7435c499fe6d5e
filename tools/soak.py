"""Let a service of several workers serve a mixed load for hours: it must not grow, nor err.

    python -m tools.soak --minutes 120 --workers 2 --seed 0

`inkstream serve` runs on this machine under the load of `mixed_load`, with the load generator
beside it. In the middle third of the time, in turn, one worker, drawn at random, is killed
(SIGKILL) and all workers are replaced (SIGHUP); connections are cut all the time. What every
process takes is sampled at equal intervals. New workers have new memory, so memory is judged for
each process that lives long enough, after its warm-up: the workers of the first third, those of the
last third, and the supervisor.

Writes `report.json` and `soak.png` into `docs/reports/soak`. The exit code is 1 if anything is
wrong: memory that grows, descriptors, tasks, sessions or processes that do not come back to what
they were before the load, lines and answers other than without load, errors of the server.
"""

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
from matplotlib.figure import Figure

from inkstream.model import checkpoint
from inkstream.model.decoding import ngrams
from inkstream.model.plots import ACCENT, GREY, SECOND, WRONG, save
from inkstream.service.bench.processes import (
    START_TIMEOUT_S,
    Server,
    allow_connections,
    await_workers,
    describe_machine,
    serving,
)
from tools.mixed_load import Load, Tally, ask_alone, digest, scripts, write_alone
from tools.samples import SUPERVISOR, Growth, Sample, growths, read_metrics, sample_for_ever
from tools.writing import differences, workers_of

REPORT: Final = Path(__file__).parent.parent / "docs" / "reports" / "soak"
MODELS: Final = ("lines", "digits")
LANGUAGE: Final = "english"
MOST_BYTES_PER_H: Final = 8 << 20  # that the memory of a process may grow
LEAST_BYTES: Final = 4 << 20  # less growth may be memory that the allocator keeps
PART: Final = 1 / 12  # of the time: the warm-up of a process, and for how long it then must live
LEAST_WARM_UP_S: Final = 30.0
SAMPLES: Final = 720  # in the time of the load
SHORTEST_S: Final = 0.5  # between two samples
DISTURB_EVERY_S: Final = 20.0  # at most as often
MOST_DISTURBANCES: Final = 20
IDLE_S: Final = 5.0  # before the load
SETTLE_S: Final = 90.0  # after it, for all to come back; an idle page worker ends after 10 s
POOL_THREADS: Final = 32  # at most, of asyncio's pool, which keeps its threads


@dataclass
class Soaked:
    """What was seen of a service; times are of the monotonic clock."""

    start_s: float = 0.0  # of the load
    end_s: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    disturbances: list[tuple[float, str]] = field(default_factory=list)
    idle: dict[str, int] = field(default_factory=dict)  # the levels before the load
    metrics: dict[str, float] = field(default_factory=dict)  # at the end
    log: str = ""

    def during(self, start_s: float, end_s: float) -> list[Sample]:
        """Return the samples between two times."""
        return [sample for sample in self.samples if start_s <= sample.at_s <= end_s]

    def count(self, kind: str) -> int:
        """Return the number of disturbances of a kind."""
        return sum(each == kind for _, each in self.disturbances)


async def soak(
    server: Server, load: Load, *, seconds: float, workers: int, seed: int, soaked: Soaked
) -> None:
    """Put a load on a server, disturb it, and note what is seen."""
    interval_s = max(SHORTEST_S, seconds / SAMPLES)
    async with asyncio.TaskGroup() as sampling:
        sampler = sampling.create_task(sample_for_ever(server, interval_s, soaked.samples))
        await asyncio.sleep(IDLE_S)
        every = [sample.levels for sample in soaked.samples]
        soaked.idle = {name: max(levels[name] for levels in every) for name in every[0]}
        soaked.start_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(seconds))
            group.create_task(disturb(server, workers, seconds, random.Random(seed), soaked))
        soaked.end_s = time.monotonic()
        await asyncio.sleep(2 * interval_s)  # for a sample after the load
        while too_high(soaked) and time.monotonic() < soaked.end_s + SETTLE_S:  # noqa: ASYNC110
            await asyncio.sleep(interval_s)
        sampler.cancel()
    soaked.metrics = read_metrics(server.port)


async def disturb(
    server: Server, workers: int, seconds: float, rng: random.Random, soaked: Soaked
) -> None:
    """Kill and deploy by turns in the middle third of the time."""
    interval_s = max(DISTURB_EVERY_S, seconds / 3 / MOST_DISTURBANCES)
    kind, due_s, end_s = "deploy", soaked.start_s + seconds / 3, soaked.start_s + 2 * seconds / 3
    while max(due_s, time.monotonic()) < end_s:
        await asyncio.sleep(due_s - time.monotonic())
        kind = "kill" if kind == "deploy" else "deploy"
        leaving = [*workers_of(server.pid)]
        soaked.disturbances.append((time.monotonic(), kind))
        if kind == "deploy":
            os.kill(server.pid, signal.SIGHUP)
        else:
            leaving = [rng.choice(leaving)]
            leaving[0].kill()
        async with asyncio.timeout(START_TIMEOUT_S):
            while set(leaving).intersection(workers_of(server.pid)):  # noqa: ASYNC110
                await asyncio.sleep(SHORTEST_S)
        await asyncio.to_thread(await_workers, server.port, workers)
        due_s = max(due_s + interval_s, time.monotonic())


def too_high(soaked: Soaked) -> list[str]:
    """Return a sentence for each level that is now above the one before the load."""
    now = soaked.samples[-1].levels
    return [
        f"{name} after the load: {now[name]}, before it: {before}"
        for name, before in soaked.idle.items()
        if now[name] > before + (POOL_THREADS if name == "worker_threads" else 0)
    ]


def growths_of(soaked: Soaked, seconds: float) -> list[Growth]:
    """Return how fast memory grew under the whole load."""
    samples = soaked.during(soaked.start_s, soaked.start_s + seconds)
    warm_up_s = max(PART * seconds, LEAST_WARM_UP_S)
    return growths(samples, warm_up_s=warm_up_s, least_s=PART * seconds)


def most_bytes_per_h(growth: Growth) -> float:
    """Return how fast this memory may grow; in a short time only fast growth can be detected."""
    return max(MOST_BYTES_PER_H, 3600 * LEAST_BYTES / (growth.to_s - growth.from_s))


def faults(soaked: Soaked, tally: Tally, seconds: float) -> Iterator[str]:
    """Yield a sentence for all that is wrong."""
    yield from too_high(soaked)
    found = growths_of(soaked, seconds)
    for growth in found:
        if growth.bytes_per_h > (most := most_bytes_per_h(growth)):
            rate, allowed = growth.bytes_per_h / 2**20, most / 2**20
            who = f"{growth.process} {growth.pid}"
            yield f"memory of {who} grows by {rate:.1f} MiB an hour, allowed: {allowed:.1f}"
    for kind in (SUPERVISOR, "worker"):
        if not any(growth.process == kind for growth in found):
            yield f"no {kind} lived long enough to judge its memory"
    kills = soaked.count("kill")
    for name, n in differences(tally.written).items():
        yield f"lines of writers: {name} {n}, allowed: 0"
    for code, n in tally.failures.items():
        if code != "no_connection" or not kills:  # to a worker that is killed just then
            yield f"streams of writers that failed with {code}: {n}"
    for name, n in tally.answers_different.items():
        yield f"answers that differ: {n} to {name}"
    counted = {
        "lines": (tally.written["lines"], tally.written["lines"] == 0),
        "requests without answer": (tally.requests_broken, tally.requests_broken > kills),
        "invalid messages refused": (tally.errors.total(), not tally.errors),
    }
    for name, (n, is_wrong) in counted.items():
        if is_wrong:
            yield f"{name}: {n}, killed workers: {kills}"
    for status, n in tally.statuses.items():
        if status >= 500:
            yield f"answers with status {status}: {n}"
    counted_there = soaked.metrics.get('inkstream_errors_total{code="internal"}', 0.0)
    if internal := max(counted_there, tally.errors["internal"]):
        yield f"internal errors: {internal:.0f}"
    tracebacks, errors = logged(soaked.log)
    if tracebacks:
        yield f"tracebacks in the server's log: {tracebacks}"
    if len(errors) != kills:
        yield f"errors in the server's log: {len(errors)}, killed workers: {kills}"


def logged(log: str) -> tuple[int, list[str]]:
    """Return the number of tracebacks in a log, and the lines with errors."""
    errors = [line for line in log.splitlines() if "[error" in line]
    return log.count("Traceback (most recent call last)"), errors


def report_of(soaked: Soaked, tally: Tally, seconds: float) -> dict[str, Any]:
    """Return the figures."""
    found = growths_of(soaked, seconds)
    tracebacks, errors = logged(soaked.log)
    every = [sample.levels for sample in soaked.during(soaked.start_s, soaked.end_s)]
    return {
        "deploys": soaked.count("deploy"),
        "kills": soaked.count("kill"),
        "samples": len(soaked.samples),
        "load": vars(tally),
        "levels": {
            "before": soaked.idle,
            "most": {name: max(levels[name] for levels in every) for name in soaked.idle},
            "after": soaked.samples[-1].levels,
        },
        "settled_after_s": round(soaked.samples[-1].at_s - soaked.end_s, 1),
        "memory": [
            {
                "process": growth.process,
                "from_s": round(growth.from_s - soaked.start_s),
                "to_s": round(growth.to_s - soaked.start_s),
                "mib": round(growth.first_bytes / 2**20, 1),
                "mib_per_h": round(growth.bytes_per_h / 2**20, 2),
                "allowed_mib_per_h": round(most_bytes_per_h(growth) / 2**20, 2),
            }
            for growth in found
        ],
        "log": {"tracebacks": tracebacks, "errors": errors},
        "faults": [*faults(soaked, tally, seconds)],
    }


def plot(soaked: Soaked) -> Figure:
    """Plot memory, descriptors, tasks and sessions over the time."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    memory, descriptors, tasks = figure.subplots(3, 1, sharex=True)
    minutes = [(sample.at_s - soaked.start_s) / 60 for sample in soaked.samples]
    pids = {each.pid: each.name for sample in soaked.samples for each in sample.processes}
    for pid, name in pids.items():
        points = [
            (minute, each.resident_bytes / 2**20, each.descriptors)
            for minute, sample in zip(minutes, soaked.samples, strict=True)
            for each in sample.processes
            if each.pid == pid
        ]
        times, mib, n_descriptors = zip(*points, strict=True)
        colour = GREY if name == SUPERVISOR else ACCENT
        memory.plot(times, mib, color=colour, linewidth=1)
        descriptors.plot(times, n_descriptors, color=colour, linewidth=1)
    for name, colour in (("tasks", ACCENT), ("sessions", SECOND)):
        values = [sample.levels[name] for sample in soaked.samples]
        tasks.plot(minutes, values, color=colour, linewidth=1, label=name)
    for axes in (memory, descriptors, tasks):
        for at_s, kind in soaked.disturbances:
            colour = WRONG if kind == "kill" else SECOND
            axes.axvline((at_s - soaked.start_s) / 60, color=colour, linewidth=0.6, alpha=0.5)
        axes.set_ylim(bottom=0)
    memory.set(ylabel="memory of a process (MiB)")
    memory.set_title("blue: workers, grey: supervisor; orange lines: deploys, red: kills")
    descriptors.set(ylabel="descriptors of a process")
    tasks.set(ylabel="of all workers", xlabel="minutes of the load")
    tasks.legend(frameon=False)
    return figure


def run(
    *, seconds: float, workers: int, writers: int, pace: float, seed: int
) -> tuple[Soaked, Tally]:
    """Read all lines without load, then soak a server; return what was seen."""
    written, soaked = scripts(writers, seed), Soaked()

    async def alone(port: int) -> tuple[Any, Any]:
        return await write_alone(port, written), await ask_alone(port)

    allow_connections()
    models = ",".join(MODELS)
    with serving(models, languages=LANGUAGE) as server:
        lines, answers = asyncio.run(alone(server.port))
    with tempfile.TemporaryFile() as log:
        with serving(models, languages=LANGUAGE, workers=workers, log=log) as server:
            load = Load(server.port, written, lines, answers, pace=pace, seed=seed)
            asyncio.run(
                soak(server, load, seconds=seconds, workers=workers, seed=seed, soaked=soaked)
            )
        log.seek(0)
        soaked.log = log.read().decode()
    return soaked, load.tally


@click.command()
@click.option("--minutes", default=120.0, show_default=True, help="Of the load.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(2))
@click.option("--writers", default=24, show_default=True)
@click.option("--pace", default=1.0, show_default=True, help="Times as fast as people write.")
@click.option("--seed", default=0, show_default=True)
def main(minutes: float, workers: int, writers: int, pace: float, seed: int) -> None:
    """Soak a server, judge it, and write the report."""
    seconds = 60 * minutes
    soaked, tally = run(seconds=seconds, workers=workers, writers=writers, pace=pace, seed=seed)
    digests = {name: checkpoint.read(checkpoint.find(name)).digest for name in MODELS}
    language = ngrams.LanguageFile(ngrams.find(LANGUAGE), keep=False)
    digests |= {LANGUAGE: language.digest, "sent": digest(scripts(writers, seed))}
    report = {
        "minutes": minutes,
        "workers": workers,
        "writers": writers,
        "pace": pace,
        "seed": seed,
        "digests": digests,
        **report_of(soaked, tally, seconds),
        "machine": describe_machine(),
    }
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    save({"soak": plot(soaked)}, REPORT)
    print(json.dumps(report, indent=2))
    sys.exit(bool(report["faults"]))


if __name__ == "__main__":
    main()
