"""Let writers write through load balancers while all replicas behind them are restarted.

    python -m tools.balancers --writers 100 --balancers nginx,haproxy

The configurations of `docker/balancers` run on this machine, over TLS, in front of three processes
of `inkstream serve`; only their addresses and files are replaced. Writers write as in `chaos`,
through the Python client. Replica after replica gets SIGTERM, ends, and is started again. Then
every line is sent again to a replica that nothing disturbs: text, columns and events must be equal,
and no event may have come twice. Writes `docs/reports/balancers.json`; the exit code is 1 if
anything differs.
"""

import asyncio
import ipaddress
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from inkstream.service.bench.pens import Sent, ink_messages
from inkstream.service.bench.processes import (
    POLL_S,
    START_TIMEOUT_S,
    STOP_TIMEOUT_S,
    allow_connections,
    describe_machine,
    environment,
    free_port,
)
from inkstream.service.client.stream import connect
from inkstream.service.sealing import random_key
from tools.chaos import Heard, quantiles, read_again, write
from tools.writing import RESET, compare, differences

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "docker" / "balancers"
REPORT: Final = ROOT / "docs" / "reports" / "balancers.json"
MODEL: Final = "lines"
N_REPLICAS: Final = 3
LOOPBACK: Final = "127.0.0.1"
TRUSTED: Final = "SSL_CERT_FILE"  # where OpenSSL finds the certificates that clients trust
FLUSH: Final = '{"type":"flush"}'
# On a test's machine no other Caddy may run, and port 80 may be taken.
CADDY_OPTIONS: Final = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
LOG_CHARACTERS: Final = 4000  # of a balancer's log, shown after a failure
DRAIN_S: Final = 15.0  # sessions move sooner, but for a machine that is very busy
BETWEEN_S: Final = 2.0  # a balancer's probe finds a replica that has come back within one second


@dataclass(frozen=True)
class Kind:
    """A load balancer: its file in `docker/balancers`, and its commands with {} for that file."""

    file: str
    run: str
    check: str
    listens: tuple[str, str]  # what the file has, and by what it is replaced on a port {}
    replica: str = "inkstream-{}:8000"  # what the file has for the replica of a number


KINDS: Final = {
    "nginx": Kind(
        "nginx.conf",
        "nginx -e stderr -c {} -g 'daemon off; pid {}.pid;'",
        "nginx -e stderr -c {} -g 'pid {}.pid;' -t",
        ("listen 443 ", f"listen {LOOPBACK}:{{}} "),
    ),
    "haproxy": Kind(
        "haproxy.cfg",
        "haproxy -f {}",
        "haproxy -f {} -c",
        ("bind :443 ", f"bind {LOOPBACK}:{{}} "),
    ),
    "caddy": Kind(
        "Caddyfile",
        "caddy run --adapter caddyfile --config {}",
        "caddy validate --adapter caddyfile --config {}",
        (":443 {", f":{{}} {{{{\n\tbind {LOOPBACK}"),
    ),
    "envoy": Kind(
        "envoy.yaml",
        "envoy -c {} --disable-hot-restart --log-level warning",
        "envoy -c {} --disable-hot-restart --mode validate",
        ("0.0.0.0, port_value: 443 ", f"{LOOPBACK}, port_value: {{}} "),
        "inkstream-{}, port_value: 8000 ",
    ),
}


def get(url: str) -> Any:
    """Return the open answer of a call; raise `OSError` for one that fails."""
    return urllib.request.urlopen(url, timeout=5)


