"""The style of all plots, and the curves that training and reports have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inkstream.model.metrics import BINS

mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,  # a dollar is a character that was written
    }
)

INK: Final = "#1f2933"
ACCENT: Final = "#2563eb"
SECOND: Final = "#d97706"
RIGHT: Final = "#059669"
WRONG: Final = "#dc2626"
GREY: Final = "#6b7280"
FAINT: Final = "#c3cad2"
GUIDE: Final = "#e9b949"
COLOURS: Final = [mpl.colormaps["tab10"](k) for k in range(10)]  # of labels
RESOLUTION: Final = 130  # dots an inch
LEAST_ERROR: Final = 0.01  # percent, drawn for none: a logarithm has no zero


def new_axes(width: float = 6.4, height: float = 3.8, **labels: Any) -> tuple[Figure, Axes]:
    """Return a figure of one plot; sizes are in inches, `labels` are those of `Axes.set`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(**labels)
    return figure, axes


def save(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write figures as PNG files by their names."""
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=RESOLUTION)


def training_curve(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot the validation error over the steps of a run (lines of its metrics.jsonl)."""
    figure, axes = new_axes(
        title="Held-out error while training",
        xlabel="step",
        ylabel="wrong answers (%)",
        yscale="log",
    )
    steps = [line["step"] for line in metrics]
    errors = [_held_out_errors(line["held_out"]) for line in metrics]
    for name in errors[0]:
        axes.plot(steps, [max(error[name], LEAST_ERROR) for error in errors], label=name)
    axes.grid(alpha=0.25, which="both")
    axes.legend(frameon=False)
    return figure


def _held_out_errors(figures: Sequence[float] | Mapping[str, float]) -> dict[str, float]:
    """Return errors in percent by name, from errors by name or accuracies after each column."""
    if isinstance(figures, Mapping):
        return {name: 100 * error for name, error in figures.items()}
    after = [k for k in (12, 16, 20, len(figures)) if k <= len(figures)]
    return {f"after {k} columns": 100 * (1 - figures[k - 1]) for k in after}


def draw_reliability(
    axes: Axes, share: NDArray[Any], confidence: NDArray[Any], accuracy: NDArray[Any]
) -> None:
    """Draw the share of the answers in each bin, and their accuracy over their confidence."""
    filled = share > 0
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.bar(np.arange(BINS) / BINS, share, 1 / BINS, align="edge", color="0.88")
    axes.plot(confidence[filled], accuracy[filled], color=ACCENT, marker="o", markersize=3)
