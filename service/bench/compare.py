"""Measure the service beside other servers and an earlier version, and show all side by side.

Everything is measured in rounds, so that other load hits all alike.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal

import click
from pydantic import BaseModel

from inkstream.model import checkpoint, installed_version
from inkstream.model.config import Kind
from inkstream.service.bench.load import MESSAGE_COLUMNS, Load, LoadError, Measured
from inkstream.service.bench.processes import (
    Server,
    describe_machine,
    put,
    serving,
    serving_peer,
)
from inkstream.service.bench.writers import WARM_UP_S

PACE_PER_S: Final = 50.0  # columns a second of each session where latency is measured
SEVERAL: Final = {"n_columns": MESSAGE_COLUMNS}
INK: Final = {"writers": "ink", "warm_up_s": WARM_UP_S}
# What clients send to a server, and what it answers: the server, a title, and fields of `Load`. An
# earlier version gets only messages that all versions understand: columns, ink, flush, reset, ping.
WORKLOADS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "stream_1": ("inkstream", "WebSocket, 1 column a message", {}),
    "before_1": ("before", "earlier version, 1 column", {}),
    "stream_16": (
        "inkstream",
        "WebSocket, 16 columns, 16 results",
        SEVERAL | {"n_results": MESSAGE_COLUMNS},
    ),
    "stream_16_message": (
        "inkstream",
        "WebSocket, 16 columns, 1 result",
        SEVERAL | {"configure": '{"type":"configure","results":"message"}'},
    ),
    "echo_1": ("echo", "echo through FastAPI, 1 column", {}),
    "afternoon_1": ("afternoon", "FastAPI with PyTorch, 1 column", {}),
    "afternoon_16": ("afternoon", "FastAPI with PyTorch, 16 columns, 1 result", SEVERAL),
    "stream_ink": ("inkstream", "WebSocket, ink, a message", INK),
    "before_ink": ("before", "earlier version, ink, a message", INK),
}
TITLES: Final = {name: title for name, (_, title, _) in WORKLOADS.items()}
PACED: Final = ("stream_1", "before_1", "echo_1", "afternoon_1")  # whose latency is measured
WITH_INK: Final = ("stream_ink", "before_ink")
# A server that has no time left spends the time of one message on each, however little it costs.
WARNING: Final = (
    "  warning: it had no time left, so compare its latency, or its CPU with fewer --writers"
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """What is divided by what, and what it should be by kind of model, where that is said."""

    above: str
    below: str
    goals: Mapping[Kind, str] = field(default_factory=dict)
    of: Literal["rates", "server_us"] = "rates"

    @property
    def name(self) -> str:
        """Name in figures."""
        return f"{self.above} / {self.below}" + (" CPU" if self.of == "server_us" else "")

    @property
    def title(self) -> str:
        """Name for people."""
        title = f"{TITLES[self.above]} / {TITLES[self.below]}"
        return f"server CPU: {title}" if self.of == "server_us" else title


RATIOS: Final = (
    Ratio("stream_1", "echo_1", {"classifier": "> 0.6", "transcriber": "> 0.35"}),
    Ratio("stream_1", "afternoon_1", {"classifier": "> 30", "transcriber": "> 30"}),
    Ratio("stream_16_message", "afternoon_16"),
    Ratio("stream_1", "before_1"),
    Ratio("stream_1", "before_1", of="server_us"),
    Ratio("stream_ink", "before_ink", of="server_us"),
)


class Latency(Measured):
    """Times to the answers under a load that does not wait for them."""

    offered_per_s: float  # columns of all sessions together, one a message


class Figures(BaseModel):
    """The figures of one model; lists have one value for each round."""

    model: str
    kind: Kind
    rates: dict[str, list[float]] = {}  # columns a second by name
    server_us: dict[str, list[float]] = {}  # CPU time of a server a column, or message of ink
    latencies: dict[str, list[Latency]] = {}  # by name
    ink: dict[str, list[Measured]] = {}  # messages of writers, by name

    def ratios(self) -> Iterator[tuple[Ratio, list[float]]]:
        """Yield each ratio with its value in each round."""
        for ratio in RATIOS:
            values: dict[str, list[float]] = getattr(self, ratio.of)
            if ratio.above in values and ratio.below in values:
                pairs = zip(values[ratio.above], values[ratio.below], strict=True)
                yield ratio, [a / b for a, b in pairs]

    def add(self, name: str, measured: Measured, offered_per_s: float | None) -> None:
        """Add what was measured of a workload; with `offered_per_s` that is its latency."""
        if offered_per_s is not None:
            latency = Latency(offered_per_s=offered_per_s, **measured.model_dump())
            self.latencies.setdefault(name, []).append(latency)
            return
        if name in WITH_INK:
            self.ink.setdefault(name, []).append(measured)
        else:
            self.rates.setdefault(name, []).append(measured.answered_per_s)
        if measured.server_us is not None:
            self.server_us.setdefault(name, []).append(measured.server_us)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows of a table for a terminal."""
        yield (self.model,)
        yield ("median of the rounds", "columns/s", "us/column", "server CPU us")
        for name, rates in self.rates.items():
            rate, cpu = median(rates), self.server_us.get(name)
            cpu_text = f"{median(cpu):.1f}" if cpu else ""
            yield (f"  {TITLES[name]}", f"{rate:,.0f}", f"{1e6 / rate:.1f}", cpu_text)
        yield ("",)
        yield ("ratio, paired by round", "median", "from", "to", "goal")
        for ratio, values in self.ratios():
            figures = (median(values), min(values), max(values))
            goal = ratio.goals.get(self.kind, "")
            yield (f"  {ratio.name}", *(f"{figure:.2f}" for figure in figures), goal)
        yield ("",)
        yield ("latency, 1 column a message", "offered/s", "answered/s", "p50 ms", "p99 ms")
        for name, latencies in self.latencies.items():
            fields = _medians(latencies, "offered_per_s", "answered_per_s", "p50_ms", "p99_ms")
            yield (f"  {TITLES[name]}", *map(format, fields, (",.0f", ",.0f", ".2f", ".2f")))
        yield ("",)
        heads = ("messages/s", "p50 ms", "p99 ms", "server CPU us", "server cores")
        yield ("ink as people write it", *heads)
        for name, measured in self.ink.items():
            fields = _medians(
                measured, "answered_per_s", "p50_ms", "p99_ms", "server_us", "server_cores"
            )
            texts = map(format, fields, (",.1f", ",.1f", ",.1f", ",.1f", ".2f"))
            yield (f"  {TITLES[name]}", *texts)
            if fields[-1] > 0.97:
                yield (WARNING,)


