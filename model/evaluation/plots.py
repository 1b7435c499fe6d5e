"""Draw the reports on digits and lines: errors, latency, calibration, confusions, samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from inkstream.model.data.images import Dataset
from inkstream.model.decoding.base import SPACE, Letter, Scores
from inkstream.model.evaluation.report import Contents
from inkstream.model.evaluation.streaming import letter_matches
from inkstream.model.metrics import NOTHING, reliability
from inkstream.model.plots import (
    ACCENT,
    COLOURS,
    GREY,
    INK,
    RIGHT,
    SECOND,
    WRONG,
    draw_reliability,
    new_axes,
    save,
)
from inkstream.model.reader import Reader, Reading, letter_positions

Probabilities = NDArray[np.float32]  # [N, T, K], or [T, K] of one image

# Digits

WORST: Final = 24  # mistakes that are drawn


def draw_digits_report(
    report: Contents, probabilities: Probabilities, dataset: Dataset, folder: Path
) -> None:
    """Write the plots of a report (see `evaluation.digits`) into `folder`."""
    shown = most_telling(probabilities, dataset)
    figures = {
        "accuracy_curve": accuracy_curve(report),
        "reliability": digit_reliability(report, probabilities, dataset),
        "confusion": confusion_matrix(report, dataset.labels),
        "mistakes": mistakes(probabilities, dataset),
        "ribbon": ribbon(dataset.columns[shown], probabilities[shown], dataset),
    }
    save(figures, folder)


def accuracy_curve(report: Contents) -> Figure:
    """Plot the accuracy after each column."""
    figure, axes = new_axes(
        title=f"What {report['model']} knows after k columns ({report['data']})",
        xlabel="columns seen",
        ylabel="right answers (%)",
        ylim=(0, 104),
    )
    curve = 100 * np.array(report["accuracy_curve"])
    axes.plot(np.arange(1, len(curve) + 1), curve, color=ACCENT, marker="o", markersize=3)
    for k, share in report["accuracy_after"].items():
        at = (int(k), 100 * share)
        text = f"{100 * share:.2f}"
        axes.annotate(text, at, textcoords="offset points", xytext=(6, -12), color=INK)
    axes.grid(alpha=0.25)
    return figure


def digit_reliability(report: Contents, probabilities: Probabilities, dataset: Dataset) -> Figure:
    """Plot the calibration after several numbers of columns."""
    errors = report["expected_calibration_error_after"]
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    panels = figure.subplots(2, (len(errors) + 1) // 2, sharex=True, sharey=True, squeeze=False)
    for axes, (k, error) in zip(panels.flat, errors.items(), strict=False):
        after = probabilities[:, int(k) - 1].astype(np.float64)
        draw_reliability(axes, *reliability(after, dataset.answers))
        axes.set_title(f"after {k} columns: error {100 * error:.2f} %", fontsize=9)
    figure.suptitle("Calibration (bars: share of the answers; line: how many of them are right)")
    figure.supxlabel("confidence of the answer")
    figure.supylabel("share that is right")
    return figure


def confusion_matrix(report: Contents, labels: Sequence[str]) -> Figure:
    """Plot what was answered for what, without the right answers, which would hide the rest."""
    counts = np.array(report["confusion"])
    wrong = counts - np.diag(np.diag(counts))
    side = max(4.6, 0.42 * len(labels) + 1)
    title = f"{wrong.sum()} mistakes in {counts.sum():,} images"
    figure, axes = new_axes(side, side, title=title, xlabel="answered", ylabel="written")
    axes.imshow(wrong, cmap="Blues")
    for label, answer in zip(*np.nonzero(wrong), strict=True):
        colour = "white" if wrong[label, answer] > 0.6 * wrong.max() else INK
        axes.text(answer, label, wrong[label, answer], ha="center", va="center", color=colour)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    return figure


def mistakes(probabilities: Probabilities, dataset: Dataset) -> Figure:
    """Draw the most confident mistakes, each above the ribbon of its probabilities."""
    final = probabilities[:, -1]
    wrong = np.flatnonzero(final.argmax(1) != dataset.answers)
    worst = wrong[np.argsort(-final[wrong].max(1))][:WORST]
    figure = Figure(figsize=(9, 10), layout="constrained")
    figure.suptitle(f"The {len(worst)} most confident of {len(wrong)} mistakes")
    grid = figure.add_gridspec(4, 6)
    for number, index in enumerate(worst):
        part = figure.add_subfigure(grid[number // 6, number % 6])
        read, written = final[index].argmax(), dataset.answers[index]
        part.suptitle(
            f"{dataset.labels[written]} read as {dataset.labels[read]},"
            f" {100 * final[index].max():.0f} %",
            fontsize=8,
        )
        draw_ribbon(part.subplots(2, 1), dataset.columns[index], probabilities[index], dataset)
    return figure


def most_telling(probabilities: Probabilities, dataset: Dataset) -> int:
    """Return the image, read rightly, on which the most different answers were most confident."""
    highest = probabilities.max(1)  # [N, K]
    right = probabilities[:, -1].argmax(1) == dataset.answers
    return int(np.where(right, (highest**2).sum(1), -1).argmax())


def ribbon(columns: NDArray[np.uint8], probabilities: Probabilities, dataset: Dataset) -> Figure:
    """Draw one image above the ribbon of its running probabilities, with a legend."""
    figure = Figure(figsize=(5.2, 5.4), layout="constrained")
    image, band = figure.subplots(2, 1, height_ratios=(1, 1), sharex=True)
    draw_ribbon((image, band), columns, probabilities, dataset)
    likely = probabilities.max(0).argsort()[::-1][:5]
    handles = [Patch(color=COLOURS[k % len(COLOURS)], label=dataset.labels[k]) for k in likely]
    band.legend(
        handles=handles, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False
    )
    image.set_title("what is written, column by column")
    band.set(xlabel="columns seen", ylabel="probability")
    band.set_xticks(np.arange(0, len(columns) + 1, 4))
    band.set_yticks([0, 0.5, 1])
    return figure


def draw_ribbon(
    axes: Sequence[Axes],
    columns: NDArray[np.uint8],
    probabilities: Probabilities,
    dataset: Dataset,
) -> None:
    """Draw an image [T, H] and, below each of its columns, the probabilities [T, K] after it."""
    image, band = axes
    n_columns, height = columns.shape
    image.imshow(columns.T, cmap="Greys", aspect="auto", extent=(0, n_columns, height, 0))
    image.set_axis_off()
    floor = np.zeros(n_columns)
    for k, label in enumerate(dataset.labels):
        shares, colour = probabilities[:, k], COLOURS[k % len(COLOURS)]
        band.stairs(floor + shares, baseline=floor, fill=True, color=colour, linewidth=0)
        widest = int(shares.argmax())
        if shares[widest] > 0.3:
            band.text(
                widest + 0.5, floor[widest] + shares[widest] / 2, label, ha="center", va="center",
                color="white", fontsize=8, fontweight="bold",
            )  # fmt: skip
        floor += shares
    band.set(xlim=(0, n_columns), ylim=(0, 1), xticks=[], yticks=[])


# Lines

SIDES: Final = {"words": "words", "text": "lines of text"}
GROUPS: Final = {
    "by_style": "style",
    "by_length": "length in characters",
    "by_size": "frame's share of the rows",
}
NAMES: Final = {SPACE: "space", NOTHING: "nothing"}


def draw_lines_report(
    report: Contents, reader: Reader, readings: Mapping[str, Sequence[Reading]], folder: Path
) -> None:
    """Write the plots of a report (see `evaluation.lines`), samples among them, into `folder`."""
    figures = {
        "donors": donors(report),
        "groups": groups(report),
        "calibration": calibration(report),
        "confusions": confusions(report),
    }
    if report["error_by_delay"]["events"] is not None:
        figures["delay"] = delay(report)
    for name, parts in choose_samples(readings).items():
        figures[name] = sheet(parts, SHEETS[name], reader)
    save(figures, folder)


def donors(report: Contents) -> Figure:
    """Plot the CER of words and of lines of text by donor."""
    rows = max(len(report[side]["by_donor"]) for side in SIDES)
    figure = Figure(figsize=(9, 1.6 + 0.21 * rows), layout="constrained")
    for axes, (side, name) in zip(figure.subplots(1, 2), SIDES.items(), strict=True):
        bars = sorted(report[side]["by_donor"].items(), key=lambda item: (-item[1]["cer"], item[0]))
        errors = [100 * figures["cer"] for _, figures in bars]
        drawn = axes.barh([donor for donor, _ in bars], errors, color=ACCENT, height=0.7)
        axes.bar_label(drawn, [f" {figures['pieces']:,}" for _, figures in bars], fontsize=7)
        if report[side]["cer"] is not None:
            axes.axvline(100 * report[side]["cer"], color=SECOND, linewidth=1)
        axes.set(title=f"{name} (orange: all of them)", xlabel="CER (%)")
    figure.suptitle("CER by donor (numbers: pieces)")
    return figure


def groups(report: Contents) -> Figure:
    """Plot the CER by style, length and size."""
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    panels = figure.subplots(len(SIDES), len(GROUPS), sharey="row")
    for row, (side, name) in zip(panels, SIDES.items(), strict=True):
        for axes, (key, group) in zip(row, GROUPS.items(), strict=True):
            figures = report[side][key].values()
            errors = [100 * group_figures["cer"] for group_figures in figures]
            bars = axes.bar(list(report[side][key]), errors, color=ACCENT, width=0.7)
            axes.bar_label(
                bars, [f"{group_figures['pieces']:,}" for group_figures in figures], fontsize=7
            )
            axes.margins(y=0.12)
            axes.set_title(f"{name}, by {group}", fontsize=9)
        row[0].set_ylabel("CER (%)")
    figure.suptitle("CER by style, length and size (numbers: pieces)")
    return figure


def delay(report: Contents) -> Figure:
    """Plot the share of letters that are missing or wrong over the columns after their end."""
    curves = report["error_by_delay"]
    figure, axes = new_axes(
        title=f"Letters missing or wrong, {report['latency']['n']:,} of them read rightly",
        xlabel="columns after a letter's end",
        ylabel="missing or wrong (%)",
        ylim=(0, 104),
        xticks=curves["columns"][::2],
    )
    for name, label, colour in (
        ("text", "text so far, which may still change", SECOND),
        ("events", "events, which are final", ACCENT),
    ):
        errors = 100 * np.array(curves[name])
        axes.plot(curves["columns"], errors, color=colour, marker="o", markersize=3, label=label)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure


def calibration(report: Contents) -> Figure:
    """Plot the calibration of letters and of letter ends."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    sides = {
        "letter_calibration": ("Letters", "confidence of a letter", "share that is right"),
        "letter_end_scores": (
            "Letter ends, at every step",
            "probability that a letter ended",
            "share where one ended",
        ),
    }
    panels = figure.subplots(1, 2)
    for axes, (key, (name, confidence, accuracy)) in zip(panels, sides.items(), strict=True):
        figures = report[key]
        axes.set(xlabel=confidence, ylabel=accuracy, xlim=(0, 1), ylim=(0, 1.02))
        if not figures["n"]:
            axes.set_title(f"{name}: none")
            continue
        draw_reliability(axes, *(np.array(figures[k]) for k in ("share", "confidence", "accuracy")))
        error = figures["expected_calibration_error"]
        title = f"{name}\ncalibration error {error:.4f}, Brier score {figures['brier']:.4f}"
        axes.set_title(title, fontsize=9)
    figure.suptitle("Calibration (bars: share of the answers; line: how many of them are right)")
    return figure


