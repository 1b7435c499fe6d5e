"""`inkstream recognize`: read images and ink here, without a server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", help="name or path of a model  [default: by the file, see above]")
@add_options(HINTS)
@click.option("--page/--line", default=None, help="each image is a page of many lines, or a line")
@click.option("--text", "forms", flag_value="text", multiple=True, help="text, the default")
@click.option("--json", "forms", flag_value="json", multiple=True, help="one JSON object a line")
@click.option(
    "--csv", "forms", flag_value="csv", multiple=True, help="comma-separated values with a header"
)
@click.option("--hocr", "forms", flag_value="hocr", multiple=True, help="a page as hOCR")
@click.option("--alto", "forms", flag_value="alto", multiple=True, help="a page as ALTO 4")
@click.option("--pagexml", "forms", flag_value="pagexml", multiple=True, help="a page as PAGE XML")
@click.option(
    "--pdf", "forms", flag_value="pdf", multiple=True, help="a page as searchable PDF, with --out"
)
@click.option("--out", type=PATH, help="folder for a file of each image, in one form or several")
@click.option("--show", type=PATH, help="image file to draw the page in, with boxes and text")
@click.option("--jsonl", type=PATH, help="file for JSON lines, read on all cores and resumable")
@click.option("--parquet", type=PATH, help="folder for the same in Parquet")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="processes for --jsonl, --parquet and --ray  [default: one for each core]",
)
@click.option("--ray", "by_ray", is_flag=True, help="read pages over the machines of Ray's cluster")
def recognize(
    *,
    images: tuple[str, ...],
    model: str | None,
    page: bool | None,
    forms: tuple[str, ...],
    out: Path | None,
    show: Path | None,
    jsonl: Path | None,
    processes: int | None,
    by_ray: bool,
    parquet: Path | None,
    **hints: Any,
) -> int:
    """Read images of one digit, one line of writing or one page each, here, without a server.

    IMAGE is a file, a folder (all images, and without --page all ink, in it and below that are not
    hidden), a quoted pattern, or - for standard input. Each page of a PDF, and each image of a
    TIFF, GIF or WebP that holds several, is read: as scan.pdf:1, scan.pdf:2 and so on. Ink is read
    too: each line of a .jsonl file with strokes, and each labelled group of an .inkml file, or
    where none is labelled, each group, and the traces outside of any as one. A file that cannot be
    read is named on standard error, and with --json or --jsonl has an object with its `error`; the
    others are read all the same, and the exit code is 1.

    What an image shows is found out, unless --page or --line says it. Without --model, pages, lines
    and ink are read by the model lines, single characters by digits; with --language, --words,
    --lexicon or --pattern all are read by lines.

    Of a line, letters that are uncertain are named with the next probable one. The `probability` of
    a line in CSV, and the `confidence` of a line and of a word in JSON, are products over
    letters: they fall with length, so compare them between texts of like length alone.

    With --out each image gets a file of its name in that folder, NAME.txt, or one for each of
    --text, --json, --hocr, --alto, --pagexml and --pdf.

    With --jsonl or --parquet a run that was broken off goes on: what stands there is not read
    again. --parquet needs `pip install 'inkstream[files]'`.

    With --ray pages are read over the cluster of RAY_ADDRESS, or on this machine, into --jsonl or
    --parquet. IMAGE may then be an address in an object store, of an image or a folder. This needs
    `pip install 'inkstream[ray]'`.

    \b
    Examples:
      inkstream recognize digit.png
      inkstream recognize line.png ink.jsonl
      inkstream recognize line.png --language english
      inkstream recognize year.png --characters 0123456789
      inkstream recognize dates/ --pattern '\\d{2}/\\d{2}/\\d{4}'
      inkstream recognize page.jpg --show shown.png
      inkstream recognize page.jpg --alto > page.xml
      inkstream recognize scans/ --out texts
      inkstream recognize scans/ --out books --pdf --alto
      inkstream recognize scan.pdf
      curl -s https://example.org/page.jpg | inkstream recognize -
      inkstream recognize scans/ --jsonl scans.jsonl
      inkstream recognize s3://archive/scans --page --ray --parquet scans
      inkstream recognize scans/ --csv > scans.csv
      inkstream recognize 'scans/**/*.jpg' --json | jq '.label // .text'
    """
    forms = forms or ("text",)
    of_pages = [f"--{form}" for form in forms if form in ("hocr", "alto", "pagexml", "pdf")]
    of_pages += ["--show"] * bool(show)
    page = True if of_pages and page is None else page
    _refuse(
        (
            len(forms) > 1 and not out,
            f"{' and '.join(f'--{form}' for form in forms)} exclude each other without --out",
        ),
        (of_pages and page is False, f"{' and '.join(of_pages)} is for pages: leave --line out"),
        ("csv" in forms and out, "--csv is one table of all images, without --out"),
        ("pdf" in forms and not out, "--pdf needs --out, the folder for the files"),
        (
            (jsonl or parquet) and (show or out or forms != ("text",)),
            "--jsonl and --parquet exclude --show, --out and other forms",
        ),
        (
            by_ray and not (page and (jsonl or parquet)),
            "--ray reads pages into a file or folder: add --page, and --jsonl or --parquet",
        ),
        (jsonl and parquet, "--jsonl and --parquet exclude each other"),
    )
    use_one_thread()
    from inkstream.service.cli import offline
    from inkstream.service.cli.answer_files import AnswerFiles
    from inkstream.service.cli.files import (
        IMAGE_SUFFIXES,
        STANDARD_INPUT,
        SUFFIXES,
        expand,
        holds_ink,
    )
    from inkstream.service.cli.files import images as images_of

    objects = [image for image in images if by_ray and "://" in image]
    named = [image for image in images if image not in objects]
    paths, missing = expand(named, IMAGE_SUFFIXES if page else SUFFIXES, jsonl)
    if not paths and not objects:
        raise click.BadParameter(missing[0], param_hint="IMAGE")
    ink = [path for path in paths if page and holds_ink(path)]
    option = next(iter(of_pages), "--page")
    _refuse(
        (
            len(paths) > 1 and STANDARD_INPUT in paths,
            "-, standard input, is read alone: name no other file beside it",
        ),
        (ink, f"{option} reads images of pages, but these hold ink: {', '.join(map(str, ink))}"),
    )
    if of_pages and (show or not out):
        n_pages = sum(1 for path in paths for _ in images_of(path))
        option = "--show" if show else f"{of_pages[0]} without --out"
        _refuse((n_pages > 1, f"{option} takes one page, {n_pages} came"))
    for text in missing:
        complain(text)
    arguments = load_arguments(**hints)
    if model is None and (page or need_lines(arguments)):
        model = LINES
    # The lines of a page share the cores, unless each core has a page.
    threads = os.cpu_count() or 1 if page is not False and not (jsonl or parquet) else 1
    reader = offline.Reader(model, arguments | {"threads": threads}, page)
    rows: offline.Rows | None = None if jsonl is None else offline.JsonLines(jsonl)
    if parquet:
        with _extra("--parquet", "files"):
            from inkstream.service.cli.parquet import Parquet
        rows = Parquet(parquet)
    if rows is None:
        files = AnswerFiles(out, forms, paths) if out else None
        all_read = offline.read(paths, reader, forms[0], files, show)
    elif by_ray:
        with _extra("--ray", "ray"):
            from inkstream.service.cli import ray_archive
        uris = {str(path): str(path.absolute()) for path in paths}
        uris |= {uri: uri for folder in objects for uri in ray_archive.objects_of(folder)}
        all_read = ray_archive.read_by_ray(rows, uris, reader, processes)
    else:
        all_read = offline.read_into(rows, paths, reader, processes)
    return 0 if all_read and not missing else 1


def _refuse(*faults: tuple[object, str]) -> None:
    """Raise `UsageError` with the text of the first fault that there is."""
    for is_wrong, text in faults:
        if is_wrong:
            raise click.UsageError(text)


@contextmanager
def _extra(option: str, extra: str) -> Iterator[None]:
    """Say which extra an option needs, if a package that is imported in the block is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        text = f"{option} needs {error.name}: pip install 'inkstream[{extra}]'"
        raise click.UsageError(text) from None
