"""Draw the reports on digits and lines: accuracy, latency, calibration, samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from inkstream.model.data.images import Dataset
from inkstream.model.decoding.base import SPACE, Scores
from inkstream.model.evaluation.report import Contents
from inkstream.model.evaluation.streaming import letter_matches
from inkstream.model.metrics import BINS, reliability
from inkstream.model.plots import (
    ACCENT,
    COLOURS,
    GREY,
    INK,
    RIGHT,
    SECOND,
    WRONG,
    curves,
    save,
)
from inkstream.model.reader import Reader, Reading, letter_positions

Probabilities = NDArray[np.float32]  # [N, T, K], or [T, K] of one image

RELIABILITY: Final = "Calibration (bars: share of the answers; line: how many of them are right)"
WORST: Final = 24  # mistakes that are drawn


def draw_digits_report(
    report: Contents, probabilities: Probabilities, dataset: Dataset, folder: Path
) -> None:
    """Write the plots of a report (see `evaluation.digits`) into `folder`."""
    wrong = np.flatnonzero(probabilities[:, -1].argmax(1) != dataset.answers)
    worst = wrong[np.argsort(-probabilities[wrong, -1].max(1))][:WORST]
    reliabilities = {
        f"after {k} columns: error {100 * error:.2f} %": reliability(
            probabilities[:, int(k) - 1].astype(np.float64), dataset.answers
        )
        for k, error in report["expected_calibration_error_after"].items()
    }
    figures = {
        "accuracy_curve": accuracy_curve(report),
        "reliability": reliability_panels(reliabilities, 2),
        "mistakes": sheet(
            [_digit(index, probabilities, dataset) for index in worst.tolist()],
            dataset.labels,
            6,
            f"The {len(worst)} most confident of {len(wrong)} mistakes",
        ),
        "ribbon": sheet(
            [_digit(most_telling(probabilities, dataset), probabilities, dataset)],
            dataset.labels,
            1,
            "What is written, column by column, and the probability of each digit",
        ),
    }
    save(figures, folder)


def draw_lines_report(
    report: Contents, reader: Reader, readings: Mapping[str, Sequence[Reading]], folder: Path
) -> None:
    """Write the plots of a report (see `evaluation.lines`), samples among them, into `folder`."""
    figures = {
        "calibration": reliability_panels(
            {
                _calibration_title(name, report[key]): [
                    report[key].get(values, []) for values in ("share", "confidence", "accuracy")
                ]
                for key, name in (
                    ("letter_calibration", "Letters"),
                    ("letter_end_scores", "Letter ends, at every step"),
                )
            }
        ),
    }
    if report["error_by_delay"]["events"] is not None:
        figures["delay"] = delay(report)
    for name, category_readings in readings.items():
        figures[name] = line_sheet(choose_samples(category_readings, name), name, reader)
    save(figures, folder)


# Figures


def accuracy_curve(report: Contents) -> Figure:
    """Plot the accuracy after each column."""
    percent = 100 * np.array(report["accuracy_curve"])
    figure, axes = curves(
        np.arange(1, len(percent) + 1),
        {"right answers": percent},
        title=f"What {report['model']} knows after k columns ({report['data']})",
        xlabel="columns seen",
        ylabel="right answers (%)",
        ylim=(0, 104),
    )
    for k, share in report["accuracy_after"].items():
        at = (int(k), 100 * share)
        text = f"{100 * share:.2f}"
        axes.annotate(text, at, textcoords="offset points", xytext=(6, -12), color=INK)
    return figure


def delay(report: Contents) -> Figure:
    """Plot the share of letters that are missing or wrong over the columns after their end."""
    shares = report["error_by_delay"]
    figure, _ = curves(
        shares["columns"],
        {
            "events, which are final": 100 * np.array(shares["events"]),
            "text so far, which may still change": 100 * np.array(shares["text"]),
        },
        title=f"Letters missing or wrong, {report['latency']['n']:,} of them read rightly",
        xlabel="columns after a letter's end",
        ylabel="missing or wrong (%)",
        ylim=(0, 104),
        xticks=shares["columns"][::2],
    )
    return figure


def reliability_panels(panels: Mapping[str, Sequence[Any]], n_rows: int = 1) -> Figure:
    """Draw share, confidence and accuracy of the bins of each panel, see `metrics.reliability`."""
    n_across = -(-len(panels) // n_rows)
    figure = Figure(figsize=(9, 1.6 + 2.8 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, n_across, sharex=True, sharey=True, squeeze=False)
    for axes, (title, figures) in zip(grid.flat, panels.items(), strict=False):
        axes.set_title(title, fontsize=9)
        share, confidence, accuracy = map(np.array, figures)
        if not len(share):
            continue
        filled = share > 0
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axes.bar(np.arange(BINS) / BINS, share, 1 / BINS, align="edge", color="0.88")
        axes.plot(confidence[filled], accuracy[filled], color=ACCENT, marker="o", markersize=3)
    figure.suptitle(RELIABILITY)
    figure.supxlabel("confidence")
    figure.supylabel("share that is right")
    return figure


def _calibration_title(name: str, figures: Contents) -> str:
    if not figures["n"]:
        return f"{name}: none"
    error, brier = figures["expected_calibration_error"], figures["brier"]
    return f"{name}\ncalibration error {error:.4f}, Brier score {brier:.4f}"


# Samples: ink, and what a net says of it


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Ink, and the probabilities after each of its columns and of the blank ones behind it."""

    title: str
    columns: NDArray[np.uint8]  # [T, H], without directions
    probabilities: Probabilities  # [T or more, K]
    annotate: Callable[[Axes, Axes], None] = lambda ink, ribbon: None  # draws on both plots


