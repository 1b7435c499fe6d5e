"""The load balancers' configurations: with real balancers, real replicas, and TLS.

Others are tested on request: `BALANCERS=caddy,envoy pytest tests/test_balancers.py -k lost`.
"""

import asyncio
import base64
import json
import os
import re
import shutil
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from inkstream.service.bench.load import TEXT, frame
from inkstream.service.bench.processes import POLL_S
from inkstream.service.settings import Settings
from tests.balancers import (
    FOLDER,
    KINDS,
    LOOPBACK,
    N_REPLICAS,
    balancing,
    configure,
    get,
    make_certificate,
    replicas,
    restart_all,
)
from tests.helpers.engine_sessions import DEADLINE_S
from tests.helpers.target import Target
from tools.writing import Writers

TESTED = os.environ.get("BALANCERS", "nginx,haproxy").split(",")
TRUSTED = "SSL_CERT_FILE"  # where OpenSSL finds the certificates that clients trust
# Continuous integration installs them, so they may not be missing there.
needs_balancers = pytest.mark.needs(os.environ.get("CI") or all(map(shutil.which, TESTED)))

WRITERS = 6
MAX_SESSIONS = 6  # of a replica: two have room for all while the third is restarted
CUT_S = 2  # after which a balancer cuts a connection on which nothing comes
BLOCKED_S = 1.0  # without progress: nothing more is taken
MOST_BYTES = 16 << 20  # that sockets and balancers take before they stop to read


@dataclass(frozen=True)
class Site:
    """Replicas, and the ports of the balancers in front of them."""

    replicas: list[Target]
    ports: dict[str, int]

    def url(self, name: str) -> str:
        return f"wss://{LOOPBACK}:{self.ports[name]}"

    @property
    def alone(self) -> str:
        """The URL of a replica without a balancer."""
        return f"ws://{LOOPBACK}:{self.replicas[0].port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients trust the certificate."""
    monkeypatch.setenv(TRUSTED, str(certificate))


@contextmanager
def serving(
    certificate: Path, count: int, replaced: dict[str, str], **settings: object
) -> Iterator[Site]:
    """Run replicas behind both balancers while the block runs."""
    with (
        pytest.MonkeyPatch.context() as patch,
        replicas(count, **settings) as upstreams,
        ExitStack() as stack,
    ):
        patch.setenv(TRUSTED, str(certificate))
        # A file names three replicas; with fewer of them one has several names.
        ports = [upstreams[number % count].port for number in range(N_REPLICAS)]
        started = {
            name: stack.enter_context(balancing(name, certificate.parent, ports, replaced))
            for name in TESTED
        }
        yield Site(upstreams, started)


@pytest.fixture(scope="module")
def site(certificate: Path) -> Iterator[Site]:
    """Run three replicas that have room for few sessions."""
    settings = {"max-sessions": MAX_SESSIONS}
    with serving(certificate, N_REPLICAS, {}, **settings) as site:
        yield site


@pytest.fixture(scope="module")
def impatient(certificate: Path) -> Iterator[Site]:
    """Run a replica that reads few messages, behind balancers that soon cut silent connections."""
    settings = {
        "ping-interval-s": CUT_S / 8,
        "idle-timeout-s": 1.5 * CUT_S,
        "max-control-per-s": 10,
    }
    with serving(certificate, 1, {"60s": f"{CUT_S}s"}, **settings) as site:
        yield site


@needs_balancers
@pytest.mark.slow
async def test_nothing_is_lost_or_comes_twice_while_replicas_are_restarted(site: Site) -> None:
    writers = Writers(WRITERS)
    await writers.read_alone(site.alone, n_at_once=2)
    urls = [site.url(name) for name in TESTED]
    await writers.write_during(restart_all(site.replicas), urls)
    assert len(writers.gaps_ms["deploy"]) >= WRITERS / 2  # after goaway
    assert writers.written["lines"] >= WRITERS
    assert writers.written["events"] > WRITERS
    assert not writers.differences()


async def opened(stack: AsyncExitStack, url: str) -> ClientConnection:
    stream = await stack.enter_async_context(connect(f"{url}/v1/stream"))
    assert json.loads(await stream.recv())["type"] == "ready"
    return stream


