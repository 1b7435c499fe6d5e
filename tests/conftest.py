"""What all tests share: hypothesis without time limits, and one small net."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from model.checkpoint import Checkpoint
from tests import builders

settings.register_profile("steady", deadline=None)  # a busy machine is no failure
settings.load_profile("steady")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process that
# they start as well; the commands under test must hear it as they do in a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint `tiny.onnx` with random weights that answers digits."""
    path: Path = tmp_path_factory.mktemp("weights") / "tiny.onnx"
    return builders.checkpoint(path)


@pytest.fixture(scope="session")
def tiny_lines(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint `tiny_lines.onnx` with random weights that transcribes: it says many letters."""
    path: Path = tmp_path_factory.mktemp("weights") / "tiny_lines.onnx"
    return builders.line_checkpoint(path)
