"""Measure everything that a report compares, in rounds, so that other load hits all alike."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, Final

import click

from inkstream.model import checkpoint
from inkstream.service.bench.kernels import ENDLESS_COLUMNS
from inkstream.service.bench.load import Load, LoadError, Measured
from inkstream.service.bench.report import Latency, Report, describe_machine

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


def compare(
    *, model: str, sessions: int, seconds: float, rounds: int, paced_per_s: float
) -> Report:
    """Measure everything in turn, `rounds` times; raise `LoadError` if a server fails.

    Args:
        model: name or path.
        sessions: WebSockets, and the batch of what runs without them.
        seconds: of each measurement.
        rounds: how often everything is measured.
        paced_per_s: columns of each session in the latency measurement.
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
    """Run a module of this package in a process of its own, and return what it prints."""
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
