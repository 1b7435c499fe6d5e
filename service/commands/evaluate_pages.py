"""`inkstream evaluate pages`: the command line of the report on pages."""

from pathlib import Path
from typing import Final

import click

from model.checkpoint import find, read
from model.data import unipen
from model.data.split import Part
from service.commands.options import CHECKPOINT, DATA, PART, PATH, make_folders

REPORT: Final = Path("docs/reports/pages")
DOCUMENT: Final = Path("docs/pages.md")


@click.command(name="pages")
@CHECKPOINT
@DATA
@PART
@click.option("--limit", type=click.IntRange(1), help="pages at most")
@click.option("--peers", is_flag=True, help="read the same images with RapidOCR and Tesseract too")
@click.option("--out", type=PATH, default=REPORT, show_default=True, help="for JSON and pictures")
@click.option("--document", type=PATH, default=DOCUMENT, show_default=True, help="for people")
def pages(
    *,
    checkpoint: str,
    data: Path | None,
    part: Part,
    limit: int | None,
    peers: bool,
    out: Path,
    document: Path,
) -> int:
    """Errors of pages against the same ink as strokes, and lines found (scan extra too).

    \b
    Examples:
      inkstream evaluate pages --peers
      inkstream evaluate pages --part choose --limit 20 --out /tmp/pages --document /tmp/pages.md
    """
    from model.report.scan.document import table  # needs rapidfuzz
    from model.report.scan.peers import installed
    from model.report.scan.report import report

    net = read(find(checkpoint), "transcriber")
    make_folders(out, document.parent)
    ink, _ = unipen.read(data)
    others = installed() if peers else []
    made = report(net, ink, part=part, limit=limit, peers=others)
    made.save(out, document)
    found = made.contents
    click.echo(f"{found['model']} {found['model_digest']}\ndata {found['data_digest']}, {part}\n")
    click.echo(f"{table(found)}\nwritten: {out}, {document}")
    return 0
