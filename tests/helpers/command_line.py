"""Run the command line, in this or another process, with or without a terminal."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Final

from inkstream.service.cli import main as cli

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
DIGITS: Final = EXAMPLES / "?.png"  # a pattern: one digit each
INKSTREAM: Final = [sys.executable, "-m", "inkstream"]


def inkstream(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a new process."""
    command = [*INKSTREAM, *map(str, args)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options
    )


def run_here(*args: object) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which is faster."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.run(command := [str(arg) for arg in args])
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def one_line(text: str) -> str:
    """Return an error's text; check that it is one line of the command without a traceback."""
    (line,) = text.splitlines()
    assert line.startswith("inkstream: ")
    assert "Traceback" not in line
    return line


@contextmanager
def terminal(*args: object) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the command in a new terminal; yield the process and the terminal's other end."""
    parent_end, child_end = pty.openpty()
    termios.tcsetwinsize(parent_end, (24, 80))
    try:
        with subprocess.Popen(
            [*INKSTREAM, *map(str, args)],
            cwd=ROOT,
            stdin=child_end,
            stdout=child_end,
            stderr=child_end,
        ) as process:
            os.close(child_end)
            yield process, parent_end
    finally:
        os.close(parent_end)


def screen(text: str) -> list[str]:
    """Return the rows that a terminal shows after it got `text`, without colours."""
    rows, x, y = [""], 0, 0
    for number, command, character in re.findall(r"\x1b\[\??([\d;]*)([A-Za-z])|([^\x1b])", text):
        if command == "A":
            y -= int(number)
        elif command == "G":
            x = int(number) - 1
        elif character == "\r":
            x = 0
        elif character == "\n":
            y += 1
            rows += [""] * (y == len(rows))
        elif character:
            rows[y] = rows[y].ljust(x)[:x] + character + rows[y][x + 1 :]
            x += 1
    return [row.rstrip() for row in rows[: y + 1]][:-1]


def read_all(end: int) -> str:
    """Return all text that comes from a terminal until it closes."""
    parts = []
    try:
        while part := os.read(end, 65_536):
            parts.append(part)
    except OSError:  # Linux raises it when the other end is closed
        pass
    return b"".join(parts).decode()
