"""Without an attack neighbours notice nothing, and the machine's pauses are not blamed on us."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.hostile.conftest import Unnoticed, seconds_of
from tests.hostile.pauses import PRIORITY, Pauses

pytestmark = [pytest.mark.slow, pytest.mark.hostile]

BEGIN_S = 0.5  # for the processes that watch
HOG = f"""
import os, time
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param({PRIORITY + 1}))
end_s = time.monotonic() + 0.03
while time.monotonic() < end_s:
    pass
"""


@pytest.fixture
def pauses() -> Iterator[Pauses]:
    """Watch the machine's processors."""
    pauses = Pauses()
    time.sleep(BEGIN_S)
    yield pauses
    pauses.close()


def test_nothing_is_noticed_of_no_attack(unnoticed: Unnoticed) -> None:
    with unnoticed.attack() as target:
        target.sleep(3.0)


def test_what_computes_is_blamed_for_all_its_time(pauses: Pauses) -> None:
    begin_s, end_s = time.monotonic(), time.monotonic() + 0.2
    while time.monotonic() < end_s:
        pass
    stall = {"timestamp": datetime.now(UTC).isoformat(), "seconds": time.monotonic() - begin_s}
    assert seconds_of(stall, pauses) > 0.1


def test_nobody_is_blamed_for_the_time_in_which_a_processor_stood_still(pauses: Pauses) -> None:
    subprocess.run([sys.executable, "-c", HOG], check=True)
    stall = {"timestamp": datetime.now(UTC).isoformat(), "seconds": 1.0}
    time.sleep(0.1)  # until the process that watches has printed it
    assert 0.5 < seconds_of(stall, pauses) < 0.98
