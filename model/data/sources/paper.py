"""Handwriting on real paper: lines and words, cut out, which train and are measured.

Each archive, or its unpacked folder, has a list of its images, their texts and their writers:

- `wills.tar`: lines of wills by French soldiers, 1898-1918 (CREMMA-AN-TestamentsDePoilus, Archives
  nationales and partners, CC BY 4.0, doi 10.5281/zenodo.10177106), cut along their polygons.
- `german-words.tar`: German place and street names in modern hands (DHSD v1.0.0, Riaz, Saifullah,
  Agne, Dengel, Ahmed, 2026, CC BY 4.0), 64 rows high whatever the size of the writing.
- `notaries.tar`: lines of French notaries' registers, 1903-1939 (LECTAUREP repertoires, CC BY 4.0).
  Their writer is the sheet; neighbouring sheets are by the same clerk, of about 13.

In transcriptions `>word<` is crossed out, `><` is unreadable, and `^` stands before raised letters;
lines with something crossed out or unreadable are left out. Texts keep their accents.
"""

import hashlib
import re
import tarfile
import unicodedata
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.data.sources import json_lines
from inkstream.model.data.split import Part, part_of_few, part_of_one
from inkstream.model.errors import DataError, ImageError
from inkstream.model.preprocess.columns import line_columns, strip_columns
from inkstream.model.preprocess.image import MAX_PIXELS, Grey, read_image

INDEX: Final = "index.jsonl"
LINES: Final = "lines.jsonl"
ACCENTED: Final = "éèêàçôîûïëüöäñß"
FOLDED: Final = str.maketrans(  # what NFKD leaves beyond ASCII
    {
        "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ß": "ss",
        "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
        "–": "-", "—": "-", "−": "-", "°": "o",
    }
)  # fmt: skip
MARKED: Final = re.compile(r">[^<>]*<")  # crossed out or unreadable
E_GRAVE: Final = re.compile(  # the é that is an è
    r"é(?=(?:[bcdfgptv][lr]|qu|gu|gn|ch|ph|th|[bcdfghjklmnprstvz])e(?:s|ment)?\b)"
    r"|(?:(?<=\bapr)|(?<=\bpr)|(?<=\btr)|(?<=\bd[eé]c)|(?<=\bproc)|(?<=\bprogr)|(?<=\bsucc)"
    r"|(?<=\bacc)|(?<=\bJaur))é(?=s\b)",
    re.IGNORECASE,
)
NO_SPACE: Final = re.compile(  # where a space is missing
    r"(?<=[a-zà-ÿ])(?=[A-Z])|(?<=\w)(?=\()|(?<=\))(?=\w)|(?<=,)(?=[^\W\d_])|(?<=[a-zà-ÿ]{2})(?=\d)"
)


def fold(text: str) -> str:
    """Return a text without accents in single spaces, in ASCII but for what has no like in it."""
    decomposed = unicodedata.normalize("NFKD", text).translate(FOLDED)
    kept = (char for char in decomposed if not unicodedata.combining(char))
    return " ".join("".join(kept).split())


def spelt(text: str) -> str:
    """Return a text with its accents, in plain marks and single spaces."""
    return " ".join(plain(text).split())


@dataclass(frozen=True, slots=True)
class PaperSource:
    """How the images of lines or words of one source are listed, labelled, split and used."""

    key: str  # its short name in reports
    name: str
    listed: str  # the file that lists its lines
    writers: str  # matches names; group 1 is what all lines of one writer have in common
    mended: Callable[[str], str | None]  # a text as it is written; None for a line that is left out
    parts: Callable[[Iterable[str]], dict[str, Part]]  # of the writers with these names
    accented: str = ACCENTED  # letters whose F1 is reported where they are written
    columns: Callable[[Grey, int], NDArray[np.uint8]] = strip_columns  # of an image, for H rows
    widths: tuple[float, float] = (0.75, 1.3)  # in training, times the width
    share: float = 0.4  # of the lines on real paper in training


def _mended_notary(text: str) -> str | None:
    """Return a line of a register as it is written; None where a part of it has no letters.

    The transcribers marked raised letters by `^`, underlined ones by `_`, unreadable ones, rules
    and the sign of francs by others. They confused é and è; by French spelling è stands before a
    consonant and a mute e, and in a few words in -ès. Many spaces are missing: those before a
    capital, a bracket or a figure after small letters, and after a comma, are put in.
    """
    if not set(text).isdisjoint("[]|~+"):
        return None
    text = text.replace("^", "").replace("_", "").replace("è", "é")
    return E_GRAVE.sub("è", NO_SPACE.sub(" ", text))


def _notary_part(sheet: str) -> Part:
    """Return the part of a sheet of the registers, by its number: neighbours have one clerk."""
    number = int(sheet.rpartition("_")[2])
    if 900 <= number < 1300:
        return "validation"
    return "test" if 2000 <= number < 3000 else "train"