class Replica:
    """One process of `inkstream serve` on a port that it keeps when it is restarted."""

    def __init__(
        self,
        resume_key: str,
        *,
        command: Sequence[str] = (),
        output: IO[bytes] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Start it, behind a command if there is one; what it prints goes into `output`."""
        self.port = free_port()
        flags: dict[str, object] = {"models": MODEL, "languages": "", "log-level": "warning"}
        flags |= {"drain-timeout-s": DRAIN_S, **(settings or {})}
        flags |= {"host": LOOPBACK, "port": self.port, "trusted-proxies": LOOPBACK}
        self._command = [*command, sys.executable, "-P", "-m", "inkstream", "serve"]
        self._command += [f"--{name}={value}" for name, value in flags.items()]
        self._output = output
        self._environment = environment() | {"INKSTREAM_RESUME_KEYS": resume_key}
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, env=self._environment, stdout=self._output)

    def wait(self) -> None:
        """Wait until it is ready."""
        end_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end_s and self._process.poll() is None:
            with suppress(OSError), get(f"http://{LOOPBACK}:{self.port}/readyz"):
                return
            time.sleep(POLL_S)
        raise RuntimeError(f"replica on port {self.port} is not ready: {self._process.poll()}")

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def restart(self) -> None:
        """Have it drain and end, start it again, and wait until it is ready."""
        self._process.terminate()
        if code := self._process.wait(STOP_TIMEOUT_S):
            raise RuntimeError(f"replica on port {self.port} ended with {code}")
        self._start()
        self.wait()

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


@contextmanager
def replicas(count: int = N_REPLICAS, **settings: object) -> Iterator[list[Replica]]:
    """Run replicas that can resume each other's lines while the block runs."""
    resume_key = random_key()
    started: list[Replica] = []
    try:
        for _ in range(count):
            started.append(Replica(resume_key, settings=settings))
        for replica in started:
            replica.wait()
        yield started
    finally:
        for replica in started:
            replica.end()


def make_certificate(folder: Path) -> Path:
    """Write `tls.crt`, `tls.key`, and `tls.pem` with both, for this machine; return the first."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "inkstream")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "tls.crt").write_bytes(public)
    (folder / "tls.key").write_bytes(private)
    (folder / "tls.pem").write_bytes(public + private)
    return folder / "tls.crt"


def configure(
    name: str, folder: Path, port: int, upstreams: Sequence[int], replaced: Mapping[str, str]
) -> Path:
    """Return a balancer's file with the ports of this machine, written into a folder.

    The certificate is in that folder. `replaced` are further texts of the file, and by what.
    Raises `ValueError` if the file lacks one of them.
    """
    kind = KINDS[name]
    old, new = kind.listens
    changes = {old: new.format(port), "/etc/inkstream": str(folder)}
    for number, upstream in enumerate(upstreams, 1):
        old = kind.replica.format(number)
        changes[old] = old.replace(f"inkstream-{number}", LOOPBACK).replace("8000", str(upstream))
    text = (FOLDER / kind.file).read_text("utf-8")
    for old, new in (changes | dict(replaced)).items():
        if old not in text:
            raise ValueError(f"{kind.file} lacks {old!r}")
        text = text.replace(old, new)
    path = folder / kind.file
    path.write_text(CADDY_OPTIONS + text if name == "caddy" else text)
    return path


@contextmanager
def balancing(
    name: str, folder: Path, upstreams: Sequence[int], replaced: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a balancer in front of the replicas of these ports; yield the port of its TLS."""
    port = free_port()
    path = str(configure(name, folder, port, upstreams, replaced or {}))
    run, check = (
        [part.replace("{}", path) for part in shlex.split(command)]
        for command in (KINDS[name].run, KINDS[name].check)
    )
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        subprocess.run(check, check=True, stdout=file, stderr=file)
        process = subprocess.Popen(run, stdout=file, stderr=file)
        end_s = time.monotonic() + START_TIMEOUT_S
        try:
            while True:  # its probes find the replicas
                with suppress(OSError), get(f"https://{LOOPBACK}:{port}/readyz"):
                    break
                if process.poll() is not None or time.monotonic() > end_s:
                    raise RuntimeError(f"{name} does not serve: {log.read_text('utf-8')}")
                time.sleep(POLL_S)
            yield port
        except BaseException:
            print(f"{name}: {log.read_text('utf-8')[-LOG_CHARACTERS:]}", file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


def messages_until(number: int, is_over: Callable[[], bool]) -> Iterator[Sent]:
    """Yield what a writer sends; once it is over, the end of its line."""
    for sent in ink_messages(number, "transcriber"):
        yield sent
        if is_over():
            yield Sent(sent.due_s, FLUSH)
            yield Sent(sent.due_s, RESET)
            return


async def write_all(
    urls: Sequence[str], n_writers: int, is_over: Callable[[], bool], heard: Heard
) -> None:
    """Let all writers write until it is over, each at one of the URLs in turn."""

    async def write_as(number: int) -> None:
        async with connect(urls[number % len(urls)], model=MODEL) as stream:
            await write(stream, messages_until(number, is_over), time.monotonic(), heard)

    async with asyncio.TaskGroup() as group:
        for number in range(n_writers):
            group.create_task(write_as(number))


async def restart_all(
    urls: Sequence[str], upstreams: Sequence[Replica], n_writers: int, rounds: int = 1
) -> Heard:
    """Let writers write while replica after replica is restarted; return what they heard."""
    heard, over = Heard(), asyncio.Event()

    async def restart() -> None:
        for replica in [*upstreams] * rounds:
            await asyncio.sleep(BETWEEN_S)
            await asyncio.to_thread(replica.restart)
        await asyncio.sleep(BETWEEN_S)
        over.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(write_all(urls, n_writers, over.is_set, heard))
        group.create_task(restart())
    return heard


@click.command()
@click.option("--balancers", default="nginx,haproxy", show_default=True)
@click.option("--writers", default=100, show_default=True)
@click.option("--rounds", default=2, show_default=True, help="Restarts of each replica.")
def main(balancers: str, writers: int, rounds: int) -> None:
    """Write and restart; compare, and write the report."""
    allow_connections()
    report: dict[str, Any] = {"writers": writers, "restarts": rounds * N_REPLICAS}
    n_differences = 0
    for name in balancers.split(","):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            os.environ[TRUSTED] = str(make_certificate(folder))
            upstreams = stack.enter_context(replicas())
            ports = [replica.port for replica in upstreams]
            port = stack.enter_context(balancing(name, folder, ports))
            heard = asyncio.run(
                restart_all([f"wss://{LOOPBACK}:{port}"], upstreams, writers, rounds)
            )
            alone = asyncio.run(read_again(f"ws://{LOOPBACK}:{ports[0]}", heard.lines))
        found = compare(heard.lines, alone)
        n_differences += len(differences(found))
        report[name] = {
            **found,
            "moves": quantiles(heard.gaps_ms["deploy"]),
            "losses": quantiles(heard.gaps_ms["kill"]),
            "all_answers": quantiles(heard.late_ms),
        }
        print(name, json.dumps(report[name]), flush=True)
    report["machine"] = describe_machine()
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit(bool(n_differences))


if __name__ == "__main__":
    main()
