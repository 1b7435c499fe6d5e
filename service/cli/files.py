"""The files that a command is given."""

import glob
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Final

from inkstream.model.data.sources.ink_files import files_of
from inkstream.model.preprocess.ink_pieces import SUFFIXES as INK_SUFFIXES

IMAGE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
)
SUFFIXES: Final = IMAGE_SUFFIXES.union(INK_SUFFIXES)


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
        return files_of(path, suffixes)
    if path.exists():
        return [path]
    matches = map(Path, glob.glob(argument, recursive=True))  # noqa: PTH207
    return sorted(match for match in matches if not match.is_dir())
