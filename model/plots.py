"""Plots: their style, curves, and labelled ink."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from numpy.typing import NDArray

from inkstream.model.data.ink_set import CATEGORIES, InkSet, Piece

INK: Final = "#1f2933"
ACCENT: Final = "#2563eb"
SECOND: Final = "#d97706"
RIGHT: Final = "#059669"
WRONG: Final = "#dc2626"
GREY: Final = "#6b7280"
GUIDE: Final = "#e9b949"

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


# Labelled ink: samples of each donor, with letters in colours

LETTERS: Final = (ACCENT, WRONG, RIGHT)  # a letter has another one than its neighbours
SHEETS: Final[dict[str, tuple[tuple[str, ...], int, int, float]]] = {
    # categories, rows of each donor, samples in a row, and how many heights of each are drawn
    "characters": (("1a", "1b", "1c", "1d", "3"), 1, 16, 3.0),
    "words": (("7",), 1, 5, 7.0),
    "lines": (("8",), 1, 2, 12.0),
    "letters": ((), 2, 4, 7.0),  # texts with known letters
}


def draw_ink(ink: InkSet, folder: Path) -> list[Path]:
    """Write a sheet of samples of each kind of pieces, and one of texts with known letters."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {}
    for name, (categories, n_rows, n_columns, width) in SHEETS.items():
        indices = [CATEGORIES.index(category) for category in categories]
        mask = np.isin(ink.categories, indices) if indices else _is_lettered(ink)
        if mask.any():
            figures[name] = contact_sheet(ink, np.flatnonzero(mask), n_rows, n_columns, width)
    return save(figures, folder)


def contact_sheet(
    ink: InkSet, chosen: NDArray[np.int64], n_rows: int, n_columns: int, width: float
) -> Figure:
    """Draw random pieces of each donor among the chosen ones, by as many writers as it has."""
    donor, random = ink.donors[chosen], np.random.default_rng(0)
    names = np.unique(donor)
    figure = Figure(figsize=(14, 0.3 + 0.85 * n_rows * len(names)), layout="constrained")
    grid = figure.subplots(n_rows * len(names), n_columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for name, rows in zip(names, np.split(grid, len(names)), strict=True):
        shuffled = random.permutation(chosen[donor == name])
        _, first = np.unique(ink.writers[shuffled], return_index=True)  # a piece of each writer
        others = np.delete(shuffled, first)
        samples = [*random.permutation(shuffled[first]), *others][: rows.size]
        for axes, index in zip(rows.flat, samples, strict=False):
            draw_piece(axes, ink.piece(int(index)), width)
        first_axes = rows[0, 0]
        at = first_axes.transAxes
        first_axes.text(-0.04, 0.5, name, transform=at, ha="right", fontweight="bold")
    return figure


def draw_piece(axes: Axes, piece: Piece, width: float) -> None:
    """Draw ink with its label above and its guides behind it, up to a width of `width` heights.

    Where letters are known, neighbours have different colours.
    """
    unknown = INK if len(piece.label) > 1 else ACCENT  # of points of no known letter
    lines = [
        np.stack([stroke, np.concatenate([stroke[1:], stroke[-1:]])], 1) for stroke in piece.strokes
    ]
    letters = np.concatenate(piece.letters).tolist()
    colours = [LETTERS[letter % len(LETTERS)] if letter >= 0 else unknown for letter in letters]
    steps = np.concatenate(lines)  # [P, 2 ends, 2]
    axes.add_collection(LineCollection(list(steps), colors=colours, linewidths=0.9))
    for y in piece.guides[np.isfinite(piece.guides)]:
        axes.axhline(float(y), color=GUIDE, linewidth=0.6, zorder=0)
    size = np.maximum(steps.max((0, 1)), 1)
    right = min(size[0], width * size[1])
    axes.set(xlim=(-0.02 * right, 1.02 * right), ylim=(1.05 * size[1], -0.05 * size[1]))
    axes.set_aspect("equal")
    label = piece.label if right == size[0] else f"{piece.label[:50]} …"
    axes.set_title(label, fontsize=6.5, pad=1, color=INK)


def _is_lettered(ink: InkSet) -> NDArray[np.bool_]:
    """Mark texts with letters known of most points, [N]; joins may be of no letter."""
    known = np.concatenate([[0], np.cumsum(ink.letter_of_point >= 0)])
    bounds = ink.stroke_starts[ink.piece_starts]
    is_text = np.array([len(label) > 1 for label in ink.labels], np.bool_)
    return np.logical_and(is_text, np.diff(known[bounds]) >= 0.7 * np.diff(bounds))
