"""The files that `inkstream` is given: which are read, and which of them hold writing."""

import glob
from collections.abc import Set
from pathlib import Path
from typing import Final

from model.errors import ImageError
from model.image import upright_size

IMAGE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
)
JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson"})
INKML_SUFFIX: Final = ".inkml"
INK_SUFFIXES: Final = JSON_SUFFIXES | {INKML_SUFFIX}
SUFFIXES: Final = IMAGE_SUFFIXES | INK_SUFFIXES

WIDE: Final = 2.0  # times as wide as high is an image of a line; photos have up to 16 : 9


def expand(image: str, suffixes: Set[str] = SUFFIXES) -> list[Path]:
    """The files that an argument names, sorted: a file, a folder's, or a pattern's matches.

    There may be none. Hidden ones of a folder are passed over: other systems leave such of theirs.

    Args:
        image: the argument.
        suffixes: in small letters, of the files that are taken from a folder.
    """
    path = Path(image)
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.suffix.lower() in suffixes)
        return sorted(
            file
            for file in inside
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    if path.exists():
        return [path]
    matches = map(Path, glob.glob(image, recursive=True))  # noqa: PTH207
    return sorted(match for match in matches if not match.is_dir())


def holds_ink(path: Path) -> bool:
    """Whether a file holds strokes of a pen, by its name."""
    return path.suffix.lower() in INK_SUFFIXES


def holds_line(path: Path) -> bool:
    """Whether a file holds writing: ink, or an image that is clearly wider than high."""
    if holds_ink(path):
        return True
    try:
        width, height = upright_size(path)
    except ImageError:  # which is told when it is read
        return False
    return width >= WIDE * height
