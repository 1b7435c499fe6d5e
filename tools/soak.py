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
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
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
from tools.mixed_load import Load, Tally
from tools.samples import SUPERVISOR, Growth, Sample, growths, read_metrics, sample_for_ever
from tools.writing import differences, disturb

REPORT = Path(__file__).parent.parent / "docs" / "reports" / "soak"
MODELS = ("lines", "digits")
LANGUAGE = "english"
MIB = 1 << 20
IDLE_S = 5.0  # before the load


@dataclass
class Soaked:
    """What was seen of a service; times are of the monotonic clock."""

    seconds: float  # of the whole load
    tally: Tally
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
        return growths(under_load, warm_up_s=max(part_s, 30.0), min_s=part_s)

    def too_high(self) -> list[str]:
        """Return a sentence for each level that is now above the one before the load."""
        now = self.samples[-1].levels
        # The pool of asyncio has 32 threads at most, and keeps them.
        allowed = {name: n + 32 * (name == "worker_threads") for name, n in self.idle.items()}
        return [
            f"{name} after the load: {now[name]}, before it: {self.idle[name]}"
            for name in self.idle
            if now[name] > allowed[name]
        ]

    def logged(self) -> tuple[int, list[str]]:
        """Return the number of tracebacks in the server's log, and the lines with errors."""
        errors = [line for line in self.log.splitlines() if "[error" in line]
        return self.log.count("Traceback (most recent call last)"), errors

    def faults(self) -> Iterator[str]:
        """Yield a sentence for all that is wrong."""
        tally, kills, (tracebacks, errors) = self.tally, self.count("kill"), self.logged()
        yield from self.too_high()
        for growth in self.growths():
            if growth.bytes_per_h > growth.max_bytes_per_h:
                rate, allowed = growth.bytes_per_h / MIB, growth.max_bytes_per_h / MIB
                name = f"{growth.process} {growth.pid}"
                yield f"memory of {name} grows by {rate:.1f} MiB an hour, allowed: {allowed:.1f}"
        for kind in {SUPERVISOR, "worker"} - {growth.process for growth in self.growths()}:
            yield f"no {kind} lived long enough to judge its memory"
        if not tally.written["lines"]:
            yield "no lines were written"
        if not tally.errors:
            yield "no invalid messages were refused"
        if len(errors) != kills:
            yield f"errors in the server's log: {len(errors)}, killed workers: {kills}"
        failures = dict(tally.failures)
        if kills:  # A worker may be killed just when a writer connects to it.
            failures.pop("no_connection", None)
        internal = self.metrics.get('inkstream_errors_total{code="internal"}', 0)
        counts = {
            **{f"lines: {name}": n for name, n in differences(tally.written).items()},
            **{f"writers that failed with {code}": n for code, n in failures.items()},
            **{f"answers that differ, {name}": n for name, n in tally.answers_different.items()},
            **{f"answers of {code}": n for code, n in tally.statuses.items() if code >= 500},
            "requests without answer, without those of killed workers": (
                tally.requests_broken - kills
            ),
            "internal errors": max(internal, tally.errors["internal"]),
            "tracebacks in the server's log": tracebacks,
        }
        yield from (f"{name}: {n:.0f}, allowed: 0" for name, n in counts.items() if n > 0)

    def report(self) -> dict[str, Any]:
        """Return the figures."""
        tracebacks, errors = self.logged()
        under_load = [s.levels for s in self.samples if self.start_s <= s.at_s <= self.end_s]
        return {
            "deploys": self.count("deploy"),
            "kills": self.count("kill"),
            "samples": len(self.samples),
            "load": vars(self.tally),
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
                    "mib": round(growth.first_bytes / MIB, 1),
                    "mib_per_h": round(growth.bytes_per_h / MIB, 2),
                    "allowed_mib_per_h": round(growth.max_bytes_per_h / MIB, 2),
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
        series: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
        for sample in self.samples:
            minute = (sample.at_s - self.start_s) / 60
            for process in sample.processes:
                point = minute, process.resident_bytes / MIB, process.descriptors
                series.setdefault((process.name, process.pid), []).append(point)
        for (name, _), points in series.items():
            minutes, mib, n_descriptors = zip(*points, strict=True)
            colour = GREY if name == SUPERVISOR else ACCENT
            memory.plot(minutes, mib, color=colour, linewidth=1)
            descriptors.plot(minutes, n_descriptors, color=colour, linewidth=1)
        times = [(sample.at_s - self.start_s) / 60 for sample in self.samples]
        for name, colour in (("tasks", ACCENT), ("sessions", SECOND)):
            values = [sample.levels[name] for sample in self.samples]
            tasks.plot(times, values, color=colour, linewidth=1, label=name)
        for axes in (memory, descriptors, tasks):
            for at_s, kind in self.disturbances:
                colour = WRONG if kind == "kill" else SECOND
                axes.axvline((at_s - self.start_s) / 60, color=colour, linewidth=0.6, alpha=0.5)
            axes.set_ylim(bottom=0)
        memory.set(ylabel="memory of a process (MiB)")
        memory.set_title("blue: workers, grey: supervisor; orange lines: deploys, red: kills")
        descriptors.set(ylabel="descriptors of a process")
        tasks.set(ylabel="of all workers", xlabel="minutes of the load")
        tasks.legend(frameon=False)
        return figure


async def soak(server: Server, load: Load, soaked: Soaked, *, workers: int, seed: int) -> None:
    """Put a load on a server, disturb it, and note what is seen."""
    interval_s = max(0.5, soaked.seconds / 720)
    async with asyncio.TaskGroup() as sampling:
        sampler = sampling.create_task(sample_for_ever(server, interval_s, soaked.samples))
        await asyncio.sleep(IDLE_S)
        levels = [sample.levels for sample in soaked.samples]
        soaked.idle = {name: max(level[name] for level in levels) for name in levels[0]}
        soaked.start_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(server.port, soaked.seconds))
            group.create_task(kill_and_deploy(server, soaked, workers, random.Random(seed)))
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


def run(*, seconds: float, workers: int, load: Load, seed: int) -> Soaked:
    """Have a server answer without load, then soak one; return what was seen."""
    allow_connections()
    models = ",".join(MODELS)
    with serving(models, languages=LANGUAGE) as server:
        asyncio.run(load.run_alone(server.port))
    soaked = Soaked(seconds, load.tally)
    with tempfile.TemporaryFile() as log:
        with serving(models, languages=LANGUAGE, workers=workers, log=log) as server:
            asyncio.run(soak(server, load, soaked, workers=workers, seed=seed))
        log.seek(0)
        soaked.log = log.read().decode()
    return soaked


@click.command()
@click.option("--minutes", default=120.0, show_default=True, help="Of the load.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(2))
@click.option("--writers", default=24, show_default=True)
@click.option("--pace", default=1.0, show_default=True, help="Times as fast as people write.")
@click.option("--seed", default=0, show_default=True)
def main(minutes: float, workers: int, writers: int, pace: float, seed: int) -> None:
    """Soak a server, judge it, and write the report."""
    load = Load(writers, pace=pace, seed=seed)
    soaked = run(seconds=60 * minutes, workers=workers, load=load, seed=seed)
    report = {
        "minutes": minutes,
        "workers": workers,
        "writers": writers,
        "pace": pace,
        "seed": seed,
        "digests": {
            **{name: checkpoint.read(checkpoint.find(name)).digest for name in MODELS},
            LANGUAGE: ngrams.LanguageFile(ngrams.find(LANGUAGE), keep=False).digest,
            "sent": load.digest(),
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