async def opened_at_last(stack: AsyncExitStack, url: str) -> ClientConnection:
    """Open a stream as soon as the balancer has noticed that a replica has room again."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(InvalidStatus):
                return await opened(stack, url)


@needs_balancers
@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
async def test_a_full_replica_gets_no_new_sessions_and_keeps_those_it_has(
    site: Site, name: str
) -> None:
    async with AsyncExitStack() as stack:
        through = [await opened_at_last(stack, site.url(name)) for _ in range(N_REPLICAS)]
        n_direct = 0
        with suppress(InvalidStatus):
            while True:
                await opened(stack, site.alone)
                n_direct += 1
        assert n_direct  # the others have room for what is missing
        for _ in range(N_REPLICAS * (MAX_SESSIONS - 1) - n_direct):
            through.append(await opened_at_last(stack, site.url(name)))
        with pytest.raises(InvalidStatus) as refusal:  # all are full
            await opened(stack, site.url(name))
        assert refusal.value.response.status_code in (502, 503)  # of the balancer, or a replica's
        for stream in through:
            await stream.send('{"type":"ping"}')
            assert json.loads(await stream.recv())["type"] == "pong"


def wait_until_empty(upstreams: Sequence[Target]) -> None:
    end_s = time.monotonic() + DEADLINE_S
    for replica in upstreams:
        url = f"http://{LOOPBACK}:{replica.port}/metrics"
        while b"\ninkstream_sessions 0.0" not in get(url).read():
            assert time.monotonic() < end_s
            time.sleep(POLL_S)


@needs_balancers
@pytest.mark.slow
@pytest.mark.needs("nginx" in TESTED)
async def test_nginx_gives_replicas_that_have_room_again_all_that_come(site: Site) -> None:
    async with AsyncExitStack() as stack:
        for replica in site.replicas:
            with suppress(InvalidStatus):
                while True:
                    await opened(stack, f"ws://{LOOPBACK}:{replica.port}")
        with pytest.raises(InvalidStatus):
            await opened(stack, site.url("nginx"))
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(wait_until_empty, site.replicas)
        for _ in range(N_REPLICAS * (MAX_SESSIONS - 1)):
            await opened(stack, site.url("nginx"))


@needs_balancers
@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
async def test_pings_keep_a_silent_session_and_its_end_is_the_servers(
    impatient: Site, name: str
) -> None:
    codes = []
    async with AsyncExitStack() as stack:
        stream = await opened(stack, impatient.url(name))
        with suppress(ConnectionClosed):
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    codes.append(json.loads(await stream.recv())["code"])
    assert codes == ["idle"]
    assert stream.close_code == 4408


@needs_balancers
@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
async def test_a_client_that_sends_more_than_a_replica_reads_is_held_back(
    impatient: Site, name: str
) -> None:
    reader, writer = await asyncio.open_connection(
        LOOPBACK, impatient.ports[name], ssl=ssl.create_default_context()
    )
    key = base64.b64encode(bytes(16)).decode()
    writer.write(
        f"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Protocol: inkstream.v1\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    portion = frame(TEXT, b'{"type":"ping"}') * 4096
    n_bytes, is_blocked = 0, False
    while not is_blocked:
        writer.write(portion)
        n_bytes += len(portion)
        assert n_bytes < MOST_BYTES
        try:
            await asyncio.wait_for(writer.drain(), BLOCKED_S)
        except TimeoutError:
            is_blocked = True
    writer.transport.abort()


@needs_balancers
@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
def test_metrics_are_not_shown_to_clients(site: Site, name: str) -> None:
    url = f"https://{LOOPBACK}:{site.ports[name]}/metrics"
    assert httpx.get(url, verify=ssl.create_default_context()).status_code == 404


@contextmanager
def dying_replicas() -> Iterator[tuple[list[int], list[str]]]:
    """Yield the ports of servers that cut the connection at each POST, and the POSTs that came."""
    posts: list[str] = []

    class Dying(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            posts.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    servers = [ThreadingHTTPServer((LOOPBACK, 0), Dying) for _ in range(N_REPLICAS)]
    with ExitStack() as stack:
        for server in servers:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        yield [server.server_address[1] for server in servers], posts


@needs_balancers
@pytest.mark.parametrize("name", TESTED)
def test_a_body_that_ends_a_replica_is_not_sent_to_another_one(
    certificate: Path, name: str
) -> None:
    with (
        dying_replicas() as (ports, posts),
        balancing(name, certificate.parent, ports) as port,
    ):
        url = f"https://{LOOPBACK}:{port}/v1/recognize"
        answer = httpx.post(url, content=b"a page", verify=ssl.create_default_context())
        assert answer.status_code == 502
    assert posts == ["/v1/recognize"]


@pytest.mark.parametrize("name", KINDS)
def test_a_configuration_gets_the_ports_of_this_machine(name: str, tmp_path: Path) -> None:
    text = configure(name, tmp_path, 4443, [8001, 8002, 8003], {}).read_text()
    assert "inkstream-1:" not in text
    for port in (4443, 8001, 8002, 8003):
        assert str(port) in text
    with pytest.raises(ValueError, match="lacks"):
        configure(name, tmp_path, 4443, [8001] * 4, {})


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"caddy"}))  # which has no such limit
def test_balancers_wait_longer_than_pings_take(name: str) -> None:
    settings = Settings.load()
    text = (FOLDER / KINDS[name].file).read_text()
    (seconds,) = re.findall(r"(\d+)s;?  # longer than ping_interval_s", text)
    assert int(seconds) > settings.ping_interval_s + settings.ping_timeout_s


def test_nginx_takes_the_largest_body() -> None:
    (mebibytes,) = re.findall(
        r"client_max_body_size (\d+)m", (FOLDER / KINDS["nginx"].file).read_text()
    )
    assert int(mebibytes) << 20 == Settings.load().max_body_bytes
