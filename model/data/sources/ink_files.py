"""Read labelled ink of any alphabet from InkML files and JSON lines into an `InkSet`.

`READERS` names the reader of each kind of file: a new kind is one more entry.

A JSON line is `{"strokes": [[[x, y], ...], ...], "label": "text", "writer": "name"}`; the writer
may be left out. x grows to the right and y downwards, in any unit; what else a point or a line
holds is not read. Each labelled group of an InkML file is a piece. A file that breaks these rules
is refused; a piece that keeps them and can't be trained on is skipped, and counted.
"""

import hashlib
import json
import lzma
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import LARGEST, TEXT, WORDS, InkSet, Piece
from inkstream.model.data.sources import inkml
from inkstream.model.data.split import LEAST_POINTS, connected_groups
from inkstream.model.data.statistics import Statistics
from inkstream.model.errors import DataError

ANONYMOUS: Final = "unknown"
FORM: Final = '{"strokes": [[[x, y], ...], ...], "label": "text", "writer": "name, or left out"}'

# CROHME labels formulas and symbols in TeX, and the group of its symbols with a heading.
NOT_WRITTEN: Final = re.compile(r"\$.+\$|\\([A-Za-z]+|.)|Segmentation|From ITF")

FURTHEST: Final = 1e12  # of a coordinate, either way
LEAST_SIZE: Final = 256  # units of a writer's median piece: coarser ink, in inches, is scaled up
OUTSIZE: Final = 400  # times that: a stray point, beside which 16 bits leave the others 80 units
UNSEEN: Final = frozenset({"Cc", "Cn", "Cs"})  # categories of what no text has: controls, unknown


@dataclass(frozen=True, eq=False)  # without slots: `size` is cached
class Labelled:
    """A piece as a file has it."""

    label: str
    writer: str
    strokes: list[NDArray[np.float64]]  # S arrays [n, 2], n >= 1; none if it has no ink
    traces: frozenset[Hashable] = frozenset()  # of which others may have points too
    in_tex: bool = False  # whether its label may be TeX

    @property
    def points(self) -> NDArray[np.float64]:
        """All points [P, 2]."""
        return np.concatenate([np.empty((0, 2)), *self.strokes])

    @cached_property
    def size(self) -> float:
        """The larger of its width and its height."""
        return float(np.ptp(self.points, axis=0).max()) if self.strokes else 0.0

    @property
    def keys(self) -> frozenset[Hashable]:
        """Keys of its ink: pieces that have one in common have the same ink, or some of it."""
        points = self.points
        if len(points) < LEAST_POINTS:
            return self.traces
        return self.traces | {hashlib.sha256(points.tobytes()).digest()}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledInk:
    """N pieces of ink from files."""

    ink: InkSet
    statistics: Statistics
    groups: NDArray[np.int64]  # [N], the same number for pieces that share ink


def read(source: Path) -> LabelledInk:
    """Read a file of labelled ink, or all such files of a folder and of those in it.

    Writers are named "source/writer", where the source is the name without its ending.

    Raises `DataError` with file and line where something can't be read.
    """
    files = files_of(source)
    donor = next((source.name[: -len(end)] for end in SUFFIXES if _ends(source, end)), source.name)
    if not files:
        raise DataError(f"{source} is no {' or '.join(SUFFIXES)} file, and no folder with any")
    given = [piece for path in files for piece in _reader(path)(path)]
    medians = _median_sizes(given)
    pieces, counts = [], Statistics()
    for piece in given:
        if reason := _fault(piece, medians):
            counts.skipped[reason, category(piece.label), donor] += 1
        else:
            pieces.append(piece)
    if not pieces:
        reasons = ", ".join(f"{count} {reason}" for (reason, *_), count in counts.skipped.items())
        raise DataError(
            f"{source} has no labelled ink that can be used{reasons and f': {reasons}'}"
        )
    groups = connected_groups([piece.keys for piece in pieces])
    return LabelledInk(InkSet.of(_scaled(pieces, donor)), counts, groups)


def category(label: str) -> str:
    """Return the UNIPEN category that fits a label."""
    if len(label) > 1:
        return TEXT if len(label.split()) > 1 else WORDS
    if label.isdecimal():
        return "1a"
    if label.isalpha():
        return "1b" if label.isupper() else "1c"
    return "1d"


def _fault(piece: Labelled, medians: Mapping[str, float]) -> str:
    """Return why a piece cannot be trained on, or ""."""
    if not piece.strokes:
        return "no ink"
    if "\n" in piece.label:
        return "label of several lines"
    if piece.in_tex and NOT_WRITTEN.fullmatch(piece.label):
        return "label is not what is written"
    if piece.size > OUTSIZE * medians[piece.writer]:
        return f"ink {OUTSIZE} times larger than its writer's other pieces"
    return ""


def _median_sizes(pieces: list[Labelled]) -> dict[str, float]:
    """Return the median size of each writer's pieces, without pieces of no size."""
    sizes: dict[str, list[float]] = defaultdict(list)
    for piece in pieces:
        sizes[piece.writer] += [piece.size] if piece.size else []
    return {
        writer: float(np.quantile(own, 0.5, method="lower")) if own else LEAST_SIZE
        for writer, own in sizes.items()
    }


