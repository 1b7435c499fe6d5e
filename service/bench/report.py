"""Show what a bench measured, side by side: as text, JSON and a plot."""

import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

from inkstream.service.bench.load import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES: Final[Mapping[str, str]] = {
    "product": "matrix products of the step alone",
    "runtime": "ONNX Runtime alone",
    "engine_1": "engine alone, 1 column a message",
    "engine_28": "engine alone, 28 columns a message",
    "stream_1": "WebSocket, 1 column a message",
    "stream_28": "WebSocket, 28 columns, 28 results",
    "stream_28_message": "WebSocket, 28 columns, 1 result",
    "echo_1": "echo through FastAPI, 1 column",
    "afternoon_1": "afternoon server, 1 column",
    "afternoon_28": "afternoon server, 28 columns, 1 result",
}
RATIOS: Final = (  # what is divided by what, and the least that it should be where that is said
    ("engine_1", "product", "0.6"),
    ("engine_28", "product", "0.6"),
    ("stream_1", "echo_1", "0.5"),
    ("stream_1", "afternoon_1", "5"),
    ("stream_28_message", "afternoon_28", ""),
)
PACKAGES: Final = ("inkstream", "numpy", "onnxruntime", "fastapi", "uvicorn", "uvloop", "torch")
OURS: Final = ("engine", "stream")  # how names of what this project runs begin


class Latency(Measured):
    """Times to the answers under a load that does not wait for them."""

    offered_per_s: float  # columns of all sessions together, one a message


class Report(BaseModel):
    """All figures of one run."""

    machine: dict[str, str]
    model: str
    sessions: int
    seconds: float  # of each measurement
    rates: dict[str, list[float]]  # columns a second by name, one for each round
    latencies: dict[str, list[Latency]]  # by name, one for each round
    skipped: str = ""  # what was not measured, and why

    def ratios(self) -> Iterator[tuple[str, str, list[float]]]:
        """Yield each ratio's name, its floor if it has one, and its value in each round."""
        for above, below, floor in RATIOS:
            if below in self.rates:
                pairs = zip(self.rates[above], self.rates[below], strict=True)
                yield f"{above} / {below}", floor, [a / b for a, b in pairs]

    def text(self) -> str:
        """Return the whole report for a terminal."""
        n_rounds = len(self.rates["product"])
        title = (
            f"{self.model}, {self.sessions} sessions, {n_rounds} rounds of {self.seconds:g} s each"
        )
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        blocks = [[title, machine], [*self._rates()], [*self._ratios()], [*self._latencies()]]
        return "\n\n".join("\n".join(block) for block in [*blocks, [self.skipped]] if block[0])

    def _rates(self) -> Iterator[str]:
        yield _row("median of the rounds", "columns/s", "us/column")
        for name, rates in self.rates.items():
            rate = median(rates)
            yield _row(f"  {TITLES[name]}", f"{rate:,.0f}", f"{1e6 / rate:.1f}")

    def _ratios(self) -> Iterator[str]:
        yield _row("ratio, paired by round", "median", "from", "to", "floor")
        for name, floor, values in self.ratios():
            figures = (median(values), min(values), max(values))
            yield _row(f"  {name}", *(f"{figure:.2f}" for figure in figures), floor)

    def _latencies(self) -> Iterator[str]:
        yield _row("latency, 1 column a message", "offered/s", "answered/s", "p50 ms", "p99 ms")
        for name, rounds in self.latencies.items():
            yield _row(
                f"  {TITLES[name]}",
                f"{median(latency.offered_per_s for latency in rounds):,.0f}",
                f"{median(latency.answered_per_s for latency in rounds):,.0f}",
                f"{median(latency.p50_ms for latency in rounds):.2f}",
                f"{median(latency.p99_ms for latency in rounds):.2f}",
            )


def _row(name: str, *cells: str) -> str:
    return f"{name:<44}" + "".join(f"{cell:>12}" for cell in cells)


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on: processor, cores, system and versions."""
    processor = platform.machine()
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
    found = {
        "processor": processor,
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def draw(report: Report, path: Path) -> None:
    """Draw rates and latencies as bars; this needs matplotlib."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(10, 7), layout="constrained")
    figure.suptitle(
        f"{report.model}: {report.sessions} sessions, "
        f"{report.machine['cores']} cores of {report.machine['processor']}"
    )
    heights = [len(report.rates), 2 * len(report.latencies)]
    rates, latencies = figure.subplots(2, 1, height_ratios=heights)
    _draw_rates(report, rates)
    _draw_latencies(report, latencies)
    figure.savefig(path, dpi=120)


def _draw_rates(report: Report, axes: "Axes") -> None:
    names = list(reversed(report.rates))
    values = [median(report.rates[name]) for name in names]
    colours = ["tab:blue" if name.startswith(OURS) else "tab:gray" for name in names]
    bars = axes.barh([TITLES[name] for name in names], values, color=colours)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    _scale(axes, values)
    axes.set_xlabel("columns a second (logarithmic); blue is ours, grey bounds and peers")


def _draw_latencies(report: Report, axes: "Axes") -> None:
    names = list(reversed(report.latencies))
    shown: list[float] = []
    for offset, field, colour in ((0.2, "p50_ms", "tab:cyan"), (-0.2, "p99_ms", "tab:blue")):
        times = [median(getattr(each, field) for each in report.latencies[name]) for name in names]
        places = [place + offset for place in range(len(names))]
        bars = axes.barh(places, times, 0.4, color=colour, label=field.removesuffix("_ms"))
        axes.bar_label(bars, [f"{time:.2f}" for time in times], padding=3)
        shown += times
    axes.set_yticks(range(len(names)), [TITLES[name] for name in names])
    _scale(axes, shown)
    offered_per_s = report.latencies["stream_1"][0].offered_per_s
    axes.set_xlabel(f"milliseconds to the result (logarithmic), at {offered_per_s:,.0f} columns/s")
    axes.legend(loc="upper right")


def _scale(axes: "Axes", values: list[float]) -> None:
    """Make the axis logarithmic, with room for the numbers beside the bars."""
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 4)
