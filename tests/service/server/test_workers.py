"""Several processes that serve: they share the load, are replaced, and end together."""

import asyncio
import json
import signal
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect as open_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from inkstream.model.checkpoint import Checkpoint
from tests.helpers import builders
from tests.helpers.command_line import inkstream, one_line
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.single_session import INK, message
from tests.helpers.target import Target

pytestmark = pytest.mark.slow

SECRET = "hush-key"
WITH_KEY = {"Authorization": f"Bearer {SECRET}"}


@contextmanager
def workers(folder: Path, *flags: str, **environment: str) -> Iterator[Target]:
    """Serve the model `tiny` of a folder with two workers; they serve when the block begins."""
    model = ["--models", "tiny", "--weights", str(folder), "--languages", ""]
    number = [] if "--config" in flags else ["--workers", "2"]
    with Target(*number, *model, *flags, **environment) as target:
        wait_until(lambda: events(target, "serving") == 2)
        yield target


def wait_until(condition: Any) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def events(target: Target, event: str) -> int:
    """Return how many lines of the log have this event."""
    return sum(line["event"] == event for line in target.log)


def processes(target: Target) -> dict[int, psutil.Process]:
    """Return the workers that live, by number."""
    found = {}
    for each in psutil.Process(target.process.pid).children():
        with suppress(psutil.Error, IndexError):  # it ends just now
            found[int(each.cmdline()[4])] = each
    return found


def opened(target: Target, stack: ExitStack, count: int) -> dict[int, list[ClientConnection]]:
    """Open streams one after the other; return them by the number of their worker."""
    streams: dict[int, list[ClientConnection]] = {}
    for _ in range(count):
        before = events(target, "session opened")
        stream = stack.enter_context(connect(target.url, additional_headers=WITH_KEY))
        stream.recv()
        wait_until(lambda before=before: events(target, "session opened") > before)
        lines = [line for line in target.log if line["event"] == "session opened"]
        streams.setdefault(lines[-1]["worker"], []).append(stream)
    return streams


def shared(
    target: Target, stack: ExitStack, *workers: int
) -> defaultdict[int, list[ClientConnection]]:
    """Open streams until each of these workers has two; return them as `opened` does.

    The worker with the fewest accepts first, unless it is kept waiting for 5 ms: on a busy machine
    no number of streams is enough for certain.
    """
    streams = defaultdict[int, list[ClientConnection]](list)
    while any(len(streams[worker]) < 2 for worker in workers):
        for worker, more in opened(target, stack, 1).items():
            streams[worker] += more
    return streams


