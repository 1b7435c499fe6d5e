"""The faults that the soak finds, and a soak of some seconds."""

from collections.abc import Callable

import pytest

from tools import soak
from tools.mixed_load import MixedLoad
from tools.soak import SUPERVISOR, Process, Sample, Soaked, growths
from tools.writing import KINDS, Writers

HOUR_S = 3600.0
MIB = 1 << 20


def worker(mib: float = 100, pid: int = 2, descriptors: int = 20) -> Process:
    return Process(pid, "worker", int(mib * MIB), descriptors, threads=4)


def sample(at_s: float, *workers: Process, tasks: int = 4, page_workers: int = 0) -> Sample:
    supervisor = Process(1, SUPERVISOR, 50 * MIB, descriptors=12, threads=2)
    return Sample(at_s, [supervisor, *workers], page_workers, sessions=0, tasks=tasks)


def soaked(newest: Sample | None = None, *, mib_per_h: float = 0.0, log: str = "") -> Soaked:
    """Return an hour in which a worker was killed, and the memory of one grew."""
    writers, load = Writers(0), MixedLoad(0)
    writers.written.update({"lines": 9, "events": 99})
    load.requests_broken = 1  # it met the killed worker
    load.errors["bad_value"] = 3
    load.statuses.update({200: 5, 422: 1})
    samples = [
        sample(second, worker(100 + mib_per_h * second / HOUR_S))
        for second in range(0, int(HOUR_S), 60)
    ]
    idle = samples[0].levels
    samples.append(newest or sample(HOUR_S + 10, worker()))
    log += "2026 [error    ] worker ended, another one starts\n"
    kills = [(1800.0, "kill")]
    return Soaked(HOUR_S, writers, load, 0.0, HOUR_S, samples, kills, idle, log=log)


@pytest.mark.parametrize(
    ("seen", "faults"),
    [
        (soaked(mib_per_h=7.9), []),
        (soaked(mib_per_h=9), ["memory of worker 2 grows by 9.0 MiB an hour, allowed: 8.0"]),
        (
            soaked(sample(9999, worker(descriptors=21))),
            ["worker_descriptors after the load: 21, before it: 20"],
        ),
        (soaked(sample(9999, worker(), tasks=5)), ["tasks after the load: 5, before it: 4"]),
        (
            soaked(log="Traceback (most recent call last):\n"),
            ["tracebacks in the server's log: 1, allowed: 0"],
        ),
        (
            soaked(log="2026 [error    ] odd\n"),
            ["errors in the server's log: 2, killed workers: 1"],
        ),
    ],
)
def test_what_grew_and_what_the_log_has_is_a_fault(seen: Soaked, faults: list[str]) -> None:
    assert [*seen.faults()] == faults


WRONG: dict[str, Callable[[Soaked], object]] = {
    "events_missing: 1, allowed: 0": lambda s: s.writers.written.update({"events_missing": 1}),
    "writers that failed with internal: 1, allowed: 0": lambda s: s.writers.failures.update(
        ["internal"]
    ),
    "answers that differ, GET /readyz: 1, allowed: 0": lambda s: s.load.answers_different.update(
        ["GET /readyz"]
    ),
    "requests without answer, without those of killed workers: 1, allowed: 0": lambda s: vars(
        s.load
    ).update(requests_broken=2),
    "answers of 503: 1, allowed: 0": lambda s: s.load.statuses.update([503]),
    "internal errors: 1, allowed: 0": lambda s: s.load.errors.update(["internal"]),
    "no invalid messages were refused": lambda s: s.load.errors.clear(),
    "no lines were written": lambda s: s.writers.written.clear(),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_clients_saw_is_a_fault(fault: str) -> None:
    seen = soaked()
    WRONG[fault](seen)
    assert [*seen.faults()] == [fault]


def test_a_time_too_short_to_judge_memory_is_a_fault() -> None:
    seen = soaked()
    seen.samples = [sample(0, worker()), sample(9, worker())]
    assert sorted(seen.faults()) == [
        "no supervisor lived long enough to judge its memory",
        "no worker lived long enough to judge its memory",
    ]


def test_growth_is_that_of_each_process_after_its_warm_up_without_outliers() -> None:
    samples = [
        sample(
            second,
            worker(100 + min(second, 60), pid=2),
            worker(100 + second / 60 + 900 * (second in (100, 300, 500)), pid=3),
            worker(100, pid=10 + second // 100),  # which lives too shortly
        )
        for second in range(0, 600, 10)
    ]
    _, first, second = growths(samples, warm_up_s=60, min_s=60)
    assert (first.pid, first.mib_per_h, first.mib) == (2, 0, 160)
    assert second.pid == 3
    assert second.mib_per_h == pytest.approx(60, rel=0.05)
    assert (second.from_s, second.to_s) == (60, 590)


def test_levels_are_the_largest_of_the_workers_and_those_of_the_supervisor() -> None:
    two_workers = worker(pid=2), worker(pid=3, descriptors=33)
    assert sample(0, *two_workers, page_workers=1).levels == {
        "workers": 2,
        "page_workers": 1,
        "sessions": 0,
        "tasks": 4,
        "worker_descriptors": 33,
        "worker_threads": 4,
        "supervisor_descriptors": 12,
        "supervisor_threads": 2,
    }


@pytest.mark.slow
def test_a_soak_of_some_seconds_with_a_killed_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "IDLE_S", 1.0)
    seed = 16  # of writers with short lines
    writers = Writers(len(KINDS), KINDS, pace=10.0, seed=seed, reopen=True)
    seen = soak.run(seconds=2.0, workers=2, writers=writers, seed=seed)
    report = seen.report()
    assert not [fault for fault in report["faults"] if "memory" not in fault]  # too short for it
    assert report["kills"] == 1
    assert report["load"]["written"]["events"] > 0
    assert report["levels"]["most"]["sessions"] >= len(KINDS)
    assert len(seen.plot().axes) == 3
