"""Draw how the figures of `compare` and `writers` changed from version to version."""

from pathlib import Path
from statistics import median
from typing import Final

from pydantic import ValidationError

from inkstream.service.bench import compare, writers
from inkstream.service.bench.load import LoadError

COMPARE: Final = "compare*.json"  # a version may have several, from different hours
WRITERS: Final = "writers*.json"

Lines = dict[str, dict[str, float]]  # value by version, by name of a line
Runs = dict[str, dict[str, list[float]]]  # value of each run of a version, by name of a line


def read(folder: Path) -> tuple[Lines, Lines]:
    """Return ratios and writers of all versions in a folder with a folder for each.

    Raises `LoadError` when there is none, or a file is no report of this version of the bench.
    """
    ratios: Runs = {}
    numbers: Runs = {}
    folders = sorted({path.parent for path in folder.glob(f"*/{COMPARE}")}, key=_version)
    if not folders:
        raise LoadError(f"{folder} has no reports, expected VERSION/{COMPARE} in it")
    for of_version in folders:
        try:
            reports = [
                compare.Report.model_validate_json(path.read_text("utf-8"))
                for path in sorted(of_version.glob(COMPARE))
            ]
            counts = [
                writers.Report.model_validate_json(path.read_text("utf-8"))
                for path in sorted(of_version.glob(WRITERS))
            ]
        except ValidationError as error:
            raise LoadError(f"a report in {of_version} is not readable: {error}") from error
        for report in reports:
            for name, figures in report.models.items():
                for ratio, values in figures.ratios():
                    if not ratio.below.startswith("before"):  # which is another one each time
                        line = ratios.setdefault(f"{name}: {ratio.title}", {})
                        line.setdefault(report.version, []).append(median(values))
        for count in counts:
            name = " ".join(filter(None, (count.model, count.language, count.sent)))
            line = numbers.setdefault(name, {})
            line.setdefault(count.version, []).append(median(count.writers))
    return _medians(ratios), _medians(numbers)


def _medians(lines: Runs) -> Lines:
    return {
        name: {version: median(runs) for version, runs in line.items()}
        for name, line in lines.items()
    }


def _version(folder: Path) -> list[tuple[int, str]]:
    """Return what versions are sorted by: numbers as numbers."""
    return [(int(part) if part.isdigit() else 0, part) for part in folder.name.split(".")]


def draw(folder: Path, path: Path) -> None:
    """Draw all versions' ratios and writers; this needs matplotlib."""
    from matplotlib import colormaps  # noqa: PLC0415 - optional
    from matplotlib.figure import Figure  # noqa: PLC0415

    charts = list(zip(("ratio", "writers in time"), read(folder), strict=True))
    charts = [(label, lines) for label, lines in charts if lines]
    figure = Figure(figsize=(14, 5 * len(charts)), layout="constrained")
    for (label, lines), (axes,) in zip(
        charts, figure.subplots(len(charts), squeeze=False), strict=True
    ):
        axes.set_prop_cycle(color=colormaps["tab20"](range(20)))
        for name, values in lines.items():
            axes.plot(list(values), list(values.values()), "o-", label=name)
        axes.set(ylabel=f"{label} (logarithmic)", yscale="log")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    figure.savefig(path, dpi=120)
