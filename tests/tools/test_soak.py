"""What the soak takes for a fault, and a soak of some seconds."""

from collections.abc import Callable

import pytest

from tools import soak
from tools.mixed_load import KINDS, Tally
from tools.samples import SUPERVISOR, Process, Sample
from tools.soak import Soaked, faults, plot, report_of

HOUR_S = 3600.0
MIB = 1 << 20


def taken(at_s: float, *, mib: float = 100, descriptors: int = 20, tasks: int = 4) -> Sample:
    supervisor = Process(1, SUPERVISOR, 50 * MIB, descriptors=12, threads=2)
    worker = Process(2, "worker", int(mib * MIB), descriptors, threads=4)
    return Sample(at_s, [supervisor, worker], page_workers=0, sessions=0, tasks=tasks)


def soaked(newest: Sample | None = None, *, mib_per_h: float = 0.0) -> Soaked:
    """Return an hour in which a worker was killed, and the memory of one grew."""
    samples = [taken(t, mib=100 + mib_per_h * t / HOUR_S) for t in range(0, int(HOUR_S), 60)]
    samples.append(newest or taken(HOUR_S + 10))
    log = "2026 [error    ] worker ended, another one starts\n"
    return Soaked(0.0, HOUR_S, samples, [(1800.0, "kill")], taken(0).levels, {}, log)


def tally() -> Tally:
    """Return what a load counts that saw nothing wrong; a request met the killed worker."""
    counts = Tally(requests_broken=1)
    counts.written.update({"lines": 9, "events": 99})
    counts.errors["bad_value"] = 3
    counts.statuses.update({200: 5, 422: 1})
    return counts


def test_a_service_that_stays_as_it_was_has_no_fault() -> None:
    assert [*faults(soaked(mib_per_h=7.9), tally(), HOUR_S)] == []


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (soaked(mib_per_h=9), "memory of worker 2 grows by 9.0 MiB an hour, allowed: 8.0"),
        (
            soaked(taken(9999, descriptors=21)),
            "worker_descriptors after the load: 21, before it: 20",
        ),
        (soaked(taken(9999, tasks=5)), "tasks after the load: 5, before it: 4"),
    ],
)
def test_what_grew_is_a_fault(seen: Soaked, fault: str) -> None:
    assert [*faults(seen, tally(), HOUR_S)] == [fault]


@pytest.mark.parametrize(
    ("log", "fault"),
    [
        ("Traceback (most recent call last):\n", "tracebacks in the server's log: 1"),
        ("2026 [error    ] odd\n", "errors in the server's log: 2, killed workers: 1"),
    ],
)
def test_what_the_log_has_is_a_fault(log: str, fault: str) -> None:
    seen = soaked()
    seen.log += log
    assert [*faults(seen, tally(), HOUR_S)] == [fault]


WRONG: dict[str, Callable[[Tally], object]] = {
    "lines of writers: events_missing 1, allowed: 0": lambda it: it.written.update(
        {"events_missing": 1}
    ),
    "streams of writers that failed with internal: 1": lambda it: it.failures.update(["internal"]),
    "answers that differ: 1 to GET /readyz": lambda it: it.answers_different.update(
        ["GET /readyz"]
    ),
    "requests without answer: 2, killed workers: 1": lambda it: vars(it).update(requests_broken=2),
    "answers with status 503: 1": lambda it: it.statuses.update([503]),
    "internal errors: 1": lambda it: it.errors.update(["internal"]),
    "invalid messages refused: 0, killed workers: 1": lambda it: it.errors.clear(),
    "lines: 0, killed workers: 1": lambda it: it.written.clear(),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_clients_saw_is_a_fault(fault: str) -> None:
    counts = tally()
    WRONG[fault](counts)
    assert [*faults(soaked(), counts, HOUR_S)] == [fault]


def test_a_time_too_short_to_judge_memory_is_a_fault() -> None:
    seen = soaked()
    seen.samples = [taken(0), taken(9)]
    assert [*faults(seen, tally(), HOUR_S)] == [
        "no supervisor lived long enough to judge its memory",
        "no worker lived long enough to judge its memory",
    ]


@pytest.mark.slow
def test_a_soak_of_some_seconds_with_a_killed_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "IDLE_S", 1.0)
    seconds, seed = 2.0, 16  # of writers with short lines
    seen, counts = soak.run(seconds=seconds, workers=2, writers=len(KINDS), pace=10.0, seed=seed)
    report = report_of(seen, counts, seconds)
    assert not [fault for fault in report["faults"] if "memory" not in fault]  # too short for it
    assert report["kills"] == 1
    assert report["load"]["written"]["events"] > 0
    assert report["levels"]["most"]["sessions"] >= len(KINDS)
    assert len(plot(seen).axes) == 3
