"""Fixtures of all tests of the service: nets, weights and a running server."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.recognizer import Recognizer, load
from inkstream.model.runtime import Runtime
from tests.helpers.engine_sessions import PausableEngine
from tests.helpers.http import client_of
from tests.helpers.running_server import Running, server


@pytest.fixture(scope="session")
def net(tiny: Checkpoint) -> Runtime:
    """Return the runtime of a classifier."""
    return Runtime(tiny)


@pytest.fixture(scope="session")
def line_net(tiny_lines: Checkpoint) -> Runtime:
    """Return the runtime of a transcriber."""
    return Runtime(tiny_lines)


@pytest.fixture(scope="session")
def line_weights(tiny_lines: Checkpoint) -> Path:
    """Return a folder with weights `tiny_lines` to serve."""
    return tiny_lines.path.parent


@pytest.fixture(scope="session")
def reader(line_weights: Path) -> Recognizer:
    """Return a recognizer with `tiny_lines`, whose readings a server's must equal."""
    return load(line_weights / "tiny_lines.onnx")


@pytest.fixture(scope="module")
def running(line_weights: Path) -> Iterator[Running]:
    """Run a server of both models; modules that need another server override this fixture."""
    with server(line_weights, models="tiny,tiny_lines") as running:
        yield running


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    """Return an HTTP client of the running server."""
    with client_of(running) as client:
        yield client


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[PausableEngine]:
    """Return the engines of the servers that the test starts."""
    made: list[PausableEngine] = []

    def engine(*args: Any, **kwargs: Any) -> PausableEngine:
        made.append(PausableEngine(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr("inkstream.service.app.Engine", engine)
    return made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return a stream for a log; restore the process's logging afterwards."""
    monkeypatch.setattr(logging.root, "handlers", logging.root.handlers)
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    return io.StringIO()
