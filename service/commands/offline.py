"""Reads many images and files of ink here, without a server, and writes a line about each."""

import csv
import io
import json
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, ParamSpec, TypeVar

import click

from model.errors import InkstreamError
from model.events import Event
from model.recognizer import Recognition, Recognizer
from model.scan.page import find_page
from service.commands.files import holds_ink
from service.commands.ink_files import Piece, pieces
from service.commands.nets import Nets
from service.scan import formats, picture
from service.scan.messages import PageTranscription, read_line, transcription
from service.session import message_of

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
                picture.draw(path, page, show)
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
            return formats.hocr(page, name)
        case "alto":
            return formats.alto(page, name)
        case "text":
            return page.text


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
