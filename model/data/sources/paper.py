"""Handwriting on real paper: lines and words, which may train, and ruled pages, which may not.

Each archive, or its unpacked folder, has a list of its images, their texts and their writers:

- `wills.tar`: lines of wills by French soldiers, 1898-1918 (CREMMA-AN-TestamentsDePoilus, Archives
  nationales and partners, CC BY 4.0, doi 10.5281/zenodo.10177106), cut along their polygons.
- `german-words.tar`: German place and street names in modern hands (DHSD v1.0.0, Riaz, Saifullah,
  Agne, Dengel, Ahmed, 2026, CC BY 4.0), 64 rows high whatever the size of the writing.
- `notaries.tar`: lines of French notaries' registers, 1903-1939 (LECTAUREP repertoires, CC BY 4.0).
  Their writer is the sheet; neighbouring sheets are by the same clerk, of about 13.

`pages.jsonl` and `pages/` are sheets of printed ruled paper on which volunteers copied French texts
(Copiste d'un jour, Bibliothèque et Archives nationales du Québec, 2024, CC BY 4.0). The sheets'
own line of consent speaks of non-commercial use, so nothing trains on them: texts with even numbers
validate, those with odd numbers test.

In transcriptions `>word<` is crossed out and `><` is unreadable; those of wills and registers have
`^` before raised letters. What is crossed out or unreadable is no part of a page's text: any
recogniser that reads it makes an error. Lines that have some are left out. Texts are kept with
their accents, and folded to the letters of ASCII for nets that spell no others.
"""

import hashlib
import io
import json
import re
import tarfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from inkstream.model.alphabet import LETTERS, plain
from inkstream.model.data.batches import SCAN_WIDER
from inkstream.model.data.split import Part, part_of_few, part_of_one
from inkstream.model.errors import DataError
from inkstream.model.preprocess.columns import line_columns, strip_columns

Grey = NDArray[np.uint8]  # [h, w], 0 = black
Half = Literal["validation", "test"]
Row = TypeVar("Row")
Points = NDArray[np.float64]  # [n, 2], x right, y down, in pixels

LINES: Final = "lines.jsonl"
INDEX: Final = "index.jsonl"
PAGES: Final = "pages.jsonl"
PAGE_FORM: Final = (
    '{"page": "name with the number of its text", '
    '"lines": [{"text": "text", "polygon": [x, y, ...], "baseline": [x, y, ...]}, ...]}'
)
REMAINDER: Final[dict[Half, int]] = {"validation": 0, "test": 1}  # of a text's number divided by 2
LINE_FORM: Final = '{"image": "path", "text": "text", "writer": "name"}'
ACCENTED: Final = "éèêàçôîûïëüöäñß"
FOLDED: Final = str.maketrans(  # what NFKD leaves beyond ASCII
    {
        "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ß": "ss",
        "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
        "–": "-", "—": "-", "−": "-", "°": "o",
    }
)  # fmt: skip
LINE_KEYS: Final = ("image", "text", "writer")
RAISED: Final = "^"  # before raised letters, as in M^me; the transcribers added it
UNREAD: Final = frozenset("[]|~+")  # in registers: unreadable letters, rules, signs of francs
E_GRAVE: Final = re.compile(  # the é that is an è
    r"é(?=(?:[bcdfgptv][lr]|qu|gu|gn|ch|ph|th|[bcdfghjklmnprstvz])e(?:s|ment)?\b)"
    r"|(?<=\bapr)é(?=s\b)|(?<=\bpr)é(?=s\b)|(?<=\btr)é(?=s\b)|(?<=\bd[eé]c)é(?=s\b)"
    r"|(?<=\bproc)é(?=s\b)|(?<=\bprogr)é(?=s\b)|(?<=\bsucc)é(?=s\b)|(?<=\bacc)é(?=s\b)|(?<=\bJaur)é(?=s\b)",
    re.IGNORECASE,
)
NO_SPACE: Final = re.compile(  # where a space is missing
    r"(?<=[a-zà-ÿ])(?=[A-Z])|(?<=\w)(?=\()|(?<=\))(?=\w)|(?<=,)(?=[^\W\d_])|(?<=[a-zà-ÿ]{2})(?=\d)"
)
NOTARY_SPANS: Final[dict[Part, range]] = {  # numbers of sheets, by few clerks each
    "validation": range(900, 1300),
    "test": range(2000, 3000),
}
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


@dataclass(frozen=True, slots=True)
class PaperSource:
    """One source of images of lines or words: how it is listed, labelled, split and made columns.

    `mended` returns a text as it is written, or None for a line that is left out; `group` is the
    name by which the lines of a writer are known, and `parts` gives each such name its part.
    """

    key: str  # in figures and shares
    name: str
    listed: str  # the file that lists its lines
    writers: str  # how the names of its writers begin
    mended: Callable[[str], str | None]
    group: Callable[[str], str]
    parts: Callable[[Iterable[str]], dict[str, Part]]
    accented: str = ACCENTED  # letters whose F1 is reported where they are written
    columns: Callable[[Grey, int], NDArray[np.uint8]] = strip_columns  # of an image, for H rows
    widths: tuple[float, float] = SCAN_WIDER  # in training, times the width
    share: float = 0.4  # of the lines on real paper in training

    def has(self, listed: str, writers: Iterable[str]) -> bool:
        """Tell whether a list of this name, with these writers, is of the source."""
        return listed == self.listed and all(name.startswith(self.writers) for name in writers)


