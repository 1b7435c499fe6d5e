"""Measure what Ray costs a message: our server alone, behind Serve's proxy, and as a replica.

    python -m tools.ray_cost --rounds 3

64 connections send one column a message, each its next one when the one before is answered. The
three ways are measured in turn on the same machine, so that other load hits all alike. The
processor time is of all processes that serve: of Ray the raylet and all that it has started. Writes
`docs/reports/ray.json`. It needs the extra `ray`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
from ray import serve

from inkstream.model.checkpoint import find, read
from inkstream.service.bench.kernels import ENDLESS_COLUMNS
from inkstream.service.bench.load import Load
from inkstream.service.bench.processes import free_port, put, serving
from inkstream.service.ray_serve import Arguments, app, proxied
from tools.local_ray import local_ray, raylet_of, write_report

REPORT: Final = Path(__file__).parent.parent / "docs" / "reports" / "ray.json"
MODEL: Final = "lines"
KEYS: Final = {"INKSTREAM_RESUME_KEYS": "a key of this measurement with 32 characters"}


def measure(ways: Mapping[str, tuple[int, int]], seconds: float) -> dict[str, Any]:
    """Put the load on each of the ways in turn: a port, and the process that serves there."""
    height = read(find(MODEL)).metadata.config.column_height
    found = {}
    for name, (port, pid) in ways.items():
        load = Load(port=port, column_height=height, seconds=seconds, server_pid=pid)
        found[name] = put(load).model_dump()
        print(name, json.dumps(found[name]), flush=True)
    return found


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=4.0, show_default=True)
def main(rounds: int, seconds: float) -> None:
    """Measure, and write the report."""
    own, behind = free_port(), free_port()
    settings = KEYS | {
        "INKSTREAM_MODELS": MODEL,
        "INKSTREAM_LANGUAGES": "",
        "INKSTREAM_LOG_LEVEL": "warning",
        "INKSTREAM_PORT": str(own),
        "INKSTREAM_MAX_LINE_COLUMNS": str(ENDLESS_COLUMNS),
    }
    arguments = Arguments(cpus=0.5, sessions=1000)
    with local_ray(settings) as cluster:
        raylet = raylet_of(cluster.head_node)
        serve.start(http_options={"host": "127.0.0.1", "port": behind})
        serve.run(app(arguments), name="own", route_prefix="/own")
        serve.run(proxied(arguments), name="behind", route_prefix="/")
        with serving(MODEL) as alone:
            ways = {
                "alone": (alone.port, alone.pid),
                "replica": (own, raylet),
                "proxy": (behind, raylet),
            }
            found = [measure(ways, seconds) for _ in range(rounds)]
    costs = {
        name: {way: [of_round[way][name] for of_round in found] for way in ways}
        for name in ("server_us", "p50_ms", "p99_ms", "answered_per_s")
    }
    ratios = {
        way: median(
            of_round[way]["server_us"] / of_round["alone"]["server_us"] for of_round in found
        )
        for way in ("replica", "proxy")
    }
    write_report(REPORT, {"ratios_of_server_us": ratios, **costs})


if __name__ == "__main__":
    main()
