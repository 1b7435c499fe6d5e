"""Measure the size of the base install and the memory of an idle server: `make footprint`.

It installs the package into a fresh environment, starts the server a few times, and prints the
figures; the first start, with a cold file cache, does not count.
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
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "docs" / "reports" / "footprint.json"
N_STARTS = 5
BOTH_MODELS = "digits,lines"
READY_TIMEOUT_S = 30
MB = 1_000_000


def install(folder: Path) -> float:
    """Install the base package into a new environment; return its size in MB without byte code."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = f"--python={folder / 'bin' / 'python'}"
    pip = [sys.executable, "-m", "pip", python, "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", ROOT], check=True)
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(file.stat().st_size for file in files if "__pycache__" not in file.parts) / MB


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
        size_mb = install(folder)
        start(folder, BOTH_MODELS)  # writes byte code, fills the file cache
        runs = [start(folder, "digits") for _ in range(N_STARTS)]
        runs_of_both = [start(folder, BOTH_MODELS) for _ in range(N_STARTS)]
    found = {
        "install_mb": round(size_mb, 1),
        "resident_mb": round(median(resident_mb for _, resident_mb in runs), 1),
        "ready_s": round(median(ready_s for ready_s, _ in runs), 2),
        "both_resident_mb": round(median(resident_mb for _, resident_mb in runs_of_both), 1),
        "both_ready_s": round(median(ready_s for ready_s, _ in runs_of_both), 2),
    }
    print(json.dumps(found))
    REPORT.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