def sheet(samples: Sequence[Sample], labels: Sequence[str], n_across: int, title: str) -> Figure:
    """Draw samples in rows, each above the ribbon of its probabilities."""
    n_rows = max(1, -(-len(samples) // n_across))
    widest = max((len(sample.probabilities) for sample in samples), default=1)
    size = min(11, 2 + n_across * widest / 10), 2 * n_rows + 0.6
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=9)
    parts = figure.subfigures(n_rows, n_across, squeeze=False)
    for part, sample in zip(parts.flat, samples, strict=False):
        part.suptitle(sample.title, fontsize=8)
        ink, ribbon = part.subplots(2, 1, height_ratios=(1.15, 1), sharex=True)
        n_columns, height = sample.columns.shape
        ink.imshow(sample.columns.T, cmap="Greys", aspect="auto", extent=(0, n_columns, height, 0))
        ink.set_axis_off()
        draw_ribbon(ribbon, sample.probabilities, labels)
        sample.annotate(ink, ribbon)
        ribbon.set(xlim=(0, widest), ylim=(0, 1.3), yticks=[0, 1])
        ribbon.tick_params(labelsize=6)
        ribbon.set_xlabel("columns", fontsize=6, labelpad=1)
    return figure


def draw_ribbon(axes: Axes, probabilities: Probabilities, labels: Sequence[str]) -> None:
    """Draw the probabilities [T, K] after each column, stacked, the likeliest labels above."""
    highest = probabilities.max(1)
    edges, floor = np.arange(len(probabilities) + 1), np.zeros(len(probabilities))
    for k in np.flatnonzero(probabilities.max(0) >= 0.1).tolist():
        shares, colour = probabilities[:, k], COLOURS[k % len(COLOURS)]
        axes.stairs(floor + shares, edges, baseline=floor, fill=True, color=colour, linewidth=0)
        is_likeliest = (shares >= 0.25) & (shares == highest)
        changes = np.flatnonzero(np.diff(is_likeliest, prepend=False, append=False))
        for start, end in changes.reshape(-1, 2).tolist():
            axes.text(
                (start + end) / 2, 1.05, "␣" if labels[k] == SPACE else labels[k],
                ha="center", va="bottom", fontsize=6, color=colour, fontweight="bold",
            )  # fmt: skip
        floor += shares


def _digit(index: int, probabilities: Probabilities, dataset: Dataset) -> Sample:
    """Return one image, with its last answer as the title."""
    final = probabilities[index, -1]
    written, read = dataset.labels[dataset.answers[index]], dataset.labels[final.argmax()]
    title = f"{written} read as {read}, {100 * final.max():.0f} %"
    return Sample(title, dataset.columns[index], probabilities[index])


def most_telling(probabilities: Probabilities, dataset: Dataset) -> int:
    """Return the image, read rightly, on which the most different answers were most confident."""
    highest = probabilities.max(1)  # [N, K]
    right = probabilities[:, -1].argmax(1) == dataset.answers
    return int(np.where(right, (highest**2).sum(1), -1).argmax())


RANKS: Final = ("best", "median", "worst")
SHEETS: Final = {  # samples side by side, of each rank, and columns that can be made out
    "words": (3, 6, range(50, 151)),
    "lines": (1, 3, range(300, 801)),
}


def choose_samples(readings: Sequence[Reading], name: str) -> dict[str, Sequence[Reading]]:
    """Return the best, median and worst readings that a sheet can show, by CER, then confidence."""

    def rank(reading: Reading) -> tuple[float, float]:
        wrong = Levenshtein.distance(reading.text, reading.line.label)
        confidence = [letter.confidence for letter in reading.letters]
        return wrong / len(reading.line.label), -float(np.mean(confidence or [0.0]))

    _, n_samples, widths = SHEETS[name]
    ranked = sorted((r for r in readings if len(r.line.columns) in widths), key=rank)
    n = min(n_samples, len(ranked) // len(RANKS))
    starts = (0, (len(ranked) - n) // 2, len(ranked) - n)
    return {rank: ranked[start : start + n] for rank, start in zip(RANKS, starts, strict=True)}


def line_sheet(samples: Mapping[str, Sequence[Reading]], name: str, reader: Reader) -> Figure:
    """Draw the samples of each rank with the scores that they come from."""
    drawn = []
    for rank, readings in samples.items():
        for reading in readings:
            (scores,) = reader.scores([reading.line])
            columns = reading.line.columns[:, : reader.config.column_height]
            title = f"{rank}: {reading.line.label!r} read as {reading.text!r}"
            annotate = partial(_annotate_line, reading, scores)
            drawn.append(Sample(title, columns, np.exp(scores[:, 1:-1]), annotate))
    return sheet(
        drawn,
        reader.config.labels,
        SHEETS[name][0],
        "Letters over their ink (green: right; red: wrong), next guesses below it; blue: where"
        " letters end, by the events;\norange: by the data. Ribbon: probability of each label after"
        " each column; line: that a letter has ended.",
    )


def _annotate_line(reading: Reading, scores: Scores, ink: Axes, ribbon: Axes) -> None:
    """Draw letters above the ink and their next guesses below it, and where they end."""
    height = ink.get_ylim()[0]
    right = {ours for ours, _ in letter_matches(reading.letters, reading.line.label)}
    for index, letter in enumerate(reading.letters):
        ink.vlines(letter.end, 0, height, color=ACCENT, linewidth=0.8)
        middle = (letter.start + letter.end) / 2
        ink.text(
            middle, -1, letter.char, ha="center", va="bottom", fontweight="bold",
            color=RIGHT if index in right else WRONG,
        )  # fmt: skip
        likely = [char for char, share in letter.alternatives if share >= 0.05]
        ink.text(
            middle, height + 1, "\n".join(likely[:2]), ha="center", va="top",
            color=GREY, fontsize=6, linespacing=0.9,
        )  # fmt: skip
    if reading.unflushed is not None:
        ends = reading.line.ends[letter_positions(reading.line.label)] + 1
        ink.vlines(ends, 0.75 * height, height, color=SECOND, linewidth=1.4)
    ink.set_ylim(1.5 * height, -0.45 * height)
    edges = np.arange(len(scores) + 1)
    ribbon.stairs(np.exp(scores[:, -1]), edges, baseline=None, color=INK, linewidth=0.7)
