"""A log that nobody reads: the server goes on, counts what it drops, and stops in time."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection

import httpx
import pytest

from inkstream.service.client.stream import connect_sync
from inkstream.service.observe.logs import MAX_WAITING
from tests.helpers import builders, hard_metadata
from tests.helpers.command_line import INKSTREAM, ROOT
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.http import PNG
from tests.helpers.target import Target

pytestmark = pytest.mark.slow

PIPE_BYTES = 64 * 1024  # of Linux: pipe(7)
LINE_BYTES = 100  # of the log, at the least
DRAIN_S = 1.0


class Unread:
    """A server whose log is a pipe that nobody reads after the first line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self.process, self.log = process, process.stderr
        self.address = json.loads(self.log.readline())["url"].removeprefix("http://")
        self.connection = HTTPConnection(self.address, timeout=DEADLINE_S)

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the text of an answer."""
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        return response.status, response.read().decode()

    def dropped(self) -> float:
        """Return how many lines of its log were dropped."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith("inkstream_log_lines_dropped_total "):
                return float(line.split()[1])
        raise AssertionError("there is no such metric")

    def fill(self, n_lines: int) -> None:
        """Have so many lines logged, one for each refused request."""
        for _ in range(n_lines):
            assert self.get("/v1/recognize")[0] == HTTPStatus.METHOD_NOT_ALLOWED

    def stop(self) -> float:
        """Stop the server; return the seconds that it took."""
        start_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE_S) == 0
        return time.monotonic() - start_s


@contextmanager
def unread() -> Iterator[Unread]:
    """Serve digits; end the server in any case."""
    command = [*INKSTREAM, "serve", "--port", "0", "--log-format", "json", "--models", "digits"]
    command += ["--languages", "", "--drain-timeout-s", str(DRAIN_S)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        server = Unread(process)
        try:
            yield server
        finally:
            process.kill()
            server.connection.close()


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    with unread() as server:
        n_lines = 0
        while not server.dropped():
            assert n_lines < MAX_WAITING + PIPE_BYTES // LINE_BYTES
            server.fill(500)
            n_lines += 500
        before = server.dropped()
        server.fill(100)
        assert server.dropped() == before + 100
        with connect_sync(f"ws://{server.address}/v1/stream") as stream:
            for _ in stream.send(builders.columns(20)):
                pass
            assert server.stop() < DRAIN_S + 2.0


def test_images_that_pillow_warns_of_fill_no_log() -> None:
    with unread() as server:
        for number in range(300, 320):  # each with warnings of its own
            server.connection.request("POST", "/v1/recognize", hard_metadata.jpeg(number))
            server.connection.getresponse().read()
        server.connection.request("POST", "/v1/recognize", hard_metadata.png(65_000))
        server.connection.getresponse().read()
        assert server.get("/readyz")[0] == HTTPStatus.OK
        assert server.stop() < DRAIN_S + 2.0
        assert {json.loads(line)["event"] for line in server.log} == {"request"}


def test_hints_stand_in_no_line_of_the_log() -> None:
    hint = "geheimnis"
    queries = [f"words={hint}", f"context={hint}", f"pattern={hint}", f"pattern={hint}("]
    queries += [f"context={hint}&page={hint}", f"words={hint}&model=digits", f"{hint}=1"]
    with Target("--models", "lines,digits", "--languages", "english") as target:
        for query in queries:
            httpx.post(f"{target.http}/v1/recognize?{query}", content=PNG.read_bytes())
        target.stop()
    assert sum(line["event"] == "request" for line in target.log) == len(queries)
    assert hint not in json.dumps(target.log)


def test_a_log_that_is_closed_stops_nothing() -> None:
    with unread() as server:
        server.log.close()
        server.fill(100)
        assert server.get("/readyz")[0] == HTTPStatus.OK
        assert server.dropped() == 0
        server.stop()


def test_all_lines_are_in_their_order_once_the_reader_comes() -> None:
    n_lines = 1500  # more than the pipe holds, fewer than may wait
    with unread() as server:
        server.fill(n_lines)
        server.process.send_signal(signal.SIGTERM)
        text = server.log.read().decode()
        assert server.process.wait(DEADLINE_S) == 0
    times = [json.loads(line)["timestamp"] for line in text.splitlines()]
    assert len(times) == n_lines
    assert times == sorted(times)
