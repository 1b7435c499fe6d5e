"""The faults that the soak finds, the load that it puts on a server, and a soak of some seconds."""

from collections.abc import Callable

import pytest

from tools import soak
from tools.mixed_load import KINDS, Load, Tally
from tools.samples import SUPERVISOR, Process, Sample, growths
from tools.soak import Soaked
from tools.writing import RESET

HOUR_S = 3600.0
MIB = 1 << 20


def worker(mib: float = 100, pid: int = 2, descriptors: int = 20) -> Process:
    return Process(pid, "worker", int(mib * MIB), descriptors, threads=4)


def sample(at_s: float, *workers: Process, tasks: int = 4, page_workers: int = 0) -> Sample:
    supervisor = Process(1, SUPERVISOR, 50 * MIB, descriptors=12, threads=2)
    return Sample(at_s, [supervisor, *workers], page_workers, sessions=0, tasks=tasks)


def soaked(newest: Sample | None = None, *, mib_per_h: float = 0.0, log: str = "") -> Soaked:
    """Return an hour in which a worker was killed, and the memory of one grew."""
    tally = Tally(requests_broken=1)  # it met the killed worker
    tally.written.update({"lines": 9, "events": 99})
    tally.errors["bad_value"] = 3
    tally.statuses.update({200: 5, 422: 1})
    samples = [
        sample(second, worker(100 + mib_per_h * second / HOUR_S))
        for second in range(0, int(HOUR_S), 60)
    ]
    idle = samples[0].levels
    samples.append(newest or sample(HOUR_S + 10, worker()))
    log += "2026 [error    ] worker ended, another one starts\n"
    kills = [(1800.0, "kill")]
    return Soaked(HOUR_S, tally, 0.0, HOUR_S, samples, kills, idle, log=log)


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


WRONG: dict[str, Callable[[Tally], object]] = {
    "lines: events_missing: 1, allowed: 0": lambda t: t.written.update({"events_missing": 1}),
    "writers that failed with internal: 1, allowed: 0": lambda t: t.failures.update(["internal"]),
    "answers that differ, GET /readyz: 1, allowed: 0": lambda t: t.answers_different.update(
        ["GET /readyz"]
    ),
    "requests without answer, without those of killed workers: 1, allowed: 0": lambda t: vars(
        t
    ).update(requests_broken=2),
    "answers of 503: 1, allowed: 0": lambda t: t.statuses.update([503]),
    "internal errors: 1, allowed: 0": lambda t: t.errors.update(["internal"]),
    "no invalid messages were refused": lambda t: t.errors.clear(),
    "no lines were written": lambda t: t.written.clear(),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_clients_saw_is_a_fault(fault: str) -> None:
    seen = soaked()
    WRONG[fault](seen.tally)
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
    assert (first.pid, first.bytes_per_h, first.first_bytes) == (2, 0, 160 * MIB)
    assert second.pid == 3
    assert second.bytes_per_h == pytest.approx(60 * MIB, rel=0.05)
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


def test_writers_have_all_kinds_by_turns_and_send_whole_lines_that_follow_from_the_seed() -> None:
    load = Load(2 * len(KINDS), pace=1, seed=0)
    assert [kind for kind, _ in load.scripts] == [*KINDS, *KINDS]
    for kind, lines in load.scripts:
        for line in lines:
            assert [sent.data for sent in line if sent.data == RESET] == [line[-1].data]
        types = {type(sent.data) for line in lines for sent in line[:-2]}
        assert types == {bytes if kind.sent == "columns" else str}
    digests = [Load(2 * len(KINDS), pace=1, seed=seed).digest() for seed in (0, 1)]
    assert digests[0] == load.digest() != digests[1]


@pytest.mark.slow
def test_a_soak_of_some_seconds_with_a_killed_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "IDLE_S", 1.0)
    seed = 16  # of writers with short lines
    seen = soak.run(seconds=2.0, workers=2, load=Load(len(KINDS), pace=10.0, seed=seed), seed=seed)
    report = seen.report()
    assert not [fault for fault in report["faults"] if "memory" not in fault]  # too short for it
    assert report["kills"] == 1
    assert report["load"]["written"]["events"] > 0
    assert report["levels"]["most"]["sessions"] >= len(KINDS)
    assert len(seen.plot().axes) == 3
