"""What operators look at: the dashboard and the alerts are of the metrics that exist."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from inkstream.service.observe.metrics import Metrics
from tests.helpers.command_line import ROOT
from tools import dashboard

FOLDER = ROOT / "docker" / "observability"
# Continuous integration installs promtool, so it may not be missing there.
needs_promtool = pytest.mark.needs(os.environ.get("CI") or shutil.which("promtool"))
NAME = re.compile(r"\binkstream_\w+")


def families() -> set[str]:
    """Return the names of all metrics."""
    return {metric.name for metric in Metrics().registry.collect()}


def exposed() -> set[str]:
    """Return the names under which Prometheus stores them."""
    suffixes = {"gauge": [""], "counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return {
        metric.name + suffix
        for metric in Metrics().registry.collect()
        for suffix in suffixes[metric.type]
    }


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_the_dashboard_is_the_one_that_the_script_writes() -> None:
    assert dashboard.DASHBOARD.read_text() == dashboard.render()


def test_every_metric_has_a_panel_and_every_panel_a_metric() -> None:
    shown = set()
    for panel in dashboard.dashboard()["panels"]:
        names = {name for target in panel["targets"] for name in NAME.findall(target["expr"])}
        assert len(names) == 1, panel["title"]
        shown |= names
    assert shown <= exposed()
    for family in families():
        assert any(name.startswith(family) for name in shown), family


def test_the_panels_lie_side_by_side() -> None:
    places = [panel["gridPos"] for panel in dashboard.dashboard()["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert max(place["x"] + place["w"] for place in places) <= 24


def test_alerts_name_metrics_and_labels_that_exist() -> None:
    for rule in rules():
        names = set(NAME.findall(rule["expr"]))
        assert names <= exposed(), rule["alert"]
        assert names or "up{" in rule["expr"]
        assert rule["annotations"].keys() == {"summary", "description"}


def test_every_alert_has_a_unit_test() -> None:
    (_, faults) = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    (tested,) = faults["promql_expr_test"]
    fired = [re.findall(r'alertname="(\w+)"', each["labels"])[0] for each in tested["exp_samples"]]
    assert fired == sorted(rule["alert"] for rule in rules())


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_no_fault(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_metrics_and_finds_nothing_odd() -> None:
    metrics = Metrics()
    metrics.error("bad_json")
    metrics.refused("server_full")
    metrics.requested(200, 0.1)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.render(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.needs(os.environ.get("CI") or shutil.which("docker-compose"))
@pytest.mark.parametrize("profile", [[], ["--profile", "observability"]], ids=["", "observability"])
def test_compose_takes_its_file(profile: list[str]) -> None:
    command = ["docker-compose", *profile, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    services = json.loads(done.stdout)["services"]
    names = {"inkstream", "prometheus", "grafana"} if profile else {"inkstream"}
    assert services.keys() == names
    for service in services.values():
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
        files = [each["source"] for each in service["volumes"] if each["type"] == "bind"]
        assert all(Path(file).exists() for file in files)