def _medians(measured: Sequence[Measured], *fields: str) -> list[float]:
    # What had no answer in time has no CPU time: None, shown as 0.
    return [median(getattr(one, field) or 0.0 for one in measured) for field in fields]


class Report(BaseModel):
    """All figures of one run."""

    version: str
    machine: dict[str, str]
    sessions: int
    writers: int = 0  # whose ink was measured
    seconds: float  # of each measurement
    rounds: int
    models: dict[str, Figures]  # by the name of the model
    skipped: list[str] = []  # what was not measured, and why

    def text(self) -> str:
        """Return the whole report for a terminal."""
        title = (
            f"{self.sessions} sessions, {self.writers} writers of ink, {self.rounds} rounds of"
            f" {self.seconds:g} s each"
        )
        lines = [title, ", ".join(f"{name} {value}" for name, value in self.machine.items())]
        for figures in self.models.values():
            lines.append("")
            for name, *cells in figures.rows():
                lines.append((f"{name:<44}" + "".join(f"{cell:>15}" for cell in cells)).rstrip())
        return "\n".join([*lines, "", *self.skipped]).rstrip()


def compare(
    *,
    models: Sequence[str],
    sessions: int,
    writers: int,
    seconds: float,
    rounds: int,
    before: Path | None = None,
) -> Report:
    """Measure everything for `seconds`, `rounds` times; raise `LoadError` if a server fails.

    `before` is a checkout of an earlier version, which is measured too.
    """
    if before is not None and not (before / "inkstream").is_dir():
        raise LoadError(f"{before} has no folder inkstream, expected a checkout")
    with_torch = find_spec("torch") is not None
    measured: dict[str, Figures] = {}
    for model in models:
        metadata = checkpoint.read(checkpoint.find(model)).metadata
        title = f"{metadata.name} {metadata.version} ({metadata.parameters:,} parameters)"
        figures = Figures(model=title, kind=metadata.config.kind)
        load = Load(
            port=0,  # of each server
            connections=sessions,
            column_height=metadata.config.column_height,
            kind=metadata.config.kind,
            seconds=seconds,
        )
        with ExitStack() as stack:
            servers = {"inkstream": stack.enter_context(serving(model))}
            if before is not None:
                servers["before"] = stack.enter_context(serving(model, root=before))
            for name in ("echo", "afternoon") if with_torch else ("echo",):
                servers[name] = stack.enter_context(serving_peer(name, model))
            _measure(figures, load, servers, writers, rounds)
        measured[metadata.name] = figures
    return Report(
        version=installed_version(),
        machine=describe_machine(),
        sessions=sessions,
        writers=writers,
        seconds=seconds,
        rounds=rounds,
        models=measured,
        skipped=[] if with_torch else ["FastAPI with PyTorch was left out: no torch is installed."],
    )


