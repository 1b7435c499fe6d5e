"""Files of ink, and the pieces that they hold.

Each line of a `.jsonl` file is a piece, `{"strokes": [[[x, y], ...], ...]}` with a `height` or
none, and each group of an `.inkml` file, as `inkml.read` finds them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from model.data import inkml
from model.errors import DataError, InkstreamError
from service.commands.files import INKML_SUFFIX
from service.strokes import strokes_of


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Strokes that are read together."""

    strokes: Sequence[ArrayLike]  # each [n, 2], x to the right, y downwards
    height: float | None  # of the writing's frame; None is the ink's own bounds


def pieces(path: Path) -> Iterator[tuple[str, Piece | InkstreamError]]:
    """The pieces of a file, each with the name by which it is told of, or why there is none."""
    found = _inkml(path) if path.suffix.lower() == INKML_SUFFIX else _json_lines(path)
    is_empty = True
    try:
        for line, piece in found:
            is_empty = False
            yield f"{path}:{line}", piece
    except InkstreamError as error:
        yield str(path), error
    except OSError as error:
        yield str(path), DataError(f"cannot be read: {error.strerror}")
    else:
        if is_empty:
            yield str(path), DataError("there is no ink in it")


def _inkml(path: Path) -> Iterator[tuple[int, Piece]]:
    for group in inkml.read(path.read_bytes(), only_labelled=False):
        yield group.line, Piece(group.strokes, None)


def _json_lines(path: Path) -> Iterator[tuple[int, Piece | InkstreamError]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, _json_piece(line)
                except InkstreamError as error:
                    yield number, error


def _json_piece(line: bytes) -> Piece:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise DataError(f"no JSON: {error}") from error
    if not isinstance(message, dict):
        raise DataError(f"a JSON {type(message).__name__}, expected an object with strokes")
    return Piece(*strokes_of(message))
