"""What several commands are measured on: a small net and small ink of each kind."""

from pathlib import Path

import pytest

from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, ink


@pytest.fixture(scope="session")
def net_of_all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a transcriber of all letters of the small ink."""
    path: Path = tmp_path_factory.mktemp("nets") / "net.onnx"
    return builders.line_checkpoint(path, labels=ALL_KINDS).path


@pytest.fixture
def small_unipen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the small ink instead of UNIPEN's, and four real digits instead of MNIST's."""
    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))
    monkeypatch.setattr(
        "inkstream.model.data.sources.mnist.load", lambda part, folder: builders.excerpt(4)
    )
