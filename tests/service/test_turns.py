"""Turns of clients at slots."""

import asyncio

import pytest

from inkstream.service.page_workers.turns import LONG_WORK_MEMORY_S, Turns
from inkstream.service.protocol.errors import ServerFullError


class Work:
    """Pieces of work that a test ends; `started` has those whose turn came, in order.

    The time of the event loop is `now_s`.
    """

    def __init__(self, n_slots: int, max_waiting: int = 9, max_waiting_per_client: int = 9) -> None:
        self.turns = Turns(
            n_slots, max_waiting=max_waiting, max_waiting_per_client=max_waiting_per_client
        )
        self.now_s = 1000.0
        vars(asyncio.get_running_loop())["time"] = lambda: self.now_s
        self.started: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str, has_begun: bool = False) -> None:
        """Ask for turns; the first letter of a name is its client."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._work(name, has_begun))
            await asyncio.sleep(0)

    async def _work(self, name: str, has_begun: bool) -> None:
        async with self.turns.turn(name[0], has_begun=has_begun):
            self.started.append(name)
            await asyncio.Event().wait()

    async def end(self, *names: str, after_s: float = 1.0) -> None:
        """End pieces of work, each so long after the one before."""
        for name in names:
            self.now_s += after_s
            self.tasks[name].cancel()
            await asyncio.gather(self.tasks[name], return_exceptions=True)
            await asyncio.sleep(0)


async def test_one_client_never_has_all_slots() -> None:
    work = Work(3)
    await work.begin("a1", "a2", "a3", "b1")
    assert work.started == ["a1", "a2", "b1"]
    await work.end("a1")
    assert work.started[3:] == ["a3"]


async def test_a_single_slot_is_everybodys() -> None:
    work = Work(1)
    await work.begin("a1", "b1")
    assert work.started == ["a1"]
    await work.end("a1")
    assert work.started == ["a1", "b1"]


async def test_clients_that_wait_take_turns() -> None:
    work = Work(1)
    await work.begin("a1", "a2", "a3", "a4", "b1", "b2", "c1")
    for name in ("a1", "b1", "c1", "a2", "b2", "a3"):
        await work.end(name)
    assert work.started == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


async def test_too_many_that_wait_are_refused() -> None:
    work = Work(1, max_waiting=3, max_waiting_per_client=2)
    await work.begin("a1", "a2", "a3", "a4", "b1", "b2")
    for name, text in (("a4", "2 bodies wait to be read, 2 of"), ("b2", "3 bodies .*, 1 of")):
        with pytest.raises(ServerFullError, match=text):
            await work.tasks[name]
    await work.begin("b3", has_begun=True)
    await work.end("a1", "b1", "a2", "b3")
    assert work.started == ["a1", "b1", "a2", "b3", "a3"]


async def test_what_is_cancelled_while_it_waits_leaves_the_queue() -> None:
    work = Work(1, max_waiting=1)
    await work.begin("a1", "b1")
    await work.end("b1")
    await work.begin("c1")
    await work.end("a1")
    assert work.started == ["a1", "c1"]


async def test_a_turn_that_comes_as_it_is_cancelled_goes_to_the_next() -> None:
    work = Work(1)
    await work.begin("a1", "b1", "c1")
    work.tasks["a1"].cancel()
    await asyncio.sleep(0)  # the turn is given to b1, which has not run yet
    await work.end("b1")
    assert work.started == ["a1", "c1"]


async def test_two_clients_with_long_work_delay_a_third_one_once() -> None:
    work = Work(2)
    await work.begin("a1", "b1", "a2", "b2", "c1")
    await work.end("a1", after_s=10)
    await work.end("b1", after_s=0)
    assert work.started == ["a1", "b1", "c1", "a2"]
    await work.end("c1")
    assert work.started[4:] == []  # the last slot is not for b2
    await work.begin("c2", has_begun=True)
    assert work.started[4:] == ["c2"]
    await work.end("a2")
    assert work.started[5:] == ["b2"]


async def test_work_that_took_long_is_forgotten_after_a_while() -> None:
    work = Work(2)
    await work.begin("a1", "b1")
    await work.end("a1", "b1", after_s=10)
    work.now_s += LONG_WORK_MEMORY_S
    await work.begin("a2", "b2")
    assert work.started[2:] == ["a2", "b2"]
