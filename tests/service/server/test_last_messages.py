"""A server that stops sends its last messages to every client."""

import contextlib
import json
from pathlib import Path

from tests.helpers.raw_websocket import CLOSE, RawClient, frame
from tests.helpers.running_server import server

COLUMNS = bytes(28 * 64)
GOING_AWAY = 1001


def test_a_client_that_keeps_sending_gets_the_last_messages_of_a_stopping_server(
    tmp_path: Path,
) -> None:
    with server(tmp_path, drain_timeout_s=0.01) as running, RawClient(running.port) as client:
        client.send(frame(COLUMNS))
        running.server.should_exit = True
        payloads = []
        while client.kind != CLOSE:
            payloads.append(client.read())
        client.send(frame(COLUMNS) * 100)  # the server reads nothing of this
        client.send(frame(payloads[-1], CLOSE))
        assert client.socket.recv(1) == b""  # closed without a reset
    assert payloads[-1][:2] == GOING_AWAY.to_bytes(2)
    assert json.loads(payloads[-2])["code"] == "stopping"


def test_a_client_that_does_not_reply_to_the_close_is_not_waited_for_long(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(server(tmp_path, drain_timeout_s=0.01))
        clients = [stack.enter_context(RawClient(running.port)) for _ in range(3)]
        running.server.should_exit = True
        for client in clients:
            client.read_to_the_end()
            assert client.kind == CLOSE
            assert client.socket.recv(1) == b""
