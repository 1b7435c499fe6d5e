"""The command lines of training and evaluation."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inkstream.service.cli.evaluate import evaluate
from inkstream.service.cli.main import cli
from inkstream.service.cli.train import train
from tests.helpers import builders
from tests.helpers.command_line import inkstream


@pytest.fixture(autouse=True)
def _excerpt_for_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """400 real digits in the place of 70,000; everything else is as it is."""
    monkeypatch.setattr(
        "inkstream.model.data.sources.mnist.load", lambda part, folder: builders.excerpt(400)
    )


def invoke(*arguments: str | Path) -> Result:
    command = {"train": train, "evaluate": evaluate}[str(arguments[0])]
    result = CliRunner().invoke(command, [str(part) for part in arguments[1:]])
    assert result.exception is None, result.output
    return result


def test_a_run_stopped_by_the_clock_says_how_to_go_on_and_then_ends_with_a_checkpoint(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    small = ("--teacher-share", "0", "--held-out", "100", "--units", "8", "--features", "8")
    start = ("train", "digits", "--run", run, "--epochs", "2", *small)
    stopped = invoke(*start, "--minutes", "0.000001")
    assert f"go on with: inkstream train digits --run {run} --resume" in stopped.output
    finished = invoke(*start, "--resume")
    assert finished.stdout.splitlines()[-1] == str(run / "digits.onnx")
    report = invoke(
        "evaluate", "digits", "--checkpoint", run / "digits.onnx", "--out", tmp_path / "report"
    )
    assert "after 28 columns" in report.output
    assert json.loads((tmp_path / "report" / "report.json").read_text())["images"] == 400


def test_a_knob_out_of_range_fails_before_any_data_is_read(tmp_path: Path) -> None:
    done = inkstream("train", "digits", "--epochs", "0", "--data", str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "inkstream: epochs is 0, allowed: 1..10000\n"


@pytest.mark.parametrize(
    ("report", "given", "needed"),
    [
        ("digits", "lines", "classifier"),
        ("lines", "digits", "transcriber"),
        ("ink", "digits", "transcriber"),
        ("language", "digits", "transcriber"),
        ("pages", "digits", "transcriber"),
    ],
)
def test_a_net_of_the_other_kind_is_not_measured(
    tmp_path: Path, report: str, given: str, needed: str
) -> None:
    out = tmp_path / "report"
    done = inkstream("evaluate", report, "--checkpoint", given, "--out", out)
    assert done.returncode == 1
    assert done.stderr.startswith(f"inkstream: {given}.onnx: it is a ")
    assert done.stderr.endswith(f", expected a {needed}\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("report", ["digits", "lines", "ink", "language", "pages"])
def test_where_no_report_can_be_written_nothing_is_measured(tmp_path: Path, report: str) -> None:
    out = tmp_path / "file"
    out.write_text("not a folder")
    done = inkstream("evaluate", report, "--out", out, "--data", tmp_path / "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"inkstream: {out}: File exists\n"


def test_data_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    done = inkstream("train", "digits", "--data", str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"inkstream: {tmp_path / 'nothing'} is neither a folder nor a CSV file"
    ]


def test_a_run_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = ["--run", str(tmp_path / "file" / "run")]
    done = CliRunner().invoke(
        train, ["digits", *place, "--held-out", "100", "--teacher-share", "0"]
    )
    assert "cannot be made: Not a directory" in str(done.exception)


def test_help_names_every_knob_with_its_default() -> None:
    output = " ".join(invoke("train", "digits", "--help").output.split())
    assert "--learning-rate" in output
    assert "[default: 0.0025]" in output
    assert {"train", "evaluate"} <= cli.commands.keys()