def _mended_will(text: str) -> str | None:
    """Return a line of a will without the transcribers' marks; None where something is left out."""
    return None if MARKED.search(text) else text.replace(RAISED, "")


def _mended_notary(text: str) -> str | None:
    """Return a line of a register as it is written; None where a part of it has no letters.

    The transcribers marked raised letters by `^`, underlined ones by `_`, and wrote a sign for
    francs as `+`. They confused é and è, whose places French spelling tells: è stands before a
    consonant and a mute e, and in a few words in -ès. Many spaces are missing: those before a
    capital, a bracket or a figure after small letters, and after a comma, are put in.
    """
    if UNREAD & set(text):
        return None
    text = text.replace(RAISED, "").replace("_", "").replace("è", "é")
    return E_GRAVE.sub("è", NO_SPACE.sub(" ", text))


def _notary_parts(sheets: Iterable[str]) -> dict[str, Part]:
    """Return the part of each sheet of the registers, by its number: neighbours have one clerk."""
    parts: dict[str, Part] = dict.fromkeys(sheets, "train")
    for sheet in parts:
        number = int(sheet.rpartition("_")[2])
        for part, span in NOTARY_SPANS.items():
            if number in span:
                parts[sheet] = part
    return parts


SOURCES: Final = (
    PaperSource(
        key="wills",
        name="CREMMA-AN-TestamentsDePoilus",
        listed=LINES,
        writers="",
        mended=_mended_will,
        group=lambda writer: writer,
        parts=lambda names: {name: part_of_one(f"wills/{name}") for name in names},
    ),
    PaperSource(
        key="german",
        name="DHSD",
        listed=INDEX,
        writers="dhsd-",
        mended=lambda text: text,
        group=lambda writer: writer,
        parts=part_of_few,
        accented="äöüß",
        columns=line_columns,
        widths=(0.6, 1.6),  # some were squeezed into the image's width
    ),
    PaperSource(
        key="notaries",
        name="LECTAUREP repertoires",
        listed=INDEX,
        writers="lect:page-",
        mended=_mended_notary,
        group=lambda writer: writer.removeprefix("lect:page-").partition("_L")[0],
        parts=_notary_parts,
        share=0.2,  # by few clerks, and their labels are loose
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class PaperLines:
    """Images of lines or words of one source, their texts and their writers, N each."""

    source: PaperSource
    images: list[Grey]
    texts: list[str]  # folded
    spelt: list[str]  # with accents
    writers: list[str]
    n_left_out: int  # lines with something crossed out, unreadable or beyond ASCII
    digest: str  # SHA-256 of all files that were read

    def texts_in(self, labels: Iterable[str]) -> list[str]:
        """Return the texts with their accents if `labels` have all accents, else folded."""
        return self.spelt if knows_accents(labels) else self.texts

    @property
    def parts(self) -> dict[str, Part]:
        """The part of each writer."""
        return self.source.parts(set(self.writers))

    def part(self, name: Part) -> NDArray[np.int64]:
        """Return the indices of the lines by the writers of a part, ascending."""
        parts = self.parts
        return np.flatnonzero(np.array([parts[writer] == name for writer in self.writers]))

    def columns(self, index: int, column_height: int) -> NDArray[np.uint8]:
        """Return the columns [T, H] of an image as a service makes them."""
        return self.source.columns(self.images[index], column_height)


def load_lines(path: Path) -> PaperLines:
    """Load all lines of one source from its archive or from its unpacked folder.

    Raises `DataError` when it is neither, or a file in it is missing or damaged.
    """
    read, listed = _reader(path), b""
    for name in (INDEX, LINES):
        with suppress(DataError):
            listed = read(name)
            break
    else:
        raise DataError(f"{path} has neither {LINES} nor {INDEX}")
    digest = hashlib.sha256(listed)
    rows = list(_rows(path, listed, LINE_FORM, _line_row))
    source = next((own for own in SOURCES if own.has(name, [row[2] for row in rows])), None)
    if source is None:
        raise DataError(f"{path} is of no known source: its writers are {rows[0][2]}, ...")
    images, texts, with_accents, writers = [], [], [], []
    for name, text, writer in rows:
        content = read(name)
        digest.update(content)
        mended = source.mended(text)
        if mended is None or not (folded := fold(mended)).isascii():
            continue
        images.append(_decoded(content, f"{name} in {path}"))
        texts.append(folded)
        with_accents.append(spelt(mended))
        writers.append(source.group(writer))
    n_left_out = len(rows) - len(images)
    return PaperLines(source, images, texts, with_accents, writers, n_left_out, digest.hexdigest())


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


def _line_row(row: dict[str, Any]) -> list[str]:
    return [_string(row, key) for key in LINE_KEYS]


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
