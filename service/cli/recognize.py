"""Reads many images and files of ink here, without a server, and writes a line about each.

`inkstream recognize`: images of digits, lines and pages, and files of ink, read here.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar

import click

from inkstream.model.decoding.base import Event
from inkstream.model.errors import InkstreamError
from inkstream.model.pages.page import find_page
from inkstream.model.recognizer import Recognition, Recognizer
from inkstream.service.cli.inputs import Piece, holds_ink, pieces
from inkstream.service.cli.options import LINES, PATH, Nets, are_of_lines, hint_options, known
from inkstream.service.pages import (
    PageTranscription,
    alto,
    draw,
    hocr,
    read_line,
    transcription,
)
from inkstream.service.session import message_of

Form = Literal["text", "json", "csv", "hocr", "alto"]
P = ParamSpec("P")
T = TypeVar("T")

DECIMALS: Final = 6  # of probabilities, as on the wire


def recognize_all(
    paths: Sequence[Path], nets: Nets, form: Form, complain: Callable[[str], object]
) -> bool:
    """Write what each image or piece of ink is read as; gives whether all could be read.

    Args:
        paths: files of images or ink.
        nets: that read them.
        form: of the lines on standard output.
        complain: called with a sentence about each that cannot be read.
    """
    kinds = {nets.of(path).metadata.config.kind for path in paths}  # a missing net is told at once
    if form == "csv":
        click.echo(_row(["image", "label" if kinds == {"classifier"} else "text", "probability"]))
    all_read = True
    # A bar helps where the answers go elsewhere; in a terminal they are the progress.
    hidden = len(paths) < 2 or sys.stdout.isatty() or not sys.stderr.isatty()
    with click.progressbar(paths, label="reading", file=sys.stderr, hidden=hidden) as bar:
        for path in bar:
            recognizer = nets.of(path)
            for name, answer in answers(path, recognizer):
                if isinstance(answer, Recognition):
                    click.echo(_line(name, answer, recognizer, form))
                else:
                    all_read = False
                    complain(f"{name}: {answer}")
    return all_read


def answers(
    path: Path, recognizer: Recognizer, known: Container[str] = ()
) -> Iterator[tuple[str, Recognition | InkstreamError]]:
    """What an image or the pieces of a file of ink are read as, or why not; each with its name.

    Pieces whose names are `known` are left out.
    """
    if not holds_ink(path):
        yield str(path), _tried(recognizer.recognize, path)
        return
    for name, piece in pieces(path):
        if name in known:
            continue
        if isinstance(piece, Piece):
            yield name, _tried(recognizer.read_ink, piece.strokes, piece.height)
        else:
            yield name, piece


def _tried(read: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | InkstreamError:
    """What a call gives, or the error that it raises."""
    try:
        return read(*args, **named)
    except InkstreamError as error:
        return error


def _line(name: str, answer: Recognition, recognizer: Recognizer, form: Form) -> str:
    """One image or piece of ink in the form that is asked for."""
    match form:
        case "json":
            return json.dumps(line_fields(name, answer, recognizer), ensure_ascii=False)
        case "csv":
            return _row([name, answer.text, f"{answer.confidence:.{DECIMALS}f}"])
        case _:
            return f"{name}  {answer.text}  {answer.confidence:.2%}"


def line_fields(name: str, answer: Recognition, recognizer: Recognizer) -> dict[str, Any]:
    """What is told of one image or piece of ink, as plain JSON."""
    if recognizer.metadata.config.kind == "classifier":
        return {
            "image": name,
            "label": answer.label,
            "probabilities": {k: round(p, DECIMALS) for k, p in answer.probabilities.items()},
            "columns": answer.columns,
        }
    return {
        "image": name,
        "text": answer.text,
        "letters": [message_of(letter).model_dump(mode="json") for letter in answer.letters],
        "words": [message_of(word).model_dump(mode="json") for word in answer.words],
        "columns": answer.columns,
    }


def recognize_pages(
    paths: Sequence[Path],
    nets: Nets,
    form: Form,
    complain: Callable[[str], object],
    show: Path | None = None,
) -> bool:
    """Write what each image of a page is read as; gives whether all could be read.

    Args:
        show: where the last one is drawn with its boxes and its text.
    """
    if form == "csv":
        click.echo(_row(["image", "block", "line", "text", "probability"]))
    all_read = True
    for number, path in enumerate(paths):
        page = _tried(page_of, path, nets.of(path))
        if isinstance(page, InkstreamError):
            all_read = False
            complain(f"{path}: {page}")
        else:
            if form == "text" and len(paths) > 1:  # as `head` tells files apart
                click.echo(f"\n==> {path} <==" if number else f"==> {path} <==")
            click.echo(_page_text(str(path), page, form))
            if show is not None:
                draw(path, page, show)
    return all_read


def page_of(path: Path, recognizer: Recognizer) -> PageTranscription:
    """What is read on the image of a page; raises an `InkstreamError` if it cannot be."""
    page = find_page(path, recognizer.column_height)
    said = recognizer.read_all([line.columns for line in page.lines]) if page.lines else []
    lines = []
    for line, own in zip(page.lines, said, strict=True):
        events: list[Event] = [*own.letters, *own.words]
        lines.append(read_line(line, own.text, [message_of(event) for event in events]))
    return transcription(page, lines)


def _page_text(name: str, page: PageTranscription, form: Form) -> str:
    """A page in the form that is asked for."""
    match form:
        case "json":
            fields = {"image": name, **page.model_dump(mode="json")}
            return json.dumps(fields, ensure_ascii=False)
        case "csv":
            rows = [
                [name, str(line.block), str(place), line.text, f"{line.confidence:.{DECIMALS}f}"]
                for place, line in enumerate(page.lines)
            ]
            return "\n".join(map(_row, rows))
        case "hocr":
            return hocr(page, name)
        case "alto":
            return alto(page, name)
        case "text":
            return page.text


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


if TYPE_CHECKING:
    pass


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
        from inkstream.service.cli.folder import Task, read_folder

        all_read = read_folder(paths, jsonl, Task(model, told, page), processes)
        return 0 if all_read and all_found else 1
    from inkstream.service.cli.options import Nets

    pass

    nets = Nets(model, told)
    if page:
        all_read = recognize_pages(paths, nets, form, _complain, show)
    else:
        all_read = recognize_all(paths, nets, form, _complain)
    return 0 if all_read and all_found else 1


def _files(images: tuple[str, ...], page: bool, jsonl: Path | None) -> tuple[list[Path], bool]:
    """The files that the arguments name, and whether each names one; `jsonl` itself is none."""
    from inkstream.service.cli.inputs import (  # so that help is instant
        IMAGE_SUFFIXES,
        SUFFIXES,
        expand,
    )

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
