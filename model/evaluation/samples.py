"""Lines that show how well lines are read: the best, the median and the worst.

Pages of lines as they were read: ink, letter ends, alternatives, and the ribbon below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from inkstream.model.decoding.base import SPACE, Letter
from inkstream.model.evaluation.plots import SECOND
from inkstream.model.metrics import same
from inkstream.model.plots import ACCENT, COLOURS, INK, RESOLUTION
from inkstream.model.reader import Reader, Reading, Scores, spoken_places

GROUPS: Final = ("best", "median", "worst")
PAGES: Final = {"words": (3, 2), "lines": (1, 3)}  # samples side by side, and rows of each group
WIDTHS: Final = {"words": (50, 150), "lines": (300, 800)}  # columns that can be made out


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A reading, and the scores that it comes from."""

    reading: Reading
    scores: Scores  # [T + flush_columns, S]


def pages(reader: Reader, readings: dict[str, Sequence[Reading]]) -> dict[str, list[list[Sample]]]:
    """For each page best, median and worst readings, as many as it has room for."""
    found = {}
    for name, own in readings.items():
        n_across, n_rows = PAGES[name]
        chosen = _ranked(own, *WIDTHS[name])
        n = min(n_across * n_rows, len(chosen) // len(GROUPS))
        middle = (len(chosen) - n) // 2
        parts = [chosen[:n], chosen[middle : middle + n], chosen[len(chosen) - n :]]
        found[name] = [[Sample(r, reader.scores([r.line])[0]) for r in part] for part in parts]
    return found


def _ranked(readings: Sequence[Reading], narrowest: int, widest: int) -> list[Reading]:
    """Readings that can be shown, the best first: fewest errors, then surest letters."""

    def rank(reading: Reading) -> tuple[float, float]:
        wrong = Levenshtein.distance(reading.text, reading.line.label)
        sure = [letter.confidence for letter in reading.letters]
        return wrong / len(reading.line.label), -float(np.mean(sure)) if sure else 0.0

    shown = [r for r in readings if narrowest <= len(r.line.columns) <= widest]
    return sorted(shown, key=rank)


RIGHT: Final = "#059669"
WRONG: Final = "#dc2626"
FAINT: Final = "#6b7280"

SHOWN: Final = 0.25  # a label that is as probable, and most so, is named in the ribbon
SPACE_NAME: Final = "␣"
LEAST_SHARE: Final = 0.1  # a label that never is as probable is not drawn
ALTERNATIVES: Final = 2  # of a letter
LEAST_ALTERNATIVE: Final = 0.05


def draw_pages(found: dict[str, list[list[Sample]]], labels: Sequence[str], folder: Path) -> None:
    """Write each page as a PNG file into `folder`."""
    for name, parts in found.items():
        page(parts, PAGES[name], labels).savefig(folder / f"{name}.png", dpi=RESOLUTION)


def page(
    parts: Sequence[Sequence[Sample]], shape: tuple[int, int], labels: Sequence[str]
) -> Figure:
    """Groups of samples, one below the other."""
    n_across, n_rows = shape
    figure = Figure(figsize=(11, 2 * n_rows * len(parts) + 0.6), layout="constrained")
    n_columns = max((len(sample.scores) for part in parts for sample in part), default=0)
    figure.suptitle(
        "Letters over their ink (green: right; red: wrong), next guesses below it; blue: where"
        " letters end, by the events;\norange: by the data. Ribbon: probability of each label after"
        " each column; line: that a letter has ended.",
        fontsize=9,
    )
    grid = figure.add_gridspec(n_rows * len(parts), n_across)
    for number, part in enumerate(parts):
        for place, sample in enumerate(part):
            row, across = divmod(place, n_across)
            cell = figure.add_subfigure(grid[number * n_rows + row, across])
            _draw(cell, sample, GROUPS[number], labels, n_columns)
    return figure


def _draw(
    cell: SubFigure, sample: Sample, group: str, labels: Sequence[str], n_columns: int
) -> None:
    reading = sample.reading
    cell.suptitle(f"{group}: {reading.line.label!r} read as {reading.text!r}", fontsize=8)
    ink, band = cell.subplots(2, 1, height_ratios=(1.15, 1), sharex=True)
    _draw_ink(ink, reading)
    _draw_ribbon(band, sample.scores, labels)
    band.set(xlim=(0, n_columns), ylim=(0, 1.3), yticks=[0, 1])
    band.tick_params(labelsize=6)
    band.set_xlabel("columns", fontsize=6, labelpad=1)


def _draw_ink(axes: Axes, reading: Reading) -> None:
    """The line's image, its letters above it, and where they end."""
    columns = reading.line.columns
    n_columns, height = columns.shape
    axes.imshow(columns.T, cmap="Greys", aspect="auto", extent=(0, n_columns, height, 0))
    text = "".join(letter.char for letter in reading.letters)
    right = {place for place, _ in same(text, reading.line.label.replace(" ", ""))}
    for place, letter in enumerate(reading.letters):
        axes.vlines(letter.end, 0, height, color=ACCENT, linewidth=0.8)
        middle = (letter.start + letter.end) / 2
        colour = RIGHT if place in right else WRONG
        axes.text(
            middle, -1, letter.char, ha="center", va="bottom", color=colour, fontweight="bold"
        )
        axes.text(
            middle, height + 1, _alternatives(letter), ha="center", va="top",
            color=FAINT, fontsize=6, linespacing=0.9,
        )  # fmt: skip
    if reading.live is not None:
        ends = reading.line.ends[spoken_places(reading.line.label)] + 1
        axes.vlines(ends, 0.75 * height, height, color=SECOND, linewidth=1.4)
    axes.set_ylim(1.5 * height, -0.45 * height)
    axes.set_axis_off()


def _alternatives(letter: Letter) -> str:
    """The next guesses for a letter, one below the other."""
    likely = [char for char, share in letter.alternatives if share >= LEAST_ALTERNATIVE]
    return "\n".join(likely[:ALTERNATIVES])


def _draw_ribbon(axes: Axes, scores: Scores, labels: Sequence[str]) -> None:
    """Probabilities of the labels after each column, one on top of the other."""
    probabilities = np.exp(scores[:, 1:-1])
    highest = probabilities.max(1)
    edges, floor = np.arange(len(scores) + 1), np.zeros(len(scores))
    for k in np.flatnonzero(probabilities.max(0) >= LEAST_SHARE).tolist():
        own = probabilities[:, k]
        colour = COLOURS[k % len(COLOURS)]
        axes.stairs(floor + own, edges, baseline=floor, fill=True, color=colour, linewidth=0)
        for start, end in _runs((own >= SHOWN) & (own == highest)):
            axes.text(
                (start + end) / 2, 1.05, SPACE_NAME if labels[k] == SPACE else labels[k],
                ha="center", va="bottom", fontsize=6, color=colour, fontweight="bold",
            )  # fmt: skip
        floor += own
    axes.stairs(np.exp(scores[:, -1]), edges, baseline=None, color=INK, linewidth=0.7)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where a mask is set, from and to."""
    changes = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))
