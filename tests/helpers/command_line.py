"""Running the command line in a process of its own, with or without a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
DIGITS: Final = EXAMPLES / "?.png"  # a pattern: one digit each
INKSTREAM: Final = [sys.executable, "-m", "inkstream.service.cli.main"]


def inkstream(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    command = [*INKSTREAM, *map(str, args)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options
    )


def one_line(text: str) -> str:
    """Check that an error is one line of ours; that line."""
    (line,) = text.splitlines()
    assert line.startswith("inkstream: ")
    assert "Traceback" not in line
    return line


@contextmanager
def terminal(*args: object) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command in a terminal of its own, and the terminal's other end."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [*INKSTREAM, *map(str, args)], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            yield process, ours
    finally:
        os.close(ours)


def read_all(end: int) -> str:
    parts = []
    try:
        while part := os.read(end, 65_536):
            parts.append(part)
    except OSError:  # Linux says so when the other end is closed
        pass
    return b"".join(parts).decode()
