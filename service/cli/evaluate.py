"""`inkstream evaluate`: measure models on writing that they have never seen."""

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from inkstream.service.cli import LINES, PATH, SEVERAL, Command, add_options, given_options, outcome

if TYPE_CHECKING:
    from inkstream.model.checkpoint import Checkpoint
    from inkstream.model.data.ink_set import InkSet
    from inkstream.model.data.split import Part
    from inkstream.model.evaluation.report import Report

REPORTS: Final = Path("runs/evaluate")
ROUGH_FOLDER: Final = "rough"
COUNT: Final = click.IntRange(1)
PART: Final = click.option(
    "--part",
    type=click.Choice(("validation", "test")),
    default="test",
    help="whose writing is read; choose by validation, report test",
)
CHECKPOINT: Final = click.option("--checkpoint", default=LINES, help="name or path of a model")
DATA: Final = click.option(
    "--data", type=PATH, help="UNIPEN's archive or folder  [default: as `data unipen` read it]"
)
ON_PART: Final = add_options((CHECKPOINT, PART))
ON_UNIPEN: Final = add_options((CHECKPOINT, PART, DATA))
LIMIT: Final = click.option(
    "--limit", type=COUNT, help="read at most so many pieces of a category, pages, or lines"
)
BASELINES: Final = click.option(
    "--baselines", is_flag=True, help="also read with RapidOCR and Tesseract"
)
LANGUAGES: Final = click.option(
    "--language",
    "languages",
    multiple=True,
    help=f"language to read in too: name, code or path, {SEVERAL}; may be repeated",
)
ROUGH: Final = click.option(
    "--rough",
    is_flag=True,
    help="read columns that are changed as scanners and cameras change them, and write that report"
    f" alone, into the folder {ROUGH_FOLDER} of --out",
)
DOCUMENT: Final = click.option(
    "--document", type=PATH, help="Markdown file of the report  [default: a file in --out]"
)


def out_option(name: str, contents: str) -> Callable[[Command], Command]:
    """Return the option for the folder of a report."""
    return click.option("--out", type=PATH, default=REPORTS / name, help=contents)


@click.group()
def evaluate() -> None:
    """Measure a model on writing that it has never seen, and draw what it knows.

    All but digits, wills, letters, pages --real and lines --data MINE need UNIPEN, read once by:
    inkstream data unipen ARCHIVE

    \b
    Examples:
      inkstream evaluate digits
      inkstream evaluate lines --data mine/ --checkpoint runs/hand/lines.onnx
    """


@evaluate.command()
@click.option(
    "--checkpoint",
    multiple=True,
    default=("digits",),
    help="name or path; the first is reported in full, others as further seeds, not with --rough",
)
@click.option("--data", type=PATH, help="a folder of MNIST's IDX files  [default: downloaded once]")
@click.option("--pen", type=PATH, help="pen-digits.jsonl.xz: measure pen digits too, and UNIPEN's")
@PART
@ROUGH
@out_option("digits", "folder for JSON and plots")
def digits(
    *,
    checkpoint: tuple[str, ...],
    data: Path | None,
    pen: Path | None,
    part: "Part",
    rough: bool,
    out: Path,
) -> None:
    """Accuracy after each column, calibration, confusion and the worst mistakes, on MNIST's test.

    The images are read seven times, with blank columns before and after them: a minute or two.
    MNIST is downloaded into the cache (~/.cache/inkstream/mnist) when it is first needed.

    \b
    Examples:
      inkstream evaluate digits
      inkstream evaluate digits --checkpoint runs/a/digits.onnx --checkpoint runs/b/digits.onnx
      inkstream evaluate digits --rough --part validation
    """
    from inkstream.model.checkpoint import find, read
    from inkstream.model.data.sources import pen_digits
    from inkstream.model.evaluation.digits import images, report
    from inkstream.model.evaluation.rough import digits_report

    def measure() -> "Report":
        nets, dataset = [find(name) for name in checkpoint], images(part, data)
        if rough:
            return digits_report(read(nets[0], "classifier"), dataset, part=part)
        return report(nets, dataset, part, pen_digits.load(pen, part) if pen else {})

    _write(measure, out / ROUGH_FOLDER if rough else out, None, _serve(checkpoint[0]))


