"""`inkstream evaluate lines`: the command line of the report on lines."""

from pathlib import Path
from typing import Any, Final

import click

from model.checkpoint import find, read
from model.data import mnist, unipen
from model.data.split import Part
from service.commands.options import CHECKPOINT, DATA, PART, PATH, make_folders

REPORT: Final = Path("docs/reports/lines")
DOCUMENT: Final = Path("docs/accuracy.md")


@click.command(name="lines")
@CHECKPOINT
@DATA
@click.option("--mnist", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@PART
@click.option("--limit", type=click.IntRange(1), help="pieces of a category at most")
@click.option("--peers", is_flag=True, help="read the same ink with RapidOCR and Tesseract too")
@click.option(
    "--hands",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="writers whose hand the net is taught with half of their words",
)
@click.option("--both-ways", type=PATH, help="run folder of a net that reads both ways")
@click.option("--out", type=PATH, default=REPORT, show_default=True, help="for JSON and plots")
@click.option("--document", type=PATH, default=DOCUMENT, show_default=True, help="for people")
def lines(
    *,
    part: Part,
    limit: int | None,
    peers: bool,
    hands: int,
    both_ways: Path | None,
    out: Path,
    document: Path,
    **places: Any,
) -> int:
    """Errors, letter ends, lateness and calibration on writers whom nothing was chosen by.

    Peers, hands and a net that reads both ways are measured where they are asked for, and else
    kept from the report in --out, if it is of the same weights, ink and pieces.

    \b
    Examples:
      inkstream evaluate lines
      inkstream evaluate lines --peers --hands 12 --both-ways runs/twin
      inkstream evaluate lines --checkpoint runs/lines/lines.onnx --part choose --limit 300
          --out /tmp/lines --document /tmp/lines/accuracy.md
    """
    from model.report.lines import contents_of, report  # needs rapidfuzz
    from model.report.recognisers import installed

    checkpoint = read(find(places["checkpoint"]), "transcriber")
    make_folders(out, document.parent)
    ink, _ = unipen.read(places["data"])
    digits = mnist.load("t10k", places["mnist"])
    others = installed() if peers else []
    made = report(
        checkpoint, ink, digits,
        part=part, limit=limit, peers=others, n_hands=hands, twin=both_ways,
        earlier=contents_of(out),
    )  # fmt: skip
    made.save(out, document)
    click.echo(f"{made.heading()}\n{made.table()}\nwritten: {out}, {document}")
    return 0
