"""Ink written anew, point after point, into a session: what a pad's user would see, and when.

The session is the served one, with a net of its own and without a server around it: what it says
after each message is known before the pen goes on.

`inkstream evaluate ink`: what is told while a hand writes, how late, and what is withdrawn.

How far the pen must be beyond a column for this to be read is a setting; here it is chosen.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from inkstream.model.checkpoint import find, read
from inkstream.model.data.sources import unipen
from inkstream.model.data.split import Part
from inkstream.model.runtime import Runtime
from inkstream.service.cli.options import CHECKPOINT, DATA, PART, PATH, make_folders
from inkstream.service.engine.local import LocalSession
from inkstream.service.protocol.events import Letter, Punctuation
from inkstream.service.protocol.server_messages import Rewound, ServerMessage
from inkstream.service.session import SessionModel
from inkstream.service.settings import Settings

POINTS: Final = 4  # in a message, as of a pen of a hundred points a second, 25 times a second

Strokes = Sequence[NDArray[np.float32]]  # in true order, each [n, 2], pixels


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one piece of ink while it was written."""

    letters: int  # that stand in the end, marks among them
    withdrawn: int  # letters whose id was withdrawn or given to another one, each time
    gone: int  # of these, such as were no longer in the text at all: others only moved in it
    ahead: list[int]  # columns from each letter's end to the pen, when it was first told
    text: str


def replay(runtime: Runtime, strokes: Strokes, margin: int) -> Told:
    """Write strokes as a hand did, with `margin` columns between the pen and what is read."""
    limits = Settings.model_construct().limits.model_copy(update={"ink_margin_columns": margin})
    session = LocalSession(runtime, SessionModel.of(runtime.metadata, limits))
    standing: list[str] = []
    now_s = 0.0

    def sent_after(message: Mapping[str, Any]) -> list[ServerMessage]:
        """Return what is sent after a message; raise `AssertionError` if it is an error."""
        nonlocal now_s
        now_s += 1.0  # below any rate limit
        sent = session.receive(json.dumps(message), now_s)
        assert all(each.type != "error" for each in sent), sent
        return sent

    first_told: dict[int, int] = {}
    pen, withdrawn, gone, text = 0, 0, 0, ""
    for message, furthest in _messages(strokes, runtime.config.column_height):
        pen, before = max(pen, furthest), list(standing)
        for said in sent_after(message):
            if isinstance(said, Rewound):
                del standing[said.letters :]
            elif isinstance(said, Letter | Punctuation):
                standing[said.id : said.id + 1] = [said.char]
                first_told.setdefault(said.id, pen - said.end)
        withdrawn += sum(old != new for old, new in zip_longest(before, standing[: len(before)]))
        gone += len(before) - LCSseq.similarity(before, standing)
    n_while_written = len(standing)
    for said in sent_after({"type": "flush"}):
        if isinstance(said, Letter | Punctuation):
            standing.append(said.char)
        text = getattr(said, "text", text)
    return Told(
        letters=len(standing),
        withdrawn=withdrawn,
        gone=gone,
        ahead=[ahead for i, ahead in first_told.items() if i < n_while_written],
        text=text,
    )


def _messages(strokes: Strokes, height: int) -> Iterator[tuple[dict[str, Any], int]]:
    """The messages that bring strokes, and the furthest column of the points of each."""
    for name, stroke in enumerate(strokes):
        for start in range(0, len(stroke), POINTS):
            points = stroke[start : start + POINTS]
            last = start + POINTS >= len(stroke)
            piece = {"id": name, "points": points.astype(float).tolist(), "last": last}
            yield {"type": "ink", "strokes": [piece], "height": height}, int(points[:, 0].max())


if TYPE_CHECKING:
    pass

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
      inkstream evaluate ink --part validation --words 100 --lines 20 --out /tmp/ink
    """
    from inkstream.model.evaluation.evaluation_set import EvaluationSet  # needs the train extra

    pass  # needs rapidfuzz

    net = read(find(checkpoint), "transcriber")
    make_folders(out)
    runtime, written = Runtime(net), unipen.read(data)[0]
    labels, height = runtime.config.labels, runtime.config.column_height
    pieces: dict[str, list[Strokes]] = {}
    for kind, category in KINDS.items():
        evaluation_set = EvaluationSet(written, part, labels, height, limits[kind])
        pieces[kind] = [evaluation_set.strokes(place) for place in evaluation_set.indices(category)]
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