SOURCES: Final = (
    PaperSource(
        key="wills",
        name="CREMMA-AN-TestamentsDePoilus",
        listed=LINES,
        writers=r"(.*)",
        mended=lambda text: None if MARKED.search(text) else text.replace("^", ""),
        parts=lambda names: {name: part_of_one(f"wills/{name}") for name in names},
    ),
    PaperSource(
        key="german",
        name="DHSD",
        listed=INDEX,
        writers=r"(dhsd-.*)",
        mended=lambda text: text,
        parts=part_of_few,
        accented="äöüß",
        columns=line_columns,
        widths=(0.6, 1.6),  # some were squeezed into the image's width
    ),
    PaperSource(
        key="notaries",
        name="LECTAUREP repertoires",
        listed=INDEX,
        writers=r"lect:page-(.*?_\d+)(?:_L.*)?",
        mended=_mended_notary,
        parts=lambda sheets: {sheet: _notary_part(sheet) for sheet in sheets},
        share=0.2,  # by few clerks, and their labels are loose
    ),
)


class LineRow(Struct):
    """An image of a line, as it is listed."""

    image: str
    text: str
    writer: str


@dataclass(frozen=True, slots=True, eq=False)
class PaperLines:
    """Images of lines or words of one source, their texts and their writers, N each."""

    source: PaperSource
    images: list[Grey]
    texts: list[str]
    writers: list[str]
    n_left_out: int  # lines with something crossed out, unreadable or beyond ASCII
    digest: str  # SHA-256 of all files that were read

    @property
    def parts(self) -> dict[str, Part]:
        """Return the part of each writer."""
        return self.source.parts(set(self.writers))

    def part(self, name: Part) -> NDArray[np.int64]:
        """Return the indices of the lines by the writers of a part, ascending."""
        parts = self.parts
        return np.flatnonzero([parts[writer] == name for writer in self.writers])

    def columns(self, index: int, column_height: int) -> NDArray[np.uint8]:
        """Return the columns [T, H] of an image as a service makes them."""
        return self.source.columns(self.images[index], column_height)


def load_lines(path: Path) -> PaperLines:
    """Load all lines of one source from its archive or from its unpacked folder.

    Raises `DataError` when it is neither, or a file in it is missing or damaged.
    """
    read = _reader(path)
    for name in (INDEX, LINES):
        with suppress(DataError):
            listed = read(name)
            break
    else:
        raise DataError(f"{path} has neither {LINES} nor {INDEX}")
    form = '{"image": "path", "text": "text", "writer": "name"}'
    rows = [row for _, row in json_lines.rows(path / name, listed.splitlines(), LineRow, form)]
    if not rows:
        raise DataError(f"{path / name} is empty, expected {form} in each line")
    for source in SOURCES:
        names = [match[1] for row in rows if (match := re.fullmatch(source.writers, row.writer))]
        if source.listed == name and len(names) == len(rows):
            break
    else:
        raise DataError(f"{path} is of no known source: its writers are {rows[0].writer}, ...")
    digest = hashlib.sha256(listed)
    images, texts, writers = [], [], []
    for row, writer in zip(rows, names, strict=True):
        content = read(row.image)
        digest.update(content)
        mended = source.mended(row.text)
        if mended is None or not fold(mended).isascii():
            continue
        images.append(decoded(content, f"{row.image} in {path}"))
        texts.append(spelt(mended))
        writers.append(writer)
    if not images:
        raise DataError(f"{path} has no line that can be used, {len(rows)} are left out")
    n_left_out = len(rows) - len(images)
    return PaperLines(source, images, texts, writers, n_left_out, digest.hexdigest())


def _reader(path: Path) -> Callable[[str], bytes]:
    """Return what reads a file, by its name, of a folder or of an archive."""
    if path.is_dir():
        return lambda name: read_file(path / name)
    try:
        with tarfile.open(path) as archive:
            files = ((member.name, archive.extractfile(member)) for member in archive)
            contents = {name: file.read() for name, file in files if file}
    except (OSError, EOFError, tarfile.TarError, LZMAError, zlib.error) as error:
        reason = str(error).partition(":\n")[0]  # without all compressions that were tried
        raise DataError(f"{path} is neither a folder nor a whole archive: {reason}") from error

    def read(name: str) -> bytes:
        if name not in contents:
            raise DataError(f"{path} has no file {name}")
        return contents[name]

    return read


def read_file(path: Path) -> bytes:
    """Return the bytes of a file; raise `DataError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error


def decoded(content: bytes, name: str) -> Grey:
    """Return the grey pixels of an image file, as they are stored."""
    try:
        return read_image(content, max_side=MAX_PIXELS, max_kept=MAX_PIXELS)
    except ImageError as error:
        raise DataError(f"{name}: {error}") from error
