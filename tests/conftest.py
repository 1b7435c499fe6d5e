"""What all tests share: hypothesis without time limits, and one small net."""

from pathlib import Path

import pytest
from hypothesis import settings

from model.checkpoint import Checkpoint
from tests import builders

settings.register_profile("steady", deadline=None)  # a busy machine is no failure
settings.load_profile("steady")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint `tiny.onnx` with random weights that answers digits."""
    path: Path = tmp_path_factory.mktemp("weights") / "tiny.onnx"
    return builders.checkpoint(path)
