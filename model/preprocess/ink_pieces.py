"""Pieces of ink: strokes that are read together, and the files that hold them.

Each line of a `.jsonl` file, packed (`.jsonl.xz`) or not, is a piece,
`{"strokes": [[[x, y], ...], ...]}` with an optional `height`; so is each group of an `.inkml` file,
as `inkml.read` finds them.
"""

import io
import json
import lzma
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from numpy.typing import ArrayLike

from inkstream.model.errors import DataError, InkstreamError
from inkstream.model.preprocess import inkml
from inkstream.model.preprocess.ink import check_height, strokes_of

SUFFIXES: Final = (".jsonl", ".ndjson", ".jsonl.xz", ".inkml")


@dataclass(frozen=True, slots=True, eq=False)
class InkPiece:
    """Strokes that are read together."""

    strokes: Sequence[ArrayLike]  # each [n, 2], x to the right, y downwards
    height: float | None = None  # of the writing's frame; None is the ink's own bounds


def ink_pieces(path: str | os.PathLike[str]) -> list[InkPiece]:
    """Return all pieces of ink in a file of JSON lines or InkML; `recognize` reads each.

    Raises `DataError` or `InputError` for the first piece that cannot be read.
    """
    pieces = []
    for name, piece in named_pieces(Path(path)):
        if isinstance(piece, InkstreamError):
            raise type(piece)(f"{name}: {piece}") from piece
        pieces.append(piece)
    return pieces


def holds_ink(path: Path) -> bool:
    """Return whether a file holds strokes of a pen, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def opened(path: Path) -> IO[bytes]:
    """Open JSON lines, packed (`.xz`) or not."""
    return lzma.open(path) if path.name.lower().endswith(".xz") else path.open("rb")


def named_pieces(
    path: Path, content: bytes | None = None
) -> Iterator[tuple[str, InkPiece | InkstreamError]]:
    """Yield a name and a piece for each piece of a file, or the error in its place.

    With `content`, which is InkML if it begins with `<`, the file itself is not opened.
    """
    is_inkml = path.suffix.lower() == ".inkml"
    if content is not None:
        is_inkml = content.lstrip().startswith(b"<")
    is_empty = True
    try:
        if is_inkml:
            for group in inkml.read(path.read_bytes() if content is None else content):
                is_empty = False
                yield f"{path}:{group.line}", InkPiece(group.strokes)
        else:
            with opened(path) if content is None else io.BytesIO(content) as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        is_empty = False
                        yield f"{path}:{number}", _json_piece(line)
    except InkstreamError as error:
        yield str(path), error
    except OSError as error:
        yield str(path), DataError(f"cannot be read: {error.strerror}")
    except (lzma.LZMAError, EOFError) as error:
        yield str(path), DataError(f"is incomplete or damaged: {error}")
    else:
        if is_empty:
            yield str(path), DataError("there is no ink in it")


def _json_piece(line: bytes) -> InkPiece | InkstreamError:
    """Return the piece of a line, or the error in its place."""
    try:
        message: Any = json.loads(line)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        return DataError(f"no JSON: {error}")
    if not isinstance(message, dict):
        return DataError(f"a JSON {type(message).__name__}, expected an object with strokes")
    if "strokes" not in message:
        return DataError("an object without strokes")
    try:
        check_height(height := message.get("height"))
        return InkPiece(strokes_of(message["strokes"]), height)
    except InkstreamError as error:
        return error
