"""Find how many people can write at once on this machine, each with the pen of `pens`.

The number is the largest whose answers come within 50 ms at the 99th percentile, found by bisection
and measured several times. The server and the load run on the same machine.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final, Literal

import click
from pydantic import BaseModel

from inkstream.model import checkpoint, installed_version
from inkstream.model.decoding.ngrams import AUTO
from inkstream.service.bench.load import Load, Measured
from inkstream.service.bench.processes import (
    allow_connections,
    describe_machine,
    put,
    serving,
)
from inkstream.service.settings import ALL

LIMIT_MS: Final = 50.0  # at the 99th percentile: an answer that comes later is seen to be late
FIRST: Final = 64  # writers
PRECISION: Final = 1.05  # "too many" may be so many times "enough"
WARM_UP_S: Final = 2.0


class Trial(BaseModel):
    """One load of writers and its answers."""

    repeat: int
    writers: int
    measured: Measured

    @property
    def is_in_time(self) -> bool:
        """Whether the answers came within the limit."""
        return self.measured.p99_ms < LIMIT_MS

    def cells(self) -> tuple[str, ...]:
        """Return a row of the table for a terminal."""
        of = self.measured
        server_us = "" if of.server_us is None else f"{of.server_us:.0f}"
        times_ms = f"{of.p50_ms:.1f}", f"{of.p99_ms:.1f}"
        head = f"{self.repeat}", f"{self.writers}", f"{of.answered_per_s:,.0f}"
        return *head, *times_ms, server_us, f"{of.load_cores:.2f}"


class Report(BaseModel):
    """All figures of one run."""

    version: str
    machine: dict[str, str]
    model: str
    language: str  # "" for none
    sent: Literal["ink", "columns"]
    workers: int = 1  # processes that served
    seconds: float  # of each trial
    writers: list[int]  # the largest number in time, one for each repeat
    trials: list[Trial]

    @property
    def title(self) -> str:
        """What was measured, in a line."""
        language = f" with {self.language}" if self.language else ""
        by = " column by column" if self.sent == "columns" else ""
        low, high = min(self.writers), max(self.writers)
        served = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return (
            f"this machine, {served}: {median(self.writers):.0f} writers of"
            f" {self.model}{language}{by} ({low} to {high}),"
            f" 99 % of the answers within {LIMIT_MS:g} ms"
        )

    def text(self) -> str:
        """Return the whole report for a terminal."""
        rows = [
            ("repeat", "writers", "messages/s", "p50 ms", "p99 ms", "server us", "load cores"),
            *(trial.cells() for trial in self.trials),
        ]
        lines = ["".join(f"{cell:>12}" for cell in row) for row in rows]
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join([machine, "", *lines, "", *self.warnings(), self.title])

    def warnings(self) -> list[str]:
        """Return a warning if the load may have been the limit, not the server."""
        cores = max(trial.measured.load_cores for trial in self.trials)
        if cores < 0.8:  # Above, the load itself may be what is late.
            return []
        return [
            f"warning: the load took {cores:.0%} of a core, so the server may serve more writers"
            " than this: fewer cores for the server, or another machine for the load, would tell"
        ]


def count(
    *,
    model: str,
    language: str,
    sent: Literal["ink", "columns"],
    workers: int,
    seconds: float,
    repeats: int,
) -> Report:
    """Find how many writers are answered in time, `repeats` times, by trials of `seconds`.

    Raises `LoadError` if the server fails.
    """
    metadata = checkpoint.read(checkpoint.find(model)).metadata
    config = metadata.config
    allow_connections()
    trials: list[Trial] = []
    offered = ALL if language == AUTO else language
    with (
        serving(model, languages=offered, workers=workers) as server,
        click.progressbar(length=repeats, label="counting writers", file=sys.stderr) as bar,
    ):
        load = Load(
            port=server.port,
            column_height=config.column_height,
            configure=f'{{"type":"configure","language":"{language}"}}' if language else "",
            warm_up_s=WARM_UP_S,
            seconds=seconds,
            writers=sent,
            kind=config.kind,
            server_pid=server.pid,
        )
        largest_in_time: list[int] = []
        for repeat in range(1, repeats + 1):

            def is_in_time(writers: int, repeat: int = repeat) -> bool:
                measured = put(load.model_copy(update={"connections": writers}))
                trials.append(Trial(repeat=repeat, writers=writers, measured=measured))
                return trials[-1].is_in_time

            first = largest_in_time[-1] if largest_in_time else FIRST
            largest_in_time.append(largest(is_in_time, first))
            bar.update(1)
    return Report(
        version=installed_version(),
        machine=describe_machine(),
        model=metadata.name,
        language=language,
        sent=sent,
        workers=workers,
        seconds=seconds,
        writers=largest_in_time,
        trials=trials,
    )


def largest(is_in_time: Callable[[int], bool], first: int) -> int:
    """Return the largest number that is in time, found from `first` on; 0 if not even 1 is.

    The bounds are moved apart by doubling and halving, then bisected to within `PRECISION`.
    """
    enough, too_many = (first, 0) if is_in_time(first) else (0, first)
    while not too_many:
        if is_in_time(2 * enough):
            enough *= 2
        else:
            too_many = 2 * enough
    while not enough and too_many > 1:
        if is_in_time(too_many // 2):
            enough = too_many // 2
        else:
            too_many //= 2
    while enough and too_many > max(PRECISION * enough, enough + 1):
        middle = round((enough * too_many) ** 0.5)
        if is_in_time(middle):
            enough = middle
        else:
            too_many = middle
    return enough


def draw(report: Report, path: Path) -> None:
    """Draw p50 and p99 against the number of writers; this needs matplotlib."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    trials = sorted(report.trials, key=lambda trial: trial.writers)
    writers = [trial.writers for trial in trials]
    axes.plot(writers, [trial.measured.p50_ms for trial in trials], "o", label="median")
    axes.plot(writers, [trial.measured.p99_ms for trial in trials], "o", label="99 %")
    axes.axhline(LIMIT_MS, color="tab:gray", linestyle="--", label="limit")
    axes.axvline(median(report.writers), color="tab:gray", linestyle=":", label="writers in time")
    axes.set(
        title=report.title,
        xlabel="writers",
        ylabel="milliseconds from the message to its answer",
        yscale="log",
    )
    axes.title.set_fontsize(10)
    axes.legend()
    figure.savefig(path, dpi=120)
