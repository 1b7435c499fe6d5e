"""The command lines of training and evaluation."""

import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

from inkstream.service.cli.main import cli
from tests.helpers.command_line import inkstream, one_line, run_here
from tests.helpers.letter_files import write_letters
from tests.helpers.paper_folder import write_index, write_wills
from tests.helpers.unipen_folder import write_release

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mnist_excerpt")]


@pytest.fixture(autouse=True)
def _blank_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write blank curves, which are faster to draw."""
    monkeypatch.setattr("inkstream.model.plots.training_curve", lambda metrics: Figure())


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli, [str(part) for part in arguments], standalone_mode=False)
    assert result.exception is None, result.output
    return result


SMALL = ("--held-out", "100", "--units", "8", "--features", "8", "--epochs", "2")
SMALL_LINES = "--layers 1 --units 8 --channels 4 --steps 2 --columns 900 --made 0 --images 0"
ALONE = (*SMALL, "--teacher-share", "0")


def ends_with(result: Result, *lines: str) -> bool:
    return result.stderr.splitlines()[-len(lines) :] == list(lines)


def test_the_next_command_that_a_long_command_names_works(tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped = invoke("train", "digits", "--run", run, *ALONE, "--minutes", "0.000001")
    assert stopped.return_value == 3
    resume = f"inkstream train digits --run {run} --resume"
    assert ends_with(
        stopped,
        f"made:    {run / 'state.safetensors'}",
        "missing: the trained model: the time was over",
        f"next:    {resume}",
    )
    finished = invoke(*resume.split()[1:])
    assert finished.return_value == 0
    evaluation = f"inkstream evaluate digits --checkpoint {run / 'digits.onnx'}"
    assert ends_with(finished, f"made:    {run / 'digits.onnx'}", f"next:    {evaluation}")
    out = tmp_path / "report"
    report = invoke(*evaluation.split()[1:], "--out", out)
    assert "after 28 columns" in report.output
    assert json.loads((out / "report.json").read_text())["images"] == 400
    serve = f"inkstream serve --models {run / 'digits.onnx'}"
    assert ends_with(report, f"made:    {out}", f"next:    {serve}")


def test_a_time_limit_within_the_teacher_reports_that_there_is_no_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped = invoke("train", "digits", "--run", run, *SMALL, "--minutes", "0.000001")
    assert stopped.return_value == 3
    assert ends_with(
        stopped,
        f"made:    {run / 'teacher' / 'state.safetensors'}",
        "missing: the trained model: the time was over while its teacher was trained",
        f"next:    inkstream train digits --run {run} --resume",
    )
    options = json.loads((run / "options.json").read_text())
    assert options["config"]["units"] == 8  # the teacher has other units


def test_a_resumed_run_knows_its_options_and_refuses_others_by_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begin = ("train", "digits", "--run", run)
    invoke(*begin, *ALONE, "--minutes", "0.000001")
    again = CliRunner().invoke(
        cli,
        [*map(str, begin), "--resume", "--units", "16", "--epochs", "2", "--seed", "1"],
        standalone_mode=False,
    )
    assert str(again.exception) == (
        f"cannot resume {run}: units was 8, now 16; seed was 0, now 1"
        " (give what it was begun with, or another folder with --run)"
    )
    lines_run = CliRunner().invoke(cli, ["train", "lines", "--run", str(run), "--resume"])
    assert f"cannot resume {run}: task was digits, now lines" in str(lines_run.exception)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the files that the recipe of lines reads; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "sources"
    write_release(tmp_path / "unipen")
    write_wills(tmp_path / "wills")
    (folder / "paper").mkdir(parents=True)
    for name, path in (("unipen-train.tar.xz", "unipen"), ("paper/wills.tar", "wills")):
        with tarfile.open(folder / name, "w:xz" if name.endswith("xz") else "w") as archive:
            archive.add(tmp_path / path, "" if path == "wills" else path)
    write_index(folder / "hands" / "german-words", {f"dhsd-{n}": ["it", "ti"] for n in range(10)})
    sheets = {f"lect:page-FRAN_0025_{n:04}_L-0": ["it ti"] for n in (73, 934, 2352)}
    write_index(folder / "hands" / "notaries", sheets)
    write_letters(folder / "hands")
    return folder


def test_a_run_with_sources_resumes_by_its_folder_alone_and_unipen_is_read_once(
    sources: Path, tmp_path: Path
) -> None:
    small = [*SMALL_LINES.split(), "--minutes", "0.000001"]
    begin: list[str | Path] = ["train", "lines", "--sources", sources, *small, "--run"]
    stopped = invoke(*begin, tmp_path / "run")
    assert stopped.return_value == 3
    assert (
        "ink: UNIPEN train_r01_v07, special-letters, characters (259 pieces), CREMMA"
        in stopped.output
    )
    (sources / "unipen-train.tar.xz").write_bytes(b"read again, it would be an error")
    assert invoke(*begin, tmp_path / "another").return_value == 3
    finished = invoke("train", "lines", "--run", tmp_path / "run", "--resume")
    assert ends_with(
        finished,
        f"made:    {tmp_path / 'run' / 'lines.onnx'}",
        f"next:    inkstream evaluate lines --checkpoint {tmp_path / 'run' / 'lines.onnx'}",
    )
    moved = sources.rename(tmp_path / "moved")
    again = ("train", "lines", "--run", tmp_path / "another", "--resume", "--sources", moved)
    assert invoke(*again).return_value == 0


def test_missing_sources_are_named_and_data_beside_them_are_refused(tmp_path: Path) -> None:
    done = run_here("train", "lines", "--sources", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"inkstream: {tmp_path} has no unipen-train.tar.xz, wills.tar, german-words.tar,"
        " notaries.tar, special-letters.jsonl.xz, characters.jsonl.xz, which the recipe of lines"
        " reads\n"
    )
    done = run_here("train", "lines", "--sources", tmp_path, "--data", tmp_path)
    assert done.returncode == 2
    assert "--data and --sources exclude each other" in done.stderr


def test_resuming_a_missing_run_is_an_error(tmp_path: Path) -> None:
    run = tmp_path / "nothing"
    done = run_here("train", "lines", "--run", run, "--resume")
    assert done.returncode == 1
    assert "there is no run to resume" in one_line(done.stderr)


def test_an_option_out_of_range_fails_before_any_data_is_read(tmp_path: Path) -> None:
    done = run_here("train", "digits", "--epochs", "0", "--data", str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "inkstream: epochs is 0, allowed: 1..10000\n"


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("digits", "--minutes=0"),
        ("lines", "--minutes=-1"),
        ("lines", "--threads=-1"),
        ("language", "--text-weight=0"),
        ("language", "--text-weight=-1"),
        ("language", "--text-weight=inf"),
    ],
)
def test_an_option_of_a_run_out_of_range_is_refused(command: str, option: str) -> None:
    done = run_here("train", command, option)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Invalid value for '{option.partition('=')[0]}'" in done.stderr


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
def test_a_model_of_the_other_kind_is_refused(
    tmp_path: Path, report: str, given: str, needed: str
) -> None:
    out = tmp_path / "report"
    done = run_here("evaluate", report, "--checkpoint", given, "--out", out)
    assert done.returncode == 1
    assert done.stderr.startswith(f"inkstream: {given}.onnx: it is a ")
    assert done.stderr.endswith(f", expected a {needed}\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("report", ["digits", "lines", "ink", "language", "pages"])
def test_nothing_is_measured_if_the_report_cannot_be_written(tmp_path: Path, report: str) -> None:
    out = tmp_path / "file"
    out.write_text("not a folder")
    done = run_here("evaluate", report, "--out", out, "--data", tmp_path / "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"inkstream: {out}: File exists\n"


def test_missing_data_is_named(tmp_path: Path) -> None:
    done = inkstream("train", "digits", "--data", str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"inkstream: {tmp_path / 'nothing'} is neither a folder nor a CSV file"
    ]


def test_a_run_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    options = ["--run", str(tmp_path / "file" / "run")]
    done = CliRunner().invoke(
        cli, ["train", "digits", *options, "--held-out", "100", "--teacher-share", "0"]
    )
    assert "options.json cannot be written: Not a directory" in str(done.exception)


def test_help_names_the_options_with_their_defaults() -> None:
    output = " ".join(invoke("train", "digits", "--help").output.split())
    assert "--learning-rate" in output
    assert "[default: 0.0025]" in output
