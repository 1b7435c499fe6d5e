"""`inkstream recognize`: images of digits, lines and pages, and files of ink, read here."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.hint_options import are_of_lines, hint_options, known
from service.commands.options import LINES, PATH

if TYPE_CHECKING:
    from service.commands.offline import Form


@click.command(name="recognize")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", help="name or path of a model  [what suits each file: see above]")
@hint_options
@click.option("--page", is_flag=True, help="each image is a page of many lines (scan extra)")
@click.option("--json", "forms", flag_value="json", multiple=True, help="one JSON object a line")
@click.option(
    "--csv", "forms", flag_value="csv", multiple=True, help="comma-separated values with a header"
)
@click.option("--hocr", "forms", flag_value="hocr", multiple=True, help="a page as hOCR")
@click.option("--alto", "forms", flag_value="alto", multiple=True, help="a page as ALTO 4")
@click.option("--show", type=PATH, help="an image for the page with its boxes and its text")
@click.option("--jsonl", type=PATH, help="a file for JSON lines: over all cores, and resumable")
@click.option("--processes", type=click.IntRange(1), help="that read for it  [one for each core]")
def recognize(
    *,
    images: tuple[str, ...],
    model: str | None,
    page: bool,
    forms: tuple[str, ...],
    show: Path | None,
    jsonl: Path | None,
    processes: int | None,
    **hints: Any,
) -> int:
    """Read images of one digit, one line of writing or one page each, here, without a server.

    IMAGE is a file, a folder (all images, and without --page all ink, in it and below that are not
    hidden), or a quoted pattern.
    One that cannot be read is named on standard error, the others are read all the same, and the
    exit code is 1. Ink is read too: each line of a .jsonl file with strokes, and of an .inkml file
    each labelled group, or where none is labelled, each group, and the traces outside of any as
    one.

    Without --model, ink, pages, and images at least twice as wide as high are read by the net
    lines, other images by digits; with --language, --words, --lexicon or --pattern all are read by
    lines.

    With --jsonl a run that was broken off goes on: what stands in the file is not read again.

    \b
    Examples:
      inkstream recognize examples/7.png
      inkstream recognize examples/hello.png examples/hello.jsonl
      inkstream recognize examples/hello.png --language english
      inkstream recognize year.png --characters 0123456789
      inkstream recognize dates/ --pattern '\\d{2}/\\d{2}/\\d{4}'
      inkstream recognize examples/page.jpg --page --show page.png
      inkstream recognize examples/page.jpg --page --alto > page.xml
      inkstream recognize scans/ --page --jsonl scans.jsonl
      inkstream recognize scans/ --csv > scans.csv
      inkstream recognize 'scans/**/*.jpg' --json | jq '.label // .text'
    """
    form = _form(forms)
    _check(page, form, show, jsonl)
    paths, all_found = _files(images, page, jsonl)
    if len(paths) > 1 and (show or form in ("hocr", "alto")):
        _refuse(f"--show, --hocr and --alto take one image, {len(paths)} came")
    told = known(**hints)
    if model is None and (page or are_of_lines(told)):
        model = LINES
    if jsonl is not None:
        from service.commands.folder import Task, read_folder

        all_read = read_folder(paths, jsonl, Task(model, told, page), processes)
        return 0 if all_read and all_found else 1
    from service.commands.nets import Nets
    from service.commands.offline import recognize_all, recognize_pages

    nets = Nets(model, told)
    if page:
        all_read = recognize_pages(paths, nets, form, _complain, show)
    else:
        all_read = recognize_all(paths, nets, form, _complain)
    return 0 if all_read and all_found else 1


def _files(images: tuple[str, ...], page: bool, jsonl: Path | None) -> tuple[list[Path], bool]:
    """The files that the arguments name, and whether each names one; `jsonl` itself is none."""
    from service.commands.files import IMAGE_SUFFIXES, SUFFIXES, expand  # so that help is instant

    suffixes = IMAGE_SUFFIXES if page else SUFFIXES
    out = None if jsonl is None else jsonl.resolve()
    paths, missing = [], []
    for image in images:
        found = [path for path in expand(image, suffixes) if path.resolve() != out]
        if not found:
            missing.append(f"no image or ink at {image!r}")
        paths += found
    if not paths:
        raise click.BadParameter(missing[0], param_hint="IMAGE")
    for text in missing:
        _complain(text)
    return paths, not missing


def _form(forms: tuple[str, ...]) -> "Form":
    """The one form that is asked for."""
    if len(forms) > 1:
        _refuse(f"{' and '.join(f'--{form}' for form in forms)} exclude each other")
    match forms:
        case ("json" | "csv" | "hocr" | "alto" as form,):
            return form
        case _:
            return "text"


def _check(page: bool, form: "Form", show: Path | None, jsonl: Path | None) -> None:
    """Refuse flags that do not go together."""
    if not page and (show or form in ("hocr", "alto")):
        _refuse("--show, --hocr and --alto are for pages: add --page")
    if jsonl is not None and (show or form != "text"):
        _refuse("--jsonl excludes --show and other forms")


def _refuse(message: str) -> None:
    raise click.UsageError(message, click.get_current_context())


def _complain(text: str) -> None:
    click.echo(f"inkstream: {' '.join(text.split())}", err=True)
