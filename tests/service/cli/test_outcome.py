"""Long commands say after Ctrl-C what they made, what is missing and which command comes next."""

import os
import shlex
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from inkstream.service.cli import main as cli
from tests.helpers.command_line import INKSTREAM, ROOT


def assert_interrupted(
    process: subprocess.Popen[str],
    words: list[str],
    missing: str,
    number: signal.Signals = signal.SIGINT,
) -> None:
    """Interrupt a running command and check its last lines and its exit code."""
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED, stderr
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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_benchmark_that_is_interrupted_says_so_and_stops_its_servers(
    number: signal.Signals,
) -> None:
    words = ["bench", "compare", "--rounds", "1", "--seconds", "60"]
    with start(words) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "measuring digits\n"
        children = psutil.Process(process.pid).children()
        servers = [each for each in children if any("port" in word for word in each.cmdline())]
        assert servers
        assert_interrupted(process, words, "the figures", number)
        _, alive = psutil.wait_procs(servers, timeout=10)
        assert not alive
