"""Admission: counts that cannot leak, and a goodbye to every session."""

import asyncio

import pytest

from inkstream.service.admission import Sessions
from inkstream.service.protocol.errors import ClientFullError, ServerFullError, StoppingError
from tests.helpers.engine_sessions import DEADLINE_S, Tally
from tests.helpers.single_session import LIMITS

FEW = LIMITS.model_copy(update={"max_sessions": 3, "max_sessions_per_client": 2})


class Farewells:
    """A client that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def say(self, time_left_s: float) -> None:
        self.told.append(time_left_s)


def nothing(_time_left_s: float) -> None:
    """A client that does not listen."""


def test_a_session_counts_while_its_block_runs() -> None:
    tally = Tally()
    sessions = Sessions(FEW, tally)
    with sessions.admit("a", nothing), sessions.admit("b", nothing):
        assert len(sessions) == 2
    assert len(sessions) == 0
    assert tally.connected == [1, 2, 1, 0]


def test_every_session_has_an_id_of_its_own() -> None:
    sessions = Sessions(FEW, Tally())
    with sessions.admit("a", nothing) as one, sessions.admit("a", nothing) as other:
        assert one != other


def test_a_session_that_fails_is_not_counted_any_more() -> None:
    sessions = Sessions(FEW, Tally())
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), sessions.admit("a", nothing):
            raise ZeroDivisionError
    assert len(sessions) == 0


async def test_a_session_that_is_cancelled_is_not_counted_any_more() -> None:
    sessions = Sessions(FEW, Tally())

    async def stay() -> None:
        with sessions.admit("a", nothing):
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await asyncio.sleep(0)
    assert len(sessions) == 1
    task.cancel()
    await asyncio.wait([task])
    assert len(sessions) == 0


def test_one_client_has_no_more_sessions_than_its_limit() -> None:
    sessions = Sessions(FEW, Tally())
    with sessions.admit("a", nothing):
        with sessions.admit("a", nothing):
            with pytest.raises(ClientFullError, match="2 sessions of a are connected"):
                sessions.admit("a", nothing).__enter__()
            with sessions.admit("b", nothing):
                assert len(sessions) == 3
        with sessions.admit("a", nothing):
            assert len(sessions) == 2


def test_all_clients_together_have_no_more_sessions_than_the_limit() -> None:
    sessions = Sessions(FEW, Tally())
    with sessions.admit("a", nothing), sessions.admit("b", nothing), sessions.admit("c", nothing):
        with pytest.raises(ServerFullError, match="3 sessions are connected, all that are allowed"):
            sessions.admit("d", nothing).__enter__()
        assert len(sessions) == 3


async def test_a_drain_refuses_sessions_and_ends_when_all_have_ended() -> None:
    sessions, farewells = Sessions(FEW, Tally()), Farewells()
    with sessions.admit("a", farewells.say):
        drain = asyncio.create_task(sessions.drain(3600))
        await asyncio.sleep(0)
        assert sessions.stopping
        with pytest.raises(StoppingError):
            sessions.admit("b", nothing).__enter__()
        assert not drain.done()
    async with asyncio.timeout(DEADLINE_S):
        await drain
    assert farewells.told == [3600]


async def test_sessions_that_stay_get_a_second_goodbye_without_time() -> None:
    sessions, farewells = Sessions(FEW, Tally()), Farewells()
    with sessions.admit("a", farewells.say):
        await sessions.drain(0.01)
        assert len(sessions) == 1
    assert farewells.told == [0.01, 0.0]
