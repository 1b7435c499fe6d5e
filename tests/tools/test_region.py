"""The simulation of a region's day, on a short one."""

from dataclasses import replace

import numpy as np
import pytest

from inkstream.service.client import GAP_S
from tools.region import PING_S, Day, Machine, Region, measured, quantiles, simulate

MACHINE = Machine(cores=4, writers=100, reread_s=0.02, ready_s=1.0)
HOUR = Day(
    seconds=1500,
    peak=2000,
    stay_s=300.0,
    boot_s=30.0,
    peak_s=600.0,
    flash_s=60.0,
    flash_writers=200,
    flash_ramp_s=60.0,
    deploys_s=(200.0,),
    deploy_share=0.2,
    lost_s=900.0,
    back_s=1200.0,
)


def test_machines_with_room_serve_all_clients_of_a_lost_zone() -> None:
    report = simulate(HOUR, MACHINE, 0)
    assert report["lost"] == report["turned_away"] == report["refused_late"] == 0
    assert report["resumed"] > 600  # of the zone, and of each machine that was replaced
    assert PING_S < report["resumed_waits"]["longest_s"] < 2 * PING_S + 5


def test_full_machines_refuse_and_clients_that_find_no_room_in_time_are_lost() -> None:
    tight = replace(HOUR, share=1.0, boot_s=600.0, lost_s=800.0)
    report = simulate(tight, MACHINE, 0)
    assert report["refused"] > report["refused_late"] > 0
    assert report["lost"] > 0
    assert report["first_waits"]["longest_s"] <= GAP_S


def test_the_same_seed_is_the_same_day() -> None:
    day = replace(HOUR, seconds=300)
    assert simulate(day, MACHINE, 3) == simulate(day, MACHINE, 3)
    assert simulate(day, MACHINE, 3) != simulate(day, MACHINE, 4)


def test_a_deploy_replaces_all_machines_and_moves_their_clients() -> None:
    region = Region(replace(HOUR, lost_s=-1.0), MACHINE, 0)
    region.run()
    assert (region.fleet.version == 1).all()
    assert region.found.resumed > HOUR.peak / 2
    assert region.found.lost == 0


def test_a_lost_zone_is_empty_until_it_is_back() -> None:
    region = Region(replace(HOUR, seconds=1100), MACHINE, 0)
    region.run()
    (lost,) = region.fleet.lost
    assert lost not in region.fleet.zone
    assert len(np.unique(region.fleet.zone)) == HOUR.zones - 1


def test_as_many_writers_write_as_the_curve_says() -> None:
    day = replace(HOUR, flash_writers=0, lost_s=-1.0, deploys_s=())
    minutes = simulate(day, MACHINE, 0)["minutes"]
    assert minutes["writers"][10] == pytest.approx(day.peak, rel=0.1)


def test_a_machine_gives_what_the_reports_say() -> None:
    two, four = measured(2), measured(4)
    assert four.writers == pytest.approx(2 * two.writers, abs=1)
    assert 0 < two.reread_s < 1
    assert two.reread_s == four.reread_s


def test_quantiles_of_no_waits_name_none() -> None:
    assert quantiles([]) == {"n": 0}
    assert quantiles([np.array([1.0, 3.0])])["longest_s"] == 3
