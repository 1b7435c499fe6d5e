"""Measure the base install, an idle server's memory and its start, whole and by parts.

`make footprint` runs this. It installs the package into a fresh environment, starts the server a
few times, and prints the figures; the first start, with a cold file cache, does not count.
"""

import json
import re
import signal
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
READY_TIMEOUT_S = 30
MB = 1_000_000
INSTALLED: dict[
    str, str | tuple[str, ...]
] = {  # parts, by how the paths of their files begin in site-packages
    "ONNX Runtime": "onnxruntime",
    "numpy": "numpy",
    "Pillow": ("PIL", "pillow"),
    "uvloop": "uvloop",
    "pydantic": "pydantic",
    "cryptography": ("cryptography", "cffi", "_cffi"),
    "the detector of text": (
        "inkstream/model/pages/detector.onnx",
        "inkstream/model/pages/detector.weights",
    ),
    "`lines`": "inkstream/model/weights/lines.onnx",
    "`digits`": "inkstream/model/weights/digits.onnx",
    "`english`": "inkstream/model/weights/english.ngrams",
    "the other languages": tuple(
        f"inkstream/model/weights/{file.name}" for file in (ROOT / "model/weights").glob("*.ngrams")
    ),
    "API documentation": "inkstream/service/web/docs",
    "the rest of inkstream": "inkstream",
}
OTHERS = "other packages"


def install(folder: Path) -> dict[str, float]:
    """Install the base package into a new environment; return MB of each part without byte code."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = f"--python={folder / 'bin' / 'python'}"
    pip = [sys.executable, "-m", "pip", python, "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", ROOT], check=True)
    sizes: dict[str, float] = defaultdict(float)
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink() and "__pycache__" not in file.parts:
            sizes[part_of(file.relative_to(folder))] += file.stat().st_size / MB
    return sizes


def part_of(file: Path) -> str:
    """Return the part of the install to which a file belongs."""
    place = file.as_posix().partition("site-packages/")[2]
    return next((part for part, start in INSTALLED.items() if place.startswith(start)), OTHERS)


def start_parts(folder: Path) -> dict[str, tuple[float, float]]:
    """Return the seconds and the MB of each part of a start, one after the other."""
    command = [str(folder / "bin" / "python"), "-P", str(ROOT / "tools" / "start_parts.py")]
    found: dict[str, tuple[float, float]] = json.loads(subprocess.check_output(command))
    return found


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
            server.send_signal(signal.SIGTERM)


def await_ready(url: str, started_s: float) -> None:
    """Wait until `url` answers 200; raise `TimeoutError` if it takes too long."""
    while time.perf_counter() - started_s < READY_TIMEOUT_S:
        try:
            urllib.request.urlopen(url, timeout=READY_TIMEOUT_S).close()
        except urllib.error.URLError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"{url} did not answer 200 within {READY_TIMEOUT_S} s")


def main() -> None:
    """Measure, print and write the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed = install(folder)
        start(folder, BOTH_MODELS)  # writes byte code, fills the file cache
        runs = [start(folder, "digits") for _ in range(N_STARTS)]
        runs_of_both = [start(folder, BOTH_MODELS) for _ in range(N_STARTS)]
        by_parts = [start_parts(folder) for _ in range(N_STARTS)]
    found = {
        "install_mb": round(sum(installed.values()), 1),
        "resident_mb": round(median(resident_mb for _, resident_mb in runs), 1),
        "ready_s": round(median(ready_s for ready_s, _ in runs), 2),
        "both_resident_mb": round(median(resident_mb for _, resident_mb in runs_of_both), 1),
        "both_ready_s": round(median(ready_s for ready_s, _ in runs_of_both), 2),
        "install_parts_mb": {
            part: round(installed[part], 1) for part in sorted(installed, key=installed.__getitem__)
        },
        "start_parts": {  # milliseconds, MB
            part: [
                round(1000 * median(run[part][0] for run in by_parts)),
                round(median(run[part][1] for run in by_parts), 1),
            ]
            for part in by_parts[0]
        },
    }
    print(json.dumps(found))
    REPORT.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