def confusions(report: Contents) -> Figure:
    """Plot the most frequent confusions."""
    pairs = report["confusions"]
    figure, axes = new_axes(
        6.4,
        1.2 + 0.2 * len(pairs),
        title="The most frequent mistakes in words and lines",
        xlabel="times",
    )
    drawn = axes.barh(range(len(pairs)), [count for _, _, count in pairs], color=ACCENT, height=0.7)
    names = [f"{NAMES.get(label, label)}  read as  {NAMES.get(r, r)}" for label, r, _ in pairs]
    axes.set_yticks(range(len(pairs)), names, family="monospace")
    axes.invert_yaxis()
    axes.bar_label(drawn, fmt=" {:,.0f}", fontsize=7, color=INK)
    return figure


# Samples of lines

RANKS: Final = ("best", "median", "worst")
SHEETS: Final = {"words": (3, 2), "lines": (1, 3)}  # samples side by side, and rows of each rank
WIDTHS: Final = {"words": (50, 150), "lines": (300, 800)}  # columns that can be made out

LIKELY: Final = 0.25  # least probability of a label that is named in the ribbon
LEAST_SHARE: Final = 0.1  # a label that never is as probable is not drawn
ALTERNATIVES: Final = 2  # of a letter
LEAST_ALTERNATIVE: Final = 0.05
SPACE_NAME: Final = "␣"


