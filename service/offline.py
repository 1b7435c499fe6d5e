"""Reads many images here, without a server, and writes a line about each."""

import csv
import glob
import io
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

import click

from model.errors import InkstreamError
from model.recognizer import Recognition, load
from service.voices import message_of

Form = Literal["text", "json", "csv"]

IMAGE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
)
DECIMALS: Final = 6  # of probabilities, as on the wire


def expand(image: str) -> list[Path]:
    """The files that an argument names, sorted: a file, a folder's images, or a pattern's matches.

    Raises `click.BadParameter` if there are none.
    """
    path = Path(image)
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        found = sorted(file for file in inside if file.is_file())
    elif path.exists():
        return [path]
    else:
        found = sorted(Path(name) for name in glob.glob(image, recursive=True))  # noqa: PTH207
    if not found:
        raise click.BadParameter(f"no image at {image!r}", param_hint="IMAGE")
    return found


def recognize_all(
    paths: Sequence[Path], model: str, form: Form, complain: Callable[[str], object]
) -> bool:
    """Write what each image is read as; gives whether all could be read.

    Args:
        paths: image files.
        model: name or path of a model.
        form: of the lines on standard output.
        complain: called with a sentence about each image that cannot be read.

    Raises `CheckpointError` if the model cannot be used.
    """
    recognizer = load(model)
    transcribes = recognizer.metadata.config.kind == "transcriber"
    write = {"text": _text, "json": _json_of_a_line if transcribes else _json, "csv": _csv}[form]
    if form == "csv":
        click.echo(_row(["image", "text" if transcribes else "label", "probability"]))
    all_read = True
    # A bar helps where the answers go elsewhere; in a terminal they are the progress.
    hidden = len(paths) < 2 or sys.stdout.isatty() or not sys.stderr.isatty()
    with click.progressbar(paths, label="reading", file=sys.stderr, hidden=hidden) as bar:
        for path in bar:
            try:
                answer = recognizer.recognize(path)
            except InkstreamError as error:
                all_read = False
                complain(f"{path}: {error}")
            else:
                click.echo(write(path, answer))
    return all_read


def _text(path: Path, answer: Recognition) -> str:
    return f"{path}  {answer.text}  {answer.confidence:.2%}"


def _json(path: Path, answer: Recognition) -> str:
    return json.dumps(
        {
            "image": str(path),
            "label": answer.label,
            "probabilities": {k: round(p, DECIMALS) for k, p in answer.probabilities.items()},
            "columns": answer.columns,
        },
        ensure_ascii=False,
    )


def _json_of_a_line(path: Path, answer: Recognition) -> str:
    return json.dumps(
        {
            "image": str(path),
            "text": answer.text,
            "letters": [message_of(letter).model_dump(mode="json") for letter in answer.letters],
            "words": [message_of(word).model_dump(mode="json") for word in answer.words],
            "columns": answer.columns,
        },
        ensure_ascii=False,
    )


def _csv(path: Path, answer: Recognition) -> str:
    return _row([str(path), answer.text, f"{answer.confidence:.{DECIMALS}f}"])


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
