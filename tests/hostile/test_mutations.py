"""Messages and requests that are nearly right, many of them: everything is answered or closed.

`HOSTILE_S` says for how many seconds each kind is sent beside others who must not notice,
`HOSTILE_SEED` with which seed. All print how many there were.
"""

import os
import socket
import time
from collections.abc import Callable

import pytest

from inkstream.service.page_workers.pool import IDLE_S
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.mutations import Mutator
from tests.helpers.raw_websocket import CLOSE, TEXT, RawClient, frame
from tests.helpers.target import Target
from tests.hostile.conftest import Unnoticed, faults_in

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("HOSTILE_S", "5"))
SHORT_S = 5.0  # where nothing is measured
SEED = int(os.environ.get("HOSTILE_SEED", "0"))
AT_ONCE = 8  # messages in one write, and a ping behind them
QUIET_S = 3.0  # longer than messages that have been sent too fast are waited for
REST = bytes(1 << 17)  # of any frame that is allowed; what comes behind it is no frame
PING = frame(b'{"type":"ping","id":"answer"}', TEXT)
RESERVED = {500, 502, 504}  # statuses that a fault of ours would have


def write_until_closed(port: int, mutator: Mutator, end_s: float) -> int:
    """Send mutated messages over one WebSocket until it is closed; return how many."""
    sent = 0
    model = mutator.random.choice(["lines", "digits"])
    with RawClient(port, f"?model={model}") as client:
        while time.monotonic() < end_s:
            client.send(b"".join(mutator.frames() for _ in range(AT_ONCE)) + PING)
            sent += AT_ONCE
            client.socket.settimeout(QUIET_S)
            while True:
                try:
                    answer = client.read()
                except TimeoutError:  # the server waits for the rest of a frame
                    client.socket.settimeout(DEADLINE_S)
                    client.send(REST)
                    client.read_to_the_end()
                    return sent
                except (EOFError, ConnectionError):
                    return sent
                if client.kind == CLOSE:
                    return sent
                if b'"type":"pong"' in answer and b'"answer"' in answer:
                    break
    return sent


def send_messages(target: Target, seconds: float) -> None:
    """Send mutated messages for a time, over as many connections as that takes."""
    mutator, sent, connections = Mutator(SEED), 0, 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        sent += write_until_closed(target.port, mutator, end_s)
        connections += 1
    print(f"seed {SEED}: {sent:,} messages over {connections:,} connections")
    assert sent > 50 * seconds


def answer_to(port: int, request: bytes) -> bytes:
    """Send a request, then nothing more; return all that comes back until the server closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65_536):
            answer += data
    return answer


def send_requests(target: Target, seconds: float) -> None:
    """Send mutated requests for a time; fail for an answer that would be a fault of ours."""
    mutator, sent, answered = Mutator(SEED), 0, 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        request = mutator.request()
        try:
            answer = answer_to(target.port, request)
        except ConnectionError:
            answer = b""
        sent += 1
        if answer:
            answered += 1
            status = int(answer.split()[1])
            assert status not in RESERVED, (request, answer)
    print(f"seed {SEED}: {sent:,} requests, {answered:,} answered")
    assert sent > 20 * seconds


SENDERS = [send_messages, send_requests]


@pytest.mark.parametrize("send", SENDERS)
def test_all_that_is_mutated_is_answered(target: Target, send: Callable[..., None]) -> None:
    logged = len(target.log)
    send(target, SHORT_S)
    assert not faults_in(target.log[logged:])


@pytest.mark.parametrize("send", SENDERS)
def test_nobody_notices_what_is_mutated(unnoticed: Unnoticed, send: Callable[..., None]) -> None:
    with unnoticed.attack(settle_s=IDLE_S + 2) as target:  # the page workers end then
        send(target, SECONDS)