def choose_samples(readings: Mapping[str, Sequence[Reading]]) -> dict[str, list[list[Reading]]]:
    """Return the best, median and worst readings of each sheet."""
    samples = {}
    for name, category_readings in readings.items():
        n_across, n_rows = SHEETS[name]
        chosen = _ranked(category_readings, *WIDTHS[name])
        n = min(n_across * n_rows, len(chosen) // len(RANKS))
        middle = (len(chosen) - n) // 2
        samples[name] = [chosen[:n], chosen[middle : middle + n], chosen[len(chosen) - n :]]
    return samples


def _ranked(readings: Sequence[Reading], narrowest: int, widest: int) -> list[Reading]:
    """Return readings whose widths can be shown: fewest errors first, then highest confidence."""

    def rank(reading: Reading) -> tuple[float, float]:
        wrong = Levenshtein.distance(reading.text, reading.line.label)
        confidence = [letter.confidence for letter in reading.letters]
        mean = float(np.mean(confidence)) if confidence else 0.0
        return wrong / len(reading.line.label), -mean

    shown = [r for r in readings if narrowest <= len(r.line.columns) <= widest]
    return sorted(shown, key=rank)


def sheet(parts: Sequence[Sequence[Reading]], shape: tuple[int, int], reader: Reader) -> Figure:
    """Draw the samples of each rank below one another, with the scores that they come from."""
    n_across, n_rows = shape
    figure = Figure(figsize=(11, 2 * n_rows * len(parts) + 0.6), layout="constrained")
    widest = max((len(reading.line.columns) for part in parts for reading in part), default=0)
    figure.suptitle(
        "Letters over their ink (green: right; red: wrong), next guesses below it; blue: where"
        " letters end, by the events;\norange: by the data. Ribbon: probability of each label after"
        " each column; line: that a letter has ended.",
        fontsize=9,
    )
    grid = figure.add_gridspec(n_rows * len(parts), n_across)
    for number, part in enumerate(parts):
        for position, reading in enumerate(part):
            row, across = divmod(position, n_across)
            cell = figure.add_subfigure(grid[number * n_rows + row, across])
            read = f"{RANKS[number]}: {reading.line.label!r} read as {reading.text!r}"
            cell.suptitle(read, fontsize=8)
            ink, band = cell.subplots(2, 1, height_ratios=(1.15, 1), sharex=True)
            _draw_letters(ink, reading, reader.config.column_height)
            (scores,) = reader.scores([reading.line])
            _draw_scores(band, scores, reader.config.labels)
            band.set(xlim=(0, widest + reader.config.flush_columns), ylim=(0, 1.3), yticks=[0, 1])
            band.tick_params(labelsize=6)
            band.set_xlabel("columns", fontsize=6, labelpad=1)
    return figure


def _draw_letters(axes: Axes, reading: Reading, height: int) -> None:
    """Draw the image of a line without directions, its letters above it, and where they end."""
    columns = reading.line.columns
    n_columns, image = len(columns), columns[:, :height].T
    axes.imshow(image, cmap="Greys", aspect="auto", extent=(0, n_columns, height, 0))
    right = {ours for ours, _ in letter_matches(reading.letters, reading.line.label)}
    for index, letter in enumerate(reading.letters):
        axes.vlines(letter.end, 0, height, color=ACCENT, linewidth=0.8)
        middle = (letter.start + letter.end) / 2
        axes.text(
            middle, -1, letter.char, ha="center", va="bottom", fontweight="bold",
            color=RIGHT if index in right else WRONG,
        )  # fmt: skip
        axes.text(
            middle, height + 1, _alternatives(letter), ha="center", va="top",
            color=GREY, fontsize=6, linespacing=0.9,
        )  # fmt: skip
    if reading.unflushed is not None:
        ends = reading.line.ends[letter_positions(reading.line.label)] + 1
        axes.vlines(ends, 0.75 * height, height, color=SECOND, linewidth=1.4)
    axes.set_ylim(1.5 * height, -0.45 * height)
    axes.set_axis_off()


def _alternatives(letter: Letter) -> str:
    """Return the next guesses for a letter, a line each."""
    likely = [char for char, share in letter.alternatives if share >= LEAST_ALTERNATIVE]
    return "\n".join(likely[:ALTERNATIVES])


def _draw_scores(axes: Axes, scores: Scores, labels: Sequence[str]) -> None:
    """Draw the probabilities of the labels after each column, stacked."""
    probabilities = np.exp(scores[:, 1:-1])
    highest = probabilities.max(1)
    edges, floor = np.arange(len(scores) + 1), np.zeros(len(scores))
    for k in np.flatnonzero(probabilities.max(0) >= LEAST_SHARE).tolist():
        shares, colour = probabilities[:, k], COLOURS[k % len(COLOURS)]
        axes.stairs(floor + shares, edges, baseline=floor, fill=True, color=colour, linewidth=0)
        for start, end in _intervals((shares >= LIKELY) & (shares == highest)):
            axes.text(
                (start + end) / 2, 1.05, SPACE_NAME if labels[k] == SPACE else labels[k],
                ha="center", va="bottom", fontsize=6, color=colour, fontweight="bold",
            )  # fmt: skip
        floor += shares
    axes.stairs(np.exp(scores[:, -1]), edges, baseline=None, color=INK, linewidth=0.7)


def _intervals(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (start, end) of each interval in which a mask is set."""
    changes = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))
