"""The command `evaluate lines`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from inkstream.service.cli.evaluate import lines
from inkstream.service.cli.main import cli
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, ink

pytestmark = pytest.mark.slow


def test_evaluating_lines_prints_the_figures_and_writes_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))
    monkeypatch.setattr(
        "inkstream.model.data.sources.mnist.load", lambda part, folder: builders.excerpt(4)
    )
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS).path
    out, document = tmp_path / "lines", tmp_path / "accuracy.md"
    outputs = ["--out", str(out), "--document", str(document)]
    options = ["--checkpoint", str(net), "--part", "validation", "--limit", "3"]
    result = CliRunner().invoke(cli, ["evaluate", "lines", *options, *outputs])
    assert result.exception is None, result.output
    assert (out / "figures.md").read_text() in result.output
    report = json.loads((out / "report.json").read_text())
    assert (report["part"], report["limit"]) == ("validation", 3)
    assert document.read_text().startswith("# How well lines are read")


def test_lines_of_test_writers_are_read_by_default() -> None:
    defaults = {option.name: option.default for option in lines.params}
    assert defaults["part"] == "test"
    assert defaults["checkpoint"] == "lines"
