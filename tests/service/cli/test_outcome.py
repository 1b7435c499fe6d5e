"""Long commands say after Ctrl-C what they made, what is missing and which command comes next."""

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from inkstream.service.cli import main as cli
from tests.helpers.command_line import INKSTREAM, ROOT


def assert_interrupted(process: subprocess.Popen[str], words: list[str], missing: str) -> None:
    """Interrupt a running command and check its last lines and its exit code."""
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED
    assert stderr.strip().splitlines()[-3:] == [
        "made:    nothing",
        f"missing: {missing}",
        f"next:    {shlex.join(['inkstream', *words])}",
    ]


def start(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*INKSTREAM, *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("data unipen", "the ink"),
        ("train language --text", "the language model runs/english.ngrams"),
        ("evaluate lines --data", "the report"),
    ],
)
def test_a_command_that_is_interrupted_says_what_is_missing_and_what_comes_next(
    tmp_path: Path, command: str, missing: str
) -> None:
    pipe = tmp_path / "input"
    os.mkfifo(pipe)  # the command waits for its input, so it is interrupted at a known place
    words = [*command.split(), str(pipe)]
    with start(words) as process, pipe.open("wb"):  # opens once the command reads
        assert_interrupted(process, words, missing)


@pytest.mark.slow
def test_a_benchmark_that_is_interrupted_says_so_too() -> None:
    words = ["bench", "--rounds", "1", "--seconds", "60"]
    with start(words) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "measuring\n"
        assert_interrupted(process, words, "the figures")
