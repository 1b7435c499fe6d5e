"""The command `evaluate` for reports on UNIPEN's ink."""

import importlib
import inspect
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from inkstream.model.errors import DataError
from inkstream.service.cli.evaluate import lines
from inkstream.service.cli.main import cli
from tests.helpers import builders
from tests.helpers.paper_folder import write_pages, write_wills
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


def test_rough_columns_are_measured_in_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))
    monkeypatch.setattr(
        "inkstream.model.data.sources.mnist.load", lambda part, folder: builders.excerpt(4)
    )
    nets = {
        "lines": builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS).path,
        "digits": builders.checkpoint(tmp_path / "digits.onnx").path,
    }
    for kind, options in (("lines", ["--part", "validation", "--limit", "3"]), ("digits", [])):
        out = tmp_path / kind
        command = ["evaluate", kind, "--rough", "--checkpoint", str(nets[kind]), "--out", str(out)]
        result = CliRunner().invoke(cli, [*command, *options])
        assert result.exception is None, result.output
        assert (out / "rough" / "figures.md").read_text() in result.output
        assert (
            "thicker, 3x3 maximum"
            in json.loads((out / "rough" / "report.json").read_text())["changes"]
        )
        assert [path.name for path in out.iterdir()] == ["rough"]


def test_rough_excludes_the_parts_of_the_report_that_need_other_things() -> None:
    options = ["--rough", "--baselines", "--adaptation", "2", "--document", "a.md"]
    result = CliRunner().invoke(cli, ["evaluate", "lines", *options])
    assert "--rough excludes --baselines, --adaptation, --document" in result.output


@pytest.mark.parametrize("kind", ["language", "pages"])
def test_the_options_of_a_report_are_those_of_its_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    module = importlib.import_module(f"inkstream.model.evaluation.{kind}")
    signature = inspect.signature(module.report)

    def report(*args: object, **options: object) -> None:
        given = signature.bind(*args, **options).arguments
        raise DataError(f"{given['part']} {given['limit']}")

    monkeypatch.setattr("inkstream.model.data.sources.unipen.read", lambda source: (ink(), None))
    monkeypatch.setattr(module, "report", report)
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS).path
    chosen = ["--checkpoint", str(net), "--part", "validation", "--limit", "3"]
    result = CliRunner().invoke(cli, ["evaluate", kind, *chosen, "--out", str(tmp_path / kind)])
    assert str(result.exception) == "validation 3"


def test_evaluating_real_pages_needs_no_unipen(tmp_path: Path) -> None:
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS).path
    write_pages(tmp_path / "paper")
    out = tmp_path / "ruled"
    real = ["--real", str(tmp_path / "paper"), "--overlays", str(tmp_path / "overlays")]
    options = ["--checkpoint", str(net), "--part", "validation", "--language", "english"]
    result = CliRunner().invoke(cli, ["evaluate", "pages", *real, *options, "--out", str(out)])
    assert result.exception is None, result.output
    assert "| inkstream with english |" in result.output
    assert (out / "figures.md").read_text() in result.output
    assert (out / "ruled.md").read_text().startswith("# How well pages on ruled paper are read")
    assert json.loads((out / "report.json").read_text())["pages"] == 3
    assert len(list((tmp_path / "overlays").iterdir())) == 3


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--overlays", "--overlays draws the pages of --real"),
        ("--language", "--language reads the pages of --real"),
    ],
)
def test_what_is_for_real_pages_is_refused_without_them(option: str, problem: str) -> None:
    result = CliRunner().invoke(cli, ["evaluate", "pages", option, "english"])
    assert result.exit_code == 2
    assert problem in result.output


def test_evaluating_wills_reads_the_lines_of_the_part(tmp_path: Path) -> None:
    net = builders.line_checkpoint(tmp_path / "net.onnx", labels=ALL_KINDS).path
    write_wills(tmp_path / "wills")
    options = ["--checkpoint", str(net), "--limit", "1", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, ["evaluate", "wills", str(tmp_path / "wills"), *options])
    assert result.exception is None, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["part"], report["lines"]) == ("test", 1)


def test_lines_of_test_writers_are_read_by_default() -> None:
    defaults = {option.name: option.default for option in lines.params}
    assert defaults["part"] == "test"
    assert defaults["checkpoint"] == "lines"
