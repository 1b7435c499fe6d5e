"""Run Ray on this machine, with one or several nodes."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import psutil
import ray
from ray import serve

from inkstream.service.bench.processes import free_port

PATIENCE = {  # what Ray needs on a machine that has other work
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "300",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
}
PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


@contextmanager
def local_ray(settings: Mapping[str, str], cores: int = 2, nodes: int = 1) -> Iterator[Any]:
    """Run Ray on this machine; yield its `Cluster`, whose first node cannot be lost.

    `settings` are the environment variables of the service; each node has `cores` cores. All
    processes end with the block.
    """
    from ray.cluster_utils import Cluster

    processes_before = set(psutil.Process().children(recursive=True))
    with patch.dict(os.environ, {**PATIENCE, **settings}):
        try:
            cluster = Cluster()
            for _ in range(nodes):
                # Without given ports Ray waits for them, 15 s at most.
                ports = {name: free_port() for name in PORTS}
                cluster.add_node(
                    num_cpus=cores, object_store_memory=100 << 20, include_dashboard=False, **ports
                )
                if not ray.is_initialized():  # The program would be lost with a node of its own.
                    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
            yield cluster
        finally:
            started = set(psutil.Process().children(recursive=True)) - processes_before
            if ray.is_initialized():
                # Whatever fails here, the processes that remain are killed below.
                with suppress(Exception):
                    serve.shutdown()
                ray.shutdown()
            for process in started:
                with suppress(psutil.Error):
                    process.kill()


def raylet_of(node: Any) -> int:
    """Return the process of a node whose children are all its workers."""
    ((raylet,),) = [processes for kind, processes in node.all_processes.items() if kind == "raylet"]
    pid: int = raylet.process.pid
    return pid
