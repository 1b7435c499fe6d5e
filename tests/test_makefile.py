"""The Makefile's targets that people start with."""

import os
import socket
import subprocess
from pathlib import Path

from tests.helpers.command_line import ROOT


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with an environment in which everything is installed already.

    It must not see that `make test` runs these tests: it would name the folders that it enters.
    """
    (folder / ".base-installed").touch()
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(
        ["make", f"VENV={folder}", *arguments], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_taken_port_causes_a_one_line_error_and_nothing_is_streamed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = make(tmp_path, "run", f"PORT={port}")
    assert done.returncode != 0
    assert done.stdout == ""
    first, _ = done.stderr.splitlines()  # the second is make's own
    assert first == f"Port {port} is taken by another program. Try: make run PORT={port + 1}"


def test_hints_contain_the_url_if_the_port_is_not_the_default(tmp_path: Path) -> None:
    default, other_port = (
        make(tmp_path, "-n", "run", f"PORT={port}").stdout for port in (8000, 9000)
    )
    assert f"{tmp_path}/bin/inkstream stream examples/hello.png'" in default
    assert (
        f"{tmp_path}/bin/inkstream stream examples/hello.png --url ws://127.0.0.1:9000'"
        in other_port
    )
