"""`inkstream recognize`: images of digits, lines and pages, and files of ink, read here."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from service.commands.hint_options import hint_options, known
from service.commands.options import PATH

if TYPE_CHECKING:
    from service.commands.offline import Form

DEFAULT_MODEL: Final = "digits"
PAGE_MODEL: Final = "lines"


@click.command(name="recognize")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", help=f"name or path of a model  [{DEFAULT_MODEL}; of pages {PAGE_MODEL}]")
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

    IMAGE is a file, a folder (all images in it and below), or a quoted pattern. One that cannot be
    read is named on standard error, the others are read all the same, and the exit code is 1. Ink
    is read too: each line of a .jsonl file with strokes, each labelled group of an .inkml file.
    With --jsonl a run that was broken off goes on: what stands in the file is not read again.

    \b
    Examples:
      inkstream recognize examples/7.png
      inkstream recognize examples/hello.png examples/hello.jsonl --model lines
      inkstream recognize examples/hello.png --model lines --language english
      inkstream recognize dates/ --model lines --pattern '\\d{2}/\\d{2}/\\d{4}'
      inkstream recognize examples/page.jpg --page --show page.png
      inkstream recognize examples/page.jpg --page --alto > page.xml
      inkstream recognize scans/ --page --jsonl scans.jsonl
      inkstream recognize scans/ --csv > scans.csv
      inkstream recognize 'scans/**/*.jpg' --json | jq .label
    """
    form = _form(forms)
    _check(page, form, show, jsonl)
    from service.commands.offline import expand  # so that help is instant

    paths = [path for image in images for path in expand(image)]
    if len(paths) > 1 and (show or form in ("hocr", "alto")):
        _refuse(f"--show, --hocr and --alto take one image, {len(paths)} came")
    model = model or (PAGE_MODEL if page else DEFAULT_MODEL)
    if jsonl is not None:
        from service.commands.folder import Task, read_folder

        return 0 if read_folder(paths, jsonl, Task(model, known(**hints), page), processes) else 1
    from model.recognizer import load
    from service.commands.offline import recognize_all, recognize_pages

    recognizer = load(model, **known(**hints))
    if page:
        all_read = recognize_pages(paths, recognizer, form, _complain, show)
    else:
        all_read = recognize_all(paths, recognizer, form, _complain)
    return 0 if all_read else 1


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
