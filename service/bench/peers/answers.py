"""What the servers of models send back: probabilities alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model import checkpoint
from inkstream.model.preprocess.ink import taken_by
from inkstream.model.runtime import Runtime

MAX_BATCH = 64  # sessions in one run


def load(model: str) -> Runtime:
    """Return the net of a model."""
    return Runtime(checkpoint.read(checkpoint.find(model)))


def columns_of(data: bytes, runtime: Runtime) -> NDArray[np.uint8]:
    """Return the columns of a message as the net is given them."""
    columns = np.frombuffer(data, np.uint8).reshape(-1, runtime.config.column_height)
    return taken_by(runtime.config, columns)


def answer(scores: NDArray[np.float32], runtime: Runtime) -> dict[str, Any]:
    """Return the answer to scores [n, S]: the probabilities after the last column."""
    labels = runtime.config.labels
    first = 0 if runtime.config.kind == "classifier" else 1  # the blank
    probabilities = np.exp(scores[-1, first : first + len(labels)]).round(6).tolist()
    return {"type": "result", "probabilities": dict(zip(labels, probabilities, strict=True))}
