"""The engine: sessions share runs, and each gets the results of a run of its own."""

import asyncio
import gc
import threading
import weakref
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from inkstream.model import checkpoint
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.errors import InkstreamError
from inkstream.model.runtime import Runtime
from inkstream.service.engine import (
    MAX_UNTIMED_COLUMNS,
    MIN_SHARE_COLUMNS,
    ROOM,
    EngineSession,
    StateTable,
    in_turns,
)
from inkstream.service.observe.logs import get_logger
from inkstream.service.protocol.server_messages import (
    Error,
    Flushed,
    ServerMessage,
    encode,
)
from inkstream.service.session import Close, Effect, Session
from tests.helpers import builders
from tests.helpers.engine_sessions import POISON, EngineClient, Net, RecordingMetrics, running
from tests.helpers.single_session import (
    INK,
    all_probabilities,
    message,
    results,
    uninterrupted,
)


@pytest.fixture
def net(tiny: Checkpoint) -> Net:
    return Net(tiny)


def line(n_columns: int, seed: int) -> bytes:
    return builders.columns(n_columns, seed).tobytes()


def check_results(messages: list[ServerMessage], net: Net, columns: bytes, first: int = 0) -> None:
    """Check that messages hold the results of an uninterrupted line from column `first` on."""
    expected = uninterrupted(net, columns)[first:]
    np.testing.assert_allclose(all_probabilities(messages), expected, atol=1e-5, rtol=0)


# Answers


@pytest.mark.parametrize("name", ["digits", "lines"])
async def test_a_session_is_answered_alone_and_among_63_others_to_the_bit(name: str) -> None:
    net = Runtime(checkpoint.read(checkpoint.find(name)))
    height, rng = net.config.column_height, np.random.default_rng(0)
    lines = [builders.columns(24, seed, height) for seed in range(64)]

    def frames(columns: NDArray[np.uint8]) -> list[bytes]:
        """Return columns in messages of one to five."""
        cuts = np.cumsum(rng.integers(1, 6, 24))
        return [part.tobytes() for part in np.split(columns, cuts[cuts < 24])]

    async with running(net) as engine:
        alone = EngineClient(engine, net)
        alone.send(lines[0].tobytes())
        expected = await alone.wait_for(24)
    async with running(net, max_columns=200) as engine:
        clients = [EngineClient(engine, net) for _ in lines]
        waiting = [frames(columns) for columns in lines]
        while any(waiting):
            for client, own in zip(clients, waiting, strict=True):
                if own and rng.random() < 0.7:
                    client.send(own.pop(0))
            await asyncio.sleep(0)
        received = await clients[0].wait_for(24)
    assert [encode(message) for message in received] == [encode(message) for message in expected]
    assert (
        clients[0].session.showing.newest_row == alone.session.showing.newest_row
    )  # scores, not rounded


# Batches


async def test_sessions_whose_columns_come_in_one_turn_of_the_event_loop_share_a_run(
    net: Net,
) -> None:
    metrics = RecordingMetrics()
    async with running(net, metrics=metrics) as engine:
        clients = [EngineClient(engine, net) for _ in range(5)]
        for client in clients:
            client.send(INK)
        for client in clients:
            await client.wait_for(1)
    assert metrics.runs == [(5, 5)]
    assert net.threads == {threading.get_ident()}  # the event loop's


async def test_a_run_takes_no_more_sessions_than_its_limit_and_the_oldest_first(net: Net) -> None:
    metrics = RecordingMetrics()
    answered: list[EngineClient] = []

    async def wait(client: EngineClient) -> None:
        await client.wait_for(1)
        answered.append(client)

    async with running(net, max_batch=2, metrics=metrics) as engine:
        clients = [EngineClient(engine, net) for _ in range(5)]
        waiting = [asyncio.create_task(wait(client)) for client in clients]
        for client in clients:
            client.send(INK)
        await asyncio.gather(*waiting)
    assert answered == clients
    assert metrics.runs == [(2, 2), (2, 2), (1, 1)]


async def test_other_callbacks_get_their_turn_between_two_runs(net: Net) -> None:
    metrics = RecordingMetrics()
    seen: list[int] = []
    async with running(net, max_batch=1, metrics=metrics) as engine:
        clients = [EngineClient(engine, net) for _ in range(3)]
        for client in clients:
            client.send(INK)
        while len(metrics.runs) < 3:
            seen.append(len(metrics.runs))
            await asyncio.sleep(0)
    assert {0, 1, 2} <= {*seen}


async def test_a_run_takes_no_more_columns_than_its_limit(net: Net) -> None:
    metrics = RecordingMetrics()
    async with running(net, max_columns=8, metrics=metrics) as engine:
        clients = [EngineClient(engine, net) for _ in range(4)]
        for seed, client in enumerate(clients):
            client.send(line(6, seed))
        for client in clients:
            await client.wait_for(6)
    assert metrics.runs == [(4, 8)] * 3