def _json_lines(path: Path) -> Iterator[Labelled]:
    with (lzma.open if _ends(path, ".xz") else open)(path, "rb") as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _json_piece(line, f"{path}, line {number}")
        except (lzma.LZMAError, EOFError) as error:
            raise DataError(f"{path} is incomplete or damaged: {error}") from error


def _json_piece(line: bytes, place: str) -> Labelled:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise DataError(f"{place}: no JSON ({error}), expected {FORM}") from error
    if not isinstance(entry, dict) or not {"strokes", "label"} <= entry.keys():
        raise DataError(f"{place}: {line[:60].decode().strip()}, expected {FORM}")
    strokes, writer = entry["strokes"], entry.get("writer")
    if not isinstance(strokes, list):
        raise DataError(f"{place}: strokes is {str(strokes)[:40]}, expected a list of strokes")
    if isinstance(writer, int | float) and not isinstance(writer, bool):
        writer = str(writer)
    return Labelled(
        label=_lines(entry["label"], "label", place),
        writer=_name(writer, place),
        strokes=[
            _stroke(stroke, f"{place}, stroke {number}")
            for number, stroke in enumerate(strokes)
            if stroke != []
        ],
    )


def _inkml(path: Path) -> Iterator[Labelled]:
    try:
        groups = inkml.read(path.read_bytes())
    except DataError as error:
        raise DataError(f"{path}, {error}") from error
    for group in groups:
        if group.label is None:
            continue
        place = f"{path}, line {group.line}"
        if not all((np.abs(stroke) <= FURTHEST).all() for stroke in group.strokes):
            raise DataError(f"{place}: a coordinate beyond {FURTHEST:g}")
        yield Labelled(
            label=_lines(group.label, "label", place),
            writer=_name(group.writer or None, place),
            strokes=group.strokes,
            traces=frozenset((path, trace) for trace in group.traces),
            in_tex=True,
        )


READERS: Final[Mapping[str, Callable[[Path], Iterator[Labelled]]]] = {  # by suffix
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".jsonl.xz": _json_lines,
    ".inkml": _inkml,
}
SUFFIXES: Final = tuple(READERS)


def _reader(path: Path) -> Callable[[Path], Iterator[Labelled]]:
    """Return the reader of a file that `files_of` returned."""
    return next(READERS[suffix] for suffix in SUFFIXES if _ends(path, suffix))


def _ends(path: Path, *suffixes: str) -> bool:
    return path.name.lower().endswith(suffixes)


def files_of(source: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Return the file that a path is, or all files below a folder, that have one of these endings.

    Hidden files, which other systems leave, are left out.
    """
    if not source.is_dir():
        return [source] if source.is_file() and _ends(source, *suffixes) else []
    return sorted(
        path
        for path in source.rglob("*")
        if _ends(path, *suffixes)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )


def _name(given: object, place: str) -> str:
    """Return a writer's name in one line; a default name for None."""
    return ANONYMOUS if given is None else _lines(given, "writer", place).replace("\n", " ")


def _lines(given: object, name: str, place: str) -> str:
    """Return the lines of a text, composed (NFC) and with single spaces, without empty ones."""
    text = unicodedata.normalize("NFC", given) if isinstance(given, str) else ""
    lines = [" ".join(words) for line in text.splitlines() if (words := line.split())]
    kinds = {unicodedata.category(character) for character in "".join(lines)}
    if kinds & UNSEEN or kinds <= {"Cf", "Zs"}:  # Cf joins or parts letters, and is none itself
        raise DataError(f"{place}: {name} is {given!r}, expected text that can be printed")
    return "\n".join(lines)


def _stroke(given: object, place: str) -> NDArray[np.float64]:
    """Return the first two numbers of each point, [n, 2]."""
    if not isinstance(given, list) or not given:
        raise DataError(f"{place}: {str(given)[:40]}, expected a list of points [x, y]")
    for number, point in enumerate(given):
        if not isinstance(point, list) or len(point) < 2 or not all(map(_is_number, point[:2])):
            raise DataError(f"{place}, point {number}: {str(point)[:40]}, expected [x, y]")
    return np.array([point[:2] for point in given], np.float64)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FURTHEST


def _scaled(pieces: list[Labelled], donor: str) -> Iterator[Piece]:
    """Yield all pieces, each writer's scaled to units that fit 16 bits."""
    largest: dict[str, float] = defaultdict(float)
    for piece in pieces:
        largest[piece.writer] = max(largest[piece.writer], piece.size)
    medians = _median_sizes(pieces)
    for piece in pieces:
        scale = max(1.0, LEAST_SIZE / medians[piece.writer])
        if largest[piece.writer] * scale > LARGEST:
            scale = LARGEST / largest[piece.writer]
        yield Piece(
            piece.points * scale,
            np.cumsum([0, *map(len, piece.strokes)]),
            np.full(len(piece.points), 0 if len(piece.label) == 1 else -1, np.int16),
            piece.label,
            category(piece.label),
            f"{donor}/{piece.writer}",
        )
