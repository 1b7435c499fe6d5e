"""Measure the bounds of the service's speed without a socket, in columns a second.

From the bottom up: the matrix products of one step of a batch, ONNX Runtime's step with everything
between the products, and the engine with sessions that always send their next message.

Run as a module it takes a model, the batch and the seconds of each measurement, and prints each
rate by its name as JSON.
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

from inkstream.model import checkpoint
from inkstream.model.config import ModelConfig
from inkstream.model.runtime import Runtime
from inkstream.service.bench.load import ink
from inkstream.service.engine import Engine
from inkstream.service.metrics import Metrics
from inkstream.service.protocol.server_messages import Result
from inkstream.service.session import Effect, Session, SessionModel
from inkstream.service.settings import Settings

WARM_UP_STEPS: Final = 20
WARM_UP_S: Final = 0.2
ENDLESS_COLUMNS: Final = 10**9  # a line of the bench ends with the bench


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


async def engine_rate(runtime: Runtime, sessions: int, n_columns: int, seconds: float) -> float:
    """Return the columns a second of an engine without sockets.

    Each session gets its next message of `n_columns` columns when the one before is answered.
    """
    settings = Settings.load(max_line_columns=ENDLESS_COLUMNS)
    engine = Engine(
        runtime,
        max_batch=settings.max_batch,
        max_columns=settings.max_run_columns,
        metrics=Metrics(),
    )
    model = SessionModel.of(runtime.metadata, settings.limits)
    message = ink(n_columns, runtime.config.column_height)
    answered = 0  # columns

    def begin(session_id: str) -> None:
        missing = n_columns

        def deliver(effects: list[Effect]) -> None:
            nonlocal answered, missing
            results = sum(isinstance(effect, Result) for effect in effects)
            answered += results
            missing -= results
            if not missing:
                missing = n_columns
                engine.receive(member, message, time.monotonic())

        member = engine.attach(Session(session_id, model), deliver)
        engine.receive(member, message, time.monotonic())

    engine.start()
    for number in range(sessions):
        begin(str(number))
    await asyncio.sleep(WARM_UP_S)
    before, started_s = answered, time.perf_counter()
    await asyncio.sleep(seconds)
    columns_per_s = (answered - before) / (time.perf_counter() - started_s)
    engine.stop()
    return columns_per_s


def measure(model: str, batch: int, seconds: float) -> dict[str, float]:
    """Return each rate by its name; each is measured for `seconds`."""
    runtime = Runtime(checkpoint.read(checkpoint.find(model)))
    factors = products(runtime.config, batch)
    height = runtime.config.column_height
    columns = np.frombuffer(ink(batch, height), np.uint8).reshape(1, batch, height)
    state = runtime.initial_state(batch)

    def multiply() -> None:
        for left, right, out in factors:
            np.matmul(left, right, out)

    def run() -> None:
        nonlocal state
        _, state = runtime.run(columns, state)

    return {
        "product": rate(multiply, batch, seconds),
        "runtime": rate(run, batch, seconds),
        "engine_1": uvloop.run(engine_rate(runtime, batch, 1, seconds)),
        "engine_28": uvloop.run(engine_rate(runtime, batch, 28, seconds)),
    }


if __name__ == "__main__":
    name, sessions, duration_s = sys.argv[1:]
    sys.stdout.write(json.dumps(measure(name, int(sessions), float(duration_s))))