@evaluate.command()
@ON_PART
@click.option(
    "--data",
    type=PATH,
    help="your own labelled data, as `train hand` takes them; or UNIPEN's archive or folder "
    " [default: UNIPEN as `data unipen` read it]",
)
@click.option(
    "--mnist", type=PATH, help="a folder of MNIST's IDX files  [default: downloaded once]"
)
@LIMIT
@ROUGH
@BASELINES
@click.option(
    "--adaptation",
    "n_writers",
    type=click.IntRange(0),
    default=0,
    help="fine-tune to so many writers, each with half of their words",
)
@out_option("lines", "folder for JSON and plots")
@DOCUMENT
def lines(
    *, mnist: Path | None, out: Path, document: Path | None, rough: bool, **options: Any
) -> None:
    """Measure CER, letter ends, latency and calibration on the test writers.

    Of your own data all lines are read, by the shipped model too: CER, exact match, confusions and
    the worst lines.

    Baselines and adaptation are measured where they are asked for, else kept from the report in
    --out, if it is of the same weights, ink and pieces.

    \b
    Examples:
      inkstream evaluate lines
      inkstream evaluate lines --baselines --adaptation 12
      inkstream evaluate lines --checkpoint runs/lines/lines.onnx --part validation --limit 300
      inkstream evaluate lines --rough --part validation
      inkstream evaluate lines --data mine/ --checkpoint runs/hand/lines.onnx
    """
    from inkstream.model.data.line_data import is_own, load_own
    from inkstream.model.data.sources import mnist as digits
    from inkstream.model.evaluation.lines import contents_of, report
    from inkstream.model.evaluation.own_lines import own_report
    from inkstream.model.evaluation.rough import words_report

    data: Path | None = options["data"]
    if data is not None and is_own(data):
        given = given_options()
        if others := given.keys() - {"checkpoint", "data", "limit", "out"}:
            unused = ", ".join(sorted(given[name] for name in others))
            raise click.UsageError(f"{data} holds labelled data of yours: leave out {unused}")
        out, load = out if "out" in given else REPORTS / "own", partial(load_own, data, 0.0)
        chosen = {name: options[name] for name in ("checkpoint", "limit")}
        _evaluate(own_report, load=load, out=out, **chosen)
        return
    if rough:
        flags = {"baselines": "--baselines", "n_writers": "--adaptation"}
        excluded = [flag for name, flag in flags.items() if options.pop(name)]
        excluded += ["--document"] if document else []
        if excluded:
            raise click.UsageError(f"--rough excludes {', '.join(excluded)}")
        _evaluate(words_report, out=out / ROUGH_FOLDER, **options)
        return

    def measure(net: "Checkpoint", ink: "InkSet", **chosen: Any) -> "Report":
        images = digits.load("t10k", mnist)
        return report(net, ink, images, earlier=contents_of(out), **chosen)

    _evaluate(measure, out=out, document=document or out / "accuracy.md", **options)


@evaluate.command()
@ON_UNIPEN
@click.option(
    "--margin",
    "margins",
    type=click.IntRange(0),
    multiple=True,
    default=(0, 4, 8, 12),
    help="columns that the pen must be ahead of a column before this is read",
)
@click.option("--words", type=COUNT, default=1000, help="words to replay")
@click.option("--lines", type=COUNT, default=500, help="lines to replay")
@out_option("ink", "folder for JSON and plot")
def ink(**options: Any) -> None:
    """Letters that late strokes withdraw, against how far the pen is ahead of what is read.

    \b
    Example:
      inkstream evaluate ink --part validation --words 100 --lines 20
    """
    from inkstream.service.cli.replay import report

    _evaluate(report, **options)


@evaluate.command()
@ON_UNIPEN
@click.option(
    "--language",
    "languages",
    multiple=True,
    default=("english",),
    help=f"name, code or path, {SEVERAL}; of several --language the first is measured in full",
)
@LIMIT
@out_option("language", "folder for JSON and table")
def language(*, languages: tuple[str, ...], **options: Any) -> None:
    """Errors with a language model and without it, of the same scores.

    \b
    Example:
      inkstream evaluate language --part validation --limit 500
      inkstream evaluate language --language english --language english,german --language auto
    """
    from inkstream.model.evaluation.language import report

    following = f"inkstream recognize line.png --language {shlex.quote(languages[0])}"
    _evaluate(report, next_command=following, languages=languages, **options)


