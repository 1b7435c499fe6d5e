"""`inkstream evaluate ink`: what is told while a hand writes, how late, and what is withdrawn.

How far the pen must be beyond a column for this to be read is a setting; here it is chosen.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np

from model.checkpoint import find, read
from model.data import unipen
from model.data.split import Part
from model.runtime import Runtime
from service.commands.options import CHECKPOINT, DATA, PART, PATH, make_folders

if TYPE_CHECKING:
    from service.commands.replay import Told

REPORT: Final = Path("docs/reports/ink")
MARGINS: Final = (0, 4, 8, 12)  # columns
KINDS: Final = {"words": "7", "lines": "8"}  # categories of UNIPEN
COUNT: Final = click.IntRange(1)


@click.command(name="ink")
@CHECKPOINT
@DATA
@PART
@click.option(
    "--margin",
    type=click.IntRange(0),
    multiple=True,
    default=MARGINS,
    show_default=True,
    help="columns that the pen must be ahead",
)
@click.option("--words", type=COUNT, default=1000, show_default=True, help="at most")
@click.option("--lines", type=COUNT, default=500, show_default=True, help="at most")
@click.option("--out", type=PATH, default=REPORT, show_default=True, help="for JSON and plot")
def ink(
    *,
    checkpoint: str,
    data: Path | None,
    part: Part,
    margin: tuple[int, ...],
    out: Path,
    **limits: int,
) -> int:
    """Letters withdrawn by late strokes, against how far the pen is ahead of letters.

    \b
    Example:
      inkstream evaluate ink --part choose --words 100 --lines 20 --out /tmp/ink
    """
    from model.report.material import Material  # needs the train extra
    from service.commands.replay import POINTS, Strokes, replay  # needs rapidfuzz

    net = read(find(checkpoint), "transcriber")
    make_folders(out)
    runtime, written = Runtime(net), unipen.read(data)[0]
    labels, height = runtime.config.labels, runtime.config.column_height
    pieces: dict[str, list[Strokes]] = {}
    for kind, category in KINDS.items():
        material = Material(written, part, labels, height, limits[kind])
        pieces[kind] = [material.strokes(place) for place in material.places(category)]
    contents: dict[str, Any] = {
        "model": net.metadata.name,
        "model_digest": net.digest,
        "data_digest": written.digest,
        "part": part,
        "pieces": {kind: len(own) for kind, own in pieces.items()},
        "points_a_message": POINTS,
        "margins": {},
    }
    click.echo(f"{net.metadata.name} {net.digest}\ndata {written.digest}, writers: {part}\n")
    click.echo(
        "margin  kind   letters  withdrawn     gone  most in one  pieces without  in time"
        "  ahead: median  90 %"
    )
    for columns in margin:
        found = {
            kind: _summed([replay(runtime, strokes, columns) for strokes in own])
            for kind, own in pieces.items()
        }
        contents["margins"][str(columns)] = found
        for kind, figures in found.items():
            click.echo(_row(columns, kind, figures))
    (out / "report.json").write_text(json.dumps(contents, indent=2) + "\n")
    _plot(contents["margins"], out / "margin.png")
    click.echo(f"written: {out}")
    return 0


def _summed(told: "Sequence[Told]") -> dict[str, float]:
    """Figures of all pieces together."""
    letters = max(1, sum(one.letters for one in told))
    ahead = [columns for one in told for columns in one.ahead]
    median, nine_tenths = np.quantile(ahead or [0], (0.5, 0.9)).tolist()
    return {
        "letters": letters,
        "withdrawn_per_100": 100 * sum(one.withdrawn for one in told) / letters,
        "most_withdrawn_in_a_piece": max((one.withdrawn for one in told), default=0),
        "pieces_without": sum(not one.withdrawn for one in told) / max(1, len(told)),
        "gone_per_100": 100 * sum(one.gone for one in told) / letters,
        "told_while_written": len(ahead) / letters,
        "ahead_median": median,
        "ahead_90": nine_tenths,
    }


def _row(columns: int, kind: str, figures: Mapping[str, float]) -> str:
    return (
        f"{columns:6d}  {kind:5s}  {figures['letters']:7.0f}  {figures['withdrawn_per_100']:8.1f} %"
        f"  {figures['gone_per_100']:5.1f} %  {figures['most_withdrawn_in_a_piece']:11.0f}"
        f"  {figures['pieces_without']:14.0%}  {figures['told_while_written']:7.0%}"
        f"  {figures['ahead_median']:13.0f}  {figures['ahead_90']:4.0f}"
    )


def _plot(margins: Mapping[str, Any], path: Path) -> None:
    """Withdrawn letters against the median of how far the pen is ahead, a point for each margin."""
    from matplotlib.figure import Figure  # needs the train extra

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for kind in KINDS:
        ahead = [found[kind]["ahead_median"] for found in margins.values()]
        withdrawn = [found[kind]["withdrawn_per_100"] for found in margins.values()]
        axes.plot(ahead, withdrawn, marker="o", markersize=4, label=kind)
        for margin, x, y in zip(margins, ahead, withdrawn, strict=True):
            axes.annotate(margin, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)
    axes.set(
        title="What late strokes withdraw, by the margin (columns, at the points)",
        xlabel="columns from a letter's end to the pen when it is told, median",
        ylabel="letters withdrawn, of 100",
    )
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
