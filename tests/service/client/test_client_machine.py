"""The client and a real session, over a socket that merges and delays results as a server may.

Whatever a program does with its stream (leave a loop early, rewind, reset), every result that it
gets is that of an uninterrupted line, belongs to the columns of that `send`, and comes in order.
"""

from collections import deque
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.runtime import Runtime
from inkstream.service.client import stream as client
from inkstream.service.client.conversation import Result
from inkstream.service.client.stream import connect_sync
from inkstream.service.protocol.server_messages import Result as ResultMessage
from inkstream.service.protocol.server_messages import ServerMessage, encode
from tests.helpers.single_session import LIMITS, SessionClient, uninterrupted

pytestmark = pytest.mark.slow

POOL = np.random.default_rng(1).integers(0, 256, (80, 28), np.uint8)
MOST = 300  # columns of one send
MAX_LINE = LIMITS.max_line_columns - MOST


class SessionSocket:
    """A socket whose other end is a session, with at most `run_columns` columns in a run."""

    def __init__(self, net: Runtime) -> None:
        self.client = SessionClient(net)
        self.run_columns = 64  # columns in one run
        self.merging = False
        self._received: deque[ServerMessage] = deque()

    def send(self, frame: str | bytes) -> None:
        self.client.send(frame)

    def __enter__(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def recv(self, timeout: float | None = None) -> bytes:
        while not self._received:
            self._received += self.client.new_messages()
            if not self._received:
                assert self.client.step(self.run_columns), (
                    "the client waits for a message that never comes"
                )
        message = self._received.popleft()
        while self.merging and type(message) is ResultMessage and self._next_is_result():
            message = self._received.popleft()
        return encode(message)

    def _next_is_result(self) -> bool:
        return bool(self._received) and type(self._received[0]) is ResultMessage


class ClientMachine(RuleBasedStateMachine):
    """One program with one stream; `line` is what it has written so far."""

    net: Runtime

    @initialize()
    def connect(self) -> None:
        self.socket = SessionSocket(self.net)
        self.connected = connect_sync("ws://127.0.0.1", reconnect=False)
        with patch.object(client, "open_sync", lambda *_, **__: self.socket):
            self.stream = self.connected.__enter__()
        self.line = b""

    @rule(run_columns=st.integers(1, 64), merging=st.booleans())
    def set_delivery(self, run_columns: int, merging: bool) -> None:
        self.socket.run_columns, self.socket.merging = run_columns, merging

    @precondition(lambda self: len(self.line) // 28 < MAX_LINE)
    @rule(first=st.integers(0, 79), n_columns=st.integers(0, MOST))
    def write(self, first: int, n_columns: int) -> None:
        columns = np.resize(np.roll(POOL, -first, 0), (n_columns, 28))
        before = len(self.line) // 28
        results = list(self.stream.send(columns))
        self.line += columns.tobytes()
        self._check(results, before)
        assert [result.column for result in results[-1:]] == [len(self.line) // 28 - 1][
            : len(columns)
        ]
        if not self.socket.merging:
            assert len(results) == len(columns)

    @precondition(lambda self: len(self.line) // 28 < MAX_LINE)
    @rule(n_columns=st.integers(1, MOST), n_read=st.integers(0, 20))
    def write_and_leave_early(self, n_columns: int, n_read: int) -> None:
        columns = np.resize(POOL, (n_columns, 28))
        before = len(self.line) // 28
        results = []
        for result in self.stream.send(columns):
            results.append(result)
            if len(results) > n_read:
                break
        self.line += columns.tobytes()
        self._check(results, before)

    @precondition(lambda self: len(self.line) // 28 < MAX_LINE)
    @rule(n_columns=st.integers(1, MOST))
    def write_without_reading(self, n_columns: int) -> None:
        columns = np.resize(POOL, (n_columns, 28))
        self.stream.send(columns)
        self.line += columns.tobytes()

    @rule(back=st.integers(0, LIMITS.max_rewind_columns))
    def rewind(self, back: int) -> None:
        column = max(0, len(self.line) // 28 - back)
        if column >= self._furthest() - LIMITS.max_rewind_columns:
            assert self.stream.rewind(column).column == column
            self.line = self.line[: 28 * column]

    def _furthest(self) -> int:
        session: Any = self.socket.client.session
        return int(session._line.oldest) + LIMITS.max_rewind_columns

    @rule()
    def reset(self) -> None:
        self.stream.reset()
        self.line = b""

    @invariant()
    def flush_knows_the_line(self) -> None:
        if hasattr(self, "stream"):
            flushed = self.stream.flush()
            assert flushed.columns == len(self.line) // 28
            assert (flushed.label is None) == (not self.line)

    def _check(self, results: list[Result], before: int) -> None:
        """Check that results rise, are after `before`, and are those of an uninterrupted line."""
        columns = [result.column for result in results]
        assert columns == sorted(set(columns))
        assert all(column >= before for column in columns)
        if results:
            expected: NDArray[np.float32] = uninterrupted(self.net, self.line)
            probabilities = [list(result.probabilities.values()) for result in results]
            np.testing.assert_allclose(probabilities, expected[columns], atol=1e-4)


def test_a_program_gets_the_results_of_its_own_columns_after_any_sequence_of_calls(
    tiny: Checkpoint,
) -> None:
    ClientMachine.net = Runtime(tiny)
    run_state_machine_as_test(
        ClientMachine, settings=settings(max_examples=60, stateful_step_count=20)
    )
