"""Handwriting on real paper: lines of wills, which may train, and ruled pages, which only evaluate.

`wills.tar`, or its unpacked folder, has `lines.jsonl` and `lines/`: lines of wills by French
soldiers, 1898-1918 (CREMMA-AN-TestamentsDePoilus, Archives nationales and partners, CC BY 4.0, doi
10.5281/zenodo.10177106), cut along their polygons.

In transcriptions `>word<` is crossed out and `><` is unreadable; those of wills have `^` before
raised letters. Transcriptions are folded to the letters of ASCII, since the nets spell no others.
"""

import hashlib
import io
import json
import re
import tarfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from inkstream.model.data.split import Part, part_of_one
from inkstream.model.errors import DataError

Grey = NDArray[np.uint8]  # [h, w], 0 = black

LINES: Final = "lines.jsonl"
LINE_FORM: Final = '{"image": "path", "text": "text", "writer": "name"}'
FOLDED: Final = str.maketrans(  # what NFKD leaves beyond ASCII
    {
        "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ß": "ss",
        "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
        "–": "-", "—": "-", "−": "-", "°": "o",
    }
)  # fmt: skip
RAISED: Final = "^"  # before raised letters, as in M^me; nobody wrote it
MARKED: Final = re.compile(r">[^<>]*<")  # crossed out or unreadable


def fold(text: str) -> str:
    """Return a text with its accents taken off, in ASCII but for what has no like in it.

    Spaces are made single, and there are none at the ends.
    """
    decomposed = unicodedata.normalize("NFKD", text).translate(FOLDED)
    kept = (char for char in decomposed if not unicodedata.combining(char))
    return " ".join("".join(kept).split())


@dataclass(frozen=True, slots=True, eq=False)
class Wills:
    """Lines of wills, their folded texts and their writers, N each."""

    images: list[Grey]
    texts: list[str]
    writers: list[str]
    n_left_out: int  # lines with something crossed out, unreadable or beyond ASCII
    digest: str  # SHA-256 of all files that were read

    def part(self, name: Part) -> NDArray[np.int64]:
        """Return the indices of the lines by the writers of a part, ascending."""
        parts = [part_of_one(f"wills/{writer}") for writer in self.writers]
        return np.flatnonzero(np.array(parts) == name)


def load_wills(path: Path) -> Wills:
    """Load all lines of wills from their archive or from its unpacked folder.

    Raises `DataError` when it is neither, or a file in it is missing or damaged.
    """
    read = _reader(path)
    listed = read(LINES)
    digest = hashlib.sha256(listed)
    images, texts, writers, n_left_out = [], [], [], 0
    for number, row in enumerate(listed.splitlines(), 1):
        try:
            line = json.loads(row)
            name, text, writer = (_string(line, key) for key in ("image", "text", "writer"))
        except (ValueError, TypeError, KeyError) as error:
            where = f"line {number} of {LINES} in {path}"
            raise DataError(f"{where} is not {LINE_FORM}: {row[:80]!r}") from error
        content = read(name)
        digest.update(content)
        folded = fold(text.replace(RAISED, ""))
        if MARKED.search(text) or not folded.isascii():
            n_left_out += 1
            continue
        images.append(_decoded(content, f"{name} in {path}"))
        texts.append(folded)
        writers.append(writer)
    return Wills(images, texts, writers, n_left_out, digest.hexdigest())


def _string(line: dict[str, Any], key: str) -> str:
    """Return a text of a JSON object; raise `TypeError` or `KeyError` if it has none."""
    value = line[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is {value!r}")
    return value


def _reader(path: Path) -> Callable[[str], bytes]:
    """Return what reads a file, by its name, of a folder or of an archive."""
    if path.is_dir():
        return lambda name: _read(path / name)
    try:
        with tarfile.open(path) as archive:
            members = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
            contents = {name: file.read() for name, file in members.items() if file}
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{path} is neither a folder nor a whole archive of it: {error}") from error

    def read(name: str) -> bytes:
        if name not in contents:
            raise DataError(f"{path} has no file {name}")
        return contents[name]

    return read


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error


def _decoded(content: bytes, name: str) -> Grey:
    """Return the grey pixels of an image file, exactly as they are stored."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("L"))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise DataError(f"{name} is no image: {error}") from error
