"""A server that stops sends its last messages to every client."""

import contextlib
import json
import time
from pathlib import Path

import pytest

from tests.helpers.engine_sessions import DEADLINE_S, PausableEngine
from tests.helpers.raw_http import HANDSHAKE, connected, read_all
from tests.helpers.raw_websocket import CLOSE, RawClient, frame
from tests.helpers.running_server import server
from tests.service.server.test_slow_clients import ask_for_much, post

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


def test_a_request_that_outlasts_the_drain_is_a_503(
    tmp_path: Path, engines: list[PausableEngine], caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"columns": [[9] * 28]}).encode()
    with server(tmp_path, drain_timeout_s=0.2) as running, connected(running.port) as client:
        engines[0].pause()
        client.sendall(post("/v1/recognize", len(body)) + body)
        assert engines[0].has_work.wait(DEADLINE_S)
        running.server.should_exit = True
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"stopping"' in answer
    assert [record for record in caplog.records if record.exc_info] == []


def test_clients_that_take_nothing_do_not_delay_the_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(server(tmp_path, drain_timeout_s=0.01))
        for _ in range(3):
            stack.enter_context(RawClient(running.port)).send(frame(COLUMNS))
            stack.enter_context(ask_for_much(running))
        time.sleep(1.0)  # the answers come
        start_s = time.monotonic()
        running.server.should_exit = True
        running.thread.join(DEADLINE_S)
        assert time.monotonic() - start_s < 2.0
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_client_that_was_accepted_before_the_stop_may_still_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkstream.service.server.run.FIRST_REQUEST_S", DEADLINE_S)
    with server(tmp_path, drain_timeout_s=0.3) as running, contextlib.ExitStack() as stack:
        asking, streaming = (stack.enter_context(connected(running.port)) for _ in range(2))
        while len(running.server.server_state.connections) < 2:
            time.sleep(0.01)
        running.server.should_exit = True
        with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
            while True:  # until the server accepts no more
                connected(running.port).close()
        asking.sendall(b"GET /v1/models HTTP/1.1\r\nHost: [::1]\r\n\r\n")
        streaming.sendall(HANDSHAKE)
        answer, messages = read_all(asking), read_all(streaming)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert messages.startswith(b"HTTP/1.1 101 ")
    assert b'"type":"goaway"' in messages
