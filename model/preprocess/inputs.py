"""What people have of their writing -> an image, or a piece of ink."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from inkstream.model.errors import InputError
from inkstream.model.preprocess.image import ImageSource
from inkstream.model.preprocess.ink import strokes_of
from inkstream.model.preprocess.ink_pieces import InkPiece, holds_ink, ink_pieces

Stroke = ArrayLike | Mapping[str, Any]  # points [n, 2 or more], or a mapping with `points`
ImageInput = ImageSource | os.PathLike[str] | bytearray | memoryview | BinaryIO
Input = ImageInput | InkPiece | Sequence[Stroke]


def image_of(given: ImageInput | Sequence[Any], or_else: str = "") -> ImageSource:
    """Return an image as `read_image` takes it.

    Raises `InputError` for what is no image; `or_else` says what else is allowed.
    """
    if isinstance(given, str) and (not given or "://" in given):
        raise InputError(f"{given!r:.60} came, expected the path of a file: nothing is downloaded")
    if isinstance(given, str | os.PathLike):
        return Path(given)
    if isinstance(given, bytes | Image.Image | np.ndarray):
        return given
    if isinstance(given, bytearray | memoryview):
        return bytes(given)
    if hasattr(given, "read"):
        if isinstance(content := given.read(), bytes):
            return content
        raise InputError("a file that is open as text came, expected one opened with mode 'rb'")
    images = "an image (a path, the bytes of a file, an open file, a PIL image or an array)"
    raise InputError(f"{given!r:.60} came, expected {images}{or_else}")


def image_or_ink(given: Input) -> ImageSource | InkPiece:
    """Return an image as `read_image` takes it, or the one piece of ink that came.

    Raises `InputError` for what is neither, and for a file of several pieces.
    """
    if isinstance(given, InkPiece):
        return given
    if isinstance(given, list | tuple) and len(given):
        return InkPiece(strokes_of(given))
    source = image_of(given, " or a list of strokes")
    if isinstance(source, Path) and holds_ink(source):
        piece, *others = ink_pieces(source)
        if others:
            raise InputError(
                f"{source} holds {1 + len(others)} pieces of ink, expected one: read them all"
                " with `for piece in ink_pieces(path): print(model.recognize(piece).text)`"
            )
        return piece
    return source
