"""`inkstream evaluate`: measure models on writing that they have never seen."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from inkstream.service.cli.options import CHECKPOINT, DATA, PART, PATH, Command
from inkstream.service.cli.outcome import Outcome, outcome

if TYPE_CHECKING:
    from inkstream.model.checkpoint import Checkpoint
    from inkstream.model.data.ink_set import InkSet
    from inkstream.model.data.split import Part

REPORTS: Final = Path("runs/evaluate")
COUNT: Final = click.IntRange(1)
LIMIT: Final = click.option("--limit", type=COUNT, help="pieces of a category, or pages, at most")
BASELINES: Final = click.option(
    "--baselines", is_flag=True, help="read the same with RapidOCR and Tesseract"
)
DOCUMENT: Final = click.option(
    "--document", type=PATH, help="the report for people  [a file in --out]"
)
MARGINS: Final = (0, 4, 8, 12)  # columns


def out_option(name: str, contents: str) -> Callable[[Command], Command]:
    """Return the option for the folder of a report."""
    default = REPORTS / name
    return click.option("--out", type=PATH, default=default, help=contents)


@click.group()
def evaluate() -> None:
    """Measure a model on writing that it has never seen, and draw what it knows.

    All but digits need UNIPEN, read once by: inkstream data unipen ARCHIVE

    \b
    Examples:
      inkstream evaluate digits
      inkstream evaluate lines --checkpoint runs/hand
    """


@evaluate.command()
@click.option(
    "--checkpoint",
    multiple=True,
    default=("digits",),
    help="name or path; the first is reported in full, others as seeds beside it",
)
@click.option("--data", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@out_option("digits", "folder for JSON and plots")
def digits(checkpoint: tuple[str, ...], data: Path | None, out: Path) -> None:
    """Accuracy after each column, calibration, confusion and the worst mistakes, on MNIST's test.

    \b
    Examples:
      inkstream evaluate digits
      inkstream evaluate digits --checkpoint runs/a/digits.onnx --checkpoint runs/b/digits.onnx
    """
    from inkstream.model.checkpoint import find
    from inkstream.model.data.sources import mnist
    from inkstream.model.evaluation.digits import report

    out.mkdir(parents=True, exist_ok=True)
    with outcome("the report") as result:
        made = report([find(name) for name in checkpoint], mnist.load("t10k", data))
        made.save(out)
        click.echo(f"{made.heading()}\n{made.table()}")
        result.complete(out, next_command=_serve(checkpoint[0]))


@evaluate.command()
@CHECKPOINT
@DATA
@click.option("--mnist", type=PATH, help="a folder of MNIST's IDX files  [fetched once]")
@PART
@LIMIT
@BASELINES
@click.option(
    "--adaptation",
    type=click.IntRange(0),
    default=0,
    help="writers for whom the model is adapted with half of their words",
)
@click.option("--bidirectional", type=PATH, help="run folder of a bidirectional reference model")
@out_option("lines", "folder for JSON and plots")
@DOCUMENT
def lines(
    *,
    checkpoint: str,
    data: Path | None,
    mnist: Path | None,
    part: "Part",
    limit: int | None,
    baselines: bool,
    adaptation: int,
    bidirectional: Path | None,
    out: Path,
    document: Path | None,
) -> None:
    """Measure CER, letter ends, latency and calibration on the test writers.

    Baselines, adaptation and a bidirectional reference model are measured where they are asked for,
    else kept from the report in --out, if it is of the same weights, ink and pieces.

    \b
    Examples:
      inkstream evaluate lines
      inkstream evaluate lines --baselines --adaptation 12 --bidirectional runs/both
      inkstream evaluate lines --checkpoint runs/lines/lines.onnx --part validation --limit 300
    """
    from inkstream.model.data.sources import mnist as digits
    from inkstream.model.evaluation.baselines import installed
    from inkstream.model.evaluation.lines import contents_of, report

    document = document or out / "accuracy.md"
    with _measuring(checkpoint, data, out, document.parent) as (net, ink, result):
        made = report(
            net, ink, digits.load("t10k", mnist),
            part=part, limit=limit, baselines=installed() if baselines else (),
            n_writers=adaptation, reference=bidirectional, earlier=contents_of(out),
        )  # fmt: skip
        made.save(out, document)
        click.echo(f"{made.heading()}\n{made.table()}")
        result.complete(out, document, next_command=_serve(checkpoint))


@evaluate.command()
@CHECKPOINT
@DATA
@PART
@click.option(
    "--margin",
    type=click.IntRange(0),
    multiple=True,
    default=MARGINS,
    help="columns that the pen must be ahead of a column before this is read",
)
@click.option("--words", type=COUNT, default=1000, help="at most")
@click.option("--lines", type=COUNT, default=500, help="at most")
@out_option("ink", "folder for JSON and plot")
def ink(
    *,
    checkpoint: str,
    data: Path | None,
    part: "Part",
    margin: tuple[int, ...],
    out: Path,
    **limits: int,
) -> None:
    """Letters that late strokes withdraw, against how far the pen is ahead of what is read.

    \b
    Example:
      inkstream evaluate ink --part validation --words 100 --lines 20
    """
    from inkstream.service.cli.replay import report

    with _measuring(checkpoint, data, out) as (net, pieces, result):
        report(net, pieces, part, margin, limits=limits, out=out)
        result.complete(out, next_command=_serve(checkpoint))


@evaluate.command()
@CHECKPOINT
@click.option("--language", default="english", help="name or path")
@DATA
@PART
@LIMIT
@out_option("language", "folder for JSON and table")
def language(
    *,
    checkpoint: str,
    language: str,
    data: Path | None,
    part: "Part",
    limit: int | None,
    out: Path,
) -> None:
    """Errors with a language model and without it, of the same scores.

    \b
    Example:
      inkstream evaluate language --part validation --limit 500
    """
    from inkstream.model.decoding import ngrams
    from inkstream.model.evaluation.language import report

    with _measuring(checkpoint, data, out) as (net, ink, result):
        made = report(net, ink, ngrams.load(language), part, limit)
        made.save(out)
        click.echo(f"{made.heading()}\n{made.table()}")
        following = f"inkstream recognize line.png --language {shlex.quote(language)}"
        result.complete(out, next_command=following)


@evaluate.command()
@CHECKPOINT
@DATA
@PART
@LIMIT
@BASELINES
@out_option("pages", "folder for JSON and pictures")
@DOCUMENT
def pages(
    *,
    checkpoint: str,
    data: Path | None,
    part: "Part",
    limit: int | None,
    baselines: bool,
    out: Path,
    document: Path | None,
) -> None:
    """Errors of pages against the same ink as strokes, and lines found (scan extra too).

    \b
    Examples:
      inkstream evaluate pages --baselines
      inkstream evaluate pages --part validation --limit 20
    """
    from inkstream.model.evaluation.baselines import installed
    from inkstream.model.evaluation.pages import report

    document = document or out / "pages.md"
    with _measuring(checkpoint, data, out, document.parent) as (net, ink, result):
        others = installed() if baselines else []
        made = report(net, ink, part=part, limit=limit, baselines=others)
        made.save(out, document)
        click.echo(f"{made.heading()}\n{made.table()}")
        result.complete(out, document, next_command="inkstream recognize page.jpg --page")


@contextmanager
def _measuring(
    checkpoint: str, data: Path | None, *folders: Path
) -> Iterator[tuple["Checkpoint", "InkSet", Outcome]]:
    """Make the folders of a report; yield a model for lines, UNIPEN's ink, and the outcome."""
    from inkstream.model import checkpoint as checkpoints
    from inkstream.model.data.sources import unipen

    net = checkpoints.read(checkpoints.find(checkpoint), "transcriber")
    for folder in folders:  # here, so that an hour's work does not fail at its end
        folder.mkdir(parents=True, exist_ok=True)
    with outcome("the report") as result:
        yield net, unipen.read(data)[0], result


def _serve(checkpoint: str) -> str:
    return f"inkstream serve --models {shlex.quote(checkpoint)}"
