"""A server in another process, whose memory can be measured."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.helpers.command_line import INKSTREAM, ROOT


@dataclass(frozen=True)
class ServingProcess:
    """A server's process and its URL; its memory is counted with that of its page workers.

    Pages of files are not counted: programs and libraries are in the machine's memory once, however
    many processes map them, and the system drops them when it needs room. Each page worker maps
    50 MB that the server maps too. Proportional shares (PSS) divide them, but by all processes of
    the machine, and the kernel keeps no peak of them. It does of all that is resident (proc(5)).
    """

    pid: int
    url: str
    _file_bytes: dict[int, int] = field(default_factory=dict)  # by process, at `reset_peak`

    @property
    def own_bytes(self) -> int:
        """Return the memory that it takes now."""
        return sum(
            status["VmRSS"] - status["RssFile"] for status in map(_status, self._pids()) if status
        )

    @property
    def peak_bytes(self) -> int:
        """Return at least the most memory that it took since `reset_peak`.

        That is the peak of each process that still runs, less the pages of files that it had all
        the time. A page worker that was started later had nearly all when its first request came.
        """
        total = 0
        for pid in self._pids():
            if status := _status(pid):
                now = status["RssFile"]
                total += status["VmHWM"] - min(now, self._file_bytes.get(pid, now))
        return total

    def reset_peak(self) -> None:
        """Let the peak begin with the present memory."""
        self._file_bytes.clear()
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            self._file_bytes[pid] = _status(pid).get("RssFile", 0)

    def _pids(self) -> list[int]:
        return [self.pid, *(each.pid for each in psutil.Process(self.pid).children())]


def _status(pid: int) -> dict[str, int]:
    """Return the kinds of memory of a process in bytes; nothing of one that has just ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = [line.split(":", 1) for line in lines if line.endswith(" kB")]
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


@contextmanager
def serving_process(models: str, weights: Path | None = None) -> Iterator[ServingProcess]:
    """Serve models, by name, while the block runs; look them up in a folder of weights first."""
    command = [*INKSTREAM, "serve", "--port", "0", "--models", models, "--log-format", "json"]
    command += [] if weights is None else ["--weights", str(weights)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = json.loads(process.stderr.readline())
            assert line["event"] == "serving", line
            yield ServingProcess(process.pid, line["url"])
        finally:
            process.terminate()
            process.stderr.read()
