"""Measure the service beside its bounds and other servers, and show all of it side by side.

Everything is measured in rounds, so that other load hits all alike.
"""

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
from pydantic import BaseModel

from inkstream.model import checkpoint
from inkstream.service.bench.kernels import ENDLESS_COLUMNS
from inkstream.service.bench.load import Load, LoadError, Measured

START_TIMEOUT_S: Final = 60.0  # torch alone takes seconds to import on a busy machine
STOP_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.05
MAX_SESSIONS: Final = 1000  # of one client, of the server under test
DIGIT_COLUMNS: Final = 28
NO_TORCH: Final = "The simple PyTorch server was left out: torch is not installed."
ONE_RESULT: Final = '{"type":"configure","every":"message"}'
# What clients send to a server, and what it answers: the server, and fields of `Load`.
WORKLOADS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "stream_1": ("inkstream", {}),
    "stream_28": ("inkstream", {"n_columns": DIGIT_COLUMNS, "n_results": DIGIT_COLUMNS}),
    "stream_28_message": ("inkstream", {"n_columns": DIGIT_COLUMNS, "configure": ONE_RESULT}),
    "echo_1": ("echo", {}),
    "afternoon_1": ("afternoon", {}),
    "afternoon_28": ("afternoon", {"n_columns": DIGIT_COLUMNS}),
}
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
        rows: list[tuple[str, ...]] = [("median of the rounds", "columns/s", "us/column")]
        for name, rates in self.rates.items():
            rate = median(rates)
            rows.append((f"  {TITLES[name]}", f"{rate:,.0f}", f"{1e6 / rate:.1f}"))
        rows += [("",), ("ratio, paired by round", "median", "from", "to", "floor")]
        for name, floor, values in self.ratios():
            figures = (median(values), min(values), max(values))
            rows.append((f"  {name}", *(f"{figure:.2f}" for figure in figures), floor))
        rows.append(("",))
        rows.append(("latency, 1 column a message", "offered/s", "answered/s", "p50 ms", "p99 ms"))
        for name, rounds in self.latencies.items():
            of = {
                field: median(getattr(each, field) for each in rounds)
                for field in Latency.model_fields
            }
            rates_shown = (f"{of[field]:,.0f}" for field in ("offered_per_s", "answered_per_s"))
            times_shown = (f"{of[field]:.2f}" for field in ("p50_ms", "p99_ms"))
            rows.append((f"  {TITLES[name]}", *rates_shown, *times_shown))
        rows += [("",), (self.skipped,)]
        lines = (f"{name:<44}" + "".join(f"{cell:>12}" for cell in cells) for name, *cells in rows)
        return "\n".join([title, machine, "", *(line.rstrip() for line in lines)]).rstrip()


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


def compare(
    *, model: str, sessions: int, seconds: float, rounds: int, paced_per_s: float
) -> Report:
    """Measure everything for `seconds`, `rounds` times; raise `LoadError` if a server fails.

    `sessions` is also the batch of what runs without WebSockets; for the latency each session sends
    `paced_per_s` columns.
    """
    metadata = checkpoint.read(checkpoint.find(model)).metadata
    names = ["inkstream", "echo"]
    if find_spec("torch") is not None:
        names.append("afternoon")
    rates: dict[str, list[float]] = {}
    latencies: dict[str, list[Latency]] = {}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(name, model)) for name in names}
        loads = {
            name: Load(
                port=ports[server],
                connections=sessions,
                column_height=metadata.config.column_height,
                seconds=seconds,
                **fields,
            )
            for name, (server, fields) in WORKLOADS.items()
            if server in ports
        }
        offered_per_s = paced_per_s * sessions
        paced = {
            name: load.model_copy(update={"messages_per_s": offered_per_s})
            for name, load in loads.items()
            if load.n_columns == 1
        }
        bar = click.progressbar(
            length=rounds * (1 + len(loads) + len(paced)), label="measuring", file=sys.stderr
        )
        stack.enter_context(bar)
        for _ in range(rounds):
            bounds: dict[str, float] = json.loads(_child("kernels", model, sessions, seconds))
            for name, rate in bounds.items():
                rates.setdefault(name, []).append(rate)
            bar.update(1)
            for name, load in loads.items():
                rates.setdefault(name, []).append(_put(load).answered_per_s)
                bar.update(1)
            for name, load in paced.items():
                measured = Latency(offered_per_s=offered_per_s, **_put(load).model_dump())
                latencies.setdefault(name, []).append(measured)
                bar.update(1)
    return Report(
        machine=describe_machine(),
        model=f"{metadata.name} {metadata.version} ({metadata.parameters:,} parameters)",
        sessions=sessions,
        seconds=seconds,
        rates=rates,
        latencies=latencies,
        skipped="" if "afternoon" in ports else NO_TORCH,
    )


