"""`inkstream recognize`: read images and ink here, without a server."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from inkstream.service.cli import (
    HINTS,
    LINES,
    PATH,
    add_options,
    complain,
    load_arguments,
    need_lines,
    use_one_thread,
)

if TYPE_CHECKING:
    from inkstream.service.cli.offline import Form


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", help="name or path of a model  [default: by the file, see above]")
@add_options(HINTS)
@click.option("--page", is_flag=True, help="each image is a page of many lines")
@click.option("--json", "forms", flag_value="json", multiple=True, help="one JSON object a line")
@click.option(
    "--csv", "forms", flag_value="csv", multiple=True, help="comma-separated values with a header"
)
@click.option("--hocr", "forms", flag_value="hocr", multiple=True, help="a page as hOCR")
@click.option("--alto", "forms", flag_value="alto", multiple=True, help="a page as ALTO 4")
@click.option("--show", type=PATH, help="image file to draw the page in, with boxes and text")
@click.option("--jsonl", type=PATH, help="file for JSON lines, read on all cores and resumable")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="processes for --jsonl  [default: one for each core]",
)
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
    hidden), or a quoted pattern. Ink is read too: each line of a .jsonl file with strokes, and each
    labelled group of an .inkml file, or where none is labelled, each group, and the traces outside
    of any as one. A file that cannot be read is named on standard error, and with --json or
    --jsonl has an object with its `error`; the others are read all the same, and the exit code is
    1.

    Without --model, ink, pages, and images at least twice as wide as high are read by the model
    lines, other images by digits; with --language, --words, --lexicon or --pattern all are read by
    lines.

    Of a line, letters that are uncertain are named with the next probable one. The `probability` of
    a line in CSV, and the `confidence` of a word and of a page's line in JSON, are products over
    letters: they fall with length, so compare them between texts of like length alone.

    With --jsonl a run that was broken off goes on: what stands in the file is not read again.

    \b
    Examples:
      inkstream recognize digit.png
      inkstream recognize line.png ink.jsonl
      inkstream recognize line.png --language english
      inkstream recognize year.png --characters 0123456789
      inkstream recognize dates/ --pattern '\\d{2}/\\d{2}/\\d{4}'
      inkstream recognize page.jpg --page --show shown.png
      inkstream recognize page.jpg --page --alto > page.xml
      inkstream recognize scans/ --page --jsonl scans.jsonl
      inkstream recognize scans/ --csv > scans.csv
      inkstream recognize 'scans/**/*.jpg' --json | jq '.label // .text'
    """
    if len(forms) > 1:
        _refuse(f"{' and '.join(f'--{form}' for form in forms)} exclude each other")
    form: Form = forms[0] if forms else "text"  # type: ignore[assignment]  # click's flag values
    if not page and (show or form in ("hocr", "alto")):
        _refuse("--show, --hocr and --alto are for pages: add --page")
    if jsonl is not None and (show or form != "text"):
        _refuse("--jsonl excludes --show and other forms")
    use_one_thread()
    from inkstream.service.cli import offline
    from inkstream.service.cli.files import IMAGE_SUFFIXES, SUFFIXES, expand

    paths, missing = expand(images, IMAGE_SUFFIXES if page else SUFFIXES, jsonl)
    if not paths:
        raise click.BadParameter(missing[0], param_hint="IMAGE")
    if len(paths) > 1 and (show or form in ("hocr", "alto")):
        _refuse(f"--show, --hocr and --alto take one image, {len(paths)} came")
    for text in missing:
        complain(text)
    arguments = load_arguments(**hints)
    if model is None and (page or need_lines(arguments)):
        model = LINES
    # The lines of a page share the cores, unless each core has a page.
    threads = os.cpu_count() or 1 if page and jsonl is None else 1
    reader = offline.Reader(model, arguments | {"threads": threads}, page)
    if jsonl is None:
        all_read = offline.read(paths, reader, form, show)
    else:
        all_read = offline.read_into(jsonl, paths, reader, processes)
    return 0 if all_read and not missing else 1


def _refuse(message: str) -> NoReturn:
    raise click.UsageError(message, click.get_current_context())
