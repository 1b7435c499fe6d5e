"""Measure the bounds of the service's speed without a socket, in columns a second.

From the bottom up: the matrix products of one step of a batch, ONNX Runtime's step with everything
between the products, and the engine with sessions that always send their next message.

Run as a module it takes `Kernels` as JSON and prints each rate by its name as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import uvloop
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inkstream.model import checkpoint
from inkstream.model.config import ModelConfig
from inkstream.model.runtime import Runtime
from inkstream.service.bench.load import ink
from inkstream.service.engine.engine import Engine
from inkstream.service.metrics import Metrics
from inkstream.service.protocol.server_messages import Result
from inkstream.service.session import Effect, Session, SessionModel
from inkstream.service.settings import Settings

WARM_UP_STEPS: Final = 20
WARM_UP_S: Final = 0.2
ENDLESS_COLUMNS: Final = 10**9  # a line of the bench ends with the bench


class Kernels(BaseModel):
    """What is measured, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "digits"
    sessions: int = 64  # also the batch
    seconds: float = 1.0  # of each


Product = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # left, right, out


def products(config: ModelConfig, batch: int) -> list[Product]:
    """Return the matrix products of one step of the net: convolution, LSTM layers, head."""
    inputs = [config.context * config.column_height, config.features + config.units]
    inputs += [2 * config.units] * (config.layers - 1) + [config.units]
    outputs = [config.features] + [4 * config.units] * config.layers + [len(config.labels)]
    rng = np.random.default_rng(0)

    def random(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, np.float32)

    return [
        (random(batch, rows), random(rows, columns), random(batch, columns))
        for rows, columns in zip(inputs, outputs, strict=True)
    ]


def product_step(config: ModelConfig, batch: int) -> Callable[[], None]:
    """Return a step of the net for a batch, reduced to its matrix products."""
    made = products(config, batch)

    def step() -> None:
        for left, right, out in made:
            np.matmul(left, right, out)

    return step


def runtime_step(runtime: Runtime, batch: int) -> Callable[[], None]:
    """Return a step of ONNX Runtime: one column in each stream of a batch."""
    height = runtime.config.column_height
    columns = np.frombuffer(ink(batch, height), np.uint8).reshape(1, batch, height)
    state = runtime.initial_state(batch)

    def step() -> None:
        nonlocal state
        _, state = runtime.run(columns, state)

    return step


def rate(step: Callable[[], None], columns: int, seconds: float) -> float:
    """Return the columns a second of a step that reads `columns` of them."""
    for _ in range(WARM_UP_STEPS):
        step()
    started_s = time.perf_counter()
    steps, elapsed_s = 0, 0.0
    while elapsed_s < seconds:
        step()
        steps += 1
        elapsed_s = time.perf_counter() - started_s
    return steps * columns / elapsed_s


class LocalClients:
    """Sessions in an engine without sockets: each gets its next message when it is answered."""

    def __init__(self, runtime: Runtime, settings: Settings, n_columns: int) -> None:
        self.answered = 0  # columns
        self._message = ink(n_columns, runtime.config.column_height)
        self._n_columns = n_columns
        self._limits = settings.limits
        self._runtime = runtime
        self._engine = Engine(
            runtime,
            max_batch=settings.max_batch,
            max_columns=settings.max_run_columns,
            observer=Metrics(),
        )

    async def run(self, sessions: int, seconds: float) -> float:
        """Return the columns a second that the engine answers to so many sessions."""
        self._engine.start()
        for number in range(sessions):
            self._begin(str(number))
        await asyncio.sleep(WARM_UP_S)
        answered, started_s = self.answered, time.perf_counter()
        await asyncio.sleep(seconds)
        answered, elapsed_s = self.answered - answered, time.perf_counter() - started_s
        self._engine.stop()
        return answered / elapsed_s

    def _begin(self, session_id: str) -> None:
        model = SessionModel.of(self._runtime.metadata, self._limits)
        missing = self._n_columns

        def deliver(effects: list[Effect]) -> None:
            nonlocal missing
            results = sum(isinstance(effect, Result) for effect in effects)
            self.answered += results
            missing -= results
            if not missing:
                missing = self._n_columns
                self._engine.receive(member, self._message, time.monotonic())

        member = self._engine.attach(Session(session_id, model), deliver)
        self._engine.receive(member, self._message, time.monotonic())


def measure(kernels: Kernels) -> dict[str, float]:
    """Return each rate by its name."""
    runtime = Runtime(checkpoint.read(checkpoint.find(kernels.model)))
    batch, seconds = kernels.sessions, kernels.seconds
    settings = Settings.load(max_line_columns=ENDLESS_COLUMNS)
    rates = {
        "product": rate(product_step(runtime.config, batch), batch, seconds),
        "runtime": rate(runtime_step(runtime, batch), batch, seconds),
    }
    for name, n_columns in (("engine_1", 1), ("engine_28", 28)):
        clients = LocalClients(runtime, settings, n_columns)
        rates[name] = uvloop.run(clients.run(batch, seconds))
    return rates


def main(args: list[str]) -> None:
    """Print the rates of the `Kernels` in `args` as JSON."""
    sys.stdout.write(json.dumps(measure(Kernels.model_validate_json(args[0]))))


if __name__ == "__main__":
    main(sys.argv[1:])