def _put(load: Load) -> Measured:
    return Measured.model_validate_json(_child("load", load.model_dump_json()))


def _child(name: str, *arguments: object) -> str:
    """Run a module of this package in a new process, and return its output."""
    module = f"inkstream.service.bench.{name}"
    done = subprocess.run(  # noqa: S603 - this package's own module
        [sys.executable, "-m", module, *map(str, arguments)],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        _, _, reason = done.stderr.rstrip().rpartition("\n")
        raise LoadError(f"{module}: {reason}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Return an environment with one thread a process, and without settings of the service."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("INKSTREAM_")}
    return own | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def serving(name: str, model: str) -> Iterator[int]:
    """Start a server, wait until it listens, yield its port, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["inkstream.service.bench.peers", name, model, str(port)]
    if name == "inkstream":
        flags = {
            "port": port,
            "models": model,
            "log-level": "warning",
            "max-line-columns": ENDLESS_COLUMNS,
            "max-sessions-per-client": MAX_SESSIONS,
        }
        arguments = [name, "serve", *(f"--{flag}={value}" for flag, value in flags.items())]
    process = subprocess.Popen(  # noqa: S603 - this package's own modules
        [sys.executable, "-m", *arguments], env=_environment()
    )
    try:
        _wait_for(process, name, port)
        yield port
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def _wait_for(process: subprocess.Popen[bytes], name: str, port: int) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise LoadError(f"{name} ended with {process.returncode} before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(POLL_S)
    raise LoadError(f"{name} does not listen after {START_TIMEOUT_S:g} s")


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
    names = list(reversed(report.rates))
    values = [median(report.rates[name]) for name in names]
    colours = ["tab:blue" if name.startswith(OURS) else "tab:gray" for name in names]
    bars = rates.barh([TITLES[name] for name in names], values, color=colours)
    rates.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    rates.set(xlabel="columns a second (logarithmic); blue is ours, grey bounds and peers")
    names = list(reversed(report.latencies))
    shown: list[float] = []
    for offset, field, colour in ((0.2, "p50_ms", "tab:cyan"), (-0.2, "p99_ms", "tab:blue")):
        times = [median(getattr(each, field) for each in report.latencies[name]) for name in names]
        places = [place + offset for place in range(len(names))]
        bars = latencies.barh(places, times, 0.4, color=colour, label=field.removesuffix("_ms"))
        latencies.bar_label(bars, [f"{time:.2f}" for time in times], padding=3)
        shown += times
    offered_per_s = report.latencies["stream_1"][0].offered_per_s
    latencies.set_yticks(range(len(names)), [TITLES[name] for name in names])
    latencies.set(
        xlabel=f"milliseconds to the result (logarithmic), at {offered_per_s:,.0f} columns/s"
    )
    latencies.legend(loc="upper right")
    for axes, drawn in ((rates, values), (latencies, shown)):  # with room for the numbers
        axes.set(xscale="log", xlim=(min(drawn) / 2, max(drawn) * 4))
    figure.savefig(path, dpi=120)
