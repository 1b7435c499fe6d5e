"""Pictures of what a net knows: its curve over columns, calibration, mistakes, ribbons."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from inkstream.model.calibration import BINS, reliability
from inkstream.model.data.images import Dataset

mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})

INK: Final = "#1f2933"
ACCENT: Final = "#2563eb"
WORST: Final = 24  # mistakes on the page
RESOLUTION: Final = 130  # dots an inch
LEAST_ERROR: Final = 0.01  # percent, drawn for none: a logarithm has no zero
COLOURS: Final = [mpl.colormaps["tab10"](k) for k in range(10)]


def draw_report(
    report: Mapping[str, Any], probabilities: NDArray[np.float32], dataset: Dataset, folder: Path
) -> None:
    """All pictures of a report (see `evaluation.digits`), as PNG files in `folder`."""
    _save(accuracy_curve(report), folder / "accuracy_curve.png")
    _save(reliability_panels(report, probabilities, dataset), folder / "reliability.png")
    _save(confusion(report, dataset.labels), folder / "confusion.png")
    _save(mistakes(probabilities, dataset), folder / "mistakes.png")
    told = telling(probabilities, dataset)
    _save(ribbon(dataset.columns[told], probabilities[told], dataset), folder / "ribbon.png")


def accuracy_curve(report: Mapping[str, Any]) -> Figure:
    """Accuracy after each column."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    curve = 100 * np.array(report["accuracy_curve"])
    axes.plot(np.arange(1, len(curve) + 1), curve, color=ACCENT, marker="o", markersize=3)
    for k, share in report["accuracy_after"].items():
        axes.annotate(
            f"{100 * share:.2f}",
            (int(k), 100 * share),
            textcoords="offset points",
            xytext=(6, -12),
            color=INK,
        )
    axes.set(
        title=f"What {report['model']} knows after k columns ({report['data']})",
        xlabel="columns seen",
        ylabel="right answers (%)",
        ylim=(0, 104),
    )
    axes.grid(alpha=0.25)
    return figure


