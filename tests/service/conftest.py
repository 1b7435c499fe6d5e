"""Nets that sessions are served with, and a folder of weights with a transcriber in it."""

from pathlib import Path

import pytest

from model.checkpoint import Checkpoint
from model.recognizer import Recognizer, load
from model.runtime import Runtime


@pytest.fixture(scope="session")
def net(tiny: Checkpoint) -> Runtime:
    """A classifier."""
    return Runtime(tiny)


@pytest.fixture(scope="session")
def line_net(tiny_lines: Checkpoint) -> Runtime:
    """A transcriber."""
    return Runtime(tiny_lines)


@pytest.fixture(scope="session")
def line_weights(tiny_lines: Checkpoint) -> Path:
    """A folder with weights `tiny_lines` to serve."""
    return tiny_lines.path.parent


@pytest.fixture(scope="session")
def reader(line_weights: Path) -> Recognizer:
    """Reads lines without a server, as `tiny_lines` must be read with one."""
    return load(line_weights / "tiny_lines.onnx")
