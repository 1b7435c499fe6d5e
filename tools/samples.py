"""Sample what the processes of a service take, and tell how fast it grows."""

import asyncio
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

import numpy as np
import psutil

from inkstream.service.bench.processes import Server
from tools.writing import workers_of

SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Process:
    """What one process takes."""

    pid: int
    name: str  # SUPERVISOR or "worker"
    resident_bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a service takes at one time."""

    at_s: float  # of the monotonic clock
    processes: list[Process]
    page_workers: int  # processes
    sessions: int
    tasks: int  # of asyncio, of all workers

    @property
    def levels(self) -> dict[str, int]:
        """What must come back to where it was once there is no load; of workers the largest."""
        workers = [process for process in self.processes if process.name != SUPERVISOR]
        levels = {
            "workers": len(workers),
            "page_workers": self.page_workers,
            "sessions": self.sessions,
            "tasks": self.tasks,
        }
        supervisors = [process for process in self.processes if process.name == SUPERVISOR]
        for name, processes in (("worker", workers), ("supervisor", supervisors)):
            levels[f"{name}_descriptors"] = max((p.descriptors for p in processes), default=0)
            levels[f"{name}_threads"] = max((p.threads for p in processes), default=0)
        return levels


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast the memory of a process grew between two times."""

    process: str
    pid: int
    from_s: float
    to_s: float
    first_bytes: int  # at `from_s`
    bytes_per_h: float

    @property
    def max_bytes_per_h(self) -> float:
        """How fast it may grow: 8 MiB an hour, or 4 MiB, which an allocator may keep, in all."""
        return max(8 << 20, 3600 * (4 << 20) / (self.to_s - self.from_s))


def take(server: Server) -> Sample:
    """Take a sample now; this waits for the answer of /metrics."""
    supervisor = psutil.Process(server.pid)
    processes, n_page_workers = [], 0
    for process in (supervisor, *workers_of(server.pid)):
        name = SUPERVISOR if process is supervisor else "worker"
        with suppress(psutil.Error):  # It may just be ending.
            with process.oneshot():
                resident_bytes, n_descriptors = process.memory_info().rss, process.num_fds()
                n_threads = process.num_threads()
            if resident_bytes:  # A killed process has none until its parent knows of its end.
                sampled = Process(process.pid, name, resident_bytes, n_descriptors, n_threads)
                processes.append(sampled)
            n_page_workers += len(process.children()) if name == "worker" else 0
    metrics = read_metrics(server.port)
    sessions, tasks = int(metrics["inkstream_sessions"]), int(metrics["inkstream_tasks"])
    return Sample(time.monotonic(), processes, n_page_workers, sessions, tasks)


def read_metrics(port: int) -> dict[str, float]:
    """Return all metrics by their names with labels, from a worker that lives."""
    end_s = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
            break
        except (OSError, HTTPException):  # The worker that was asked has just been killed.
            if time.monotonic() > end_s:
                raise
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


async def sample_for_ever(server: Server, interval_s: float, samples: list[Sample]) -> None:
    """Add samples to a list, at equal intervals."""
    due_s = time.monotonic()
    while True:
        samples.append(await asyncio.to_thread(take, server))
        due_s = max(due_s + interval_s, time.monotonic())
        await asyncio.sleep(due_s - time.monotonic())


def growths(samples: list[Sample], *, warm_up_s: float, min_s: float) -> list[Growth]:
    """Return how fast the memory of each process grew while these samples were taken.

    The slope is the median of those between any two samples (Theil 1950; Sen 1968), so that single
    large requests do not count. The first `warm_up_s` of each process are left out, and so are
    processes that lived for less than `min_s` after them.
    """
    series: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for sample in samples:
        for process in sample.processes:
            points = series.setdefault((process.name, process.pid), [])
            points.append((sample.at_s, process.resident_bytes))
    grown = []
    for (name, pid), points in series.items():
        warm = np.array([point for point in points if point[0] >= points[0][0] + warm_up_s])
        if len(warm) > 1 and warm[-1, 0] - warm[0, 0] >= min_s:
            first, second = np.triu_indices(len(warm), 1)
            seconds, n_bytes = (warm[second] - warm[first]).T
            slope = float(np.median(n_bytes / seconds))
            from_s, to_s = float(warm[0, 0]), float(warm[-1, 0])
            grown.append(Growth(name, pid, from_s, to_s, int(warm[0, 1]), 3600 * slope))
    return grown
