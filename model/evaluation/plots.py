"""Pictures of a report on lines: errors, delay, calibration, what is taken for what."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inkstream.model.evaluation.report import Contents
from inkstream.model.metrics import NOTHING
from inkstream.model.plots import ACCENT, INK, RESOLUTION, draw_reliability

mpl.rcParams["text.parse_math"] = False  # a dollar is a character that was written

SIDES: Final = {"words": "words", "text": "lines of text"}
SECOND: Final = "#d97706"
GROUPS: Final = {
    "by_style": "style",
    "by_length": "length in characters",
    "by_size": "frame's share of the rows",
}
SHOWN: Final = {" ": "space", NOTHING: "nothing"}


def draw_report(contents: Contents, folder: Path) -> None:
    """All pictures of a report (see `evaluation.lines`), as PNG files in `folder`."""
    figures = {
        "donors": donors(contents),
        "groups": groups(contents),
        "calibration": calibration(contents),
        "confusions": confusions(contents),
    }
    if contents["error_by_delay"]["events"] is not None:
        figures["delay"] = delay(contents)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=RESOLUTION)


def donors(contents: Contents) -> Figure:
    """Character error of words and of lines of text, by who collected them."""
    rows = max(len(contents[side]["by_donor"]) for side in SIDES)
    figure = Figure(figsize=(9, 1.6 + 0.21 * rows), layout="constrained")
    for axes, (side, name) in zip(figure.subplots(1, 2), SIDES.items(), strict=True):
        bars = sorted(
            contents[side]["by_donor"].items(), key=lambda item: (-item[1]["error"], item[0])
        )
        errors = [100 * own["error"] for _, own in bars]
        places = np.arange(len(bars))
        axes.barh(places, errors, color=ACCENT, height=0.7)
        axes.set_yticks(places, [donor for donor, _ in bars])
        for place, (_, own) in enumerate(bars):
            axes.text(errors[place], place, f" {own['pieces']:,}", va="center", fontsize=7)
        if contents[side]["error"] is not None:
            axes.axvline(100 * contents[side]["error"], color=SECOND, linewidth=1)
        axes.set(title=f"{name} (orange: all of them)", xlabel="character error (%)")
    figure.suptitle("Character error by donor, and how many pieces each gave")
    return figure


def groups(contents: Contents) -> Figure:
    """Character error by style, length and size."""
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    panels = figure.subplots(len(SIDES), len(GROUPS), sharey="row")
    for row, (side, name) in zip(panels, SIDES.items(), strict=True):
        for axes, (key, what) in zip(row, GROUPS.items(), strict=True):
            _bars(axes, contents[side][key])
            axes.set_title(f"{name}, by {what}", fontsize=9)
        row[0].set_ylabel("character error (%)")
    figure.suptitle("Character error by style, length and size (numbers: pieces)")
    return figure


def _bars(axes: Axes, figures: Mapping[str, Any]) -> None:
    """The errors of groups side by side."""
    errors = [100 * own["error"] for own in figures.values()]
    axes.bar(range(len(errors)), errors, color=ACCENT, width=0.7)
    axes.set_xticks(range(len(errors)), list(figures))
    for place, own in enumerate(figures.values()):
        axes.text(place, errors[place], f"{own['pieces']:,}", ha="center", va="bottom", fontsize=7)
    axes.margins(y=0.12)


def delay(contents: Contents) -> Figure:
    """How many letters are not yet there, or wrong, so many columns after their end."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    curves, late = contents["error_by_delay"], contents["lateness"]
    for name, what, colour in (
        ("text", "text so far, which may still change", SECOND),
        ("events", "events, which are final", ACCENT),
    ):
        errors = 100 * np.array(curves[name])
        axes.plot(curves["columns"], errors, color=colour, marker="o", markersize=3, label=what)
    axes.set(
        title=f"Letters missing or wrong, {late['n']:,} of them read rightly in the end",
        xlabel="columns after a letter's end",
        ylabel="missing or wrong (%)",
        ylim=(0, 104),
        xticks=curves["columns"][::2],
    )
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure


def calibration(contents: Contents) -> Figure:
    """How often a letter is right, and a letter ends, that was said with some probability."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    sides = {
        "letter_calibration": ("Letters", "confidence of a letter", "share that is right"),
        "letter_end_scores": (
            "Letter ends, at every step",
            "probability that a letter ended",
            "share where one ended",
        ),
    }
    for axes, (key, (name, said, happened)) in zip(
        figure.subplots(1, 2), sides.items(), strict=True
    ):
        own = contents[key]
        axes.set(xlabel=said, ylabel=happened, xlim=(0, 1), ylim=(0, 1.02))
        if not own["n"]:
            axes.set_title(f"{name}: none")
            continue
        draw_reliability(axes, *(np.array(own[k]) for k in ("share", "confidence", "right")))
        error = own["expected_calibration_error"]
        axes.set_title(
            f"{name}\ncalibration error {error:.4f}, Brier score {own['brier']:.4f}", fontsize=9
        )
    figure.suptitle("Calibration (bars: share of what was said; line: how much of it happened)")
    return figure


def confusions(contents: Contents) -> Figure:
    """The most frequent changes."""
    pairs = contents["confusions"]
    figure = Figure(figsize=(6.4, 1.2 + 0.2 * len(pairs)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(pairs))
    axes.barh(places, [count for _, _, count in pairs], color=ACCENT, height=0.7)
    names = [
        f"{SHOWN.get(written, written)}  read as  {SHOWN.get(read, read)}"
        for written, read, _ in pairs
    ]
    axes.set_yticks(places, names, family="monospace")
    axes.invert_yaxis()
    for place, (_, _, count) in enumerate(pairs):
        axes.text(count, place, f" {count:,}", va="center", fontsize=7, color=INK)
    axes.set(title="The most frequent mistakes in words and lines", xlabel="times")
    return figure
