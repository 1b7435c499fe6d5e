"""The command line: its help, its output, and its exit codes; `test_errors` has the errors."""

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
from click.shell_completion import ShellComplete

from inkstream.model.checkpoint import Checkpoint, find, read
from inkstream.model.decoding.ngrams import load
from inkstream.service.cli import main as cli
from tests.helpers.command_line import (
    DIGITS,
    EXAMPLES,
    INKSTREAM,
    ROOT,
    inkstream,
    one_line,
    run_here,
)

pytestmark = pytest.mark.slow

COMMANDS: Final = tuple(cli.COMMANDS)
HELP_COMMANDS: Final = [  # every command with a help of its own
    *("serve", "recognize", "stream", "models", "bench", "train", "evaluate", "data"),
    *(f"train {name}" for name in ("digits", "lines", "hand", "language")),
    *(f"evaluate {name}" for name in ("digits", "lines", "ink", "language", "pages")),
    *("data unipen", "data ink", "bench compare", "bench writers"),
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


@pytest.mark.parametrize("command", HELP_COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_every_command_has_an_example(command: str, flag: str) -> None:
    done = run_here(*command.split(), flag)
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"inkstream {command}" in done.stdout
    assert "examples/" not in done.stdout  # a wheel lacks them
    assert "docs/" not in done.stdout
    assert "-h, --help" in done.stdout


def test_without_a_command_the_help_goes_to_standard_error() -> None:
    done = run_here()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Start here" in done.stderr


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_printed(flag: str) -> None:
    done = run_here(flag)
    assert done.returncode == 0
    assert done.stdout.startswith("inkstream ")


def test_a_shell_completes_the_options_of_a_command_and_none_of_an_unknown_one() -> None:
    complete = ShellComplete(cli.cli, {}, "inkstream", "").get_completions
    assert [item.value for item in complete(["recognize"], "--js")] == ["--json", "--jsonl"]
    assert complete(["nosuch"], "--js") == []


# recognize


def test_the_uncertain_letters_of_a_line_are_named_without_a_total_probability() -> None:
    command = ["recognize", EXAMPLES / "0.png", "--model", "lines"]
    assert run_here(*command).stdout == f"{command[1]}  0  uncertain: 0 (or O)\n"
    (word,) = json.loads(run_here(*command, "--json").stdout)["words"]
    assert 0.2 < word["confidence"] < 0.7


def test_the_shipped_model_reads_every_example() -> None:
    lines = run_here("recognize", DIGITS, "--json").stdout.splitlines()
    assert len(lines) == 10
    for line in map(json.loads, lines):
        assert line["label"] == Path(line["image"]).stem
        assert line["probabilities"][line["label"]] > 0.8
        assert line["columns"] == 28


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["a.png", "b.PNG", "below/c.png"]),
        ("**/*.png", ["a.png", "below/c.png"]),
        ("**/c*", ["below/c.png"]),
    ],
)
def test_recognize_reads_folders_and_patterns_but_no_hidden_files(
    tiny: Checkpoint, tmp_path: Path, pattern: str, names: list[str]
) -> None:
    for folder in ("below", ".cache"):
        (tmp_path / folder).mkdir()
    for name in ("b.PNG", "a.png", "below/c.png"):
        (tmp_path / name).write_bytes((EXAMPLES / "1.png").read_bytes())
    for name in ("notes.txt", "._a.png", ".cache/a.png"):
        (tmp_path / name).write_text("no image")
    done = run_here("recognize", tmp_path / pattern, "--model", tiny.path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("  ") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(tmp_path / name) for name in names]
    assert all(line[-1].endswith("%") for line in lines)
    assert run_here("recognize", tmp_path / "._a.png", "--model", tiny.path).returncode == 1


def test_recognize_writes_csv(tiny: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / 'with, comma and "quotes".png'
    path.write_bytes((EXAMPLES / "1.png").read_bytes())
    done = run_here("recognize", path, "--csv", "--model", tiny.path)
    header, values = csv.reader(io.StringIO(done.stdout))
    assert header == ["image", "label", "probability"]
    assert values[0] == str(path)
    assert 0 <= float(values[2]) <= 1


def test_recognize_continues_after_an_invalid_image(tiny: Checkpoint, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    done = run_here("recognize", bad, EXAMPLES / "1.png", "--model", tiny.path)
    named, summary = done.stderr.splitlines()
    assert done.returncode == 1
    assert f"{bad}: not an image" in one_line(named)
    assert one_line(summary) == "inkstream: 1 of 2 could not be read"
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("jsonl", [False, True])
def test_recognize_names_missing_files_and_reads_the_others(
    tiny: Checkpoint, tmp_path: Path, jsonl: bool
) -> None:
    images, out = (EXAMPLES / "1.png", "nofile.png", EXAMPLES / "2.png"), tmp_path / "out.jsonl"
    into = ["--jsonl", out] if jsonl else []
    done = run_here("recognize", *images, "--model", tiny.path, *into)
    assert done.returncode == 1
    assert "no file at 'nofile.png'" in done.stderr.splitlines()[0]
    assert len((out.read_text() if jsonl else done.stdout).splitlines()) == 2


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


def test_models_lists_the_models_of_a_folder(tiny: Checkpoint) -> None:
    command = ["models", "--weights", tiny.path.parent]
    expected = "tiny 0.0.1: classifier of 0 1 2 3 4 5 6 7 8 9, "
    assert run_here(*command).stdout.startswith(expected)
    (line,) = run_here(*command, "--json").stdout.splitlines()
    assert json.loads(line)["config"]["labels"] == list("0123456789")


def test_models_lists_the_metrics_of_the_reports_and_language_models() -> None:
    lines = run_here("models").stdout.splitlines()
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
    rows = map(json.loads, run_here("models", "--json").stdout.splitlines())
    (listed,) = [row for row in rows if row["name"] == "english"]
    assert listed["n_grams"] == len(english)
    assert tuple(listed["sources"]) == english.about.sources


# train


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
    ink.write_text((json.dumps({"strokes": strokes, "label": "www"}) + "\n") * 1_200)
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


def test_an_eof_error_inside_a_command_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command
    def broken() -> None:
        raise EOFError("a file ended")

    monkeypatch.setattr("inkstream.service.cli.models.models", broken)
    with pytest.raises(EOFError, match="a file ended"):
        cli.run(["models"])
