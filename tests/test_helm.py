"""The Helm chart: its templates are valid, and what it starts is what the server takes."""

import json
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes_validate.utils import ValidationError, validate

from inkstream.service.settings import PREFIX, Settings
from tests.helpers.command_line import ROOT

CHART = ROOT / "docker" / "helm"
VERSIONS = ("1.35", "1.36", "1.37")  # of Kubernetes: the newest three
RESUME_KEY = "0123456789abcdef" * 2
REQUIRED: dict[str, Any] = {"secret": {"apiKeys": ["one"], "resumeKeys": [RESUME_KEY]}}
ALL: dict[str, Any] = {
    "image": {"repository": "registry.example/inkstream", "tag": "1"},
    "autoscaling": {"enabled": True},
    "secret": {"apiKeys": ["one", "two"], "resumeKeys": [RESUME_KEY, RESUME_KEY[::-1]]},
    "hosts": ["ink.example", "*.ink.example"],
    "settings": {
        "max_body_bytes": 33_554_432,
        "max_sessions": 60,
        "metrics_need_key": True,
        "trusted_proxies": "10.0.0.0/8",
        "idle_timeout_s": 0.5,
    },
    "weights": {"persistentVolumeClaim": {"claimName": "weights", "readOnly": True}},
    "service": {"type": "LoadBalancer"},
    "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "balancer"}}}]},
}
EXISTING: dict[str, Any] = {"secret": {"existing": "keys"}, "networkPolicy": {"enabled": False}}

# Continuous integration installs Helm, so it may not be missing there.
pytestmark = pytest.mark.needs(os.environ.get("CI") or shutil.which("helm"))


def helm(folder: Path, values: dict[str, Any], *command: str) -> subprocess.CompletedProcess[str]:
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return subprocess.run(
        ["helm", *command, str(CHART), "--values", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )


def rendered(folder: Path, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the chart's objects by their kinds."""
    done = helm(folder, values, "template", "ink")
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    kinds = {each["kind"]: each for each in objects}
    assert len(kinds) == len(objects)
    return kinds


def pod(kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = kinds["Deployment"]["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("values", [REQUIRED, ALL, EXISTING], ids=["required", "all", "existing"])
def test_lint_finds_no_fault(tmp_path: Path, values: dict[str, Any]) -> None:
    done = helm(tmp_path, values, "lint", "--strict")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [REQUIRED, ALL, EXISTING], ids=["required", "all", "existing"])
def test_the_objects_are_valid_for_kubernetes(
    tmp_path: Path, values: dict[str, Any], version: str
) -> None:
    kinds = rendered(tmp_path, values)
    for each in kinds.values():
        assert validate(each, version, strict=True) == version
    broken = kinds["Deployment"] | {"spec": {"replicas": "many"}}
    with pytest.raises(ValidationError):
        validate(broken, version, strict=True)


def test_values_choose_the_objects(tmp_path: Path) -> None:
    always = {"Deployment", "Service", "PodDisruptionBudget"}
    assert rendered(tmp_path, REQUIRED).keys() == always | {"Secret", "NetworkPolicy"}
    assert rendered(tmp_path, EXISTING).keys() == always
    kinds = rendered(tmp_path, ALL)
    assert kinds.keys() == always | {"Secret", "NetworkPolicy", "HorizontalPodAutoscaler"}
    assert "replicas" not in kinds["Deployment"]["spec"]  # the autoscaler's


@pytest.mark.parametrize("values", [REQUIRED, ALL], ids=["required", "all"])
def test_the_server_takes_the_environment_of_a_pod(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = rendered(tmp_path, values)
    (container,) = pod(kinds)["containers"]
    environment = {each["name"]: each.get("value", "192.0.2.1") for each in container["env"]}
    environment |= kinds["Secret"]["stringData"]
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("$(POD_IP)", "192.0.2.1"))
    settings = Settings.load()
    for name, keys in (("apiKeys", settings.api_keys), ("resumeKeys", settings.resume_keys)):
        assert [key.get_secret_value() for key in keys] == values["secret"][name]
    for name, value in values.get("settings", {}).items():
        setting = getattr(settings, name)
        assert (",".join(setting) if isinstance(setting, tuple) else setting) == value
    assert (
        settings.hosts == (*values["hosts"], "192.0.2.1")
        if "hosts" in values
        else not settings.hosts
    )
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(kinds)["terminationGracePeriodSeconds"] >= pause_s + settings.stop_within_s


def test_other_keys_replace_the_pods_and_the_same_keys_do_not(tmp_path: Path) -> None:
    steps = [[RESUME_KEY], [RESUME_KEY, RESUME_KEY[::-1]], [RESUME_KEY[::-1], RESUME_KEY]]
    templates = [
        rendered(tmp_path, {"secret": REQUIRED["secret"] | {"resumeKeys": keys}})["Deployment"][
            "spec"
        ]["template"]
        for keys in [*steps, steps[-1]]
    ]
    assert [a == b for a, b in pairwise(templates)] == [False, False, True]


def test_pods_have_no_root_no_capability_no_links_and_no_file_system_to_write(
    tmp_path: Path,
) -> None:
    spec = pod(rendered(tmp_path, REQUIRED))
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False


def test_only_those_who_are_named_may_connect(tmp_path: Path) -> None:
    assert rendered(tmp_path, REQUIRED)["NetworkPolicy"]["spec"]["ingress"] == []
    (rule,) = rendered(tmp_path, ALL)["NetworkPolicy"]["spec"]["ingress"]
    assert rule == {"ports": [{"port": "http"}], "from": ALL["networkPolicy"]["from"]}


def test_probes_call_the_server_by_a_name_that_is_always_allowed(tmp_path: Path) -> None:
    (container,) = pod(rendered(tmp_path, ALL))["containers"]
    for name, path in (("startup", "healthz"), ("readiness", "readyz"), ("liveness", "healthz")):
        call = container[f"{name}Probe"]["httpGet"]
        assert call["path"] == f"/{path}"
        assert call["httpHeaders"] == [{"name": "Host", "value": "localhost"}]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"secret": {"resumeKeys": [RESUME_KEY]}},
        {"secret": {"apiKeys": ["one"]}},
        {"secret": {"apiKeys": ["one"], "resumeKeys": ["short"]}},
        {"secret": {"apiKeys": ["one"], "resumeKeys": [RESUME_KEY], "keys": []}},
        REQUIRED | {"replicas": 0},
        REQUIRED | {"settings": {"port": 9000}},
        REQUIRED | {"settings": {"models": ["lines"]}},
        REQUIRED | {"weights": {"emptyDir": {}, "hostPath": {"path": "/srv"}}},
        REQUIRED | {"replica": 3},
    ],
    ids=str,
)
def test_values_that_the_schema_does_not_know_are_refused(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    done = helm(tmp_path, values, "template", "ink")
    assert done.returncode != 0
    assert "schema" in done.stderr


def test_the_schema_describes_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert schema["properties"].keys() - {"global"} == values.keys()

    def check(described: dict[str, Any]) -> None:
        for name, each in described.get("properties", {}).items():
            assert each["description"].endswith("."), name
            check(each)

    check(schema)
