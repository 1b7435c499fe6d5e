"""The engine: sessions share runs, and nobody notices but by the speed."""

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest

from inkstream.model.checkpoint import Checkpoint
from inkstream.service.engine.engine import StateTable
from inkstream.service.protocol.server_messages import Error, Flushed, Rewound
from inkstream.service.session import Effect
from tests.helpers import builders
from tests.helpers.engine_sessions import POISON, Guest, Net, Tally, running
from tests.helpers.single_session import INK, alone, curve, kinds, message, results


@pytest.fixture
def net(tiny: Checkpoint) -> Net:
    return Net(tiny)


def line(n_columns: int, seed: int) -> bytes:
    return builders.columns(n_columns, seed).tobytes()


# Answers


async def test_a_session_gets_the_answers_of_a_lone_run(net: Net) -> None:
    async with running(net) as engine:
        guest = Guest(engine, net)
        guest.send(line(40, seed=1))
        said = await guest.hear(40)
    assert np.abs(curve(said) - alone(net, line(40, seed=1))).max() < 1e-5


async def test_sessions_that_share_runs_do_not_hear_each_other(net: Net) -> None:
    async with running(net) as engine:
        guests = [Guest(engine, net) for _ in range(9)]
        for start in range(0, 28 * 12, 28):
            for seed, guest in enumerate(guests):
                guest.send(line(12, seed)[start : start + 28])
        said = [await guest.hear(12) for guest in guests]
    for seed, own in enumerate(said):
        assert np.abs(curve(own) - alone(net, line(12, seed))).max() < 1e-5


async def test_the_net_runs_in_one_thread_beside_the_event_loop(net: Net) -> None:
    async with running(net) as engine:
        for seed in range(3):
            guest = Guest(engine, net)
            guest.send(line(3, seed))
            await guest.hear(3)
    assert len(net.threads) == 1
    assert threading.get_ident() not in net.threads


async def test_a_rewind_goes_on_from_an_earlier_state(net: Net) -> None:
    columns = line(50, seed=2)
    async with running(net) as engine:
        guest = Guest(engine, net)
        guest.send(columns, message("rewind", column=40), columns[40 * 28 :])
        said = await guest.hear(61)
    assert isinstance(said[50], Rewound)
    assert np.abs(curve(said[51:]) - alone(net, columns)[40:]).max() < 1e-5


# Batches


async def test_an_idle_engine_answers_one_column_at_once(net: Net) -> None:
    tally = Tally()
    async with running(net, tally=tally) as engine:
        guest = Guest(engine, net)
        guest.send(INK)
        await guest.hear(1)
    assert tally.runs == [(1, 1)]


async def test_while_a_run_is_under_way_the_next_batch_collects(net: Net) -> None:
    tally = Tally()
    net.may_run.clear()
    async with running(net, tally=tally) as engine:
        first, *others = [Guest(engine, net) for _ in range(6)]
        first.send(INK)
        await net.hold()
        for guest in others:
            guest.send(INK)
        net.may_run.set()
        for guest in others:
            await guest.hear(1)
    assert tally.runs == [(1, 1), (5, 5)]


async def test_a_run_takes_no_more_sessions_than_its_limit_and_the_oldest_first(net: Net) -> None:
    tally = Tally()
    heard: list[Guest] = []

    async def listen(guest: Guest) -> None:
        await guest.hear(1)
        heard.append(guest)

    net.may_run.clear()
    async with running(net, max_batch=2, tally=tally) as engine:
        first, *others = [Guest(engine, net) for _ in range(6)]
        first.send(INK)
        await net.hold()
        for guest in others:
            guest.send(INK)
        listening = asyncio.gather(*map(listen, others))
        await asyncio.sleep(0)  # each of them listens before anyone is answered
        net.may_run.set()
        await listening
    assert heard == others
    assert tally.runs == [(1, 1), (2, 2), (2, 2), (1, 1)]


async def test_a_run_takes_no_more_columns_than_its_limit(net: Net) -> None:
    tally = Tally()
    async with running(net, max_columns=8, tally=tally) as engine:
        guests = [Guest(engine, net) for _ in range(4)]
        for seed, guest in enumerate(guests):
            guest.send(line(6, seed))
        for guest in guests:
            await guest.hear(6)
    assert tally.runs == [(4, 8)] * 3


