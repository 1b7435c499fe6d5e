"""Handwriting on real paper: lines of wills, which may train, and ruled pages, which only evaluate.

`wills.tar`, or its unpacked folder, has `lines.jsonl` and `lines/`: lines of wills by French
soldiers, 1898-1918 (CREMMA-AN-TestamentsDePoilus, Archives nationales and partners, CC BY 4.0, doi
10.5281/zenodo.10177106), cut along their polygons.

`pages.jsonl` and `pages/` are sheets of printed ruled paper on which volunteers copied French texts
(Copiste d'un jour, Bibliothèque et Archives nationales du Québec, 2024, CC BY 4.0). The sheets'
own line of consent speaks of non-commercial use, so nothing trains on them: texts with even numbers
validate, those with odd numbers test.

In transcriptions `>word<` is crossed out and `><` is unreadable; those of wills have `^` before
raised letters. What is crossed out or unreadable is no part of a page's text: any recogniser that
reads it makes an error. Lines of wills that have some are left out. Texts of wills are kept with
their accents, and folded to the letters of ASCII for nets that spell no others.
"""

import hashlib
import io
import json
import re
import tarfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from inkstream.model.alphabet import LETTERS, plain
from inkstream.model.data.split import Part, part_of_one
from inkstream.model.errors import DataError

Grey = NDArray[np.uint8]  # [h, w], 0 = black
Half = Literal["validation", "test"]
Row = TypeVar("Row")
Points = NDArray[np.float64]  # [n, 2], x right, y down, in pixels

LINES: Final = "lines.jsonl"
PAGES: Final = "pages.jsonl"
PAGE_FORM: Final = (
    '{"page": "name with the number of its text", '
    '"lines": [{"text": "text", "polygon": [x, y, ...], "baseline": [x, y, ...]}, ...]}'
)
REMAINDER: Final[dict[Half, int]] = {"validation": 0, "test": 1}  # of a text's number divided by 2
LINE_FORM: Final = '{"image": "path", "text": "text", "writer": "name"}'
FOLDED: Final = str.maketrans(  # what NFKD leaves beyond ASCII
    {
        "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ß": "ss",
        "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
        "–": "-", "—": "-", "−": "-", "°": "o",
    }
)  # fmt: skip
LINE_KEYS: Final = ("image", "text", "writer")
RAISED: Final = "^"  # before raised letters, as in M^me; the transcribers added it
MARKED: Final = re.compile(r">[^<>]*<")  # crossed out or unreadable


def fold(text: str) -> str:
    """Return a text with its accents taken off, in ASCII but for what has no like in it.

    Spaces are made single, and there are none at the ends.
    """
    decomposed = unicodedata.normalize("NFKD", text).translate(FOLDED)
    kept = (char for char in decomposed if not unicodedata.combining(char))
    return " ".join("".join(kept).split())


def spelt(text: str) -> str:
    """Return a text with its accents, in plain marks and single spaces."""
    return " ".join(plain(text).split())


def knows_accents(labels: Iterable[str]) -> bool:
    """Tell whether all letters of western Europe are among these labels."""
    return set(labels).issuperset(LETTERS)


@dataclass(frozen=True, slots=True, eq=False)
class Wills:
    """Lines of wills, their texts and their writers, N each."""

    images: list[Grey]
    texts: list[str]  # folded
    spelt: list[str]  # with accents
    writers: list[str]
    n_left_out: int  # lines with something crossed out, unreadable or beyond ASCII
    digest: str  # SHA-256 of all files that were read
    name: str = "CREMMA-AN-TestamentsDePoilus"

    def texts_in(self, labels: Iterable[str]) -> list[str]:
        """Return the texts with their accents if `labels` have all accents, else folded."""
        return self.spelt if knows_accents(labels) else self.texts

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
    images, texts, with_accents, writers, n_left_out = [], [], [], [], 0
    rows = _rows(path, listed, LINE_FORM, lambda row: [_string(row, key) for key in LINE_KEYS])
    for name, text, writer in rows:
        content = read(name)
        digest.update(content)
        unmarked = text.replace(RAISED, "")
        folded = fold(unmarked)
        if MARKED.search(text) or not folded.isascii():
            n_left_out += 1
            continue
        images.append(_decoded(content, f"{name} in {path}"))
        texts.append(folded)
        with_accents.append(spelt(unmarked))
        writers.append(writer)
    return Wills(images, texts, with_accents, writers, n_left_out, digest.hexdigest())


@dataclass(frozen=True, slots=True, eq=False)
class RuledLine:
    """A line of a ruled page."""

    text: str  # without what is crossed out or unreadable
    polygon: Points  # around its ink
    baseline: Points  # from left to right


@dataclass(frozen=True, slots=True, eq=False)
class RuledPage:
    """A ruled page and its lines, from the top down."""

    path: Path
    lines: list[RuledLine]

    @property
    def text_number(self) -> int:
        """The number of the text that was copied."""
        return _number(self.path.name)

    @property
    def copy(self) -> str:
        """The name of the copy of one text, which fills one page or several, by one writer."""
        return re.sub(r"_\d\Z", "", self.path.stem)

    def image(self) -> Grey:
        """Return the pixels; raise `DataError` when there is no such image."""
        return _decoded(_read(self.path), str(self.path))


@dataclass(frozen=True, slots=True, eq=False)
class RuledPages:
    """Ruled pages, whose images are read when they are asked for."""

    pages: list[RuledPage]
    digest: str  # SHA-256 of all files

    def part(self, name: Half) -> list[RuledPage]:
        """Return the pages with even text numbers for validation, with odd ones for the test."""
        return [each for each in self.pages if each.text_number % 2 == REMAINDER[name]]


def load_pages(folder: Path) -> RuledPages:
    """Load the transcriptions of all ruled pages of a folder.

    Raises `DataError` when a file is missing, or the list is damaged.
    """
    listed = _read(folder / PAGES)
    pages = list(_rows(folder / PAGES, listed, PAGE_FORM, lambda row: _ruled_page(row, folder)))
    digest = hashlib.sha256(listed)
    for page in pages:
        digest.update(_read(page.path))
    return RuledPages(pages, digest.hexdigest())


def _ruled_page(row: dict[str, Any], folder: Path) -> RuledPage:
    """Return the page that a JSON object describes; raise what `_rows` expects."""
    name = _string(row, "page")
    _number(name)
    lines = [
        RuledLine(
            " ".join(MARKED.sub("", _string(line, "text")).split()),
            _points(line["polygon"]),
            _points(line["baseline"]),
        )
        for line in row["lines"]
    ]
    return RuledPage(folder / "pages" / name, lines)


def _points(numbers: list[float]) -> Points:
    """Return x, y, x, y, ... as points; raise `ValueError` unless these are two points or more."""
    points = np.array(numbers, np.float64).reshape(-1, 2)
    if len(points) < 2 or not np.isfinite(points).all():
        raise ValueError(f"{numbers} are no points")
    return points


def _number(name: str) -> int:
    """Return the first number in a name; raise `ValueError` if there is none."""
    found = re.search(r"\d+", name)
    if found is None:
        raise ValueError(f"{name} has no number")
    return int(found[0])


def _rows(
    path: Path, listed: bytes, form: str, parse: Callable[[dict[str, Any]], Row]
) -> Iterator[Row]:
    """Yield what `parse` makes of each line of JSON; raise `DataError` where it cannot."""
    for number, line in enumerate(listed.splitlines(), 1):
        try:
            yield parse(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            reason = f"expected {form}, got {line[:80]!r}"
            raise DataError(f"{path}, line {number}: {reason}") from error


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
