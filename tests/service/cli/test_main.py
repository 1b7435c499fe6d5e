"""The command line: its output, its exit codes, and errors of one line."""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import click
import pytest

from inkstream.model.checkpoint import Checkpoint, find, read
from inkstream.model.decoding.ngrams import load
from inkstream.service.cli import main as cli
from tests.helpers.command_line import DIGITS, EXAMPLES, INKSTREAM, ROOT, inkstream, one_line

pytestmark = pytest.mark.slow

COMMANDS: Final = tuple(cli.COMMANDS)
HELP_COMMANDS: Final = [  # every command with a help of its own
    *(["serve"], ["recognize"], ["stream"], ["models"], ["bench"], ["train"], ["evaluate"]),
    *(["train", name] for name in ("digits", "lines", "hand", "language")),
    *(["evaluate", name] for name in ("digits", "lines", "ink", "language", "pages")),
    *(["data"], ["data", "unipen"], ["data", "ink"]),
    *(["bench", name] for name in ("compare", "writers")),
]


# Help


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from inkstream.service.cli.main import run; run(['--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    heavy = {"numpy", "PIL", "pydantic", "onnxruntime", "fastapi", "torch", "websockets", "asyncio"}
    assert loaded.isdisjoint(heavy)


@pytest.mark.parametrize("command", HELP_COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_every_command_has_an_example(
    command: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*command, flag]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"inkstream {' '.join(command)}" in text
    assert "examples/" not in text  # a wheel lacks them
    assert "docs/" not in text
    assert "-h, --help" in text


def test_without_a_command_the_help_goes_to_standard_error() -> None:
    done = inkstream()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Start here" in done.stderr


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_printed(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([flag]) == 0
    assert capsys.readouterr().out.startswith("inkstream ")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["recgnize"], "Did you mean 'recognize'?"),
        (["recognize"], "Missing argument 'IMAGE...'"),
        (["recognize", "--jason", "x.png"], "No such option '--jason'"),
        (["recognize", "examples", "--json", "--csv"], "exclude each other"),
        (["recognize", "nosuch.png"], "no image or ink at 'nosuch.png'"),
        (["recognize", "nosuch/*.png"], "no image or ink at 'nosuch/*.png'"),
        (["stream", "nosuch.png"], "'nosuch.png' does not exist"),
        (["stream", "examples/7.png", "--pace", "-1"], "--pace"),
        (["stream", "examples/7.png", "--pace", "nan"], "--pace: nan is no pace"),
        (["serve", "--pot", "1"], "--port"),
        (["serve", "--port", "high"], "port is 'high'"),
        (["serve", "--port", "99999"], "port is '99999'"),
        (["serve", "--config", "nosuch.toml"], "nosuch.toml"),
        (["models", "--weights", "nosuch"], "nosuch"),
    ],
)
def test_the_error_of_invalid_arguments_is_one_line_and_code_2(
    args: list[str], text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.run(args) == 2
    output = capsys.readouterr()
    line = one_line(output.err)
    assert text in line
    assert line.endswith("--help)")
    assert output.out == ""


# recognize


def test_the_uncertain_letters_of_a_line_are_named_without_a_total_probability(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["recognize", str(EXAMPLES / "0.png"), "--model", "lines"]
    assert cli.run(command) == 0
    assert capsys.readouterr().out == f"{command[1]}  0  uncertain: 0 (or O)\n"
    assert cli.run([*command, "--json"]) == 0
    (word,) = json.loads(capsys.readouterr().out)["words"]
    assert 0.2 < word["confidence"] < 0.7


def test_the_shipped_model_reads_every_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["recognize", str(DIGITS), "--json"]) == 0
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        assert line["label"] == Path(line["image"]).stem
        assert line["probabilities"][line["label"]] > 0.8
        assert line["columns"] == 28


def test_recognize_reads_folders_and_patterns(
    tiny: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("below", ".cache"):
        (tmp_path / folder).mkdir()
    for name in ("b.PNG", "a.png", "below/c.png"):
        (tmp_path / name).write_bytes((EXAMPLES / "1.png").read_bytes())
    for name in ("notes.txt", "._a.png", ".cache/a.png"):
        (tmp_path / name).write_text("no image")
    for pattern, expected in {
        "": ["a.png", "b.PNG", "below/c.png"],
        "**/*.png": ["a.png", "below/c.png"],
        "**/c*": ["below/c.png"],
    }.items():
        assert cli.run(["recognize", str(tmp_path / pattern), "--model", str(tiny.path)]) == 0
        output = capsys.readouterr()
        assert output.err == ""
        lines = [line.split("  ") for line in output.out.splitlines()]
        assert [name for name, *_ in lines] == [str(tmp_path / name) for name in expected]
        assert all(line[-1].endswith("%") for line in lines)
    assert cli.run(["recognize", str(tmp_path / "._a.png"), "--model", str(tiny.path)]) == 1


def test_recognize_writes_csv(
    tiny: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'with, comma and "quotes".png'
    path.write_bytes((EXAMPLES / "1.png").read_bytes())
    assert cli.run(["recognize", str(path), "--csv", "--model", str(tiny.path)]) == 0
    header, values = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["image", "label", "probability"]
    assert values[0] == str(path)
    assert 0 <= float(values[2]) <= 1


def test_recognize_continues_after_an_invalid_image(
    tiny: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    images = [str(bad), str(EXAMPLES / "1.png")]
    assert cli.run(["recognize", *images, "--model", str(tiny.path)]) == 1
    output = capsys.readouterr()
    named, summary = output.err.splitlines()
    assert f"{bad}: not an image" in one_line(named)
    assert one_line(summary) == "inkstream: 1 of 2 could not be read"
    assert len(output.out.splitlines()) == 1


@pytest.mark.parametrize("jsonl", [False, True])
def test_recognize_names_missing_files_and_reads_the_others(
    tiny: Checkpoint, tmp_path: Path, jsonl: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, out = EXAMPLES / "1.png", EXAMPLES / "2.png", tmp_path / "out.jsonl"
    args = ["recognize", str(first), "nofile.png", str(second), "--model", str(tiny.path)]
    assert cli.run([*args, *(["--jsonl", str(out)] if jsonl else [])]) == 1
    output = capsys.readouterr()
    assert "no image or ink at 'nofile.png'" in output.err.splitlines()[0]
    read = out.read_text() if jsonl else output.out
    assert len(read.splitlines()) == 2


@pytest.mark.parametrize("model", ["nosuch", "pyproject.toml", "nosuch.onnx"])
def test_the_error_of_an_invalid_model_is_one_line_and_code_1(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.run(["recognize", "examples/1.png", "--model", model]) == 1
    assert Path(model).stem in one_line(capsys.readouterr().err)


def test_a_pipe_that_is_closed_early_is_no_error(tiny: Checkpoint) -> None:
    args = ["recognize", *["examples"] * 200, "--json", "--model", str(tiny.path)]
    with subprocess.Popen(
        [*INKSTREAM, *args], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_output_streams_that_are_closed_from_the_start_are_no_error(closed: str) -> None:
    command = f"{shlex.join(INKSTREAM)} models {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# models


def test_models_lists_the_models_of_a_folder_that_has_some(
    tiny: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["models", "--weights", str(tiny.path.parent)]) == 0
    assert capsys.readouterr().out.startswith("tiny 0.0.1: classifier of 0 1 2 3 4 5 6 7 8 9, ")
    assert cli.run(["models", "--weights", str(tiny.path.parent), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["config"]["labels"] == list("0123456789")
    assert cli.run(["models", "--weights", str(tmp_path)]) == 1
    assert "no models in" in one_line(capsys.readouterr().err)


def test_models_lists_the_metrics_of_the_reports_and_language_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("digits", "lines"):
        measured = read(find(name)).metrics
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{name} ")) + 1
        listed_metrics = [line.rsplit(maxsplit=1) for line in lines[start : start + len(measured)]]
        assert {key.strip().replace(" ", "_"): value for key, value in listed_metrics} == {
            key: f"{share:.2%}" for key, share in measured.items()
        }
    assert "report_writers_words_error" in read(find("lines")).metrics
    english = load("english")
    english_line = f"english: language model of {len(english.about.characters)} characters, "
    assert any(line.startswith(f"{english_line}{len(english):,} n-grams") for line in lines)
    assert cli.run(["models", "--json"]) == 0
    listed = {line["name"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert listed["english"]["n_grams"] == len(english)
    assert tuple(listed["english"]["sources"]) == english.about.sources


# train, evaluate, bench


def test_the_hint_to_install_names_the_packages_of_the_train_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = [re.split("[<>=]", name)[0] for name in project["optional-dependencies"]["train"]]
    assert sorted(extra) == sorted(cli.PIP_NAMES.get(name, name) for name in cli.TRAIN)


def test_without_torch_one_line_names_the_package_to_install(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = inkstream("train", "digits", env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 1
    message = one_line(done.stderr)
    assert "torch is not installed, which this command needs: pip install torch" in message
    assert "--index-url https://download.pytorch.org/whl/cpu" in message  # without CUDA
    assert "inkstream[train]" not in message  # no package index has it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_training_even_in_a_background_job(
    tmp_path: Path, number: signal.Signals
) -> None:
    ink, run = tmp_path / "ink.jsonl", tmp_path / "run"
    strokes = [[[10 * x, 40 * (x % 2)] for x in range(9)]]
    ink.write_text((json.dumps({"strokes": strokes, "label": "www"}) + "\n") * 20)
    small = ("--layers", "1", "--units", "8", "--channels", "4", "--columns", "200")
    sources = ("--made", "0", "--images", "0")
    background = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job of a shell
    try:
        training = subprocess.Popen(
            [*INKSTREAM, "train", "lines", "--data", ink, "--run", run, *small, *sources], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, background)
    with training:
        assert training.stderr is not None
        while b"step/s" not in training.stderr.read(200):
            assert training.poll() is None
        training.send_signal(number)
        _, stderr = training.communicate(timeout=60)
    assert training.returncode == cli.INTERRUPTED
    state = run / "state.safetensors"
    assert state.exists()
    assert stderr.decode().strip().splitlines()[-3:] == [
        f"made:    {state}",
        "missing: the trained model",
        f"next:    inkstream train lines --run {run} --resume",
    ]


def test_an_eof_error_inside_a_command_is_not_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @click.command
    def broken() -> None:
        raise EOFError("a file ended")

    monkeypatch.setattr("inkstream.service.cli.models.models", broken)
    with pytest.raises(EOFError, match="a file ended"):
        cli.run(["models"])
