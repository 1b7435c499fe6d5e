"""The textbook's example is trained as it stands."""

import runpy

import pytest

from tests.helpers.command_line import EXAMPLES


@pytest.mark.usefixtures("mnist_excerpt")
def test_training_the_chapters_net_prints_the_figures_of_the_chapter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    accuracy = runpy.run_path(str(EXAMPLES / "chapter.py"))["train"](None, epochs=2, seed=0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["epoch: 0", " batch: 0"]
    assert [line.split(":")[0] for line in lines[2:4]] == [" accuracy", " loss"]
    assert "epoch: 1" in lines
    assert lines[-1] == f"test accuracy: {accuracy:.4f}"
