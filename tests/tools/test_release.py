"""The bill of materials of a release."""

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tools.release import ROOT, sbom


@pytest.mark.slow
def test_the_bill_names_all_that_the_package_needs_and_what_it_bundles() -> None:
    bill = sbom(Path(sys.executable))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["version"] == version("inkstream")
    versions = {each["name"]: each["version"] for each in bill["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^\w-]", each)[0] for each in project["dependencies"]}
    assert len(needed) > 10
    assert {name: version(name) for name in needed}.items() <= {
        name.replace("_", "-"): number for name, number in versions.items()
    }.items()
    assert versions["swagger-ui-dist"]
    (own,) = (each for each in bill["dependencies"] if each["ref"] == "root-component")
    depends_on = {each.split("==")[0].replace("_", "-") for each in own["dependsOn"]}
    assert depends_on >= {*needed, "swagger-ui-dist"}
