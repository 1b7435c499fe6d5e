"""`inkstream bench archive`: measure `recognize FOLDER --page` beside the sum of its parts.

Over all cores it should take as long as all parts together, divided by the cores: more means that
cores are idle, or that something is done twice.

Run as a module it takes a folder and a language, reads the pages in this one process, and prints
the seconds of each part as JSON.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import click
import numpy as np
from PIL import Image
from pydantic import BaseModel

from inkstream.model import pages
from inkstream.model.evaluation.sheets import Look, WrittenLine, sheet
from inkstream.model.pages import columns, detector
from inkstream.model.recognizer import Recognizer
from inkstream.model.runtime import Runtime
from inkstream.service import installed_version
from inkstream.service.bench.load import LoadError
from inkstream.service.bench.parts import Parts
from inkstream.service.bench.pens import Pens
from inkstream.service.bench.processes import ISOLATED, child, describe_machine, environment
from inkstream.service.cli import LINES, offline
from inkstream.service.cli.files import IMAGE_SUFFIXES, expand

LINES_OF_A_PAGE: Final = 25
TEXTS: Final = 4  # of a line, which is as wide as A4 then
LOOK: Final = Look("scan", "ruled", "blue")
QUALITY: Final = 90  # of JPEG
START: Final = "start"
PARTS: Final = (
    (START, offline, "model_of"),
    (START, detector, "load_graph"),
    ("image", pages, "read_image"),
    ("text map", columns, "text_map"),
    ("lines", pages, "page_lines"),
    ("net", Runtime, "run_ragged"),
    ("decoder", Recognizer, "read_all"),
    ("answers", offline, "read_into"),  # boxes, JSON, the file
)
TITLES: Final = {
    START: "start: imports, nets",
    "image": "image decoded, turned grey",
    "text map": "net that finds text",
    "lines": "lines found, straightened",
    "net": "net that reads",
    "decoder": "decoder",
    "answers": "answers: boxes, JSON, file",
}


class Report(BaseModel):
    """All figures of one run; lists have one value for each round."""

    version: str
    machine: dict[str, str]
    language: str  # "" for none
    pages: int
    all_cores_s: list[float]  # of the whole command
    busy_cores: list[float]  # while it ran
    parts_s: dict[str, list[float]]  # in one process: of its start, and of all pages

    @property
    def ratios(self) -> list[float]:
        """How long the command took for what its parts take, divided by the cores."""
        cores = int(self.machine["cores"])
        found = []
        for number, whole_s in enumerate(self.all_cores_s):
            of_round = {part: seconds[number] for part, seconds in self.parts_s.items()}
            start_s = of_round.pop(START)
            found.append(whole_s / (start_s + sum(of_round.values()) / cores))
        return found

    def text(self) -> str:
        """Return the whole report for a terminal."""
        lines = [", ".join(f"{name} {value}" for name, value in self.machine.items()), ""]
        lines.append(f"{'part, in one process':<30}{'ms a page':>12}{'share':>8}")
        medians = {part: median(seconds) for part, seconds in self.parts_s.items()}
        for part, seconds in medians.items():
            milliseconds = 1000 * seconds / self.pages
            share = seconds / sum(medians.values())
            lines.append(f"  {TITLES[part]:<28}{milliseconds:>12.1f}{share:>8.0%}")
        rates = [self.pages / seconds for seconds in self.all_cores_s]
        ratios = self.ratios
        lines += [
            "",
            f"over all cores: {median(rates):.2f} pages a second ({min(rates):.2f} to"
            f" {max(rates):.2f}), {median(self.busy_cores):.2f} of {self.machine['cores']} cores"
            " busy",
            f"time / (start + other parts / cores): {median(ratios):.2f} ({min(ratios):.2f} to"
            f" {max(ratios):.2f}); 1 is nothing idle and nothing done twice",
        ]
        return "\n".join(lines)


def measure(*, folder: Path | None, n_pages: int, language: str, rounds: int) -> Report:
    """Read all pages over all cores, and in one process part by part, `rounds` times.

    Args:
        folder: of pages; None makes up `n_pages`.
        n_pages: of made-up ones.
        language: name of the language model that they are read with; "" is none.
        rounds: each measures everything once.

    Raises:
        LoadError: there is no page, or reading fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch) / "pages"
            make_pages(folder, n_pages)
        report = Report(
            version=installed_version(),
            machine=describe_machine(),
            language=language,
            pages=len(images_of(folder)),
            all_cores_s=[],
            busy_cores=[],
            parts_s={},
        )
        with click.progressbar(range(rounds), label="reading pages", file=sys.stderr) as bar:
            for number in bar:
                out = Path(scratch) / f"{number}.jsonl"
                wall_s, used_s = read_on_all_cores(folder, language, out)
                report.all_cores_s.append(wall_s)
                report.busy_cores.append(used_s / wall_s)
                started_s = time.perf_counter()
                parts = json.loads(child("cli.archive", folder, language))
                parts[START] += time.perf_counter() - started_s - sum(parts.values())
                for part in TITLES:
                    report.parts_s.setdefault(part, []).append(parts[part])
    return report


def images_of(folder: Path) -> list[Path]:
    """Return the images of a folder; raise `LoadError` if there is none."""
    paths, missing = expand([str(folder)], IMAGE_SUFFIXES)
    if missing:
        raise LoadError(missing[0])
    return paths


def read_on_all_cores(folder: Path, language: str, out: Path) -> tuple[float, float]:
    """Run the command; return its seconds, and those of all its processes on a processor."""
    command = [sys.executable, *ISOLATED, "-m", "inkstream", "recognize", str(folder), "--page"]
    command += ["--jsonl", str(out)]
    if language:
        command += ["--language", language]
    before, started_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(  # noqa: S603 - this package's own command
        command, env=environment(one_thread=False), capture_output=True, text=True, check=False
    )
    wall_s, after = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise LoadError(done.stderr.rstrip().rpartition("\n")[2])
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def read_by_parts(folder: Path, language: str, out: Path) -> dict[str, float]:
    """Read all pages in this process; return the seconds of each part."""
    parts = Parts()
    for part, owner, name in PARTS:
        parts.add(part, owner, name)
    arguments = {"language": language or None, "threads": 1}
    offline.read_into(out, images_of(folder), offline.Reader(LINES, arguments, page=True), 1)
    return parts.seconds


def make_pages(folder: Path, n_pages: int) -> None:
    """Write pages of the bench's ink into a new folder, the same ones each time."""
    pens = Pens.read()
    width = max(float(stroke[:, 0].max()) for stroke in pens.strokes) / pens.height + 0.5
    text = [stroke / pens.height - np.array([0, 0.5]) for stroke in pens.strokes]
    strokes = [stroke + np.array([place * width, 0]) for place in range(TEXTS) for stroke in text]
    lines = [WrittenLine(strokes, "")] * LINES_OF_A_PAGE
    folder.mkdir()
    for number in range(n_pages):
        page = sheet([lines], LOOK, np.random.default_rng(number))
        Image.fromarray(page.image).save(folder / f"{number:03}.jpg", quality=QUALITY)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = read_by_parts(Path(sys.argv[1]), sys.argv[2], Path(scratch) / "pages.jsonl")
    sys.stdout.write(json.dumps(found))
