"""Share what all tests of models use."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def blank_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs write blank curves: to draw one takes longer than an epoch of a small net."""
    monkeypatch.setattr("inkstream.model.plots.training_curve", lambda metrics: Figure())
