"""A server that stops sends its last messages to every client."""

import contextlib
import json
from pathlib import Path

from tests.helpers.raw_websocket import CLOSE, RawClient, frame
from tests.helpers.running_server import server

COLUMNS = bytes(28 * 64)
GOING_AWAY = 1001


def test_a_client_that_goes_on_sending_gets_the_last_messages_of_a_stopping_server(
    tmp_path: Path,
) -> None:
    with server(tmp_path, drain_timeout_s=0.01) as place, RawClient(place.port) as client:
        client.send(frame(COLUMNS))
        place.server.should_exit = True
        said = []
        while client.kind != CLOSE:
            said.append(client.read())
        client.send(frame(COLUMNS) * 100)  # it was about to, and nothing of this is read any more
        client.send(frame(said[-1], CLOSE))
        assert client.socket.recv(1) == b""  # the end, in good order
    assert said[-1][:2] == GOING_AWAY.to_bytes(2)
    assert json.loads(said[-2])["code"] == "stopping"


def test_a_client_that_does_not_reply_to_the_close_is_not_waited_for_long(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(server(tmp_path, drain_timeout_s=0.01))
        clients = [stack.enter_context(RawClient(place.port)) for _ in range(3)]
        place.server.should_exit = True
        for client in clients:
            client.read_to_the_end()
            assert client.kind == CLOSE
            assert client.socket.recv(1) == b""
