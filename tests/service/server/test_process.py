"""The server as a process and as a listener: start, refusals, deadlines of connections, the end."""

import json
import resource
import signal
import socket
import time
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.errors import ConfigError
from inkstream.service.server.listeners import listen, raise_descriptor_limit
from inkstream.service.settings import Settings
from tests.helpers.command_line import inkstream
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.single_session import INK, message
from tests.helpers.target import Target

pytestmark = pytest.mark.slow


def process(checkpoint: Checkpoint, *flags: str, **environment: str) -> Target:
    """Serve the model `tiny`."""
    folder = str(checkpoint.path.parent)
    return Target("--models", "tiny", "--weights", folder, *flags, **environment)


# The end


def test_a_server_that_is_stopped_sends_goaway_lets_sessions_end_and_exits_with_0(
    tiny: Checkpoint,
) -> None:
    with process(tiny) as running, connect(running.url) as stream:
        stream.recv()
        stream.send(INK)
        stream.recv()
        running.process.send_signal(signal.SIGTERM)
        goaway = json.loads(stream.recv())
        stream.send(INK)
        stream.send(message("end"))
        messages = [json.loads(text)["type"] for text in stream]
        assert running.process.wait(DEADLINE_S) == 0
    assert goaway["type"] == "goaway"
    assert 4000 < goaway["time_left_ms"] <= 5000
    assert messages == ["result", "done"]
    assert stream.protocol.close_code == 1000


def test_a_session_that_outlasts_the_drain_is_closed_with_1001(tiny: Checkpoint) -> None:
    messages = []
    with process(tiny, "--drain-timeout-s", "0.3") as running, connect(running.url) as stream:
        stream.recv()
        running.process.send_signal(signal.SIGTERM)
        with suppress(ConnectionClosed):
            messages += [json.loads(text) for text in stream]
        assert running.process.wait(DEADLINE_S) == 0
    assert [each["type"] for each in messages] == ["goaway", "error"]
    assert stream.protocol.close_code == 1001


def test_a_line_goes_on_with_another_server_that_has_the_key(tiny: Checkpoint) -> None:
    old, new = "the key of last month is long enough", "the key of this month is long enough"
    with process(tiny, INKSTREAM_RESUME_KEYS=old) as first, connect(first.url) as stream:
        digest = json.loads(stream.recv())["model"]["digest"]
        stream.send(message("configure", snapshot_columns=64))
        stream.send(INK * 64)
        *heard, snapshot = [json.loads(stream.recv()) for _ in range(66)]
        stream.send(INK)
        expected = json.loads(stream.recv())
    numbers = {"heard": heard[-1]["seq"], "digest": digest}
    resume = message("resume", id=1, snapshot=snapshot["blob"], **numbers)
    with (
        process(tiny, INKSTREAM_RESUME_KEYS=f"{new},{old}") as second,
        connect(second.url) as stream,
    ):
        stream.recv()
        for frame in (resume, INK, message("end")):
            stream.send(frame)
        resumed, result, done = [json.loads(text) for text in stream]
    assert resumed == {"type": "resumed", "id": 1, "messages": 2}
    assert result == expected
    assert done["columns"] == 65
    with process(tiny) as other, connect(other.url) as stream:
        stream.recv()
        stream.send(resume)
        assert json.loads(stream.recv())["messages"] == 0  # it has another key


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(tiny: Checkpoint, signal_number: signal.Signals) -> None:
    with process(tiny, "--drain-timeout-s", "3600") as running, connect(running.url) as stream:
        stream.recv()
        running.process.send_signal(signal_number)
        stream.recv()
        assert running.stop(signal_number)[0] == 0
    assert [line for line in running.log if line["level"] == "error"] == []


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once_even_if_it_is_told_twice(
    tiny: Checkpoint, signal_number: signal.Signals
) -> None:
    with process(tiny, "--drain-timeout-s", "3600") as running:
        running.process.send_signal(signal_number)
        if signal_number == signal.SIGTERM:
            time.sleep(0.01)  # two signals at the same moment would be one
            running.process.send_signal(signal_number)
        assert running.process.wait(DEADLINE_S) == 0
    assert [line for line in running.log if line["level"] == "error"] == []


# The start


def test_a_port_in_use_is_an_error_of_one_line(tiny: Checkpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        folder = str(tiny.path.parent)
        result = inkstream("serve", "--models", "tiny", "--weights", folder, "--port", port)
    assert result.returncode == 1
    expected = f"inkstream: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    assert result.stderr == expected
    assert result.stdout == ""


def test_a_host_that_does_not_exist_is_an_error_of_one_line() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on nowhere\.invalid port 8000: "):
        listen(Settings.load(host="nowhere.invalid"))


def test_all_addresses_of_a_host_are_listened_on_at_one_port() -> None:
    listeners = listen(Settings.load(host="localhost", port=0))
    ports = {listener.getsockname()[1] for listener in listeners}
    for listener in listeners:
        listener.close()
    assert len(ports) == 1
    assert ports != {0}


def test_a_server_on_a_public_address_without_keys_warns(tiny: Checkpoint) -> None:
    for environment, is_open in (({}, True), ({"INKSTREAM_API_KEYS": "hush"}, False)):
        with process(tiny, "--host", "0.0.0.0", **environment) as running:
            running.stop()
        is_said = "anyone who reaches this server may use it" in json.dumps(running.log)
        assert is_said is is_open


def test_neither_keys_nor_queries_are_logged(tiny: Checkpoint) -> None:
    with process(tiny, INKSTREAM_API_KEYS="hush-key") as running:
        headers = {"Authorization": "Bearer hush-key"}
        url = running.url + "?model=tiny&note=private"
        with connect(url, additional_headers=headers) as stream:
            stream.recv()
        with pytest.raises(InvalidStatus, match="401"):
            connect(url, additional_headers={"Authorization": "Bearer wrong-key"})
        running.stop()
    log = json.dumps(running.log)
    assert "session closed" in log
    assert "session refused" in log
    for secret in ("hush-key", "wrong-key", "private"):
        assert secret not in log


# Descriptors


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "warned"),
    [
        (256, 4096, 1000, False),
        (256, resource.RLIM_INFINITY, 1000, False),
        (256, 512, 512, True),
        (2000, 4096, 2000, False),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, False),
    ],
)
def test_descriptors_are_allowed_as_needed_or_a_warning_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    raised: int,
    warned: bool,
) -> None:
    limits = {resource.RLIMIT_NOFILE: (soft, hard)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    raise_descriptor_limit(1000)
    assert limits == {resource.RLIMIT_NOFILE: (raised, hard)}
    assert ("too few descriptors" in caplog.text) is warned
