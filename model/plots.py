"""Plots: their style, and curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from numpy.typing import NDArray

INK: Final = "#1f2933"
ACCENT: Final = "#2563eb"
SECOND: Final = "#d97706"
RIGHT: Final = "#059669"
WRONG: Final = "#dc2626"
GREY: Final = "#6b7280"

mpl.rcParams.update(
    {
        "axes.prop_cycle": cycler(color=[ACCENT, SECOND, RIGHT, WRONG]),
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,  # a dollar is a character that was written
    }
)

COLOURS: Final = [mpl.colormaps["tab10"](k) for k in range(10)]  # of labels
RESOLUTION: Final = 130  # dots an inch


def new_axes(width: float = 6.4, height: float = 3.8, **labels: Any) -> tuple[Figure, Axes]:
    """Return a figure of one plot; sizes are in inches, `labels` are those of `Axes.set`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(**labels)
    return figure, axes


def save(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures as PNG files by their names; return their paths."""
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path, dpi=RESOLUTION)
    return paths


def curves(
    x: Sequence[float] | NDArray[Any], by_name: Mapping[str, Any], **labels: Any
) -> tuple[Figure, Axes]:
    """Return a figure of curves over the same values; `labels` are those of `Axes.set`."""
    figure, axes = new_axes(**labels)
    for name, values in by_name.items():
        axes.plot(x, values, marker="o", markersize=3, label=name)
    axes.grid(alpha=0.25, which="both")
    axes.legend(frameon=False)
    return figure, axes


def training_curve(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot the validation error over the steps of a run (lines of its metrics.jsonl)."""
    percent = {  # a logarithm has no zero
        name: [max(100 * line["held_out"][name], 0.01) for line in metrics]
        for name in metrics[0]["held_out"]
    }
    figure, _ = curves(
        [line["step"] for line in metrics],
        percent,
        title="Held-out error while training",
        xlabel="step",
        ylabel="wrong answers (%)",
        yscale="log",
    )
    return figure
