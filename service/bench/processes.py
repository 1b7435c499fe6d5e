"""Servers under test and loads, each in a process of its own with one thread for its arithmetic."""

import os
import platform
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

import inkstream
from inkstream.service.bench.load import Load, LoadError, Measured

START_TIMEOUT_S: Final = 120.0  # torch alone takes seconds to import on a busy machine
POLL_S: Final = 0.05
ISOLATED: Final = ("-P",)  # the package is that of PYTHONPATH, not one in the working folder
LOAD_MODULE: Final = "inkstream.service.bench.load"
ROOT: Final = Path(inkstream.__file__).parent.parent  # where Python finds this package


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    port: int
    pid: int


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on: processor, cores, system and versions."""
    model_name = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"), re.M)
    machine = {
        "processor": model_name[1] if model_name else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in (
        "inkstream", "numpy", "onnxruntime", "fastapi", "uvicorn", "uvloop", "torch"
    ):  # fmt: skip
        machine[package] = version(package) if find_spec(package) else "none"
    return machine


def allow_connections() -> None:
    """Let processes that are started from now on open as many sockets as the system allows."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def put(load: Load) -> Measured:
    """Put a load on its server, from a new process; raise `LoadError` if that fails."""
    done = subprocess.run(  # noqa: S603 - this package's own module
        [sys.executable, *ISOLATED, "-m", LOAD_MODULE, load.model_dump_json()],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LoadError(f"{LOAD_MODULE}: {done.stderr.rstrip().rpartition(chr(10))[2]}")
    return Measured.model_validate_json(done.stdout)


def environment(root: Path = ROOT) -> dict[str, str]:
    """Return an environment without settings of the service, and with one thread a process.

    `root` is the folder of the package `inkstream`, for any interpreter.
    """
    outer = {name: value for name, value in os.environ.items() if not name.startswith("INKSTREAM_")}
    return outer | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(root)}


@contextmanager
def serving(
    model: str,
    *,
    root: Path = ROOT,
    languages: str = "",
    workers: int = 1,
    log: IO[bytes] | None = None,
) -> Iterator[Server]:
    """Start our own server, wait until it listens, with all workers, and stop it at the end.

    `root` is the folder of a checkout whose server is started, by default this one. `log` is a file
    for its warnings and errors.
    """
    flags = {
        "models": model,
        "languages": languages,
        "log-level": "warning",
        "max-line-columns": 10**9,  # a line of the bench ends with the bench
        "max-sessions": 10_000,
        "max-sessions-per-client": 10_000,
    }
    if workers > 1:  # an earlier version has no such flag
        flags["workers"] = workers
    port = free_port()
    arguments = [f"--{flag}={value}" for flag, value in flags.items()]
    command = [sys.executable, *ISOLATED, "-m", "inkstream", "serve", f"--port={port}", *arguments]
    with _running("inkstream", command, port, root, log) as server:
        if workers > 1:
            await_workers(port, workers)
        yield server


def await_workers(port: int, count: int) -> None:
    """Wait until so many workers accept connections."""

    def accept() -> bool:
        url = f"http://127.0.0.1:{port}/metrics"
        with (
            suppress(OSError),  # the worker that was asked has just been killed
            urllib.request.urlopen(url, timeout=START_TIMEOUT_S) as answer,
        ):
            return f"\ninkstream_workers {count:.1f}\n" in answer.read().decode()
        return False

    _wait_until(accept, f"not all of {count} workers accept connections")


def _wait_until(holds: Callable[[], bool], problem: str) -> None:
    """Ask again until a condition holds; raise `LoadError` with the problem if that is too late."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise LoadError(f"{problem} after {START_TIMEOUT_S:g} s")
        time.sleep(POLL_S)


@contextmanager
def serving_peer(name: str, model: str) -> Iterator[Server]:
    """Start a server of `peers`, wait until it listens, and stop it at the end."""
    port = free_port()
    command = [sys.executable, *ISOLATED, "-m", "inkstream.service.bench.peers", name]
    with _running(name, [*command, model, str(port)], port, ROOT) as server:
        yield server


def free_port() -> int:
    """Return a port of loopback that no program uses.

    It is below those that Linux gives to connections, which could take it before a server listens.
    """
    while True:
        port = random.SystemRandom().randint(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def _running(
    name: str, command: list[str], port: int, root: Path, log: IO[bytes] | None = None
) -> Iterator[Server]:
    """Run a server, which may start further processes, in a process group of its own."""
    # Some log so much that a pipe would be full, and they would wait.
    with tempfile.TemporaryFile() if log is None else nullcontext(log) as errors:
        process = subprocess.Popen(  # noqa: S603 - this package's own modules
            command,
            env=environment(root),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            _wait_until(partial(_listens, process, name, port, errors), f"{name} does not listen")
            yield Server(port, process.pid)
        finally:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):  # none of its processes is left
        os.killpg(process.pid, number)


def _listens(process: subprocess.Popen[bytes], name: str, port: int, errors: IO[bytes]) -> bool:
    if process.poll() is not None:
        errors.seek(0)
        reason = errors.read().decode("utf-8", "replace").rstrip().rpartition("\n")[2]
        raise LoadError(f"{name} ended with {process.returncode} before it listened: {reason}")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
