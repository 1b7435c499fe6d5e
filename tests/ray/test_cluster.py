"""Writers write while replicas are killed, a node is lost and new weights are rolled out."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from inkstream.model.checkpoint import find
from inkstream.service.bench.processes import serving
from tests.helpers.command_line import ROOT
from tools.writing import MODEL, Writers

WRITERS = int(os.environ.get("RAY_TEST_WRITERS", "100"))
PATIENCE_S = float(os.environ.get("RAY_TEST_PATIENCE_S", "60"))
REPLICAS = 2
KEYS = "a key of these tests with 32 characters"


@pytest.fixture(scope="module")
def port() -> int:
    """Return a port that is free, on which all replicas listen."""
    from inkstream.service.bench.processes import free_port

    return free_port()


@pytest.fixture(scope="module")
def cluster(port: int) -> Iterator[Any]:
    """Run Ray with two nodes; no process of it remains."""
    from ray import serve

    from tests.ray.local_ray import local_ray

    settings = {
        "INKSTREAM_PORT": str(port),
        "INKSTREAM_MODELS": MODEL,
        "INKSTREAM_LANGUAGES": "",
        "INKSTREAM_LOG_LEVEL": "warning",
        "INKSTREAM_RESUME_KEYS": KEYS,
        "INKSTREAM_DRAIN_TIMEOUT_S": "3",
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
        "RAY_health_check_period_ms": "1000",  # a node is lost after some seconds, not 30
        "RAY_health_check_timeout_ms": "3000",
        "RAY_health_check_failure_threshold": "3",
        "PYTHONPATH": str(ROOT),
    }
    with local_ray(settings, cores=1, nodes=2) as cluster:
        serve.start(proxy_location="Disabled")
        yield cluster


def deploy(weights: Path | None = None) -> None:
    """Deploy, or replace what is deployed."""
    from ray import serve

    from inkstream.service.ray_serve import Arguments, app

    if weights is not None:
        os.environ["INKSTREAM_WEIGHTS"] = str(weights)
    arguments = Arguments(
        replicas=REPLICAS,
        most_replicas=REPLICAS + 1,
        sessions=WRITERS / (REPLICAS + 0.5),
        queue_wait_s=10,  # here other load makes the net wait
        cpus=0.25,
        upscale_delay_s=1,
        downscale_delay_s=5,
    )
    serve.run(app(arguments), route_prefix=None)


def replicas() -> list[psutil.Process]:
    """Return the processes of the replicas."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or [""]
        if "ServeReplica:default:inkstream" in command[0]:
            found.append(process)
    return found


def pids() -> set[int]:
    """Return the ids of the processes of the replicas."""
    return {process.pid for process in replicas()}


def n_running() -> int:
    """Return how many replicas serve, as Serve knows it."""
    from ray import serve

    deployment = serve.status().applications["default"].deployments["inkstream"]
    return int(deployment.replica_states.get("RUNNING", 0))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; raise `TimeoutError` if that takes too long."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.5)


async def disturb(cluster: Any, weights: Path, seen: list[str]) -> None:
    """Do all that happens to a cluster, one after the other; add what was seen."""
    from tests.ray.local_ray import raylet_of

    await until(lambda: n_running() > REPLICAS)
    seen.append("scaled up")
    before = pids()
    replicas()[0].kill()
    await until(lambda: bool(pids() - before) and n_running() >= REPLICAS)
    seen.append("replaced a killed replica")
    (node,) = cluster.worker_nodes
    lost = {process.pid for process in replicas() if process.ppid() == raylet_of(node)}
    assert lost
    await asyncio.to_thread(cluster.remove_node, node, allow_graceful=False)
    await until(lambda: not lost & pids() and len(pids()) >= REPLICAS <= n_running())
    seen.append("replaced the replicas of a lost node")
    before = pids()
    await asyncio.to_thread(deploy, weights)
    await until(lambda: not before & pids())
    seen.append("rolled new weights")


async def test_writers_lose_nothing_by_deaths_a_lost_node_and_new_weights(
    cluster: Any, port: int, tmp_path: Path
) -> None:
    url = f"ws://127.0.0.1:{port}"
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copy(find(MODEL), weights)
    writers = Writers(WRITERS)
    with serving(MODEL) as server:
        await writers.read_alone(f"ws://127.0.0.1:{server.port}")
    deploy()
    seen: list[str] = []
    began_s = time.monotonic()
    await writers.write_during(disturb(cluster, weights, seen), [url])
    seconds = time.monotonic() - began_s
    await until(lambda: n_running() == REPLICAS)
    seen.append("scaled down")
    gaps, counts = sum(map(len, writers.gaps_ms.values())), dict(writers.written)
    print(f"{seen}; {WRITERS} writers in {seconds:.0f} s, {gaps} connections replaced; {counts}")
    assert writers.differences() == {}
    assert counts["lines"] >= WRITERS
    assert gaps > WRITERS / 2
