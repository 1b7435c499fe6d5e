"""Any number of sessions, in any order and with any failure: each hears what it would hear alone.

Every guest of the engine has a twin that is served by itself and without failures. Whatever becomes
of the guest, it must have heard what its twin hears, or the beginning of it where it vanished or
where the net failed on its columns.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from inkstream.model.checkpoint import Checkpoint
from inkstream.service.protocol.server_messages import (
    Error,
    Event,
    Pong,
    Result,
    ServerMessage,
    encode,
)
from tests.helpers import single_session
from tests.helpers.engine_sessions import LINE_POISON, POISON, Guest, Net, Tally
from tests.helpers.engine_sessions import running as running_engine
from tests.helpers.single_session import Lone, message

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
LIMITS = single_session.LIMITS.model_copy(update={"max_control_per_s": 10_000})  # no clock here
POOLS = {  # columns of each height, no poison among them
    height: np.random.default_rng(0).integers(14, 256, (64, height), np.uint8)
    for height in (28, 16)
}
POISONS = {28: POISON, 16: LINE_POISON}
LAST = message("ping", id="last")
BAD = (b"", b"x" * 27, "", "[]", '{"type":"sing"}')


class Pair:
    """A guest of the engine and its twin."""

    def __init__(self, guest: Guest, twin: Lone) -> None:
        self.guest = guest
        self.frames: list[str | bytes] = []
        self.poisoned = False
        self.gone = False
        self._twin = twin

    @property
    def over(self) -> bool:
        """Whether nothing more is sent to it: a choice of the test's, never of the time."""
        return self.poisoned or self.gone

    def send(self, frame: str | bytes) -> None:
        self.frames.append(frame)
        self.guest.send(frame)

    def check(self) -> None:
        """Compare what was said, once the engine has nothing left to do."""
        self._twin.send(*self.frames, pace_s=0.0)
        self._twin.drain()
        expected, said, close = self._twin.said, self.guest.said, self.guest.close
        if close is not None and close.code == 1011:
            assert self.poisoned
            *said, failure = said
            assert isinstance(failure, Error)
            assert failure.code == "internal"
            expected = expected[: len(said)]
        elif self.gone:
            expected = expected[: len(said)]
        else:
            assert close == self._twin.close
        assert len(said) == len(expected)
        for heard, due in zip(said[1:], expected[1:], strict=True):
            _check(heard, due)


def _check(heard: ServerMessage, due: ServerMessage) -> None:
    if isinstance(heard, Event):
        assert isinstance(due, Event)
        assert (heard.type, heard.id, heard.start, heard.end) == (
            *(due.type, due.id, due.start, due.end),
        )
        assert abs(heard.confidence - due.confidence) < TOLERANCE
        return
    if not isinstance(heard, Result):
        assert heard == due
        return
    assert isinstance(due, Result)
    assert (heard.epoch, heard.column, heard.text) == (due.epoch, due.column, due.text)
    for label, probability in heard.probabilities.items():
        assert abs(probability - due.probabilities.get(label, probability)) < TOLERANCE, encode(
            heard
        )