DASH = message("ink", height=28, pause=True, strokes=[{"points": [[4, 9], [5, 9]]}])


async def test_ink_waits_until_something_comes_that_does_not(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.service.engine.GATHERING_S", 60.0)
    monkeypatch.setattr("inkstream.service.engine.INKING_S", 60.0)  # all share a turn
    metrics = RecordingMetrics()
    async with running(net, metrics=metrics) as engine:
        clients = [EngineClient(engine, net) for _ in range(4)]
        clients[0].send(INK)
        await clients[0].wait_for(1)
        for client in clients[1:]:
            client.send(DASH)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert metrics.runs == [(1, 1)]
        clients[0].send(INK)  # which never waits
        await clients[1].wait_for(1)
    assert [sessions for sessions, _ in metrics.runs[:2]] == [1, 4]


async def test_ink_waits_no_longer_than_the_time_for_it(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.service.engine.GATHERING_S", 0.02)
    metrics = RecordingMetrics()
    async with running(net, metrics=metrics) as engine:
        client = EngineClient(engine, net)
        for n in range(1, 4):
            client.send(DASH, message("reset"))
            await client.wait_for(n * 7)  # six results, and `reset_done`
    assert metrics.runs == [(1, 6)] * 3


@pytest.mark.parametrize(("gathered", "gathering_s"), [(3, 60.0), (100, 0.0)])
async def test_ink_of_many_does_not_wait(
    net: Net, monkeypatch: pytest.MonkeyPatch, gathered: int, gathering_s: float
) -> None:
    monkeypatch.setattr("inkstream.service.engine.GATHERED_SESSIONS", gathered)
    monkeypatch.setattr("inkstream.service.engine.GATHERING_S", gathering_s)
    monkeypatch.setattr("inkstream.service.engine.INKING_S", 60.0)  # all share a turn
    metrics = RecordingMetrics()
    async with running(net, metrics=metrics) as engine:
        clients = [EngineClient(engine, net) for _ in range(3)]
        for n in (1, 2):
            for client in clients:
                client.send(DASH, message("reset"))
            await asyncio.sleep(0)
            assert [sessions for sessions, _ in metrics.runs] == [3] * n
            for client in clients:
                await client.wait_for(1)


async def test_a_session_with_many_columns_delays_no_other_session(net: Net) -> None:
    metrics = RecordingMetrics()
    async with running(net, metrics=metrics) as engine:
        busy, *others = [EngineClient(engine, net) for _ in range(5)]
        for _ in range(3):
            busy.send(line(300, seed=1))
        for turn in range(10):
            for client in others:
                client.send(INK)
            for client in others:
                await client.wait_for(turn + 1)
        shared = [columns for sessions, columns in metrics.runs if sessions == 5]
        await busy.wait_for(900)
    assert shared
    assert max(shared) == 4 + MIN_SHARE_COLUMNS  # a few columns of the busy session


# Failures


@pytest.mark.parametrize("n_columns", [1, 4])
@pytest.mark.parametrize("part", ["net", "take", "step", "showing", "deliver"])
async def test_a_session_of_which_any_part_fails_is_ended_and_its_neighbours_go_on(
    net: Net, monkeypatch: pytest.MonkeyPatch, part: str, n_columns: int
) -> None:
    def fail(_effects: list[Effect]) -> None:
        raise ZeroDivisionError

    async with running(net) as engine:
        healthy, broken, other = [EngineClient(engine, net) for _ in range(3)]
        if part == "deliver":
            monkeypatch.setattr(broken.member, part, fail)
        elif part != "net":
            monkeypatch.setattr(broken.session, part, None)
        columns = line(n_columns + 4, seed=1)
        healthy.send(columns[: 28 * n_columns])
        broken.send(POISON if part == "net" else line(n_columns, seed=1))
        other.send(line(n_columns, seed=2))
        check_results(await other.wait_for(n_columns), net, line(n_columns, seed=2))
        await healthy.wait_for(n_columns)
        healthy.send(columns[28 * n_columns :])
        check_results(await healthy.wait_for(n_columns + 4), net, columns)
    assert broken.session.state.name == "CLOSED"
    if part != "deliver":
        error = broken.received[-1]
        assert isinstance(error, Error)
        assert (error.code, error.fatal) == ("internal", True)
        assert broken.close == Close(1011, "internal")


# Leaving


async def test_a_session_that_leaves_while_others_are_answered_gets_no_messages(net: Net) -> None:
    async with running(net) as engine:
        staying, leaving = EngineClient(engine, net), EngineClient(engine, net)
        receive = staying.member.deliver

        def leave(effects: list[Effect]) -> None:
            leaving.leave()
            receive(effects)

        staying.member.deliver = leave
        for failures in (0, 1):  # of the run that both share
            net.failures = failures
            staying.send(INK)
            leaving.send(INK)
            assert results(await staying.wait_for(1 + failures))
    assert len(leaving.received) == 1


@pytest.mark.parametrize("frames", [[], [INK], [INK * 40, message("rewind", column=9)], [DASH]])
@pytest.mark.parametrize("is_told_why", [False, True])
async def test_a_session_that_left_is_freed_at_once_even_while_a_message_is_processed(
    net: Net, frames: list[str | bytes], is_told_why: bool
) -> None:
    async with running(net) as engine:
        client = EngineClient(engine, net)
        client.send(*frames[:1])
        if len(frames) > 1:
            await client.wait_for(40)
        client.send(*frames[1:])
        if is_told_why:
            engine.apply(client.member, client.session.fail(InkstreamError("no luck")))
        client.leave()
        references: list[weakref.ref[object]] = [weakref.ref(client), weakref.ref(client.session)]
        gc.disable()
        del client
        await asyncio.sleep(0)  # what waits for its turn is let go
        gc.enable()
        assert [reference() for reference in references] == [None, None]


def test_a_full_table_of_states_grows_and_keeps_each_state() -> None:
    table = StateTable(3)
    rows = [table.add() for _ in range(ROOM + 100)]
    assert len(set(rows)) == ROOM + 100
    for row in rows:
        assert not table.rows[row].any()
        table.rows[row] = row % 255 + 1
    kept = rows[::2]
    table.free += rows[1::2]
    again = [table.add() for _ in range(70)]
    assert not {*again} & {*kept}
    assert not table.rows[again].any()
    assert table.rows[kept].tolist() == [[row % 255 + 1] * 3 for row in kept]


async def test_an_engine_that_has_stopped_sends_no_answers(net: Net) -> None:
    async with running(net) as engine:
        client = EngineClient(engine, net)
        client.send(INK)
        engine.stop()
        await asyncio.sleep(0)  # lets callbacks of the event loop run
        assert len(client.received) == 1


# Clients


async def test_a_client_with_many_sessions_delays_no_other_client(net: Net) -> None:
    metrics = RecordingMetrics()
    async with running(net, max_batch=8, max_columns=32, metrics=metrics) as engine:
        flood = [EngineClient(engine, net, client="flood") for _ in range(40)]
        paced = EngineClient(engine, net, client="paced")
        for client in flood:
            client.send(line(30, seed=1))
        for n in range(1, 6):
            runs = len(metrics.runs)
            paced.send(INK)
            await paced.wait_for(n)
            assert len(metrics.runs) <= runs + 2  # the one that began before, and its own
            # In its own the flood has half; alone, on a busy machine, it may have all.
            assert min(columns for _, columns in metrics.runs[runs:]) <= 16 + 1


@pytest.mark.parametrize("cheap", [0, MAX_UNTIMED_COLUMNS])
async def test_scores_that_a_turn_has_no_time_for_wait_for_the_next(
    net: Net, monkeypatch: pytest.MonkeyPatch, cheap: int
) -> None:
    monkeypatch.setattr("inkstream.service.engine.ANSWERING_S", 0.0)
    monkeypatch.setattr("inkstream.service.engine.MAX_UNTIMED_COLUMNS", cheap)
    async with running(net) as engine:
        clients = [EngineClient(engine, net, client=str(i % 2)) for i in range(5)]
        for seed, client in enumerate(clients):
            client.send(line(6, seed))
        await asyncio.sleep(0)
        assert [len(client.received) > 1 for client in clients].count(True) == 1
        clients[3].leave()
        for seed, client in enumerate(clients):
            if seed != 3:
                check_results(await client.wait_for(6), net, line(6, seed))
    assert len(clients[3].received) == 1


async def test_ink_that_a_turn_has_no_time_for_waits_for_the_next(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.service.engine.INKING_S", 0.0)
    ink = message("ink", height=28, strokes=[{"points": [[5, 5], [9, 20]]}])
    async with running(net) as engine:
        flood = [EngineClient(engine, net, client="flood") for _ in range(4)]
        paced = EngineClient(engine, net, client="paced")
        clients = [*flood, paced]
        for client in clients:
            client.send(ink, ink, message("flush"))
        for turn in range(1, 5):
            await asyncio.sleep(0)
            assert sum(client.session._ink.has_strokes for client in clients) <= turn
        assert paced.session._ink.has_strokes
        for client in clients:
            await client.wait_for_last(lambda message: isinstance(message, Flushed))
    sent = {b"".join(encode(message) for message in client.received[1:]) for client in clients}
    assert len(sent) == 1


def test_clients_take_turns_by_the_time_that_their_sessions_need() -> None:
    def member(client: str) -> EngineSession:
        return EngineSession(cast(Session, None), lambda _: None, 0, client, get_logger())

    dear, cheap = [member("a") for _ in range(3)], [member("b") for _ in range(5)]
    order = in_turns([*dear, *cheap], [2.0] * 3 + [1.0] * 5)
    assert order == [cheap[0], dear[0], cheap[1], cheap[2], dear[1], cheap[3], cheap[4], dear[2]]
