"""The growth of memory, computed from samples, does not depend on a few high ones."""

import numpy as np
import pytest

from tools.samples import SUPERVISOR, Process, Sample, growths, median_slope

MIB = 1 << 20


def sample(at_s: float, *processes: Process, page_workers: int = 0) -> Sample:
    return Sample(at_s, [*processes], page_workers, sessions=3, tasks=11)


def worker(pid: int, mib: float, descriptors: int = 20) -> Process:
    return Process(pid, "worker", int(mib * MIB), descriptors, threads=4)


def test_the_slope_is_the_usual_one_and_outliers_do_not_move_it() -> None:
    times = np.arange(100.0)
    values = 5 + 2 * times
    assert median_slope(times, values) == pytest.approx(2)
    values[[10, 50, 90]] += 1e6
    assert median_slope(times, values) == pytest.approx(2, rel=0.05)


def test_growth_is_that_of_each_process_after_its_warm_up() -> None:
    samples = [
        sample(second, worker(1, 100 + min(second, 60)), worker(2, 100 + second / 60))
        for second in range(0, 600, 10)
    ]
    first, second = growths(samples, warm_up_s=60, least_s=60)
    assert (first.pid, first.bytes_per_h, first.first_bytes) == (1, 0, 160 * MIB)
    assert second.pid == 2
    assert second.bytes_per_h == pytest.approx(60 * MIB, rel=1e-3)
    assert (second.from_s, second.to_s) == (60, 590)


def test_processes_that_lived_shortly_are_not_judged() -> None:
    samples = [sample(second, worker(second // 100, 100)) for second in range(0, 600, 10)]
    assert growths(samples, warm_up_s=60, least_s=60) == []


def test_levels_are_the_largest_of_the_workers_and_those_of_the_supervisor() -> None:
    supervisor = Process(9, SUPERVISOR, 50 * MIB, descriptors=12, threads=2)
    levels = sample(0, supervisor, worker(1, 1), worker(2, 1, 33), page_workers=1).levels
    assert levels == {
        "workers": 2,
        "page_workers": 1,
        "sessions": 3,
        "tasks": 11,
        "worker_descriptors": 33,
        "worker_threads": 4,
        "supervisor_descriptors": 12,
        "supervisor_threads": 2,
    }
