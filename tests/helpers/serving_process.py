"""A server in another process, whose memory can be measured."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.helpers.command_line import INKSTREAM, ROOT


@dataclass(frozen=True)
class ServingProcess:
    """A server's process and its URL; its memory is counted with that of its page workers."""

    pid: int
    url: str

    @property
    def resident_bytes(self) -> int:
        """Return the memory that it takes now."""
        return self._bytes("VmRSS")

    @property
    def peak_bytes(self) -> int:
        """Return the most memory that it took since `reset_peak`."""
        return self._bytes("VmHWM")

    def reset_peak(self) -> None:
        """Let the peak begin with the present memory."""
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5)

    def _pids(self) -> list[int]:
        return [self.pid, *(each.pid for each in psutil.Process(self.pid).children())]

    def _bytes(self, name: str) -> int:
        total = 0
        for pid in self._pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(name):  # a process that has just ended has none
                    total += int(line.split()[1]) * 1024
        return total


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
