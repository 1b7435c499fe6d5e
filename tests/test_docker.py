"""The container from build to stop; `make docker-test` runs it, since it needs an engine.

`DOCKER` and `COMPOSE` are the commands, such as `docker` and `docker compose`, or `podman` and
`docker-compose`. The image is built already. Tests follow the container's life, in order.
"""

import json
import os
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inkstream.model.preprocess.columns import digit_columns, line_columns
from inkstream.model.preprocess.image import read_image
from inkstream.service.client.stream import connect_sync
from inkstream.service.web import WEB
from tests.helpers import builders

ROOT = Path(__file__).parent.parent
DOCKER = shlex.split(os.environ.get("DOCKER", ""))
COMPOSE = shlex.split(os.environ.get("COMPOSE", ""))
IMAGE_BYTES = 260_000_000  # of the only layer above the base
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0

pytestmark = [pytest.mark.slow, pytest.mark.needs(bool(DOCKER))]


def run(*command: str, **environment: str) -> str:
    """Run a command of the engine, which must succeed, and return what it prints."""
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Container:
    """The service in a container that compose started."""

    id: str
    port: int
    environment: dict[str, str]

    def compose(self, *arguments: str) -> str:
        return run(*COMPOSE, *arguments, **self.environment)

    def shell(self, command: str) -> str:
        return run(*DOCKER, "exec", self.id, "sh", "-c", command)

    def inspect(self) -> Any:
        return json.loads(run(*DOCKER, "inspect", self.id))[0]

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            body: bytes = answer.read()
        return body


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """Start the service with `docker compose up`, on a port of its own."""
    weights = tmp_path_factory.mktemp("weights")
    builders.checkpoint(weights / "own.onnx", labels="ab")
    for path in (weights, *weights.parents[:2], weights / "own.onnx"):
        path.chmod(0o755)  # the container's user is another one
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "COMPOSE_PROJECT_NAME": f"inkstream-test-{os.getpid()}",
        "INKSTREAM_PORT": str(port),
        "INKSTREAM_WEIGHTS": str(weights),
        "INKSTREAM_MODELS": "digits,lines,own",
    }
    try:
        run(*COMPOSE, "up", "--detach", "--no-build", **environment)
        container_id = run(*COMPOSE, "ps", "--quiet", **environment).strip()
        started = Container(container_id, port, environment)
        wait_until_ready(started)
        yield started
    finally:
        run(*COMPOSE, "down", "--volumes", "--timeout", "1", **environment)


def wait_until_ready(container: Container) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            container.get("/readyz")
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline_s:
                pytest.fail(container.compose("logs"))
            time.sleep(0.1)
        else:
            return


def test_the_layer_above_the_base_image_is_small(container: Container) -> None:
    n_bytes = int(container.shell("du --summarize --bytes /opt/inkstream").split()[0])
    assert n_bytes < IMAGE_BYTES


def test_the_image_has_no_torch_no_compiler_and_no_installer(container: Container) -> None:
    found = container.shell(
        'python -c \'import importlib.util as u; print(u.find_spec("torch"), u.find_spec("pip"))\''
    )
    assert found.split() == ["None", "None"]
    assert container.shell("for tool in gcc cc make git; do command -v $tool; done; true") == ""


def test_the_process_has_no_root_no_capability_and_a_read_only_file_system(
    container: Container,
) -> None:
    assert container.shell("id -u").strip() not in ("", "0")
    status = container.shell("cat /proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    refused = container.shell("for d in / /opt/inkstream /models; do touch $d/x || true; done 2>&1")
    assert refused.count("Read-only") == 3
    container.shell("touch /tmp/x")


def test_the_port_is_published_on_loopback_only(container: Container) -> None:
    bindings = container.inspect()["NetworkSettings"]["Ports"]["8000/tcp"]
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]


def test_the_health_check_passes(container: Container) -> None:
    if "podman" in DOCKER[0]:  # runs it by a timer of systemd's, which a container may lack
        run(*DOCKER, "healthcheck", "run", container.id)
        return
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while (health := container.inspect()["State"]["Health"]["Status"]) == "starting":
        assert time.monotonic() < deadline_s
        time.sleep(0.2)
    assert health == "healthy"


def test_ten_digits_are_read_column_by_column(container: Container) -> None:
    with connect_sync(f"ws://127.0.0.1:{container.port}") as stream:
        for digit in range(10):
            columns = digit_columns(read_image(ROOT / f"examples/{digit}.png"), 28)
            results = list(stream.send(columns))
            assert [result.column for result in results] == list(range(28))
            assert results[-1].label == str(digit)
            stream.reset()
        assert stream.end().columns == 280


def test_a_line_is_read_in_a_language(container: Container) -> None:
    with connect_sync(f"ws://127.0.0.1:{container.port}", model="lines") as stream:
        stream.configure(results="message", language="english")
        list(stream.send(line_columns(ROOT / "examples/hello.png", stream.ready.column_height)))
        assert stream.flush().text == "hello, world!"


def test_a_page_is_read(container: Container) -> None:
    url = f"http://127.0.0.1:{container.port}/v1/recognize?page=true"
    page = (ROOT / "examples/page.jpg").read_bytes()
    request = urllib.request.Request(url, page, {"content-type": "image/jpeg"})
    with urllib.request.urlopen(request, timeout=START_TIMEOUT_S) as answer:
        lines = json.load(answer)["text"].splitlines()
    assert lines[:2] == ["hello, world!", "hello, hello, world!"]


def test_the_writing_pad_is_served(container: Container) -> None:
    assert container.get("/") == (WEB / "pad" / "index.html").read_bytes()
    for file in (path for kind in ("js", "css", "svg") for path in WEB.glob(f"*/*.{kind}")):
        assert container.get(f"/web/{file.relative_to(WEB)}") == file.read_bytes()


def test_weights_in_the_mounted_folder_are_served(container: Container) -> None:
    names = [model["name"] for model in json.loads(container.get("/v1/models"))["models"]]
    assert names == ["digits", "lines", "own"]
    with connect_sync(f"ws://127.0.0.1:{container.port}", model="own") as stream:
        assert stream.ready.labels == ("a", "b")


def test_a_container_that_is_stopped_announces_it_to_clients_and_exits_with_0(
    container: Container,
) -> None:
    started_s = time.monotonic()
    with connect_sync(f"ws://127.0.0.1:{container.port}", reconnect=False) as stream:
        stopping = subprocess.Popen([*COMPOSE, "stop"], env=os.environ | container.environment)
        while stream.going_away is None:
            list(stream.send(bytes(28)))
        stream.end()
    assert stopping.wait(STOP_TIMEOUT_S) == 0
    assert time.monotonic() - started_s < STOP_TIMEOUT_S
    assert container.inspect()["State"]["ExitCode"] == 0
