"""`inkstream evaluate digits`: the command line of the report on digits.

`inkstream evaluate lines`: the command line of the report on lines.

`inkstream evaluate language`: what a language model brings to a net that reads lines.

`inkstream evaluate pages`: the command line of the report on pages.

`inkstream evaluate`: what a net is worth, on writing that it has never seen.
"""

import json
from pathlib import Path
from typing import Any, Final

import click

from inkstream.model.checkpoint import find, read
from inkstream.model.data.sources import mnist, unipen
from inkstream.model.data.split import Part
from inkstream.model.decoding import ngrams as languages
from inkstream.model.evaluation.baselines import installed
from inkstream.service.cli.evaluate_ink import ink
from inkstream.service.cli.options import CHECKPOINT, DATA, PART, PATH, make_folders

DIGITS_REPORT: Final = Path("docs/reports/digits")


@click.command(name="digits")
@click.option(
    "--checkpoint",
    multiple=True,
    default=("digits",),
    show_default=True,
    help="name or path; the first is reported in full, others as seeds beside it",
)
@click.option("--data", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@click.option("--out", type=PATH, default=DIGITS_REPORT, show_default=True)
def digits(checkpoint: tuple[str, ...], data: Path | None, out: Path) -> int:
    """Accuracy after each column, calibration, confusion and the worst mistakes, on MNIST's test.

    \b
    Examples:
      inkstream evaluate digits
      inkstream evaluate digits --checkpoint runs/a/digits.onnx --checkpoint runs/b/digits.onnx
    """
    from inkstream.model.checkpoint import find
    from inkstream.model.data.sources import mnist
    from inkstream.model.evaluation.digits import report

    make_folders(out)
    made = report([find(name) for name in checkpoint], mnist.load("t10k", data))
    made.save(out)
    click.echo(f"{made.heading()}\n{made.table()}\nwritten: {out}")
    return 0


LINES_REPORT: Final = Path("docs/reports/lines")
LINES_DOCUMENT: Final = Path("docs/accuracy.md")


@click.command(name="lines")
@CHECKPOINT
@DATA
@click.option("--mnist", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@PART
@click.option("--limit", type=click.IntRange(1), help="pieces of a category at most")
@click.option("--baselines", is_flag=True, help="read the same ink with RapidOCR and Tesseract")
@click.option(
    "--adaptation",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="writers for whom the net is adapted with half of their words",
)
@click.option("--bidirectional", type=PATH, help="run folder of a bidirectional reference model")
@click.option(
    "--out", type=PATH, default=LINES_REPORT, show_default=True, help="for JSON and plots"
)
@click.option("--document", type=PATH, default=LINES_DOCUMENT, show_default=True, help="for people")
def lines(
    *,
    part: Part,
    limit: int | None,
    baselines: bool,
    adaptation: int,
    bidirectional: Path | None,
    out: Path,
    document: Path,
    **places: Any,
) -> int:
    """Measure CER, letter ends, latency and calibration on the test writers.

    Baselines, adaptation and a bidirectional reference model are measured where they are asked
    for, else kept from the report in --out, if it is of the same weights, ink and pieces.

    \b
    Examples:
      inkstream evaluate lines
      inkstream evaluate lines --baselines --adaptation 12 --bidirectional runs/both
      inkstream evaluate lines --checkpoint runs/lines/lines.onnx --part validation --limit 300
          --out /tmp/lines --document /tmp/lines/accuracy.md
    """
    from inkstream.model.evaluation.lines import contents_of, report  # needs rapidfuzz

    checkpoint = read(find(places["checkpoint"]), "transcriber")
    make_folders(out, document.parent)
    ink, _ = unipen.read(places["data"])
    digits = mnist.load("t10k", places["mnist"])
    made = report(
        checkpoint, ink, digits,
        part=part, limit=limit, baselines=installed() if baselines else (),
        n_writers=adaptation, reference=bidirectional, earlier=contents_of(out),
    )  # fmt: skip
    made.save(out, document)
    click.echo(f"{made.heading()}\n{made.table()}\nwritten: {out}, {document}")
    return 0


REPORT: Final = Path("docs/reports/language")


@click.command(name="language")
@CHECKPOINT
@click.option("--language", default="english", show_default=True, help="name or path")
@DATA
@PART
@click.option("--limit", type=click.IntRange(1), help="pieces of a category at most")
@click.option("--out", type=PATH, default=REPORT, show_default=True, help="for the JSON")
def language(
    *,
    checkpoint: str,
    language: str,
    data: Path | None,
    part: Part,
    limit: int | None,
    out: Path,
) -> int:
    """Errors with a language model and without it, of the same scores.

    \b
    Example:
      inkstream evaluate language --part validation --limit 500 --out /tmp/language
    """
    from inkstream.model.evaluation.language import report  # needs the train extra
    from inkstream.model.evaluation.report import figures

    net = read(find(checkpoint), "transcriber")
    make_folders(out)
    ink, _ = unipen.read(data)
    model = languages.load(language)
    found = report(net, ink, model, part, limit)
    (out / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    table = figures("language", found)
    (out / "figures.md").write_text(table)
    click.echo(f"{found['model']} {found['model_digest']}\ndata {found['data_digest']}, {part}")
    click.echo(f"{table}written: {out}")
    return 0


PAGES_REPORT: Final = Path("docs/reports/pages")
DOCUMENT: Final = Path("docs/pages.md")


@click.command(name="pages")
@CHECKPOINT
@DATA
@PART
@click.option("--limit", type=click.IntRange(1), help="pages at most")
@click.option("--baselines", is_flag=True, help="read the images with RapidOCR and Tesseract")
@click.option(
    "--out", type=PATH, default=PAGES_REPORT, show_default=True, help="for JSON and pictures"
)
@click.option("--document", type=PATH, default=DOCUMENT, show_default=True, help="for people")
def pages(
    *,
    checkpoint: str,
    data: Path | None,
    part: Part,
    limit: int | None,
    baselines: bool,
    out: Path,
    document: Path,
) -> int:
    """Errors of pages against the same ink as strokes, and lines found (scan extra too).

    \b
    Examples:
      inkstream evaluate pages --baselines
      inkstream evaluate pages --part validation --limit 20 --out /tmp/pages
          --document /tmp/pages.md
    """
    from inkstream.model.evaluation.pages import report
    from inkstream.model.evaluation.report import figures  # needs rapidfuzz

    net = read(find(checkpoint), "transcriber")
    make_folders(out, document.parent)
    ink, _ = unipen.read(data)
    others = installed() if baselines else []
    made = report(net, ink, part=part, limit=limit, baselines=others)
    made.save(out, document)
    found = made.contents
    click.echo(f"{found['model']} {found['model_digest']}\ndata {found['data_digest']}, {part}\n")
    click.echo(f"{figures('pages', found)}\nwritten: {out}, {document}")
    return 0


@click.group(name="evaluate")
def evaluate() -> None:
    """Measure a net on writing it has never seen, and draw what it knows.

    \b
    Example:
      inkstream evaluate digits --out docs/reports/digits
    """


for command in (digits, lines, ink, language, pages):
    evaluate.add_command(command)