class EngineMachine(RuleBasedStateMachine):
    """Sessions come, send, rewind, vanish; runs fail; between any two steps the engine may run."""

    checkpoint: Checkpoint

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.net = Net(self.checkpoint)
        self.pool = POOLS[self.net.config.column_height]
        self.poison = POISONS[self.net.config.column_height]
        self.tally = Tally()
        self.context = running_engine(self.net, max_batch=8, max_columns=32, tally=self.tally)
        self.engine = self.run(self.context.__aenter__())
        self.pairs: list[Pair] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def pick(self, data: st.DataObject) -> Pair | None:
        present = [pair for pair in self.pairs if not pair.over]
        return data.draw(st.sampled_from(present)) if present else None

    @rule(count=st.integers(1, 30), seed=st.integers(0, 2**16))
    def come(self, count: int, seed: int) -> None:
        """Many at once, each with a few columns."""
        rng = np.random.default_rng(seed)
        for _ in range(count):
            pair = Pair(Guest(self.engine, self.net, LIMITS), Lone(self.net, LIMITS))
            self.pairs.append(pair)
            pair.send(self.pool[rng.integers(0, 64, rng.integers(1, 5))].tobytes())

    @rule(data=st.data(), picked=st.lists(st.integers(0, 63), min_size=1, max_size=70))
    def columns(self, data: st.DataObject, picked: list[int]) -> None:
        if pair := self.pick(data):
            pair.send(self.pool[picked].tobytes())

    @rule(data=st.data(), picked=st.lists(st.integers(0, 63), min_size=1, max_size=20))
    def trickle(self, data: st.DataObject, picked: list[int]) -> None:
        """One column a message, to one session after another."""
        for number in picked:
            if pair := self.pick(data):
                pair.send(self.pool[number].tobytes())

    @rule(data=st.data(), column=st.integers(0, 90), ref=st.integers(0, 9))
    def rewind(self, data: st.DataObject, column: int, ref: int) -> None:
        if pair := self.pick(data):
            pair.send(message("rewind", column=column, id=ref))

    @rule(data=st.data(), kind=st.sampled_from(["reset", "flush", "ping", "end"]))
    def control(self, data: st.DataObject, kind: str) -> None:
        if pair := self.pick(data):
            pair.send(message(kind, id=1))

    @rule(data=st.data(), changes=st.sampled_from([{"every": "message"}, {"top_k": 3}]))
    def configure(self, data: st.DataObject, changes: dict[str, Any]) -> None:
        if pair := self.pick(data):
            pair.send(message("configure", **changes))

    @rule(data=st.data(), bad=st.sampled_from(BAD))
    def send_nonsense(self, data: st.DataObject, bad: str | bytes) -> None:
        if pair := self.pick(data):
            pair.send(bad)

    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        if pair := self.pick(data):
            pair.guest.leave()
            pair.gone = True

    @rule(data=st.data())
    def break_off(self, data: st.DataObject) -> None:
        """The net fails on this session's columns, however often they are tried."""
        if pair := self.pick(data):
            pair.send(self.poison)
            pair.poisoned = True

    @rule()
    def fail(self) -> None:
        """The next run that sessions share fails."""
        self.net.failures = 1

    @rule(turns=st.integers(1, 30))
    def run_on(self, turns: int) -> None:
        self.run(self._turn(turns))

    async def _turn(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    def teardown(self) -> None:
        try:
            self.run(_settled(self.pairs))
        finally:
            self.run(self.context.__aexit__(None, None, None))
            self.loop.close()
        for pair in self.pairs:
            pair.check()


async def _settled(pairs: list[Pair]) -> None:
    """Wait until everyone who is still there has heard all that is due."""
    for pair in pairs:
        if not pair.over:
            pair.send(LAST)
    for pair in pairs:
        if not pair.gone:
            await pair.guest.hear_until(lambda said: said == Pong(id="last"))


@pytest.mark.parametrize("kind", ["tiny", "tiny_lines"])
def test_every_session_hears_what_it_would_hear_alone(
    kind: str, request: pytest.FixtureRequest
) -> None:
    machine = type("Machine", (EngineMachine,), {"checkpoint": request.getfixturevalue(kind)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=50,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("kind", ["tiny", "tiny_lines"])
async def test_thousands_of_sessions_at_once_hear_what_they_would_hear_alone(
    kind: str, request: pytest.FixtureRequest
) -> None:
    checkpoint: Checkpoint = request.getfixturevalue(kind)
    net, rng, tally = Net(checkpoint), np.random.default_rng(1), Tally()
    pool = POOLS[net.config.column_height]
    async with running_engine(net, tally=tally) as engine:
        pairs = [Pair(Guest(engine, net, LIMITS), Lone(net, LIMITS)) for _ in range(2000)]
        for _ in range(6):
            for number in rng.permutation(len(pairs)):
                pair = pairs[number]
                if pair.over:
                    continue
                pair.send(pool[rng.integers(0, 64, rng.integers(1, 4))].tobytes())
                if rng.random() < 0.05:
                    pair.send(message("rewind", column=1, id=2))
                if rng.random() < 0.05:
                    pair.send(message("flush", id=3))
                if rng.random() < 0.02:
                    pair.guest.leave()
                    pair.gone = True
                if rng.random() < 0.005:
                    net.failures = 1
                if rng.random() < 0.01:
                    await asyncio.sleep(0)
        await _settled(pairs)
    for pair in pairs:
        pair.check()
    assert max(sessions for sessions, _ in tally.runs) == 64