@evaluate.command()
@ON_UNIPEN
@LIMIT
@BASELINES
@click.option(
    "--real",
    type=PATH,
    help="folder of real ruled pages, pages.jsonl and pages/, to read instead of made-up ones",
)
@click.option(
    "--overlays", type=PATH, help="folder to draw every page of --real in, the worst first"
)
@LANGUAGES
@click.option(
    "--out",
    type=PATH,
    help=f"folder for JSON and pictures  [default: {REPORTS}/pages, or {REPORTS}/ruled]",
)
@DOCUMENT
def pages(
    *,
    real: Path | None,
    overlays: Path | None,
    languages: tuple[str, ...],
    out: Path | None,
    document: Path | None,
    **options: Any,
) -> None:
    """Errors of pages, and lines found.

    Made-up pages of UNIPEN's ink are compared with the same ink as strokes. Of real pages, those
    with even text numbers are for validation, those with odd ones for the test.

    \b
    Examples:
      inkstream evaluate pages --baselines
      inkstream evaluate pages --part validation --limit 20
      inkstream evaluate pages --real paper/ --part validation --baselines --language french
    """
    from inkstream.model.evaluation.pages import report
    from inkstream.model.evaluation.paper import ruled_report
    from inkstream.model.evaluation.ruled import load_pages

    for option, given in (("--overlays draws", overlays), ("--language reads", languages)):
        if given and not real:
            raise click.UsageError(f"{option} the pages of --real, which is missing")
    kind = "ruled" if real else "pages"
    out = out or REPORTS / kind
    options |= {"out": out, "document": document or out / f"{kind}.md"}
    options["next_command"] = "inkstream recognize page.jpg --page"
    if real:
        options |= {"languages": languages, "overlays": overlays}
        _evaluate(ruled_report, load=partial(load_pages, real), **options)
    else:
        _evaluate(report, **options)


@evaluate.command()
@click.argument("source", metavar="PATH", type=PATH)
@ON_PART
@LIMIT
@BASELINES
@LANGUAGES
@out_option("wills", "folder for JSON and table")
def wills(*, source: Path, **options: Any) -> None:
    """Errors of lines cut from real paper: French wills and notaries' registers, German words.

    Accents are folded; if the model knows them, errors with accents are measured too.

    PATH is an archive, wills.tar, german-words.tar or notaries.tar, or its unpacked folder.

    \b
    Examples:
      inkstream evaluate wills paper/wills.tar --part validation --baselines --language french
      inkstream evaluate wills hands/german-words.tar --part validation --language german
    """
    from inkstream.model.data.sources import paper
    from inkstream.model.evaluation.paper import lines_report

    _evaluate(lines_report, load=partial(paper.load_lines, source), **options)


@evaluate.command()
@click.argument("files", metavar="FILE...", type=PATH, nargs=-1, required=True)
@ON_PART
@out_option("letters", "folder for JSON and table")
def letters(*, files: tuple[Path, ...], **options: Any) -> None:
    """Share of single letters and marks, as strokes, that are read right, by group.

    FILE has labelled ink: special-letters.jsonl.xz, characters.jsonl.xz.

    \b
    Example:
      inkstream evaluate letters special-letters.jsonl.xz characters.jsonl.xz --part validation
    """
    from inkstream.model.data.sources.letters import load_letters
    from inkstream.model.evaluation.letters import letters_report

    _evaluate(letters_report, load=lambda: [load_letters(path) for path in files], **options)


def _evaluate(
    measure: Callable[..., "Report"],
    *,
    checkpoint: str,
    out: Path,
    load: Callable[[], Any] | None = None,
    data: Path | None = None,
    document: Path | None = None,
    next_command: str | None = None,
    **options: Any,
) -> None:
    """Measure a model for lines on what `load` gives; write and print the report.

    None loads UNIPEN's ink from `data`. `options` are those of `measure`; the next command is to
    serve the model if it is None.
    """
    from inkstream.model import checkpoint as checkpoints
    from inkstream.model.data.sources import unipen
    from inkstream.model.evaluation.baselines import installed

    if "baselines" in options:
        options["baselines"] = installed() if options["baselines"] else ()
    net = checkpoints.read(checkpoints.find(checkpoint), "transcriber")

    def measure_writing() -> "Report":
        return measure(net, unipen.read(data)[0] if load is None else load(), **options)

    _write(measure_writing, out, document, next_command or _serve(checkpoint))


def _write(
    measure: Callable[[], "Report"], out: Path, document: Path | None, next_command: str
) -> None:
    """Write and print a report."""
    for folder in (out, (document or out).parent):  # here, so that an hour's work does not fail
        folder.mkdir(parents=True, exist_ok=True)
    with outcome("the report") as result:
        report = measure()
        report.save(out, document)
        click.echo(f"{report.heading()}\n{report.table()}")
        result.complete(*filter(None, (out, document)), next_command=next_command)


def _serve(checkpoint: str) -> str:
    return f"inkstream serve --models {shlex.quote(checkpoint)}"
