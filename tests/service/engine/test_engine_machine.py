"""Any number of sessions, in any order and with any failure, get the messages of sessions alone.

Each client of the engine has a reference: a session without engine and without failures that gets
the same frames. The client must get the messages of its reference, or the first of them if it left
or the net failed on its columns.
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
)
from tests.helpers import single_session
from tests.helpers.engine_sessions import POISON, EngineClient, Net, RecordingMetrics
from tests.helpers.engine_sessions import running as running_engine
from tests.helpers.single_session import SessionClient, message

TOLERANCE = 1e-4
LIMITS = single_session.LIMITS.model_copy(update={"max_control_per_s": 10_000})  # no clock here
POOLS = {  # columns of each height; on none of them the net fails
    height: np.random.default_rng(0).integers(14, 256, (64, height), np.uint8)
    for height in (28, 16)
}
POISONS = {28: POISON, 16: POISON[:16]}
LAST = message("ping", id="last")
BAD = (b"", b"x" * 27, "", "[]", '{"type":"sing"}')


class Pair:
    """A client of the engine and its reference."""

    def __init__(self, client: EngineClient, reference: SessionClient) -> None:
        self.client = client
        self.frames: list[str | bytes] = []
        self.poisoned = False
        self.gone = False
        self._reference = reference

    @property
    def over(self) -> bool:
        """Return whether the test sends no more frames; this never depends on timing."""
        return self.poisoned or self.gone

    def send(self, frame: str | bytes) -> None:
        self.frames.append(frame)
        self.client.send(frame)

    def check(self) -> None:
        """Compare the messages, once the engine has nothing left to do."""
        self._reference.send(*self.frames, interval_s=0.0)
        self._reference.drain()
        expected, received, close = (
            self._reference.received,
            self.client.received,
            self.client.close,
        )
        if close is not None and close.code == 1011:
            assert self.poisoned
            *received, failure = received
            assert isinstance(failure, Error)
            assert failure.code == "internal"
            expected = expected[: len(received)]
        elif self.gone:
            expected = expected[: len(received)]
        else:
            assert close == self._reference.close
        assert len(received) == len(expected)
        for each, expected_each in zip(received[1:], expected[1:], strict=True):
            _check(each, expected_each)


def _check(received: ServerMessage, expected: ServerMessage) -> None:
    if isinstance(received, Event):
        assert isinstance(expected, Event)
        for name in ("type", "seq", "id", "start", "end"):
            assert getattr(received, name) == getattr(expected, name)
        assert abs(received.confidence - expected.confidence) < TOLERANCE
        return
    if not isinstance(received, Result):
        assert received == expected
        return
    assert isinstance(expected, Result)
    for name in ("seq", "column", "stable", "text"):
        assert getattr(received, name) == getattr(expected, name)
    probabilities = dict(expected.probabilities)
    for label, probability in received.probabilities:
        assert abs(probability - probabilities.get(label, probability)) < TOLERANCE, received


class EngineMachine(RuleBasedStateMachine):
    """Sessions connect, send, rewind and leave; runs fail; the engine may run between any steps."""

    checkpoint: Checkpoint

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.net = Net(self.checkpoint)
        self.pool = POOLS[self.net.config.column_height]
        self.poison = POISONS[self.net.config.column_height]
        self.metrics = RecordingMetrics()
        self.context = running_engine(self.net, max_batch=8, max_columns=32, metrics=self.metrics)
        self.engine = self.run(self.context.__aenter__())
        self.pairs: list[Pair] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def pick(self, data: st.DataObject) -> Pair | None:
        present = [pair for pair in self.pairs if not pair.over]
        return data.draw(st.sampled_from(present)) if present else None

    @rule(count=st.integers(1, 30), seed=st.integers(0, 2**16))
    def connect(self, count: int, seed: int) -> None:
        """Connect many clients at once, each with a few columns."""
        rng = np.random.default_rng(seed)
        for _ in range(count):
            pair = Pair(
                EngineClient(self.engine, self.net, LIMITS), SessionClient(self.net, LIMITS)
            )
            self.pairs.append(pair)
            pair.send(self.pool[rng.integers(0, 64, rng.integers(1, 5))].tobytes())

    @rule(data=st.data(), indices=st.lists(st.integers(0, 63), min_size=1, max_size=70))
    def columns(self, data: st.DataObject, indices: list[int]) -> None:
        if pair := self.pick(data):
            pair.send(self.pool[indices].tobytes())

    @rule(data=st.data(), indices=st.lists(st.integers(0, 63), min_size=1, max_size=20))
    def trickle(self, data: st.DataObject, indices: list[int]) -> None:
        """Send one column a message, by one client after another."""
        for number in indices:
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

    @rule(data=st.data(), changes=st.sampled_from([{"results": "message"}, {"top_k": 3}]))
    def configure(self, data: st.DataObject, changes: dict[str, Any]) -> None:
        if pair := self.pick(data):
            pair.send(message("configure", **changes))

    @rule(data=st.data(), bad=st.sampled_from(BAD))
    def send_nonsense(self, data: st.DataObject, bad: str | bytes) -> None:
        if pair := self.pick(data):
            pair.send(bad)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if pair := self.pick(data):
            pair.client.leave()
            pair.gone = True

    @rule(data=st.data())
    def break_off(self, data: st.DataObject) -> None:
        """Make the net fail on this session's columns, however often they are tried."""
        if pair := self.pick(data):
            pair.send(2 * self.poison)  # a single one of a transcriber may wait for its partner
            pair.poisoned = True

    @rule()
    def fail(self) -> None:
        """Make the next run that sessions share fail."""
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
    """Wait until each client that has not left has got all its messages."""
    for pair in pairs:
        if not pair.over:
            pair.send(LAST)
    for pair in pairs:
        if not pair.gone:
            await pair.client.wait_for_last(lambda received: received == Pong(id="last"))


@pytest.mark.parametrize("kind", ["tiny", "tiny_lines"])
def test_every_session_gets_the_messages_of_a_session_alone(
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
