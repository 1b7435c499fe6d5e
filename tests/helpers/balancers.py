"""Run load balancers on this machine, over TLS, in front of replicas of `inkstream serve`.

The balancers have the configurations of `docker/balancers`; only their addresses and files are
replaced. Replicas can be restarted one after the other while writers write through a balancer.
"""

import asyncio
import ipaddress
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from inkstream.service.bench.processes import POLL_S, START_TIMEOUT_S, environment, free_port
from inkstream.service.sealing import random_key
from tests.helpers.command_line import INKSTREAM, ROOT
from tools.writing import MODEL

FOLDER = ROOT / "docker" / "balancers"
N_REPLICAS = 3
LOOPBACK = "127.0.0.1"
STOP_TIMEOUT_S = 20.0
PAUSE_S = 2.0  # A balancer's probe finds a replica that has come back within one second.


@dataclass(frozen=True)
class Kind:
    """A load balancer: its file in `docker/balancers`, and its commands with {} for that file."""

    file: str
    run: str
    check: str
    listens: tuple[str, str]  # what the file has, and its replacement on a port {}
    replica: str = "inkstream-{}:8000"  # what the file has for the replica of a number


KINDS = {
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
        # No other Caddy may run on a test's machine, and port 80 may be taken.
        (
            ":443 {",
            "{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n"
            f":{{}} {{{{\n\tbind {LOOPBACK}",
        ),
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
        flags |= {"drain-timeout-s": 15, **(settings or {})}
        flags |= {"host": LOOPBACK, "port": self.port, "trusted-proxies": LOOPBACK}
        self._command = [*command, *INKSTREAM, "serve"]
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
def replicas(count: int, **settings: object) -> Iterator[list[Replica]]:
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

    The certificate is in that folder. `replaced` maps further texts of the file to their
    replacements. Raises `ValueError` if the file lacks one of them.
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
    path.write_text(text)
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
            while True:  # until its probes have found the replicas
                with suppress(OSError), get(f"https://{LOOPBACK}:{port}/readyz"):
                    break
                assert process.poll() is None, f"{name} ended"
                assert time.monotonic() < end_s, f"{name} does not serve"
                time.sleep(POLL_S)
            yield port
        except BaseException:
            print(f"{name}: {log.read_text('utf-8')[-4000:]}", file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


async def restart_all(upstreams: Sequence[Replica]) -> None:
    """Restart replica after replica."""
    for replica in upstreams:
        await asyncio.sleep(PAUSE_S)
        await asyncio.to_thread(replica.restart)
    await asyncio.sleep(PAUSE_S)
