"""Sample what the processes of a service take, and tell how fast it grows."""

import asyncio
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray

from inkstream.service.bench.processes import Server
from tools.writing import workers_of

TIMEOUT_S: Final = 60.0  # for an answer of a busy server
SUPERVISOR: Final = "supervisor"


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
        supervisors = [process for process in self.processes if process.name == SUPERVISOR]
        return {
            "workers": len(workers),
            "page_workers": self.page_workers,
            "sessions": self.sessions,
            "tasks": self.tasks,
            "worker_descriptors": max((each.descriptors for each in workers), default=0),
            "worker_threads": max((each.threads for each in workers), default=0),
            "supervisor_descriptors": max((each.descriptors for each in supervisors), default=0),
            "supervisor_threads": max((each.threads for each in supervisors), default=0),
        }


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast the memory of a process grew between two times."""

    process: str
    pid: int
    from_s: float
    to_s: float
    first_bytes: int  # then
    bytes_per_h: float


def take(server: Server) -> Sample:
    """Take a sample now; it waits for the answer of /metrics."""
    supervisor = psutil.Process(server.pid)
    workers = [*workers_of(server.pid)]
    found, n_page_workers = [], 0
    for each in (supervisor, *workers):
        with suppress(psutil.Error):  # it ends just now
            with each.oneshot():
                name = SUPERVISOR if each is supervisor else "worker"
                taken = each.memory_info().rss, each.num_fds(), each.num_threads()
            if taken[0]:  # a killed process has none until its parent knows of its end
                found.append(Process(each.pid, name, *taken))
            n_page_workers += len(each.children()) if each is not supervisor else 0
    metrics = read_metrics(server.port)
    return Sample(
        time.monotonic(),
        found,
        n_page_workers,
        int(metrics["inkstream_sessions"]),
        int(metrics["inkstream_tasks"]),
    )


def read_metrics(port: int) -> dict[str, float]:
    """Return all metrics by their names with labels, from a worker that lives."""
    end_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            url = f"http://127.0.0.1:{port}/metrics"
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                lines = answer.read().decode().splitlines()
            break
        except (OSError, HTTPException):  # the worker that was asked has just been killed
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


def growths(samples: list[Sample], *, warm_up_s: float, least_s: float) -> list[Growth]:
    """Return how fast the memory of each process grew while these samples were taken.

    The slope is the median of those between any two samples (Theil 1950; Sen 1968), so that single
    large requests do not count. The first `warm_up_s` of each process are left out, and so are
    processes that lived for less than `least_s` after them.
    """
    series: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for sample in samples:
        for each in sample.processes:
            points = series.setdefault((each.name, each.pid), [])
            points.append((sample.at_s, each.resident_bytes))
    found = []
    for (name, pid), points in series.items():
        warm = [point for point in points if point[0] >= points[0][0] + warm_up_s]
        if warm and warm[-1][0] - warm[0][0] >= least_s:
            slope = median_slope(*map(np.array, zip(*warm, strict=True)))
            found.append(Growth(name, pid, warm[0][0], warm[-1][0], warm[0][1], 3600 * slope))
    return found


def median_slope(times: NDArray[Any], values: NDArray[Any]) -> float:
    """Return the median of the slopes between any two of n points, [n] at different times."""
    first, second = np.triu_indices(len(times), 1)
    slopes = (values[second] - values[first]) / (times[second] - times[first])
    return float(np.median(slopes))
