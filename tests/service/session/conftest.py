"""Nets whose answers are the same to the bit however columns are run: those of 8 bits."""

from pathlib import Path

import pytest

from inkstream.model.runtime import Runtime
from tests.helpers import builders


@pytest.fixture(scope="session")
def exact_net(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a small transcriber."""
    path: Path = tmp_path_factory.mktemp("weights") / "exact.onnx"
    return Runtime(builders.line_checkpoint(path, ranges=builders.RANGES))


@pytest.fixture(scope="session")
def directed_net(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a small transcriber that sees where the pen goes."""
    path: Path = tmp_path_factory.mktemp("weights") / "directed.onnx"
    return Runtime(builders.line_checkpoint(path, ranges=builders.RANGES, directions=True))
