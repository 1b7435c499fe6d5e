"""Build what a release consists of: wheel, source archive, bill of materials and digests.

    python -m tools.release

`make release` runs this. The wheel is installed into a fresh environment, so that the software bill
of materials (SBOM, CycloneDX as JSON) names what a user gets: each package with its version and
licence, and Swagger UI, whose files are in the wheel. `SHA256SUMS` holds the files' digests.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
SWAGGER_UI = ROOT / "service" / "web" / "docs" / "swagger-ui" / "swagger-ui-bundle.js"


def sbom(python: Path) -> dict[str, Any]:
    """Return the bill of materials of the environment of an interpreter."""
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    command = [sys.executable, "-m", "cyclonedx_py", "environment", *options, str(python)]
    done = subprocess.run(command, capture_output=True, check=True)
    bill: dict[str, Any] = json.loads(done.stdout)
    root = bill["metadata"]["component"]["bom-ref"]
    bundled = swagger_ui()
    bill["components"].append(bundled)
    bill["dependencies"].append({"ref": bundled["bom-ref"]})
    for dependency in bill["dependencies"]:
        if dependency["ref"] == root:
            dependency.setdefault("dependsOn", []).append(bundled["bom-ref"])
    return bill


def swagger_ui() -> dict[str, Any]:
    """Return the component of the files that come from the npm package `swagger-ui-dist`."""
    content = SWAGGER_UI.read_bytes()
    (number,) = re.findall(rb'PACKAGE_VERSION:"([\d.]+)"', content)
    name, number = "swagger-ui-dist", number.decode()
    return {
        "type": "library",
        "bom-ref": f"{name}=={number}",
        "name": name,
        "version": number,
        "purl": f"pkg:npm/{name}@{number}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def main() -> None:
    """Build all files into `dist`, which is emptied before."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "--outdir", DIST, ROOT], check=True)
    (wheel,) = DIST.glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder)
        python = Path(folder, "bin", "python")
        pip = [sys.executable, "-m", "pip", "--python", str(python)]
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, "install", "--quiet", *constraints, str(wheel)], check=True)
        bill = sbom(python)
    name = f"inkstream-{version('inkstream')}.cdx.json"
    (DIST / name).write_text(json.dumps(bill, indent=1) + "\n")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(DIST.iterdir())
    ]
    (DIST / "SHA256SUMS").write_text("".join(lines))
    print("".join(lines), end="")


if __name__ == "__main__":
    main()
