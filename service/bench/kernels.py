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
from inkstream.model.config import KERNEL_ROWS, KERNEL_STEPS, STEP_COLUMNS, ModelConfig
from inkstream.model.preprocess.ink import taken_by
from inkstream.model.runtime import Runtime
from inkstream.service.bench.load import ink
from inkstream.service.engine import Engine
from inkstream.service.observe.metrics import Metrics
from inkstream.service.protocol.server_messages import Result
from inkstream.service.session import Effect, Session, SessionModel
from inkstream.service.settings import Settings

MESSAGE_COLUMNS: Final = 16  # of a message with several
ENDLESS_COLUMNS: Final = 10**9  # a line of the bench ends with the bench


Product = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # left, right, out


def product_sizes(config: ModelConfig) -> list[tuple[int, int, int]]:
    """Return rows, depth and width of each matrix product of one step of the net, for one stream.

    A classifier's step reads one column: convolution, LSTM layers, head. A transcriber's reads two:
    each convolution, as one product over all rows, features, LSTM layers, both heads.
    """
    of_layers = [
        (1, config.features + config.units, 4 * config.units),
        *[(1, 2 * config.units, 4 * config.units)] * (config.layers - 1),
        (1, config.units, config.n_scores),
    ]
    if config.kind == "classifier":
        return [(1, config.context * config.column_height, config.features), *of_layers]
    rows = config.column_height
    planes = config.seen_size // rows
    sizes, seen = [], planes * STEP_COLUMNS * (KERNEL_STEPS - 1)
    for channels in config.channels:
        rows //= 2
        sizes.append((rows, KERNEL_ROWS * seen, channels))
        seen = KERNEL_STEPS * channels
    return [*sizes, (1, config.channels[-1] * rows, config.features), *of_layers]


def products(config: ModelConfig, batch: int) -> list[Product]:
    """Return the matrix products of one step of the net for `batch` streams, in 32-bit numbers."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, np.float32)

    return [
        (random(batch * rows, depth), random(depth, width), random(batch * rows, width))
        for rows, depth, width in product_sizes(config)
    ]


def rate(step: Callable[[], None], columns: int, seconds: float) -> float:
    """Return the columns a second of a step that reads `columns` of them."""
    for _ in range(20):
        step()
    started_s = time.perf_counter()
    steps, elapsed_s = 0, 0.0
    while elapsed_s < seconds:
        step()
        steps += 1
        elapsed_s = time.perf_counter() - started_s
    return steps * columns / elapsed_s


async def engine_rate(
    runtime: Runtime, sessions: int, n_columns: int, results: str, seconds: float
) -> float:
    """Return the columns a second of an engine without sockets.

    Each session gets its next message of `n_columns` columns when the one before is answered, with
    `results` for each column or message.
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
    n_results = n_columns if results == "column" else 1
    answered = 0  # messages

    def begin(session_id: str) -> None:
        missing = n_results

        def deliver(effects: list[Effect]) -> None:
            nonlocal answered, missing
            missing -= sum(isinstance(effect, Result) for effect in effects)
            if not missing:
                answered += 1
                missing = n_results
                engine.receive(member, message, time.monotonic())

        member = engine.attach(Session(session_id, model), deliver)
        configure = {"type": "configure", "results": results}
        engine.receive(member, json.dumps(configure), time.monotonic())
        engine.receive(member, message, time.monotonic())

    engine.start()
    for number in range(sessions):
        begin(str(number))
    await asyncio.sleep(0.2)
    before, started_s = answered, time.perf_counter()
    await asyncio.sleep(seconds)
    columns_per_s = (answered - before) * n_columns / (time.perf_counter() - started_s)
    engine.stop()
    return columns_per_s


def step_of(runtime: Runtime, batch: int) -> Callable[[], None]:
    """Return what runs one step of a net for `batch` streams."""
    n_columns, height = runtime.config.step_columns, runtime.config.column_height
    columns = np.frombuffer(ink(n_columns * batch, height), np.uint8)
    columns = taken_by(runtime.config, columns.reshape(n_columns, batch, height))
    state = runtime.initial_state(batch)

    def run() -> None:
        nonlocal state
        _, state = runtime.run(columns, state)

    return run


def measure(model: str, batch: int, seconds: float) -> dict[str, float]:
    """Return each rate by its name; each is measured for `seconds`."""
    runtime = Runtime(checkpoint.read(checkpoint.find(model)))
    factors = products(runtime.config, batch)
    n_columns = runtime.config.step_columns * batch

    def multiply() -> None:
        for left, right, out in factors:
            np.matmul(left, right, out)

    rates = {
        "product": rate(multiply, n_columns, seconds),
        "runtime": rate(step_of(runtime, batch), n_columns, seconds),
    }
    for name, n_message, results in (
        ("engine_1", 1, "column"),
        ("engine_16", MESSAGE_COLUMNS, "column"),
        ("engine_16_message", MESSAGE_COLUMNS, "message"),
    ):
        rates[name] = uvloop.run(engine_rate(runtime, batch, n_message, results, seconds))
    return rates


if __name__ == "__main__":
    name, sessions, duration_s = sys.argv[1:]
    sys.stdout.write(json.dumps(measure(name, int(sessions), float(duration_s))))
