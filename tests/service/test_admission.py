"""Admission: sessions are counted exactly, and a drain sends `goaway` to each of them."""

import asyncio

import pytest

from inkstream.service.admission import Sessions
from inkstream.service.protocol.errors import ClientFullError, ServerFullError, StoppingError
from tests.helpers.engine_sessions import DEADLINE_S, RecordingObserver
from tests.helpers.single_session import LIMITS

FEW = LIMITS.model_copy(update={"max_sessions": 3, "max_sessions_per_client": 2})


class GoawayClient:
    """A client that keeps the times of its `goaway` messages."""

    def __init__(self) -> None:
        self.times_left_s: list[float] = []

    def goaway(self, time_left_s: float) -> None:
        self.times_left_s.append(time_left_s)


def ignore(_time_left_s: float) -> None:
    """Ignore a `goaway` message."""


def test_a_session_counts_while_its_block_runs() -> None:
    observer = RecordingObserver()
    sessions = Sessions(FEW, observer)
    with sessions.admit("a", ignore), sessions.admit("b", ignore):
        assert len(sessions) == 2
    assert len(sessions) == 0
    assert observer.connected == [1, 2, 1, 0]


def test_every_session_has_its_own_id() -> None:
    sessions = Sessions(FEW, RecordingObserver())
    with sessions.admit("a", ignore) as one, sessions.admit("a", ignore) as other:
        assert one != other


def test_a_session_that_fails_is_no_longer_counted() -> None:
    sessions = Sessions(FEW, RecordingObserver())
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), sessions.admit("a", ignore):
            raise ZeroDivisionError
    assert len(sessions) == 0


async def test_a_session_that_is_cancelled_is_no_longer_counted() -> None:
    sessions = Sessions(FEW, RecordingObserver())

    async def stay() -> None:
        with sessions.admit("a", ignore):
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await asyncio.sleep(0)
    assert len(sessions) == 1
    task.cancel()
    await asyncio.wait([task])
    assert len(sessions) == 0


def test_one_client_has_no_more_sessions_than_its_limit() -> None:
    sessions = Sessions(FEW, RecordingObserver())
    with sessions.admit("a", ignore):
        with sessions.admit("a", ignore):
            with pytest.raises(ClientFullError, match="2 sessions of a are connected"):
                sessions.admit("a", ignore).__enter__()
            with sessions.admit("b", ignore):
                assert len(sessions) == 3
        with sessions.admit("a", ignore):
            assert len(sessions) == 2


def test_all_clients_together_have_no_more_sessions_than_the_limit() -> None:
    sessions = Sessions(FEW, RecordingObserver())
    with sessions.admit("a", ignore), sessions.admit("b", ignore), sessions.admit("c", ignore):
        with pytest.raises(ServerFullError, match="3 sessions are connected, all that are allowed"):
            sessions.admit("d", ignore).__enter__()
        assert len(sessions) == 3


async def test_a_drain_refuses_sessions_and_ends_when_all_have_ended() -> None:
    sessions, client = Sessions(FEW, RecordingObserver()), GoawayClient()
    with sessions.admit("a", client.goaway):
        drain = asyncio.create_task(sessions.drain(3600))
        await asyncio.sleep(0)
        assert sessions.stopping
        with pytest.raises(StoppingError):
            sessions.admit("b", ignore).__enter__()
        assert not drain.done()
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert client.times_left_s == [3600]


async def test_sessions_that_stay_get_a_second_goaway_without_time_left() -> None:
    sessions, client = Sessions(FEW, RecordingObserver()), GoawayClient()
    with sessions.admit("a", client.goaway):
        await sessions.drain(0.01)
        assert len(sessions) == 1
    assert client.times_left_s == [0.01, 0.0]
