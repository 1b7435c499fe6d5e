"""Ray on this machine, of one or several nodes, for measurements and tests."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import ray
from ray import serve

from inkstream.service.bench.processes import describe_machine, free_port

STORE_BYTES: Final = 100 * 1024 * 1024
PATIENCE: Final = {  # of Ray, on a machine that has other work
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "300",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
}
PORTS: Final = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


@contextmanager
def local_ray(settings: Mapping[str, str], cores: int = 2, nodes: int = 1) -> Iterator[Any]:
    """Run Ray on this machine; yield its `Cluster`, whose first node cannot be lost.

    `settings` are of the service, as its environment has them; each node has so many `cores`. All
    processes end with the block.
    """
    from ray.cluster_utils import Cluster

    with _environment(settings), _processes_ended():
        cluster = Cluster()
        for _ in range(nodes):
            ports = {name: free_port() for name in PORTS}  # else Ray waits 15 s at most for them
            cluster.add_node(
                num_cpus=cores,
                object_store_memory=STORE_BYTES,
                include_dashboard=False,
                **ports,
            )
            if not ray.is_initialized():  # on the first node: with its own, a program is lost too
                ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
        yield cluster


def raylet_of(node: Any) -> int:
    """Return the process of a node whose children are all workers of it."""
    ((raylet,),) = [processes for kind, processes in node.all_processes.items() if kind == "raylet"]
    pid: int = raylet.process.pid
    return pid


def write_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Write and print figures, with the version of Ray and the machine that they are of."""
    report = {**figures, "ray": ray.__version__, "machine": describe_machine()}
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({**PATIENCE, **settings})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _processes_ended() -> Iterator[set[int]]:
    """Yield the ids of the processes that this one has; end Ray, and what it leaves, after it."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    try:
        yield before
    finally:
        ours = _started(before)
        if ray.is_initialized():
            with suppress(Exception):  # of any kind: the processes that remain are killed below
                serve.shutdown()
            ray.shutdown()
        for process in ours:
            with suppress(psutil.Error):
                process.kill()


def _started(before: set[int]) -> list[psutil.Process]:
    processes = psutil.Process().children(recursive=True)
    return [process for process in processes if process.pid not in before]
