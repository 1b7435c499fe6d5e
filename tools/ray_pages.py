"""Measure how many pages a second Ray Data reads, beside the command without Ray.

    python -m tools.ray_pages --pages 40 --rounds 3

Copies of the page in `examples/` are read by `inkstream recognize --page --jsonl`: without Ray by
two processes, and with `--ray` by one, two and four readers of a cluster on this machine. The four
ways are measured in turn, so that other load hits all alike. Pages a second are those from the
first row to the last; the seconds of a whole command, with its start, stand beside them. Writes
`docs/reports/ray_pages.json`. It needs the extra `ray`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import click

from tools.local_ray import local_ray, write_report

ROOT: Final = Path(__file__).parent.parent
REPORT: Final = ROOT / "docs" / "reports" / "ray_pages.json"
PAGE: Final = ROOT / "examples" / "will.jpg"
LOCAL: Final = "without Ray, 2 processes"
WAYS: Final = {  # the options of each
    LOCAL: ("--processes", "2"),
    "1 reader": ("--ray", "--processes", "1"),
    "2 readers": ("--ray", "--processes", "2"),
    "4 readers": ("--ray", "--processes", "4"),
}
CORES: Final = 4  # that the cluster believes it has, for four readers
POLL_S: Final = 0.02


def read(folder: Path, options: tuple[str, ...], address: str) -> dict[str, float]:
    """Read a folder once; return pages a second from the first row to the last, and all seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows.jsonl"
        command = ["recognize", str(folder), "--page", "--jsonl", str(rows), *options]
        began_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "inkstream", *command],
            env=os.environ | {"RAY_ADDRESS": address},
            stderr=subprocess.DEVNULL,
        )
        times_s: list[float] = []
        is_running = True
        while is_running:
            time.sleep(POLL_S)
            is_running = process.poll() is None  # looked at before the rows, so that none is missed
            n_rows = rows.read_bytes().count(b"\n") if rows.exists() else 0
            times_s += [time.monotonic()] * (n_rows - len(times_s))
        seconds = time.monotonic() - began_s
        answers = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    assert process.returncode == 0
    assert len(answers) == len(times_s) == len([*folder.iterdir()])
    assert not any("error" in answer for answer in answers)
    return {
        "pages_per_s": (len(times_s) - 1) / (times_s[-1] - times_s[0]),
        "whole_s": seconds,
    }


@click.command()
@click.option("--pages", default=40, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(pages: int, rounds: int) -> None:
    """Measure, and write the report."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name, local_ray({}, cores=CORES) as cluster:
        folder = Path(name)
        for number in range(pages):
            shutil.copy(PAGE, folder / f"{number:03}.jpg")
        for _ in range(rounds):
            for way, options in WAYS.items():
                found[way].append(read(folder, options, cluster.address))
                print(way, json.dumps(found[way][-1]), flush=True)
    report = {
        "pages": pages,
        "ratios_of_pages_per_s": {
            way: median(
                own["pages_per_s"] / local["pages_per_s"]
                for own, local in zip(of_way, found[LOCAL], strict=True)
            )
            for way, of_way in found.items()
        },
        "rounds": found,
    }
    write_report(REPORT, report)


if __name__ == "__main__":
    main()
