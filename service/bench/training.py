"""Measure how fast lines are trained, beside the bare matrix products of forward and backward.

The trainer is the real one with its loader, losses and optimisers, from random weights; it trains
for buckets of its loader, so that lines of all lengths are in each. Useful columns are those of the
lines, without a batch's padding. The products are those of the useful columns, and an LSTM layer is
one product, as if no step of it waited for the one before.
"""

import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import click
import torch
from pydantic import BaseModel

from inkstream.model.config import STEP_COLUMNS
from inkstream.model.data.line_data import load_data
from inkstream.model.train import Trainer, choose_device
from inkstream.model.training.config import LINES, Device, RunOptions
from inkstream.model.training.lines import BUCKET_STEPS, LinesTask
from inkstream.service import installed_version
from inkstream.service.bench.kernels import product_sizes
from inkstream.service.bench.processes import describe_machine

PRECISIONS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FAR: Final = 1 << 20  # a step whose lines the loader has not made yet


class Measured(BaseModel):
    """One bucket of one precision."""

    step_s: float
    columns_per_s: float  # useful ones
    products_per_s: float  # the same columns through the bare products
    waited: float  # share of the time in which the trainer waits for the loader
    useful: float  # share of the columns


class Report(BaseModel):
    """All figures of one run."""

    version: str
    machine: dict[str, str]
    device: str
    parameters: int
    chosen: str  # the precision that a run takes by itself
    loader_s: float  # of a step's lines, while nothing is trained
    rounds: dict[str, list[Measured]]  # by precision

    def text(self) -> str:
        """Return the whole report for a terminal."""
        heads = ("", "s a step", "useful", "columns/s", "products/s", "ratio", "waits")
        rows: list[Sequence[str]] = [heads]
        for precision, rounds in self.rounds.items():
            ratios = [each.columns_per_s / each.products_per_s for each in rounds]
            rows.append(
                (
                    precision,
                    f"{median(each.step_s for each in rounds):.2f}",
                    f"{median(each.useful for each in rounds):.0%}",
                    f"{median(each.columns_per_s for each in rounds):,.0f}",
                    f"{median(each.products_per_s for each in rounds):,.0f}",
                    f"{median(ratios):.2f}",
                    f"{median(each.waited for each in rounds):.1%}",
                )
            )
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        lines = ["".join(f"{cell:>12}" for cell in row) for row in rows]
        about = (
            f"{self.parameters:,} parameters on {self.device}; a run takes {self.chosen} by"
            f" itself; the loader alone takes {self.loader_s:.2f} s a step"
        )
        return "\n".join([machine, about, "", *lines])


def measure(*, data: Path | None, device: Device, rounds: int) -> Report:
    """Train in 32-bit numbers and in bfloat16, a bucket each in every round.

    Args:
        data: the user's ink; None is UNIPEN.
        device: to compute on.
        rounds: of all measurements.

    Raises:
        DataError: there is no such ink or device.
    """
    config = dataclasses.replace(LINES, framewise=0)  # as a run is after its first steps
    measured: dict[str, list[Measured]] = {precision: [] for precision in PRECISIONS}
    with tempfile.TemporaryDirectory() as scratch:
        options = RunOptions(run=Path(scratch), data=data, device=device)
        task = LinesTask(config, load_data(data))
        trainer = Trainer(config, options, task)
        train_bucket(trainer, task)  # now the loader is a bucket ahead
        with click.progressbar(range(rounds), label="training", file=sys.stderr) as bar:
            for _ in bar:
                for precision, kind in PRECISIONS.items():
                    trainer.bfloat16 = kind == torch.bfloat16
                    measured[precision].append(train_bucket(trainer, task))
        started_s = time.perf_counter()
        task.part(FAR, 0)
        loader_s = (time.perf_counter() - started_s) / BUCKET_STEPS
    return Report(
        version=installed_version(),
        machine=describe_machine(),
        device=str(trainer.device),
        parameters=sum(weight.numel() for weight in trainer.parameters),
        chosen="bfloat16" if choose_device(config, options)[1] else "float32",
        loader_s=loader_s,
        rounds=measured,
    )


def train_bucket(trainer: Trainer, task: LinesTask) -> Measured:
    """Train for a bucket, then multiply the same columns alone."""
    waited_s, n_columns, n_steps = 0.0, 0, []
    started_s = time.perf_counter()
    for _ in range(BUCKET_STEPS):
        asked_s = time.perf_counter()
        batches = [task.part(trainer.step, shard) for shard in range(task.n_shards)]
        waited_s += time.perf_counter() - asked_s
        n_columns += sum(batch.columns[:, :, 0].size for batch in batches)
        n_steps.append([int(batch.steps.sum()) for batch in batches])
        loss = trainer.train_step()
    loss.item()  # the device has done all that it was given
    elapsed_s = time.perf_counter() - started_s
    useful = STEP_COLUMNS * sum(map(sum, n_steps))
    return Measured(
        step_s=elapsed_s / BUCKET_STEPS,
        columns_per_s=useful / elapsed_s,
        products_per_s=useful / products_s(trainer, task, n_steps),
        waited=waited_s / elapsed_s,
        useful=useful / n_columns,
    )


@torch.no_grad()
def products_s(trainer: Trainer, task: LinesTask, n_steps: Sequence[Sequence[int]]) -> float:
    """Return the seconds of the bare products of all steps, each with so many of the net a shard.

    A product forward is two backward: of its inputs, but for the first one, and of its weights.
    """
    kind = torch.bfloat16 if trainer.bfloat16 else torch.float32
    sizes = product_sizes(task.model_config)
    longest = max(map(max, n_steps))
    n_values = max(max(longest * rows, width) * depth for rows, depth, width in sizes)
    values = torch.randn(n_values, dtype=kind, device=trainer.device)

    def multiply(n: int) -> float:
        for place, (rows, depth, width) in enumerate(sizes):
            inputs = values[: n * rows * depth].view(n * rows, depth)
            weights = values[: depth * width].view(depth, width)
            outputs = inputs @ weights
            changed = inputs.T @ outputs
            if place:
                changed = outputs @ weights.T
        return float(changed[0, 0])  # the device has done all that it was given

    started_s = time.perf_counter()
    for shards in n_steps:
        list(trainer.threads.map(multiply, shards))
    return time.perf_counter() - started_s
