"""Measure everything that a report compares, in rounds, so that other load hits all alike."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import click
from pydantic import TypeAdapter

from inkstream.model import checkpoint
from inkstream.service.bench.kernels import ENDLESS_COLUMNS, Kernels
from inkstream.service.bench.load import Load, LoadError, Measured
from inkstream.service.bench.report import Latency, Report, describe_machine

START_TIMEOUT_S: Final = 60.0  # torch alone takes seconds to import on a busy machine
STOP_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.05
MAX_SESSIONS: Final = 1000  # of one client, of the server under test
DIGIT_COLUMNS: Final = 28
NO_TORCH: Final = "The simple PyTorch server was left out: torch is not installed."
ONE_RESULT: Final = '{"type":"configure","every":"message"}'
RATES: Final = TypeAdapter(dict[str, float])


@dataclass(frozen=True, slots=True)
class Workload:
    """What clients send to one server, and what it answers."""

    server: str
    n_columns: int = 1  # in one message
    n_results: int = 1  # that answer it
    configure: str = ""


WORKLOADS: Final = {
    "stream_1": Workload("inkstream"),
    "stream_28": Workload("inkstream", DIGIT_COLUMNS, DIGIT_COLUMNS),
    "stream_28_message": Workload("inkstream", DIGIT_COLUMNS, configure=ONE_RESULT),
    "echo_1": Workload("echo"),
    "afternoon_1": Workload("afternoon"),
    "afternoon_28": Workload("afternoon", DIGIT_COLUMNS),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared, and for how long."""

    model: str  # name or path
    sessions: int  # also the batch of what runs without sockets
    seconds: float  # of each measurement
    rounds: int
    paced_per_s: float  # columns of each session in the latency measurement


def compare(plan: Plan) -> Report:
    """Measure everything in turn, `plan.rounds` times; raise `LoadError` if a server fails."""
    metadata = checkpoint.read(checkpoint.find(plan.model)).metadata
    height = metadata.config.column_height
    names = ["inkstream", "echo"]
    if find_spec("torch") is not None:
        names.append("afternoon")
    rates: dict[str, list[float]] = {}
    latencies: dict[str, list[Latency]] = {}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(name, plan.model)) for name in names}
        workloads = {
            name: workload for name, workload in WORKLOADS.items() if workload.server in ports
        }
        paced = [name for name, workload in workloads.items() if workload.n_columns == 1]
        bar = click.progressbar(
            length=plan.rounds * (1 + len(workloads) + len(paced)),
            label="measuring",
            file=sys.stderr,
        )
        stack.enter_context(bar)
        for _ in range(plan.rounds):
            for name, value in _kernels(plan).items():
                rates.setdefault(name, []).append(value)
            bar.update(1)
            for name, workload in workloads.items():
                measured = _load(plan, workload, ports[workload.server], height)
                rates.setdefault(name, []).append(measured.columns_per_s)
                bar.update(1)
            for name in paced:
                latency = _latency(plan, workloads[name], ports[workloads[name].server], height)
                latencies.setdefault(name, []).append(latency)
                bar.update(1)
    return Report(
        machine=describe_machine(),
        model=f"{metadata.name} {metadata.version} ({metadata.parameters:,} parameters)",
        sessions=plan.sessions,
        seconds=plan.seconds,
        rates=rates,
        latencies=latencies,
        skipped="" if "afternoon" in ports else NO_TORCH,
    )


def _kernels(plan: Plan) -> dict[str, float]:
    kernels = Kernels(model=plan.model, sessions=plan.sessions, seconds=plan.seconds)
    return RATES.validate_json(_child("inkstream.service.bench.kernels", kernels.model_dump_json()))


def _load(
    plan: Plan,
    workload: Workload,
    port: int,
    column_height: int,
    messages_per_s: float | None = None,
) -> Measured:
    load = Load(
        port=port,
        connections=plan.sessions,
        n_columns=workload.n_columns,
        n_results=workload.n_results,
        configure=workload.configure,
        column_height=column_height,
        seconds=plan.seconds,
        messages_per_s=messages_per_s,
    )
    return Measured.model_validate_json(
        _child("inkstream.service.bench.load", load.model_dump_json())
    )


def _latency(plan: Plan, workload: Workload, port: int, column_height: int) -> Latency:
    offered_per_s = plan.paced_per_s * plan.sessions
    measured = _load(plan, workload, port, column_height, offered_per_s)
    return Latency(
        offered_per_s=offered_per_s,
        answered_per_s=measured.columns_per_s,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
    )


def _child(module: str, argument: str) -> str:
    """Run a module of this package in a process of its own, and return what it prints."""
    command = [sys.executable, "-m", module, argument]
    done = subprocess.run(  # noqa: S603 - this package's own module
        command, env=_environment(), capture_output=True, text=True, check=False
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
    process = subprocess.Popen(_command(name, model, port), env=_environment())  # noqa: S603
    try:
        _wait_for(process, name, port)
        yield port
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def _command(name: str, model: str, port: int) -> list[str]:
    if name != "inkstream":
        return [sys.executable, "-m", "inkstream.service.bench.peers", name, model, str(port)]
    flags = {
        "port": port,
        "models": model,
        "log-level": "warning",
        "max-line-columns": ENDLESS_COLUMNS,
        "max-sessions-per-client": MAX_SESSIONS,
    }
    words = [f"--{flag}={value}" for flag, value in flags.items()]
    return [sys.executable, "-m", "inkstream", "serve", *words]


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
