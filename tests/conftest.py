"""Share what all tests use: profiles of hypothesis, markers, and small nets."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from inkstream.model.checkpoint import Checkpoint
from inkstream.service.observe import logs
from tests.helpers import builders

# Choose another one by --hypothesis-profile. No deadline: a busy machine is no failure.
settings.register_profile("short", deadline=None, max_examples=40)
settings.register_profile("full", deadline=None, max_examples=100)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile("short")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process that
# they start as well; the commands under test must get it as they do in a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers of tests."""
    config.addinivalue_line("markers", "needs(there): deselect the test unless `there` is true")
    config.addinivalue_line("markers", "slow: leave the test out of `make check`")
    config.addinivalue_line("markers", "hostile: an attack with times, of `make hostile` alone")
    config.addinivalue_line("markers", "ray: needs Ray; of `make test-ray` alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what cannot be run here: a test that is skipped looks as if it had passed."""
    missing = [item for item in items if not all(m.args[0] for m in item.iter_markers("needs"))]
    items[:] = [item for item in items if item not in missing]
    config.hook.pytest_deselected(items=missing)


@pytest.fixture(scope="session", autouse=True)
def no_log_output() -> Iterator[None]:
    """Keep logs out of the output; between tests pytest does not capture them."""
    with Path(os.devnull).open("w") as stream:
        logs.configure(stream=stream)
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Return a checkpoint `tiny.onnx` with random weights that answers digits."""
    path: Path = tmp_path_factory.mktemp("weights") / "tiny.onnx"
    return builders.checkpoint(path)


@pytest.fixture(scope="session")
def tiny_lines(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Return a checkpoint `tiny_lines.onnx` with random weights that transcribes many letters."""
    path: Path = tmp_path_factory.mktemp("weights") / "tiny_lines.onnx"
    return builders.line_checkpoint(path)


@pytest.fixture(scope="session")
def tiny_directed(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Return a checkpoint `tiny_directed.onnx` like `tiny_lines` that sees where a pen goes."""
    path: Path = tmp_path_factory.mktemp("weights") / "tiny_directed.onnx"
    return builders.line_checkpoint(path, directions=True)


@pytest.fixture
def mnist_excerpt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use 400 real digits instead of the 70,000 of MNIST."""
    monkeypatch.setattr("inkstream.model.data.sources.mnist.load", lambda *_: builders.excerpt(400))
