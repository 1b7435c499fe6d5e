"""Measure what traces cost the server: its processor time with and without OpenTelemetry.

    python -m tools.traces --rounds 5

Serves `digits` alone and by `opentelemetry-instrument`, in turn, with the exporter to the console,
which takes longer than one over the network. Sixty-four sessions send column after column, as in
`inkstream bench compare`, then one connection sends one image after the other by REST.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import IO, Final

import click
import psutil

from inkstream.service.bench.load import Load
from inkstream.service.bench.processes import put
from inkstream.service.sealing import random_key
from tools.balancers import LOOPBACK, Replica

COMMAND: Final = str(Path(sys.executable).parent / "opentelemetry-instrument")
TRACED: Final = (  # spans to the console, and nothing else
    "env",
    "OTEL_TRACES_EXPORTER=console",
    "OTEL_METRICS_EXPORTER=none",
    "OTEL_LOGS_EXPORTER=none",
    "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS=healthz,readyz,metrics",
    COMMAND,
)
IMAGE: Final = Path(__file__).parent.parent / "examples" / "7.png"
REQUESTS: Final = 500


@contextmanager
def serving(command: Sequence[str], output: IO[bytes]) -> Iterator[Replica]:
    """Run a server of `digits` behind a command, or none; what it prints goes into a file."""
    replica = Replica(random_key(), command=command, output=output, settings={"models": "digits"})
    try:
        replica.wait()
        yield replica
    finally:
        replica.end()


def column_us(replica: Replica) -> float:
    """Return the server's processor time for a column of a stream."""
    measured = put(Load(port=replica.port, server_pid=replica.pid))
    assert measured.server_us is not None
    return measured.server_us


def request_us(replica: Replica) -> float:
    """Return the server's processor time for an image by REST."""
    process, image = psutil.Process(replica.pid), IMAGE.read_bytes()
    connection = HTTPConnection(LOOPBACK, replica.port)
    before = process.cpu_times()
    for _ in range(REQUESTS):
        connection.request("POST", "/v1/recognize", image, {"Content-Type": "image/png"})
        connection.getresponse().read()
    after = process.cpu_times()
    connection.close()
    taken_s = after.user + after.system - before.user - before.system
    return 1e6 * taken_s / REQUESTS


@click.command()
@click.option("--rounds", default=5, show_default=True)
def main(rounds: int) -> None:
    """Measure in turn, and print the medians."""
    found: dict[tuple[str, bool], list[float]] = {}
    with Path(os.devnull).open("wb") as output:
        for _ in range(rounds):
            for command in ((), TRACED):
                with serving(command, output) as replica:
                    for measure in (column_us, request_us):
                        key = measure.__name__, bool(command)
                        found.setdefault(key, []).append(measure(replica))
    for (name, is_traced), values in found.items():
        print(f"{name}{' with traces' * is_traced}: {median(values):.0f}")


if __name__ == "__main__":
    main()
