"""The files that a command is given, and the pieces of ink in them.

Each line of a `.jsonl` file, packed (`.jsonl.xz`) or not, is a piece,
`{"strokes": [[[x, y], ...], ...]}` with an optional `height`; so is each group of an `.inkml` file,
as `inkml.read` finds them.
"""

import glob
import json
import lzma
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from numpy.typing import ArrayLike

from inkstream.model.data.sources import ink_files, inkml
from inkstream.model.errors import DataError, InkstreamError
from inkstream.service.protocol.strokes import json_strokes

IMAGE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
)
SUFFIXES: Final = IMAGE_SUFFIXES.union(ink_files.SUFFIXES)


def expand(
    arguments: Iterable[str], suffixes: Set[str], output: Path | None = None
) -> tuple[list[Path], list[str]]:
    """Return the files that the arguments name, and an error for each argument that names none.

    An argument is a file, a folder, or a pattern. Of a folder the files with the `suffixes`, in
    small letters, are taken, but no hidden ones: other systems leave such files there. `output` is
    a file that is written and so is not read.
    """
    paths, missing = [], []
    written = None if output is None else output.resolve()
    for argument in arguments:
        named = [path for path in _named(argument, suffixes) if path.resolve() != written]
        if not named:
            missing.append(f"no image or ink at {argument!r}")
        paths += named
    return paths, missing


def _named(argument: str, suffixes: Set[str]) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        return ink_files.files_of(path, suffixes)
    if path.exists():
        return [path]
    matches = map(Path, glob.glob(argument, recursive=True))  # noqa: PTH207
    return sorted(match for match in matches if not match.is_dir())


def holds_ink(path: Path) -> bool:
    """Return whether a file holds strokes of a pen, by its name."""
    return path.name.lower().endswith(ink_files.SUFFIXES)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Strokes that are read together."""

    strokes: Sequence[ArrayLike]  # each [n, 2], x to the right, y downwards
    height: float | None  # of the writing's frame; None is the ink's own bounds


def pieces(path: Path) -> Iterator[tuple[str, Piece | InkstreamError]]:
    """Yield a name and a piece for each piece of a file, or the error in its place."""
    is_empty = True
    try:
        if path.suffix.lower() == ".inkml":
            for group in inkml.read(path.read_bytes()):
                is_empty = False
                yield f"{path}:{group.line}", Piece(group.strokes, None)
        else:
            with ink_files.opened(path) as file:
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


def _json_piece(line: bytes) -> Piece | InkstreamError:
    """Return the piece of a line, or the error in its place."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        return DataError(f"no JSON: {error}")
    if not isinstance(message, dict):
        return DataError(f"a JSON {type(message).__name__}, expected an object with strokes")
    try:
        return Piece(*json_strokes(message))
    except InkstreamError as error:
        return error
