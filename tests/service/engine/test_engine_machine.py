"""Any number of sessions, in any order and with any failure, get the messages of sessions alone.

Each client of the engine has a reference: a session without engine and without failures that gets
the same frames. The client must get the messages of its reference, or the first of them if it left
or the net failed on its columns.
"""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Error, Event, Pong, Result, ServerMessage
from tests.helpers import single_session
from tests.helpers.engine_sessions import POISON, EngineClient, Net, running
from tests.helpers.single_session import SessionClient, message

TOLERANCE = 1e-4
LIMITS = single_session.LIMITS.model_copy(update={"max_control_per_s": 10_000})  # no clock here
POOLS = {  # columns of each height; on none of them the net fails
    height: np.random.default_rng(0).integers(14, 256, (64, height), np.uint8)
    for height in (28, 16)
}
N_CLIENTS = 30

frames = st.one_of(
    st.lists(st.integers(0, 63), min_size=1, max_size=3),  # columns, by their numbers in the pool
    st.lists(st.integers(0, 63), min_size=1, max_size=70),
    st.builds(message, st.just("rewind"), column=st.integers(0, 90), id=st.integers(0, 9)),
    st.builds(message, st.sampled_from(["reset", "flush", "ping", "end"]), id=st.just(1)),
    st.sampled_from([message("configure", results="message"), message("configure", top_k=3)]),
    st.sampled_from([b"", b"x" * 27, "", "[]", '{"type":"sing"}']),
)
clients = st.integers(0, N_CLIENTS - 1) | st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("send"), clients, frames),
    st.tuples(st.just("all send a column"), st.integers(0, 63)),
    st.tuples(st.just("leave"), clients),
    st.tuples(st.just("break the net for"), clients),
    st.tuples(st.just("fail the next shared run")),
    st.tuples(st.just("run on"), st.integers(1, 30)),
)


class Pair:
    """A client of the engine, and the frames that its reference will get."""

    def __init__(self, client: EngineClient) -> None:
        self.client = client
        self.frames: list[str | bytes] = []
        self.is_poisoned = self.is_gone = False

    def send(self, frame: str | bytes) -> None:
        """Send a frame, unless the session will fail."""
        if not self.is_poisoned:
            self.frames.append(frame)
            self.client.send(frame)

    def check(self, reference: SessionClient) -> None:
        """Compare the messages, once the engine has nothing left to do."""
        reference.send(*self.frames, interval_s=0.0)
        reference.drain()
        received, expected = self.client.received, reference.received
        close = self.client.close
        if close is not None and close.code == 1011:
            assert self.is_poisoned
            *received, failure = received
            assert isinstance(failure, Error)
            assert failure.code == "internal"
            expected = expected[: len(received)]
        elif self.is_gone:
            expected = expected[: len(received)]
        else:
            assert close == reference.close
        assert len(received) == len(expected)
        for ours, theirs in zip(received[1:], expected[1:], strict=True):
            check_message(ours, theirs)


def check_message(received: ServerMessage, expected: ServerMessage) -> None:
    """Compare messages; of events and results the probabilities within `TOLERANCE`."""
    exact: tuple[str, ...] = ()
    if isinstance(received, Event):
        exact = ("type", "seq", "id", "start", "end")
        assert isinstance(expected, Event)
        assert abs(received.confidence - expected.confidence) < TOLERANCE
    elif isinstance(received, Result):
        exact = ("seq", "column", "stable", "text")
        assert isinstance(expected, Result)
        probabilities = dict(expected.probabilities)
        for label, probability in received.probabilities:
            assert abs(probability - probabilities.get(label, probability)) < TOLERANCE, received
    else:
        assert received == expected
    for name in exact:
        assert getattr(received, name) == getattr(expected, name)


async def play(net: Net, script: list[Any]) -> list[Pair]:
    """Take the steps of a script, then wait until each client has got all its messages."""
    pool = POOLS[net.config.column_height]
    poison = POISON[: net.config.column_height]
    async with running(net, max_batch=8, max_columns=32) as engine:
        pairs = [Pair(EngineClient(engine, net, LIMITS)) for _ in range(N_CLIENTS)]
        gone: list[Pair] = []
        for step in script:
            match step:
                case "send", number, list(indices):
                    pairs[number].send(pool[indices].tobytes())
                case "send", number, frame:
                    pairs[number].send(frame)
                case "all send a column", index:
                    for pair in pairs:
                        pair.send(pool[index].tobytes())
                case "leave", number:  # another one comes, which gets the state's row
                    pairs[number].client.leave()
                    pairs[number].is_gone = True
                    gone.append(pairs[number])
                    pairs[number] = Pair(EngineClient(engine, net, LIMITS))
                case "break the net for", number:
                    # A single column of a transcriber may wait for its partner.
                    pairs[number].send(2 * poison)
                    pairs[number].is_poisoned = True
                case ("fail the next shared run",):
                    net.failures = 1
                case _, n_turns:
                    for _ in range(n_turns):
                        await asyncio.sleep(0)
        for pair in pairs:
            pair.send(message("ping", id="last"))
        for pair in pairs:
            await pair.client.wait_for_last(lambda received: received == Pong(id="last"))
    return pairs + gone


@pytest.mark.parametrize("kind", ["tiny", "tiny_lines"])
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(script=st.lists(steps, min_size=15, max_size=60))
def test_every_session_gets_the_messages_of_a_session_alone(
    kind: str, script: list[Any], request: pytest.FixtureRequest
) -> None:
    net = Net(request.getfixturevalue(kind))
    alone = Runtime(request.getfixturevalue(kind))
    for pair in asyncio.run(play(net, script)):
        pair.check(SessionClient(alone, LIMITS))
