"""Connections from `accept` on: limits of a client and of all, what is held, turns, the log."""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import pytest

from inkstream.service.access import network_of
from inkstream.service.observe.metrics import Metrics
from inkstream.service.server import connections
from inkstream.service.server.connections import MAX_LOGGED, Connections, Peer
from inkstream.service.settings import Settings


def some(**options: Any) -> Connections:
    return Connections(Settings.load(**options), Metrics())


def admitted(opened: Connections, address: str = "192.0.2.1") -> Peer:
    peer = opened.admit(address)
    assert isinstance(peer, Peer)
    return peer


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_client_has_its_sessions_and_some_connections_more() -> None:
    opened = some(max_sessions=10, max_sessions_per_client=2, spare_connections_per_client=1)
    peers = [admitted(opened, f"2001:db8::{number}") for number in range(3)]
    assert opened.admit("2001:db8::9") == HTTPStatus.TOO_MANY_REQUESTS
    admitted(opened, "2001:db8:0:1::9")
    peers[0].left()
    admitted(opened, "2001:db8::9")
    assert len(opened) == 4


def test_all_connections_are_bounded_beyond_the_sessions() -> None:
    opened = some(max_sessions=2, max_sessions_per_client=1, spare_connections_per_client=1)
    for number in range(4):
        admitted(opened, f"192.0.2.{number}")
    assert opened.admit("192.0.2.9") == HTTPStatus.SERVICE_UNAVAILABLE
    proxies = {"trusted_proxies": "192.0.2.0/24"}
    opened = some(max_sessions_per_client=1, spare_connections_per_client=1, **proxies)
    for _ in range(10):  # a proxy stands for many clients
        admitted(opened)


def test_a_reason_is_counted_each_time_and_logged_once_for_each_client(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    opened = Connections(Settings.load(), metrics)
    for _ in range(3):
        for number in range(MAX_LOGGED + 1):
            opened.refused("stalled", f"192.0.2.{number}")
    assert len(caplog.records) == MAX_LOGGED
    counted = f'inkstream_refused_total{{reason="stalled"}} {3 * (MAX_LOGGED + 1)}.0'
    assert counted in metrics.render().decode()
    monkeypatch.setattr(connections, "LOG_EVERY_S", 0.0)
    opened.refused("stalled", "192.0.2.0")
    assert len(caplog.records) == MAX_LOGGED + 1


async def test_steps_are_run_for_some_time_a_turn_in_order_and_of_all_clients_by_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = some()
    first, second = admitted(opened), admitted(opened, "192.0.2.2")
    done: list[tuple[str, int]] = []

    def step(name: str, number: int) -> Callable[[], None]:
        return lambda: done.append((name, number))

    monkeypatch.setattr(connections, "STEPS_S", 3600.0)
    first.run(step("first", 0))
    assert done == [("first", 0)]
    monkeypatch.setattr(connections, "STEPS_S", 0.0)  # for one step a turn
    await asyncio.sleep(0)
    for number in range(1, 5):
        first.run(step("first", number))
    second.run(step("second", 0))
    assert done == [("first", 0)]
    for turn in range(2, 7):
        await asyncio.sleep(0)
        assert len(done) == turn
    assert [number for name, number in done if name == "first"] == [0, 1, 2, 3, 4]
    assert done.index(("second", 0)) == 2
    monkeypatch.setattr(connections, "STEPS_S", 3600.0)
    await asyncio.sleep(0)
    first.run(step("first", 5))
    assert done[-1] == ("first", 5)


async def test_what_steps_begin_takes_time_of_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STEPS_S", 3600.0)
    peer, done = admitted(some()), list[int]()

    def begin(number: int) -> None:
        peer.turn.spend(1200.0)
        done.append(number)

    for number in range(8):
        peer.run(partial(begin, number))
    assert done == [0, 1, 2]
    await asyncio.sleep(0)
    assert done == [0, 1, 2, 3, 4, 5]
    await asyncio.sleep(0)
    assert done == [*range(8)]


async def test_the_first_step_of_a_turn_takes_of_its_time_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 0.0
    monkeypatch.setattr("inkstream.service.server.connections.time.monotonic", lambda: now_s)
    peer, done = admitted(some()), list[int]()

    def step(number: int) -> None:
        nonlocal now_s
        now_s += connections.STEPS_S
        done.append(number)

    for number in range(3):
        peer.run_later(partial(step, number))
    for turn in range(1, 4):
        await asyncio.sleep(0)
        assert done == [*range(turn)]


async def test_what_a_step_puts_off_waits_for_the_next_turn_and_stays_behind_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = some()
    first, second = admitted(opened), admitted(opened, "192.0.2.2")
    done: list[str] = []

    def go_on() -> None:
        done.append("first")
        if len(done) < 4:
            first.run_later(go_on)

    monkeypatch.setattr(connections, "STEPS_S", 3600.0)
    first.run_later(go_on)
    second.run_later(lambda: done.append("second"))
    await asyncio.sleep(0)
    assert done == ["first", "second"]
    await asyncio.sleep(0)
    assert done == ["first", "second", "first"]


async def test_the_time_of_a_turn_is_shared_by_the_connections_of_a_client() -> None:
    opened = some()
    peer, other = admitted(opened), admitted(opened, "192.0.2.2")
    assert peer.has_time(3600.0)
    assert not peer.has_time(0.0)
    assert other.has_time(3600.0)
    await asyncio.sleep(0)
    assert peer.has_time(3600.0)
