"""Run load balancers on this machine, over TLS, in front of replicas of `inkstream serve`.

The balancers have the configurations of `docker/balancers`; only their addresses and files are
replaced. Replicas can be restarted one after the other while writers write through a balancer.
"""

import asyncio
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstream.service.bench.processes import POLL_S, START_TIMEOUT_S, free_port
from inkstream.service.sealing import random_key
from tests.helpers.command_line import ROOT
from tests.helpers.target import Target
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


@contextmanager
def replicas(count: int, **settings: object) -> Iterator[list[Target]]:
    """Run replicas that can resume each other's lines while the block runs."""
    settings = {"models": MODEL, "languages": "", "drain-timeout-s": 15} | settings
    settings["trusted-proxies"] = LOOPBACK
    flags = [f"--{name}={value}" for name, value in settings.items()]
    key = random_key()
    with ExitStack() as stack:
        yield [
            stack.enter_context(Target(*flags, f"--port={free_port()}", INKSTREAM_RESUME_KEYS=key))
            for _ in range(count)
        ]


def make_certificate(folder: Path) -> Path:
    """Write `tls.crt`, `tls.key`, and `tls.pem` with both, for this machine; return the first."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    names = f"subjectAltName=DNS:localhost,IP:{LOOPBACK}"
    arguments = [*command.split(), "-subj", "/CN=inkstream", "-addext", names]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*arguments, *files], check=True, capture_output=True)
    (folder / "tls.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate


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


async def restart_all(upstreams: Sequence[Target]) -> None:
    """Restart replica after replica."""
    for replica in upstreams:
        await asyncio.sleep(PAUSE_S)
        await asyncio.to_thread(replica.restart)
    await asyncio.sleep(PAUSE_S)
