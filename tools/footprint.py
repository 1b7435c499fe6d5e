"""Measure the base install, by parts, an idle server's memory, and its start.

`make tools.footprint` runs this. It installs the package into a fresh environment, starts the
server a few times, and prints the figures; the first start, with a cold file cache, does not count.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "docs" / "reports" / "footprint.json"
N_STARTS = 5
BOTH_MODELS = "digits,lines"
MB = 1_000_000
WEIGHTS = "inkstream/model/weights/"
# Parts of the install, by how the paths of their files begin in site-packages.
INSTALLED: dict[str, str | tuple[str, ...]] = {
    "ONNX Runtime": "onnxruntime",
    "numpy": "numpy",
    "Pillow": ("PIL", "pillow"),
    "uvloop": "uvloop",
    "pydantic": "pydantic",
    "cryptography": ("cryptography", "cffi", "_cffi"),
    "the detector of text": "inkstream/model/pages/detector.",
    "`lines`": f"{WEIGHTS}lines.onnx",
    "`digits`": f"{WEIGHTS}digits.onnx",
    "`english`": f"{WEIGHTS}english.ngrams",
    "the other languages": tuple(
        f"{WEIGHTS}{file.name}" for file in (ROOT / "model/weights").glob("*.ngrams")
    ),
    "API documentation": "inkstream/service/web/docs",
    "the rest of inkstream": "inkstream",
    "other packages": "",
}


def install(folder: Path) -> dict[str, float]:
    """Install the base package into a new environment; return MB of each part without byte code."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = f"--python={folder / 'bin' / 'python'}"
    pip = [sys.executable, "-m", "pip", python, "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", ROOT], check=True)
    sizes: dict[str, float] = defaultdict(float)
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink() and "__pycache__" not in file.parts:
            name = file.as_posix().partition("site-packages/")[2]
            part = next(part for part, start in INSTALLED.items() if name.startswith(start))
            sizes[part] += file.stat().st_size / MB
    return sizes


def start(folder: Path, models: str) -> tuple[float, float]:
    """Start the server; return the seconds until it is ready and its resident memory in MB."""
    command = [str(folder / "bin" / "inkstream"), "serve", "--models", models]
    command += ["--port", "0", "--log-format", "json"]
    started_s = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            assert server.stderr is not None
            port = re.search(rb"http://127.0.0.1:(\d+)", server.stderr.readline())
            assert port is not None
            await_ready(f"http://127.0.0.1:{port[1].decode()}/readyz", started_s)
            ready_s = time.perf_counter() - started_s
            status = Path(f"/proc/{server.pid}/status").read_text()
            resident_kb = int(status.split("VmRSS:")[1].split()[0])
            return ready_s, resident_kb * 1024 / MB
        finally:
            server.terminate()


def await_ready(url: str, started_s: float) -> None:
    """Wait until `url` answers 200; raise `TimeoutError` if it takes too long."""
    while time.perf_counter() - started_s < 30:
        try:
            urllib.request.urlopen(url, timeout=30).close()
        except urllib.error.URLError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"{url} did not answer 200 within 30 s")


def main() -> None:
    """Measure, print and write the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed = install(folder)
        start(folder, BOTH_MODELS)  # writes byte code, fills the file cache
        runs = [start(folder, "digits") for _ in range(N_STARTS)]
        runs_of_both = [start(folder, BOTH_MODELS) for _ in range(N_STARTS)]
    (ready_s, resident_mb), (both_ready_s, both_resident_mb) = (
        map(median, zip(*several, strict=True)) for several in (runs, runs_of_both)
    )
    report = {
        "install_mb": round(sum(installed.values()), 1),
        "resident_mb": round(resident_mb, 1),
        "ready_s": round(ready_s, 2),
        "both_resident_mb": round(both_resident_mb, 1),
        "both_ready_s": round(both_ready_s, 2),
        "install_parts_mb": {
            part: round(installed[part], 1) for part in sorted(installed, key=installed.__getitem__)
        },
    }
    print(json.dumps(report))
    REPORT.write_text(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
