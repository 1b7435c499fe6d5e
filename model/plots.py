"""Plots: their style, what training and reports have in common, and labelled ink."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inkstream.model.data.ink_set import CATEGORIES, InkSet, Piece
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


def save(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures as PNG files by their names; return their paths."""
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path, dpi=RESOLUTION)
    return paths


def training_curve(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot the validation error over the steps of a run (lines of its metrics.jsonl)."""
    figure, axes = new_axes(
        title="Held-out error while training",
        xlabel="step",
        ylabel="wrong answers (%)",
        yscale="log",
    )
    steps = [line["step"] for line in metrics]
    for name in metrics[0]["held_out"]:
        errors = [max(100 * line["held_out"][name], LEAST_ERROR) for line in metrics]
        axes.plot(steps, errors, label=name)
    axes.grid(alpha=0.25, which="both")
    axes.legend(frameon=False)
    return figure


def draw_reliability(
    axes: Axes, share: NDArray[Any], confidence: NDArray[Any], accuracy: NDArray[Any]
) -> None:
    """Draw the share of the answers in each bin, and their accuracy over their confidence."""
    filled = share > 0
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.bar(np.arange(BINS) / BINS, share, 1 / BINS, align="edge", color="0.88")
    axes.plot(confidence[filled], accuracy[filled], color=ACCENT, marker="o", markersize=3)


# Labelled ink: samples of each donor, with letters in colours

LETTERS: Final = (ACCENT, WRONG, RIGHT)  # a letter has another one than its neighbours
LETTERED_SHARE: Final = 0.7  # of the points of a text with known letters; joins may be of none
SEED: Final = 0  # of the samples that are shown

KINDS: Final = {"characters": ("1a", "1b", "1c", "1d", "3"), "words": ("7",), "lines": ("8",)}
SHEETS: Final = {  # rows of each donor, samples in a row, and how many heights of each are drawn
    "characters": (1, 16, 3.0),
    "words": (1, 5, 7.0),
    "lines": (1, 2, 12.0),
    "letters": (2, 4, 7.0),
}


def draw_ink(ink: InkSet, folder: Path) -> list[Path]:
    """Write a sheet of samples of each kind of pieces, and one of texts with known letters."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {
        kind: np.isin(ink.categories, [CATEGORIES.index(category) for category in categories])
        for kind, categories in KINDS.items()
    }
    chosen["letters"] = _is_lettered(ink)
    return save(
        {
            name: contact_sheet(ink, np.flatnonzero(mask), *SHEETS[name])
            for name, mask in chosen.items()
            if mask.any()
        },
        folder,
    )


def contact_sheet(
    ink: InkSet, chosen: NDArray[np.int64], n_rows: int, n_columns: int, width: float
) -> Figure:
    """Draw random pieces of each donor among the chosen ones, by as many writers as it has.

    Where letters are known, neighbours have different colours.
    """
    donor = ink.donors[chosen]
    names = np.unique(donor)
    n_all = n_rows * len(names)
    figure = Figure(figsize=(14, 0.3 + 0.85 * n_all), layout="constrained")
    grid = figure.subplots(n_all, n_columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, name in enumerate(names):
        rows = grid[n_rows * number : n_rows * (number + 1)]
        samples = _samples(ink, chosen[donor == name], rows.size)
        for axes, index in zip(rows.flat, samples, strict=False):
            draw_piece(axes, ink.piece(index), width)
        first = rows[0, 0]
        first.text(-0.04, 0.5, name, transform=first.transAxes, ha="right", fontweight="bold")
    return figure


def draw_piece(axes: Axes, piece: Piece, width: float) -> None:
    """Draw ink with its label above and its guides behind it, up to a width of `width` heights."""
    lines: list[NDArray[np.int16]] = []
    colours: list[str] = []
    unknown = INK if len(piece.label) > 1 else ACCENT  # of points of no known letter
    for stroke, of_letter in zip(piece.strokes, piece.letters, strict=True):
        ends = np.concatenate([stroke[1:], stroke[-1:]])
        lines.append(np.stack([stroke, ends], 1))
        colours += [LETTERS[n % len(LETTERS)] if n >= 0 else unknown for n in of_letter.tolist()]
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


def _samples(ink: InkSet, indices: NDArray[np.int64], count: int) -> list[int]:
    """Return up to `count` random pieces, by as many writers as there are."""
    random = np.random.default_rng(SEED)
    shuffled = random.permutation(indices)
    _, first = np.unique(ink.writers[shuffled], return_index=True)
    others = np.delete(np.arange(len(shuffled)), first)
    order = np.concatenate([random.permutation(first), others])
    chosen: list[int] = shuffled[order[:count]].tolist()
    return chosen


def _is_lettered(ink: InkSet) -> NDArray[np.bool_]:
    """Mark the texts whose letters are known, [N]."""
    known = np.concatenate([[0], np.cumsum(ink.letter_of_point >= 0)])
    bounds = ink.stroke_starts[ink.piece_starts]
    is_text = np.array([len(label) > 1 for label in ink.labels], np.bool_)
    return np.logical_and(is_text, np.diff(known[bounds]) >= LETTERED_SHARE * np.diff(bounds))