async def test_a_session_that_floods_delays_no_other_session(net: Net) -> None:
    tally = Tally()
    async with running(net, tally=tally) as engine:
        flood, *others = [Guest(engine, net) for _ in range(5)]
        for _ in range(3):
            flood.send(line(300, seed=1))
        for turn in range(10):
            for guest in others:
                guest.send(INK)
            for guest in others:
                await guest.hear(turn + 1)
        shared = [columns for sessions, columns in tally.runs if sessions == 5]
        await flood.hear(900)
    assert shared
    assert max(shared) == 5  # of the flood as many as of everyone else


async def test_columns_that_come_while_theirs_are_run_wait_their_turn(net: Net) -> None:
    net.may_run.clear()
    async with running(net) as engine:
        guest = Guest(engine, net)
        guest.send(line(5, seed=3)[:28])
        await net.hold()
        guest.send(line(5, seed=3)[28:], message("flush", id=1))
        net.may_run.set()
        said = await guest.hear(6)
    assert kinds(said) == ["result"] * 5 + ["flushed"]
    assert np.abs(curve(said) - alone(net, line(5, seed=3))).max() < 1e-5


# Failures


async def test_after_a_run_that_failed_each_session_is_tried_alone_and_loses_nothing(
    net: Net,
) -> None:
    async with running(net) as engine:
        guests = [Guest(engine, net) for _ in range(4)]
        net.failures = 1
        for seed, guest in enumerate(guests):
            guest.send(line(4, seed))
        said = [await guest.hear(4) for guest in guests]
    for seed, own in enumerate(said):
        assert np.abs(curve(own) - alone(net, line(4, seed))).max() < 1e-5


async def test_a_session_that_fails_alone_is_ended_and_its_neighbours_go_on(net: Net) -> None:
    async with running(net) as engine:
        healthy, poisoned, other = [Guest(engine, net) for _ in range(3)]
        healthy.send(line(2, seed=1))
        poisoned.send(POISON)
        other.send(line(2, seed=2))
        said = await poisoned.hear(1)
        healthy.send(line(4, seed=1)[56:])
        both = [await healthy.hear(4), await other.hear(2)]
    assert isinstance(said[-1], Error)
    assert (said[-1].code, said[-1].fatal) == ("internal", True)
    assert poisoned.close is not None
    assert poisoned.close.code == 1011
    assert np.abs(curve(both[0]) - alone(net, line(4, seed=1))).max() < 1e-5
    assert np.abs(curve(both[1]) - alone(net, line(2, seed=2))).max() < 1e-5


