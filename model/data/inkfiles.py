"""Anyone's labelled ink: InkML files and JSON lines, any alphabet, read into an `InkSet`.

A JSON line is `{"strokes": [[[x, y], ...], ...], "label": "text", "writer": "name"}`; the writer
may be left out. x grows to the right and y downwards, in any unit; what else a point or a line
holds is not read. Each labelled group of an InkML file is a piece.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data import inkml
from model.data.inkset import CATEGORIES, Builder, InkSet
from model.data.own_split import together
from model.data.split import LEAST_POINTS
from model.data.unipen_census import Census, WhyKey
from model.errors import DataError

JSON_SUFFIXES: Final = (".jsonl", ".ndjson")
INKML_SUFFIX: Final = ".inkml"
SUFFIXES: Final = (*JSON_SUFFIXES, INKML_SUFFIX)
ANONYMOUS: Final = "unknown"

# CROHME labels formulas and symbols in TeX, and the group of its symbols with a heading.
NOT_WRITTEN: Final = re.compile(r"\$.+\$|\\([A-Za-z]+|.)|Segmentation|From ITF")

FURTHEST: Final = 1e12  # of a coordinate, either way
LEAST_SIZE: Final = 256  # units of a median piece: coarser ink, as in inches, is scaled up
LARGEST: Final = 1 << 30  # units of any piece, before a writer's ink is made to fit 16 bits


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A piece as a file has it."""

    label: str
    writer: str
    strokes: list[NDArray[np.float64]]  # S arrays [n, 2], n >= 1
    place: str  # where it stands, for messages
    traces: frozenset[Hashable] = frozenset()  # of which others may have points too

    @property
    def keys(self) -> frozenset[Hashable]:
        """Keys of its ink: pieces that have one in common have the same ink, or some of it."""
        points = np.concatenate(self.strokes)
        if len(points) < LEAST_POINTS:
            return self.traces
        return self.traces | {hashlib.sha256(points.tobytes()).digest()}


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What files of ink hold: N pieces."""

    ink: InkSet
    census: Census
    kin: NDArray[np.int64]  # [N], the same number where pieces have ink in common


def holds(source: Path) -> bool:
    """Whether a path is a file of labelled ink, or a folder with such files."""
    return bool(_files(source))


def read(source: Path) -> Found:
    """Read a file of labelled ink, or all such files of a folder and of those in it.

    Writers are named "source/writer", where the source is the name without its ending.

    Raises `DataError` with file and line where something can't be read.
    """
    files = _files(source)
    if not files:
        raise DataError(f"{source} is no {' or '.join(SUFFIXES)} file, and no folder with any")
    pieces, skipped = [], Counter[WhyKey]()
    for path in files:
        for piece in _json_lines(path) if path.suffix in JSON_SUFFIXES else _inkml(path):
            if path.suffix == INKML_SUFFIX and NOT_WRITTEN.fullmatch(piece.label):
                skipped["label is not what is written", category(piece.label), source.stem] += 1
            else:
                pieces.append(piece)
    if not pieces:
        raise DataError(f"{source} has no labelled ink that can be used")
    ink = _collected(pieces, source.stem)
    counts = Counter((CATEGORIES[index], source.stem) for index in ink.categories)
    kin = together([piece.keys for piece in pieces])
    return Found(ink, Census(counts, skipped, {}), kin)


def category(label: str) -> str:
    """Which of UNIPEN's categories a label would be in."""
    if len(label) > 1:
        return "8" if " " in label else "7"
    if label.isdecimal():
        return "1a"
    if label.isalpha():
        return "1b" if label.isupper() else "1c"
    return "1d"


def _files(source: Path) -> list[Path]:
    if source.is_dir():
        return sorted(path for path in source.rglob("*") if path.suffix in SUFFIXES)
    return [source] if source.is_file() and source.suffix in SUFFIXES else []


def _json_lines(path: Path) -> Iterator[Labelled]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _json_piece(line, f"{path}, line {number}")


def _json_piece(line: bytes, place: str) -> Labelled:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise DataError(f"{place}: no JSON: {error}") from error
    if not isinstance(entry, dict) or not {"strokes", "label"} <= entry.keys():
        raise DataError(f"{place}: {line[:60]!r}, expected an object with strokes and label")
    strokes = entry["strokes"]
    if not isinstance(strokes, list) or not strokes:
        raise DataError(f"{place}: strokes is {str(strokes)[:40]}, expected a list of strokes")
    return Labelled(
        label=_text(entry["label"], "label", place),
        writer=_text(entry.get("writer", ANONYMOUS), "writer", place),
        strokes=[_stroke(stroke, f"{place}, stroke {k}") for k, stroke in enumerate(strokes)],
        place=place,
    )


def _inkml(path: Path) -> Iterator[Labelled]:
    try:
        groups = inkml.read(path.read_bytes())
    except DataError as error:
        raise DataError(f"{path}, {error}") from error
    for group in groups:
        place = f"{path}, line {group.line}"
        if not group.strokes:
            raise DataError(f"{place}: the group labelled {group.label!r} has no traces")
        if max(np.abs(stroke).max() for stroke in group.strokes) > FURTHEST:
            raise DataError(f"{place}: a coordinate beyond {FURTHEST:g}")
        yield Labelled(
            label=_text(group.label, "label", place),
            writer=_text(group.writer or ANONYMOUS, "writer", place),
            strokes=group.strokes,
            place=place,
            traces=frozenset((path, trace) for trace in group.traces),
        )


def _text(given: object, name: str, place: str) -> str:
    """A label or a writer's name, composed (NFC) and with single spaces."""
    text = " ".join(unicodedata.normalize("NFC", given).split()) if isinstance(given, str) else ""
    if not text or not text.isprintable():
        raise DataError(f"{place}: {name} is {given!r}, expected text that can be printed")
    return text


def _stroke(given: object, place: str) -> NDArray[np.float64]:
    """The first two numbers of each point, [n, 2]."""
    if not isinstance(given, list) or not given:
        raise DataError(f"{place}: {str(given)[:40]}, expected a list of points [x, y]")
    for number, point in enumerate(given):
        if (
            not isinstance(point, list)
            or len(point) < 2
            or not all(_is_number(value) for value in point[:2])
        ):
            raise DataError(f"{place}, point {number}: {str(point)[:40]}, expected [x, y]")
    return np.array([point[:2] for point in given], np.float64)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -FURTHEST <= value <= FURTHEST
    )


def _collected(pieces: list[Labelled], donor: str) -> InkSet:
    """All pieces in units that 16 bits can tell apart."""
    points = [np.concatenate(piece.strokes) for piece in pieces]
    sizes = np.array([np.ptp(ink, axis=0).max() for ink in points])
    median = float(np.median(sizes[sizes > 0])) if sizes.any() else LEAST_SIZE
    scale = max(1.0, LEAST_SIZE / median)
    largest = int(sizes.argmax())
    if not sizes[largest] * scale < LARGEST:
        raise DataError(
            f"{pieces[largest].place}: ink of size {sizes[largest]:.3g} beside pieces of"
            f" {median:.3g}, allowed: {LARGEST / scale:.3g}"
        )
    builder = Builder()
    for piece, ink in zip(pieces, points, strict=True):
        builder.add(
            ink * scale,
            [len(stroke) for stroke in piece.strokes],
            np.full(len(ink), 0 if len(piece.label) == 1 else -1, np.int16),
            (np.nan, np.nan),
            label=piece.label,
            category=category(piece.label),
            writer=f"{donor}/{piece.writer}",
        )
    return builder.ink()
