"""The files that a command is given, the pages of images and the pieces of ink in them.

Each line of a `.jsonl` file, packed (`.jsonl.xz`) or not, is a piece,
`{"strokes": [[[x, y], ...], ...]}` with an optional `height`; so is each group of an `.inkml` file,
as `inkml.read` finds them. The file `-` is standard input, whose kind its content shows.
"""

import glob
import io
import json
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Final

from numpy.typing import ArrayLike

from inkstream.model.data.sources import ink_files, inkml
from inkstream.model.errors import DataError, InkstreamError
from inkstream.model.preprocess.documents import Pages, pages_of
from inkstream.model.preprocess.image import ImageSource
from inkstream.service.protocol.strokes import json_strokes

DOCUMENT_SUFFIXES: Final = frozenset(  # of files that may have several pages
    {".pdf", ".tif", ".tiff", ".gif", ".webp", ".avif", ".heic", ".heif"}
)
IMAGE_SUFFIXES: Final = DOCUMENT_SUFFIXES.union(
    {".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".jp2", ".j2k"}
)
SUFFIXES: Final = IMAGE_SUFFIXES.union(ink_files.SUFFIXES)
STANDARD_INPUT: Final = Path("-")


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
    if path == STANDARD_INPUT:
        return [path]
    if path.is_dir():
        return ink_files.files_of(path, suffixes)
    if path.exists():
        return [path]
    matches = map(Path, glob.glob(argument, recursive=True))  # noqa: PTH207
    return sorted(match for match in matches if not match.is_dir())


@cache
def standard_input() -> bytes:
    """Return all of standard input, which can be read once."""
    return sys.stdin.buffer.read()


def holds_ink(path: Path) -> bool:
    """Return whether a file holds strokes of a pen, by its name; standard input by its content."""
    if path == STANDARD_INPUT:
        return standard_input().lstrip().startswith((b"{", b"<"))
    return path.name.lower().endswith(ink_files.SUFFIXES)


@lru_cache(maxsize=1)  # of a long document each page is asked for
def document(path: Path) -> Pages:
    """Return the pages of a file; raise `ImageError` as `pages_of` does."""
    return pages_of(standard_input() if path == STANDARD_INPUT else path)


def images(
    path: Path, page_index: int | None = None
) -> Iterator[tuple[str, Callable[[], ImageSource] | InkstreamError]]:
    """Yield a name for each page of a file and what makes its image, or the error in its place.

    With `page_index`, from 0, only that page is yielded.
    """
    try:
        pages = document(path)
    except InkstreamError as error:
        yield str(path), error
        return
    for index in range(pages.count) if page_index is None else [page_index]:
        name = f"{path}:{index + 1}" if pages.is_document else str(path)
        yield name, partial(pages.page, index)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Strokes that are read together."""

    strokes: Sequence[ArrayLike]  # each [n, 2], x to the right, y downwards
    height: float | None  # of the writing's frame; None is the ink's own bounds


def pieces(path: Path) -> Iterator[tuple[str, Piece | InkstreamError]]:
    """Yield a name and a piece for each piece of a file, or the error in its place."""
    is_empty = True
    try:
        is_here = path == STANDARD_INPUT
        if path.suffix.lower() == ".inkml" or (is_here and standard_input().lstrip()[:1] == b"<"):
            for group in inkml.read(standard_input() if is_here else path.read_bytes()):
                is_empty = False
                yield f"{path}:{group.line}", Piece(group.strokes, None)
        else:
            lines = io.BytesIO(standard_input()) if is_here else ink_files.opened(path)
            with lines as file:
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