@pytest.mark.parametrize("method", ["take", "step"])
async def test_the_engine_outlives_a_session_that_breaks(
    net: Net, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with running(net) as engine:
        broken, healthy = Guest(engine, net), Guest(engine, net)
        monkeypatch.setattr(broken.session, method, None)
        broken.send(INK)
        healthy.send(INK)
        await broken.hear(1)
        assert results(await healthy.hear(1))
    assert broken.close is not None
    assert broken.close.code == 1011


async def test_a_session_whose_outputs_fail_is_ended_and_its_neighbours_go_on(net: Net) -> None:
    async with running(net) as engine:
        healthy, broken, other = [Guest(engine, net) for _ in range(3)]
        broken.session.line.decoder = None  # type: ignore[assignment]
        for guest in (healthy, broken, other):
            guest.send(line(4, seed=1))
        await broken.hear(1)
        said = [await guest.hear(4) for guest in (healthy, other)]
    assert broken.close is not None
    assert broken.close.code == 1011
    for own in said:
        assert np.abs(curve(own) - alone(net, line(4, seed=1))).max() < 1e-5


async def test_the_engine_outlives_a_listener_that_breaks(net: Net) -> None:
    def deaf(_effects: list[Effect]) -> None:
        raise ZeroDivisionError

    async with running(net) as engine:
        broken, healthy = Guest(engine, net), Guest(engine, net)
        broken.member.deliver = deaf
        broken.send(INK)
        healthy.send(INK)
        await healthy.hear(1)
        healthy.send(INK)
        assert len(results(await healthy.hear(2))) == 2
    assert broken.session.closed


# Coming and going


async def test_a_session_that_leaves_during_its_run_gets_no_messages_and_affects_no_other(
    net: Net,
) -> None:
    net.may_run.clear()
    async with running(net) as engine:
        leaving, staying = Guest(engine, net), Guest(engine, net)
        leaving.send(line(3, seed=1))
        staying.send(line(3, seed=2))
        await net.hold()
        leaving.leave()
        newcomer = Guest(engine, net)  # takes over the row of states
        newcomer.send(line(3, seed=3))
        net.may_run.set()
        said = [await staying.hear(3), await newcomer.hear(3)]
    assert len(leaving.said) == 1
    assert np.abs(curve(said[0]) - alone(net, line(3, seed=2))).max() < 1e-5
    assert np.abs(curve(said[1]) - alone(net, line(3, seed=3))).max() < 1e-5


async def test_a_session_that_leaves_before_its_retry_is_not_run(net: Net) -> None:
    net.may_run.clear()
    net.failures = 1
    async with running(net) as engine:
        staying, leaving = Guest(engine, net), Guest(engine, net)
        staying.send(INK)
        leaving.send(INK)
        await net.hold()
        leaving.leave()
        net.may_run.set()
        assert results(await staying.hear(1))
    assert len(leaving.said) == 1


async def test_leaving_twice_is_leaving_once(net: Net) -> None:
    async with running(net) as engine:
        guest = Guest(engine, net)
        guest.send(INK)
        await guest.hear(1)
        guest.leave()
        guest.leave()
        newcomers = [Guest(engine, net), Guest(engine, net)]
        for seed, newcomer in enumerate(newcomers):
            newcomer.send(line(3, seed))
        said = [await newcomer.hear(3) for newcomer in newcomers]
    for seed, own in enumerate(said):
        assert np.abs(curve(own) - alone(net, line(3, seed))).max() < 1e-5


async def test_a_session_may_leave_right_after_it_asked_for_a_rewind(net: Net) -> None:
    async with running(net) as engine:
        leaving, staying = Guest(engine, net), Guest(engine, net)
        for guest in (leaving, staying):
            guest.send(line(3, seed=1))
            await guest.hear(3)
        leaving.send(message("rewind", column=0))
        leaving.leave()
        staying.send(message("rewind", column=1), line(3, seed=1)[28:])
        said = await staying.hear(6)
    assert np.abs(curve(said[4:]) - alone(net, line(3, seed=1))[1:]).max() < 1e-5


async def test_a_session_that_left_is_freed_at_once(net: Net) -> None:
    async with running(net) as engine:
        guest = Guest(engine, net)
        guest.leave()
        remembered = weakref.ref(guest)
        gc.disable()
        del guest
        gc.enable()
        assert remembered() is None


def test_a_full_table_of_states_grows_and_keeps_each_state() -> None:
    table = StateTable(3)
    rows = [table.add() for _ in range(100)]
    assert len(set(rows)) == 100
    for row in rows:
        assert not table.rows[row].any()
        table.rows[row] = row
    kept = rows[::2]
    table.free += rows[1::2]
    again = [table.add() for _ in range(70)]
    assert not {*again} & {*kept}
    assert not table.rows[again].any()
    assert table.rows[kept].tolist() == [[row] * 3 for row in kept]


async def test_a_closed_session_is_run_no_more(net: Net) -> None:
    tally = Tally()
    async with running(net, tally=tally) as engine:
        guest = Guest(engine, net)
        guest.send(INK, message("end"), INK)
        said = await guest.hear(3)
        other = Guest(engine, net)
        other.send(INK)
        await other.hear(1)
    assert kinds(said) == ["result", "flushed", "done"]
    assert tally.runs == [(1, 1), (1, 1)]


async def test_an_engine_stops_within_a_run_and_sends_no_answers_afterwards(net: Net) -> None:
    net.may_run.clear()
    async with running(net) as engine:
        guest = Guest(engine, net)
        guest.send(INK)
        await net.hold()
        net.may_run.set()
        engine.stop()
        await asyncio.sleep(0)  # whatever was told to the event loop has been heard
        assert len(guest.said) == 1


async def test_a_flush_of_a_fresh_session_needs_no_run(net: Net) -> None:
    tally = Tally()
    async with running(net, tally=tally) as engine:
        guest = Guest(engine, net)
        guest.send(message("flush", id=7))
        said = await guest.hear(1)
    assert isinstance(said[0], Flushed)
    assert (said[0].id, said[0].columns, said[0].label) == (7, 0, None)
    assert tally.runs == []
