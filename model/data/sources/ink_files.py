"""Read labelled ink of any alphabet from InkML files and JSON lines into an `InkSet`.

x grows to the right and y downwards, in any unit; what else a point or a line of JSON holds is not
read. A file that breaks the rules is refused; a piece that can't be trained on is skipped, and
counted.
"""

import hashlib
import lzma
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median_low
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from inkstream.model.data.ink_set import TEXT, WORDS, InkSet, Piece
from inkstream.model.data.sources import json_lines
from inkstream.model.data.split import LEAST_POINTS, connected_groups
from inkstream.model.data.statistics import Statistics
from inkstream.model.errors import DataError
from inkstream.model.preprocess import inkml
from inkstream.model.preprocess.ink_pieces import SUFFIXES, opened

FURTHEST: Final = 1e12  # of a coordinate, either way
LEAST_SIZE: Final = 256  # units of a writer's median piece: coarser ink, in inches, is scaled up
OUTSIZE: Final = 400  # median sizes: a stray point, beside which 16 bits leave the others 64 units

Coordinate = Annotated[float, Meta(ge=-FURTHEST, le=FURTHEST)]


class Point(Struct, array_like=True):
    """The first two numbers of a point."""

    x: Coordinate
    y: Coordinate


class PieceRow(Struct):
    """A piece as a JSON line has it."""

    strokes: list[list[Point]]
    label: str
    writer: str | int | float | None = None


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
        """Keys of its ink: pieces with one in common have the same ink, or some of it."""
        if len(points := self.points) < LEAST_POINTS:
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

    Writers are named "source/writer", where the source is the name without its ending. Raises
    `DataError` with file and line where something can't be read.
    """
    files = files_of(source)
    if not files:
        raise DataError(f"{source} is no {' or '.join(SUFFIXES)} file, and no folder with any")
    donor = re.sub(r"\.(jsonl(\.xz)?|ndjson|inkml)$", "", source.name, flags=re.IGNORECASE)
    given: list[Labelled] = []
    for path in files:
        given += (_inkml if _ends(path, ".inkml") else _json_lines)(path)
    medians = _median_sizes(given)
    faults = [_fault(piece, medians) for piece in given]
    pieces = [piece for piece, fault in zip(given, faults, strict=True) if not fault]
    skipped = Counter(filter(None, faults))
    if not pieces:
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise DataError(
            f"{source} has no labelled ink that can be used{reasons and f': {reasons}'}"
        )
    medians = _median_sizes(pieces)
    # A writer's coarse ink is scaled up, since points become whole numbers.
    scaled = (
        Piece(
            piece.points * max(1.0, LEAST_SIZE / medians[piece.writer]),
            np.cumsum([0, *map(len, piece.strokes)]),
            np.full(len(piece.points), 0 if len(piece.label) == 1 else -1, np.int16),
            piece.label,
            category(piece.label),
            f"{donor}/{piece.writer}",
        )
        for piece in pieces
    )
    groups = connected_groups([piece.keys for piece in pieces])
    return LabelledInk(InkSet.of(scaled), Statistics(skipped), groups)


def files_of(source: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Return a file, or all files below a folder but hidden ones, that have one of the endings."""
    if not source.is_dir():
        return [source] if source.is_file() and _ends(source, *suffixes) else []
    return sorted(
        path
        for path in source.rglob("*")
        if _ends(path, *suffixes)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )


def _ends(path: Path, *suffixes: str) -> bool:
    return path.name.lower().endswith(suffixes)


def category(label: str) -> str:
    """Return the UNIPEN category that fits a label."""
    if len(label) > 1:
        return TEXT if len(label.split()) > 1 else WORDS
    if label.isdecimal():
        return "1a"
    if label.isalpha():
        return "1b" if label.isupper() else "1c"
    return "1d"


def _json_lines(path: Path) -> Iterator[Labelled]:
    with opened(path) as file:
        try:
            form = '{"strokes": [[[x, y], ...], ...], "label": "text", "writer": "name, if known"}'
            for where, row in json_lines.rows(path, file, PieceRow, form):
                strokes = [
                    np.array([(p.x, p.y) for p in stroke]) for stroke in row.strokes if stroke
                ]
                label, writer = _text(row.label, "label", where), _writer(row.writer, where)
                yield Labelled(label, writer, strokes)
        except (lzma.LZMAError, EOFError) as error:
            raise DataError(f"{path} is incomplete or damaged: {error}") from error


def _inkml(path: Path) -> Iterator[Labelled]:
    try:
        groups = inkml.read(path.read_bytes())
    except DataError as error:
        raise DataError(f"{path}, {error}") from error
    for group in groups:
        if group.label is None:
            continue
        where = f"{path}, line {group.line}"
        if not all((np.abs(stroke) <= FURTHEST).all() for stroke in group.strokes):
            raise DataError(f"{where}: a coordinate beyond {FURTHEST:g}")
        label, writer = _text(group.label, "label", where), _writer(group.writer or None, where)
        traces = frozenset((path, trace) for trace in group.traces)
        yield Labelled(label, writer, group.strokes, traces, in_tex=True)


def _writer(name: str | float | None, where: str) -> str:
    """Return a writer's name in one line; a default name for None."""
    return "unknown" if name is None else _text(str(name), "writer", where).replace("\n", " ")


def _text(text: str, field: str, where: str) -> str:
    """Return the lines of a text, composed (NFC) and with single spaces, without empty ones."""
    composed = unicodedata.normalize("NFC", text)
    lines = [" ".join(words) for line in composed.splitlines() if (words := line.split())]
    kinds = {unicodedata.category(character) for character in "".join(lines)}
    # No text has controls (Cc) and unknown characters; Cf joins or parts letters, and is none.
    if kinds & {"Cc", "Cn", "Cs"} or kinds <= {"Cf", "Zs"}:
        raise DataError(f"{where}: {field} is {text!r}, expected text that can be printed")
    return "\n".join(lines)


def _fault(piece: Labelled, medians: Mapping[str, float]) -> str:
    """Return why a piece cannot be trained on, or ""."""
    if not piece.strokes:
        return "no ink"
    if "\n" in piece.label:
        return "label of several lines"
    # CROHME labels formulas and symbols in TeX, and the group of its symbols with a heading.
    not_written = r"\$.+\$|\\([A-Za-z]+|.)|Segmentation|From ITF"
    if piece.in_tex and re.fullmatch(not_written, piece.label):
        return "label is not what is written"
    if piece.size > OUTSIZE * medians[piece.writer]:
        return f"ink {OUTSIZE} times larger than its writer's other pieces"
    return ""


def _median_sizes(pieces: Iterable[Labelled]) -> dict[str, float]:
    """Return the median size of each writer's pieces, without pieces of no size."""
    sizes: dict[str, list[float]] = defaultdict(list)
    for piece in pieces:
        sizes[piece.writer] += [piece.size] if piece.size else []
    return {writer: median_low(known or [LEAST_SIZE]) for writer, known in sizes.items()}