def wait_for(stream: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of this kind."""
    while True:
        got: dict[str, Any] = json.loads(stream.recv(DEADLINE_S))
        if got["type"] == kind:
            return got


def answer(stream: ClientConnection) -> dict[str, Any]:
    """Send a column and return its result."""
    stream.send(INK)
    return wait_for(stream, "result")


def read_to_the_end(stream: ClientConnection) -> list[str]:
    """Return the types of all messages that come until the connection closes."""
    try:
        return [json.loads(text)["type"] for text in stream]
    except ConnectionClosed:
        return []


def test_workers_share_connections_metrics_and_settings_and_survive_each_other(
    tiny: Checkpoint,
) -> None:
    with workers(tiny.path.parent, INKSTREAM_API_KEYS=SECRET) as target, ExitStack() as stack:
        for worker in processes(target).values():
            assert SECRET not in " ".join(worker.cmdline())
            assert not [name for name in worker.environ() if name.startswith("INKSTREAM_")]

        with connect(target.url, additional_headers=WITH_KEY) as asked:
            digest = json.loads(asked.recv(DEADLINE_S))["model"]["digest"]
        wait_until(lambda: events(target, "session closed") == 1)
        streams = shared(target, stack, 1, 2)
        n_streams = len(streams[1]) + len(streams[2])
        for stream in (*streams[1], *streams[2]):
            answer(stream)
        assert target.metric("inkstream_columns_total") == n_streams
        assert target.metric("inkstream_sessions") == n_streams
        assert target.metric("inkstream_workers") == 2

        streams[1][0].send(message("configure", snapshot_columns=64))
        streams[1][0].send(INK * 64)
        snapshot = wait_for(streams[1][0], "snapshot")
        processes(target)[1].kill()
        for stream in streams[1]:
            with pytest.raises(ConnectionClosed):
                stream.recv(DEADLINE_S)
        (other,) = opened(target, stack, 1)[2]  # while no other worker serves
        other.send(message("resume", heard=66, digest=digest, snapshot=snapshot["blob"]))
        assert wait_for(other, "resumed")["messages"] == snapshot["messages"] == 3
        streams[2].append(other)
        for stream in streams[2]:
            answer(stream)
        ended = target.wait_for("worker ended, another one starts")
        assert (ended["worker"], ended["reason"]) == (1, "ended by SIGKILL")
        wait_until(lambda: events(target, "serving") == 3)
        assert target.metric("inkstream_columns_total") >= n_streams + 64 + len(streams[2])
        assert target.metric("inkstream_sessions") == len(streams[2])
        later = shared(target, stack, 1)  # by the new worker

        target.process.send_signal(signal.SIGTERM)
        for stream in (*streams[2], *later[1], *later[2]):
            wait_for(stream, "goaway")
            stream.send(message("end"))
            assert read_to_the_end(stream)[-1] == "done"
        stack.close()
        assert target.process.wait(DEADLINE_S) == 0
        assert not [line for line in target.log if "text" in line or "exception" in line]


async def test_sessions_that_are_opened_at_once_are_spread(tiny: Checkpoint) -> None:
    with workers(tiny.path.parent) as target:
        async with AsyncExitStack() as stack:
            opening = (stack.enter_async_context(open_async(target.url)) for _ in range(64))
            await asyncio.gather(*opening)
            wait_until(lambda: events(target, "session opened") == 64)
        opened = [line for line in target.log if line["event"] == "session opened"]
        counts = Counter(line["worker"] for line in opened)
        assert min(counts[1], counts[2]) >= 16
        assert target.stop()[0] == 0


@contextmanager
def newcomers(target: Target) -> Iterator[list[Any]]:
    """Let a client open one stream after the other while the block runs.

    Yields what it got of each: `max_rewind_columns` of `ready`, or the error.
    """
    found: list[Any] = []
    ended = threading.Event()

    def keep_coming() -> None:
        while not ended.wait(0.02):
            try:
                with connect(target.url) as stream:
                    ready = json.loads(stream.recv(DEADLINE_S))
                    found.append(ready["limits"]["max_rewind_columns"])
                with urllib.request.urlopen(f"{target.http}/readyz", timeout=DEADLINE_S) as http:
                    assert http.status == 200
            except Exception as error:
                found.append(error)

    thread = threading.Thread(target=keep_coming)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def test_a_hang_up_replaces_the_workers_and_refuses_no_client(tmp_path: Path) -> None:
    weights = builders.checkpoint(tmp_path / "tiny.onnx").path
    settings = tmp_path / "inkstream.toml"
    settings.write_text("workers = 2\nmax_rewind_columns = 64\n")
    flags = ["--config", str(settings), "--drain-timeout-s", str(DEADLINE_S)]
    with workers(tmp_path, *flags) as target, ExitStack() as stack:
        streams = [each for some in opened(target, stack, 4).values() for each in some]
        first = {each.pid for each in processes(target).values()}

        # Neither wrong settings nor a model that cannot be read do harm.
        settings.write_text("max_rewind_columns = -1\n")
        target.process.send_signal(signal.SIGHUP)
        line = target.wait_for("workers not replaced: the settings are refused")
        assert "max_rewind_columns is -1" in line["reason"]
        settings.write_text("workers = 2\nmax_rewind_columns = 65\n")
        good = weights.read_bytes()
        weights.write_bytes(b"no model")
        target.process.send_signal(signal.SIGHUP)
        line = target.wait_for("workers not replaced: a new one cannot start")
        assert "tiny.onnx" in line["reason"]
        weights.write_bytes(good)
        for stream in streams:
            answer(stream)
        assert {each.pid for each in processes(target).values()} == first

        settings.write_text("workers = 1\nmax_rewind_columns = 65\n")
        with newcomers(target) as found:
            target.process.send_signal(signal.SIGHUP)
            for stream in streams:
                wait_for(stream, "goaway")
                answer(stream)
                stream.send(message("end"))
                assert read_to_the_end(stream)[-1] == "done"
            target.wait_for("workers replaced")
            wait_until(lambda: len(processes(target)) == 1)
        assert not first & {each.pid for each in processes(target).values()}
        with newcomers(target) as later:
            wait_until(lambda: len(later) >= 4)
        assert set(found) == {64, 65}
        assert set(later) == {65}
        stack.close()
        assert target.stop()[0] == 0
        assert not [line for line in target.log if "text" in line or "exception" in line]


def test_a_worker_is_started_until_it_serves_and_killed_if_it_does_not_end(tmp_path: Path) -> None:
    weights = builders.checkpoint(tmp_path / "tiny.onnx").path
    good = weights.read_bytes()
    with workers(tmp_path, "--drain-timeout-s", "0.1") as target:
        weights.write_bytes(b"no model")
        processes(target)[1].kill()
        wait_until(lambda: events(target, "worker cannot start") == 2)
        weights.write_bytes(good)
        wait_until(lambda: events(target, "serving") == 3)
        hung = processes(target)[2]
        hung.suspend()
        code, seconds = target.stop()
        assert code == 1
        assert 2.1 < seconds < DEADLINE_S
        error = "inkstream: worker 2: it took too long and was killed\n"
        wait_until(lambda: error in [line.get("text") for line in target.log])


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_all_workers_at_once(
    tiny: Checkpoint, signal_number: signal.Signals
) -> None:
    with workers(tiny.path.parent, "--drain-timeout-s", "3600") as target, ExitStack() as stack:
        streams = [each for some in opened(target, stack, 2).values() for each in some]
        target.process.send_signal(signal_number)
        for worker in processes(target).values():
            worker.send_signal(signal_number)  # as a service manager may do
        for stream in streams:
            wait_for(stream, "goaway")
        code, seconds = target.stop(signal_number)
        assert code == 0
        assert seconds < DEADLINE_S
        assert not [line for line in target.log if line.get("level") == "error"]


def test_workers_end_when_the_supervisor_is_killed(tiny: Checkpoint) -> None:
    with workers(tiny.path.parent, "--drain-timeout-s", "0.5") as target, ExitStack() as stack:
        (stream,) = (each for some in opened(target, stack, 1).values() for each in some)
        living = processes(target).values()
        folders = {Path(worker.cmdline()[5]) for worker in living}
        assert [folder.is_dir() for folder in folders] == [True]
        target.process.kill()
        wait_for(stream, "goaway")
        _, alive = psutil.wait_procs(living, DEADLINE_S)
        assert not alive
        assert [folder.exists() for folder in folders] == [False]


def test_workers_that_cannot_start_are_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    models = ["--models", "bad", "--weights", tmp_path, "--languages", ""]
    result = inkstream("serve", "--workers", "2", "--port", "0", *models)
    assert result.returncode == 1
    assert "bad.onnx" in one_line(result.stderr)