def _measure(
    figures: Figures, load: Load, servers: Mapping[str, Server], writers: int, rounds: int
) -> None:
    """Measure everything in each round, each time in the other order."""
    served = [name for name, (server, _, _) in WORKLOADS.items() if server in servers]
    steps: list[tuple[str, float | None]] = [(name, None) for name in served]
    steps += [(name, PACE_PER_S * load.connections) for name in PACED if name in served]
    label = f"measuring {figures.model.split()[0]}"
    with click.progressbar(length=rounds * len(steps), label=label, file=sys.stderr) as bar:
        for number in range(rounds):
            for name, offered_per_s in steps[:: -1 if number % 2 else 1]:
                server_name, _, fields = WORKLOADS[name]
                server = servers[server_name]
                changes = {
                    "port": server.port,
                    "server_pid": server.pid,
                    "messages_per_s": offered_per_s,
                    "connections": writers if name in WITH_INK else load.connections,
                }
                measured = put(load.model_copy(update=fields | changes))
                figures.add(name, measured, offered_per_s)
                bar.update(1)


def draw(report: Report, path: Path) -> None:
    """Draw rates and latencies of each model as bars; this needs matplotlib."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(10 * len(report.models), 10), layout="constrained")
    figure.suptitle(
        f"{report.sessions} sessions, {report.machine['cores']} cores of "
        f"{report.machine['processor']} (logarithmic; blue is ours)"
    )
    columns = figure.subplots(3, len(report.models), squeeze=False).T
    for (rates, *latencies), figures in zip(columns, report.models.values(), strict=True):
        columns_per_s = {name: median(values) for name, values in figures.rates.items()}
        _draw_bars(rates, columns_per_s, "{:,.0f}")
        rates.set(title=figures.model, xlabel="columns a second")
        offered_per_s = figures.latencies["stream_1"][0].offered_per_s
        for axes, share in zip(latencies, ("p50", "p99"), strict=True):
            times_ms = {
                name: _medians(measured, f"{share}_ms")[0]
                for name, measured in figures.latencies.items()
            }
            _draw_bars(axes, times_ms, "{:.2f}")
            axes.set(xlabel=f"{share} ms to the result, at {offered_per_s:,.0f} columns/s")
    figure.savefig(path, dpi=120)


def _draw_bars(axes: Any, values: Mapping[str, float], text: str) -> None:
    """Draw a bar for each workload, the first one on top, with room for its number."""
    colours = ["tab:blue" if WORKLOADS[name][0] == "inkstream" else "tab:gray" for name in values]
    bars = axes.barh([TITLES[name] for name in values], list(values.values()), color=colours)
    axes.bar_label(bars, fmt=text, padding=3)
    axes.set(xscale="log")
    axes.margins(x=0.3)
    axes.yaxis.set_inverted(True)
