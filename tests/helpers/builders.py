"""Nets with random weights in the served format, columns, and real digits."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from inkstream.model import checkpoint as checkpoints
from inkstream.model.checkpoint import Checkpoint, Metadata, sealed
from inkstream.model.config import ModelConfig
from inkstream.model.data.images import Dataset
from inkstream.model.export import export, weight_shapes
from inkstream.model.graphs.int8 import Ranges
from inkstream.model.runtime import Runtime

DIGITS = tuple("0123456789")
LETTERS = tuple(" abc.")
RANGES = Ranges((4.0, 4.0), (4.0, 1.0, 1.0))  # of a small transcriber
EXCERPT = Path(__file__).parents[1] / "data" / "mnist-excerpt.npz"
REPORTS = Path(__file__).parents[2] / "docs" / "reports"


def config(labels: Sequence[str] = DIGITS, **dimensions: Any) -> ModelConfig:
    """Return the configuration of a classifier whose step takes microseconds."""
    small = ModelConfig(tuple(labels), features=12, units=16)
    return dataclasses.replace(small, **dimensions)


def line_config(labels: Sequence[str] = LETTERS, **dimensions: Any) -> ModelConfig:
    """Return the configuration of a transcriber as small."""
    small = ModelConfig(
        tuple(labels),
        "transcriber",
        column_height=16,
        features=16,
        units=16,
        channels=(4, 6),
        flush_columns=4,
    )
    return dataclasses.replace(small, **dimensions)


def weights(of: ModelConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return random weights with the names and shapes of `state_dict()`, large enough to matter."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 2 / shape[-1] ** 0.5, shape).astype(np.float32)
        for name, shape in weight_shapes(of).items()
    }


def metadata(
    of: ModelConfig, temperatures: Sequence[float] = (1.0,), name: str = "tiny"
) -> Metadata:
    """Return metadata of an untrained net."""
    return Metadata(
        name=name,
        version="0.0.1",
        config=of,
        licence="Apache-2.0",
        data="none",
        data_digest="0" * 64,
        config_digest="0" * 64,
        metrics={"accuracy": 0.1},
        parameters=sum(value.size for value in weights(of).values()),
        temperatures=tuple(temperatures),
    )


def checkpoint(
    path: Path,
    labels: Sequence[str] = DIGITS,
    seed: int = 0,
    temperatures: Sequence[float] = (1.5, 1.0, 0.8),
    **dimensions: Any,
) -> Checkpoint:
    """Write a checkpoint with random weights to `path` and read it back."""
    of = config(labels, **dimensions)
    export(path, weights(of, seed), metadata(of, temperatures, path.stem))
    return checkpoints.read(path)


def line_checkpoint(
    path: Path, seed: int = 0, ranges: Ranges | None = None, **dimensions: Any
) -> Checkpoint:
    """Write and read a transcriber whose labels are each about as probable as the blank.

    With `ranges` it computes with 8 bits: to the bit the same in any portions, as served nets do.
    """
    of = line_config(**dimensions)
    description, random = metadata(of, (1.0, 1.0), path.stem), weights(of, seed)
    random["head.weight"] *= 3
    export(path, random, description, ranges)
    uncentred = Runtime(checkpoints.read(path))
    seen = columns(500, seed, of.column_size)[:, None]
    scores, _ = uncentred.run(seen, uncentred.initial_state(1))
    random["head.bias"] -= scores[:, 0, :-1].mean(0)
    random["ends.bias"] -= scores[:, 0, -1].mean(0) + 1
    export(path, random, description, ranges)
    return checkpoints.read(path)


def runtime(path: Path, seed: int = 0) -> Runtime:
    """Return a runtime of a small random net."""
    return Runtime(checkpoint(path, seed=seed))


def columns(n_columns: int, seed: int = 0, column_height: int = 28) -> NDArray[np.uint8]:
    """Return random columns [n, H]; the first two and about a third of the others are blank."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n_columns, column_height), np.uint8)
    pixels[rng.random(n_columns) < 1 / 3] = 0
    pixels[:2] = 0
    return pixels


def excerpt(n: int) -> Dataset:
    """Return the first `n` (400 at most) training images of MNIST."""
    with np.load(EXCERPT) as file:
        columns, answers = file["columns"][:n], file["answers"][:n]
    return Dataset("MNIST excerpt", columns, answers.astype(np.int64), DIGITS)


def shipped_report(kind: str) -> dict[str, Any]:
    """Return the contents of a shipped report."""
    contents: dict[str, Any] = json.loads((REPORTS / kind / "report.json").read_text())
    return contents


def with_graph(of: Checkpoint, path: Path, change: Callable[[onnx.GraphProto], None]) -> Path:
    """Write a checkpoint with another graph and a valid digest."""
    model = onnx.load_from_string(of.content)
    change(model.graph)
    del model.metadata_props[1]  # the digest
    path.write_bytes(sealed(model.SerializeToString()))
    return path
