"""The files that a command is given, and the pages of images in them.

The file `-` is standard input, whose kind its content shows.
"""

import glob
import sys
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Final

from inkstream.model.data.sources.ink_files import files_of
from inkstream.model.errors import InkstreamError
from inkstream.model.preprocess import ink_pieces
from inkstream.model.preprocess.documents import Pages, pages_of
from inkstream.model.preprocess.image import ImageSource
from inkstream.model.preprocess.ink_pieces import SUFFIXES as INK_SUFFIXES
from inkstream.model.preprocess.ink_pieces import InkPiece

DOCUMENT_SUFFIXES: Final = frozenset(  # of files that may have several pages
    {".pdf", ".tif", ".tiff", ".gif", ".webp", ".avif", ".heic", ".heif"}
)
IMAGE_SUFFIXES: Final = DOCUMENT_SUFFIXES.union(
    {".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".jp2", ".j2k"}
)
SUFFIXES: Final = IMAGE_SUFFIXES.union(INK_SUFFIXES)
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
            is_one = not (Path(argument).is_dir() or glob.has_magic(argument))
            missing.append(f"no {'file' if is_one else 'image or ink'} at {argument!r}")
        paths += named
    return paths, missing


def _named(argument: str, suffixes: Set[str]) -> list[Path]:
    path = Path(argument)
    if path == STANDARD_INPUT:
        return [path]
    if path.is_dir():
        return files_of(path, suffixes)
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
    return ink_pieces.holds_ink(path)


def pieces(path: Path) -> Iterator[tuple[str, InkPiece | InkstreamError]]:
    """Yield a name and a piece for each piece of ink in a file, or the error in its place."""
    return ink_pieces.named_pieces(path, standard_input() if path == STANDARD_INPUT else None)


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
