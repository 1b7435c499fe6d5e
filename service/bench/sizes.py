"""Measure what a larger net would cost in serving: nets with more parameters, in 8 bits.

Their weights are random, and their graphs those of the net that they are larger than.
"""

import dataclasses
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import click
import numpy as np
from pydantic import BaseModel

from inkstream.model import checkpoint
from inkstream.model.checkpoint import Metadata
from inkstream.model.config import ModelConfig
from inkstream.model.export import export, weight_shapes
from inkstream.model.graphs.int8 import Ranges
from inkstream.model.runtime import Runtime
from inkstream.service import installed_version
from inkstream.service.bench.kernels import rate, step_of
from inkstream.service.bench.processes import describe_machine

FACTORS: Final = (1, 2, 4)  # of the parameters
MULTIPLE: Final = 8  # that units and channels are of: processors multiply as many at once
RANGE: Final = 4.0  # of all numbers that are multiplied
MB: Final = 1_000_000


class Net(BaseModel):
    """One net, and its time a column in microseconds by the number of streams."""

    units: int
    parameters: int
    file_mb: float
    column_us: dict[int, list[float]] = {}  # one for each round


class Report(BaseModel):
    """All figures of one run."""

    version: str
    machine: dict[str, str]
    model: str
    nets: list[Net]

    def text(self) -> str:
        """Return the whole report for a terminal."""
        streams = list(self.nets[0].column_us)
        heads = ("units", "parameters", "MB", *(f"us, {batch} streams" for batch in streams))
        rows: list[Sequence[str]] = [heads]
        for net in self.nets:
            times = (f"{median(net.column_us[batch]):.1f}" for batch in streams)
            rows.append((f"{net.units}", f"{net.parameters:,}", f"{net.file_mb:.1f}", *times))
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        about = f"{self.model} and nets of its kind with random weights, microseconds a column"
        lines = ["".join(f"{cell:>16}" for cell in row) for row in rows]
        return "\n".join([machine, about, "", *lines])


def measure(*, model: str, sessions: int, seconds: float, rounds: int) -> Report:
    """Measure one stream and `sessions` of them, each for `seconds`, in each of the rounds."""
    metadata = checkpoint.read(checkpoint.find(model)).metadata
    nets: list[tuple[Net, Runtime]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for factor in FACTORS:
            path = Path(scratch) / f"{factor}.onnx"
            config = larger(metadata.config, factor)
            write(path, dataclasses.replace(metadata, config=config))
            shapes = weight_shapes(config).values()
            about = Net(
                units=config.units,
                parameters=sum(map(math.prod, shapes)),
                file_mb=path.stat().st_size / MB,
            )
            nets.append((about, Runtime(checkpoint.read(path))))
    with click.progressbar(range(rounds), label="running nets", file=sys.stderr) as bar:
        for _ in bar:
            for net, runtime in nets:
                for batch in (1, sessions):
                    n_columns = runtime.config.step_columns * batch
                    per_s = rate(step_of(runtime, batch), n_columns, seconds)
                    net.column_us.setdefault(batch, []).append(1e6 / per_s)
    return Report(
        version=installed_version(),
        machine=describe_machine(),
        model=metadata.name,
        nets=[net for net, _ in nets],
    )


def larger(config: ModelConfig, factor: float) -> ModelConfig:
    """Return the dimensions of a net with about `factor` times the parameters."""

    def widened(size: int) -> int:
        return MULTIPLE * round(size * math.sqrt(factor) / MULTIPLE)

    return dataclasses.replace(
        config,
        features=widened(config.features),
        units=widened(config.units),
        channels=tuple(map(widened, config.channels)),
    )


def write(path: Path, metadata: Metadata) -> None:
    """Write a net with random weights, in 8 bits."""
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 1 / math.sqrt(shape[-1]), shape).astype(np.float32)
        for name, shape in weight_shapes(metadata.config).items()
    }
    n_convolutions = max(1, len(metadata.config.channels))
    ranges = Ranges((RANGE,) * n_convolutions, (RANGE,) * (metadata.config.layers + 1))
    export(path, weights, metadata, ranges)