def training_curve(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Held-out error over the steps of a run (lines of its metrics.jsonl)."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    steps = [line["step"] for line in metrics]
    errors = [_held_out_errors(line["held_out"]) for line in metrics]
    for name in errors[0]:
        axes.plot(steps, [max(error[name], LEAST_ERROR) for error in errors], label=name)
    axes.set(
        title="Held-out error while training",
        xlabel="step",
        ylabel="wrong answers (%)",
        yscale="log",
    )
    axes.grid(alpha=0.25, which="both")
    axes.legend(frameon=False)
    return figure


def _held_out_errors(figures: Sequence[float] | Mapping[str, float]) -> dict[str, float]:
    """Errors in percent by name, of errors by name or of the accuracy after each column."""
    if isinstance(figures, Mapping):
        return {name: 100 * error for name, error in figures.items()}
    after = [k for k in (12, 16, 20, len(figures)) if k <= len(figures)]
    return {f"after {k} columns": 100 * (1 - figures[k - 1]) for k in after}


def reliability_panels(
    report: Mapping[str, Any], probabilities: NDArray[np.float32], dataset: Dataset
) -> Figure:
    """For several k: how often an answer given with some confidence after k columns is right."""
    errors = report["expected_calibration_error_after"]
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    panels = figure.subplots(2, (len(errors) + 1) // 2, sharex=True, sharey=True, squeeze=False)
    for axes, (k, error) in zip(panels.flat, errors.items(), strict=False):
        share, confidence, accuracy = reliability(
            probabilities[:, int(k) - 1].astype(np.float64), dataset.answers
        )
        draw_reliability(axes, share, confidence, accuracy)
        axes.set_title(f"after {k} columns: error {100 * error:.2f} %", fontsize=9)
    figure.suptitle("Calibration (bars: share of the answers; line: how many of them are right)")
    figure.supxlabel("confidence of the answer")
    figure.supylabel("share that is right")
    return figure


def draw_reliability(
    axes: Axes, share: NDArray[Any], confidence: NDArray[Any], right: NDArray[Any]
) -> None:
    """The share of the answers in each bin, and how often those are right."""
    filled = share > 0
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.bar(np.arange(BINS) / BINS, share, 1 / BINS, align="edge", color="0.88")
    axes.plot(confidence[filled], right[filled], color=ACCENT, marker="o", markersize=3)


def confusion(report: Mapping[str, Any], labels: Sequence[str]) -> Figure:
    """What was answered for what; right answers are left out, so that mistakes can be seen."""
    counts = np.array(report["confusion"])
    wrong = counts - np.diag(np.diag(counts))
    side = max(4.6, 0.42 * len(labels) + 1)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Blues")
    for answer, said in zip(*np.nonzero(wrong), strict=True):
        dark = wrong[answer, said] > 0.6 * wrong.max()
        axes.text(
            said, answer, wrong[answer, said], ha="center", va="center",
            color="white" if dark else INK,
        )  # fmt: skip
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.set(
        title=f"{wrong.sum()} mistakes in {counts.sum():,} images",
        xlabel="answered",
        ylabel="written",
    )
    return figure


def mistakes(probabilities: NDArray[np.float32], dataset: Dataset) -> Figure:
    """The most confident mistakes, each with the ribbon of its probabilities under it."""
    final = probabilities[:, -1]
    wrong = np.flatnonzero(final.argmax(1) != dataset.answers)
    worst = wrong[np.argsort(-final[wrong].max(1))][:WORST]
    figure = Figure(figsize=(9, 10), layout="constrained")
    figure.suptitle(f"The {len(worst)} most confident of {len(wrong)} mistakes")
    for place, index in enumerate(worst):
        part = figure.add_subfigure(figure.add_gridspec(4, 6)[place // 6, place % 6])
        said = dataset.labels[final[index].argmax()]
        written = dataset.labels[dataset.answers[index]]
        part.suptitle(f"{written} read as {said}, {100 * final[index].max():.0f} %", fontsize=8)
        draw_ribbon(part.subplots(2, 1), dataset.columns[index], probabilities[index], dataset)
    return figure


def telling(probabilities: NDArray[np.float32], dataset: Dataset) -> int:
    """The image, rightly read, on which the net was surest of most different answers."""
    said = probabilities.max(1)  # [N, K], the highest probability that each label ever had
    right = probabilities[:, -1].argmax(1) == dataset.answers
    return int(np.where(right, (said**2).sum(1), -1).argmax())


def ribbon(columns: NDArray[np.uint8], probabilities: NDArray[np.float32], data: Dataset) -> Figure:
    """One image over the ribbon of its running probabilities, large, with a legend."""
    figure = Figure(figsize=(5.2, 5.4), layout="constrained")
    image, band = figure.subplots(2, 1, height_ratios=(1, 1), sharex=True)
    draw_ribbon((image, band), columns, probabilities, data)
    said = probabilities.max(0).argsort()[::-1][:5]
    handles = [Patch(color=COLOURS[k % len(COLOURS)], label=data.labels[k]) for k in said]
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
    probabilities: NDArray[np.float32],
    data: Dataset,
) -> None:
    """An image [T, H] above, and under each of its columns the probabilities [T, K] then."""
    image, band = axes
    n_columns, height = columns.shape
    image.imshow(columns.T, cmap="Greys", aspect="auto", extent=(0, n_columns, height, 0))
    image.set_axis_off()
    edges = np.arange(n_columns)
    floor = np.zeros(n_columns)
    for k in range(len(data.labels)):
        colour = COLOURS[k % len(COLOURS)]
        band.bar(
            edges, probabilities[:, k], 1.0, bottom=floor, align="edge", color=colour, linewidth=0
        )
        widest = int(probabilities[:, k].argmax())
        if probabilities[widest, k] > 0.3:
            middle = floor[widest] + probabilities[widest, k] / 2
            band.text(
                widest + 0.5, middle, data.labels[k], ha="center", va="center",
                color="white", fontsize=8, fontweight="bold",
            )  # fmt: skip
        floor += probabilities[:, k]
    band.set(xlim=(0, n_columns), ylim=(0, 1), xticks=[], yticks=[])


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=RESOLUTION)
