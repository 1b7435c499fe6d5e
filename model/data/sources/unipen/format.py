"""The UNIPEN format 1.0 (Guyon, Schomaker, Plamondon, Liberman, Janet, ICPR 1994).

A file is a row of keywords, each a dot and capitals at the start of a line, with their arguments.
Ink stands in components, blocks of points with the pen down or up; both kinds are numbered from 0
in one count, but only those that have points. A segment names components, or points of them:
`3`, `3-7`, `3:5-4:10` (component:point), or several such with commas; both ends belong to it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import DataError

KEYWORD: Final = re.compile(rb"^[ \t]*\.(?=[A-Z])", re.MULTILINE)
INCLUDE: Final = re.compile(rb"^[ \t]*\.INCLUDE\s+(\S+)", re.MULTILINE)
SEGMENT: Final = re.compile(
    rb"^[ \t]*\.SEGMENT[ \t]+\S+[ \t]+(\S+)[ \t]+(\S+)[ \t]*(.*?)[ \t\r]*$", re.MULTILINE
)
RANGE: Final = re.compile(r"(\d+)(?::(\d+))?(?:-(\d+)(?::(\d+))?)?")

Points = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Header:
    """What the keywords before a component say of it."""

    coordinates: tuple[bytes, ...] = (b"X", b"Y")
    writer: str = ""
    style: str = ""
    h_lines: tuple[float, ...] = ()  # y of ruled lines, upwards


@dataclass(frozen=True, slots=True)
class Segment:
    """A labelled part of the ink, as a file of a category and a donor names it."""

    category: str
    donor: str
    delineation: str
    quality: str
    label: str  # with quotes and escapes


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The ink of included files: P points in C components; y grows upwards."""

    points: Points  # [P, 2]
    starts: NDArray[np.int64]  # [C + 1], into points
    is_down: NDArray[np.bool_]  # [C]
    headers: tuple[Header, ...]  # C
    n_incomplete_lines: int

    def header(self, point: int) -> Header:
        """Return the header of the component that holds a point."""
        return self.headers[int(np.searchsorted(self.starts, point, "right")) - 1]

    def strokes(self, delineation: str) -> list[tuple[int, int]]:
        """Return ranges of points with the pen down that a segment names, in the order of the file.

        Raises `DataError` when it cannot be read, or names ink that is not there.
        """
        strokes = []
        for text in delineation.split(","):
            match = RANGE.fullmatch(text)
            if match is None:
                raise DataError("delineation not readable")
            numbers: list[Any] = [digits and int(digits) for digits in match.groups()]
            first, first_point, last, last_point = numbers
            if last is None:
                last, last_point = first, first_point
            if max(first, last) >= len(self.is_down):
                raise DataError("names ink that is not there")
            start = self.starts[first] + (first_point or 0)
            end = self.starts[last + 1]
            stop = end if last_point is None else self.starts[last] + last_point + 1
            for component in range(first, last + 1):
                low, high = self.starts[component : component + 2].clip(start, stop).tolist()
                if low < high and self.is_down[component]:
                    strokes.append((low, high))
        return sorted(strokes)


def _includes(text: bytes) -> tuple[str, ...]:
    """Return the paths that a file includes."""
    return tuple(path.decode("latin-1") for path in INCLUDE.findall(text))


def read_labels(text: bytes, category: str, donor: str) -> tuple[tuple[str, ...], list[Segment]]:
    """Return the paths that a file includes, and its segments without those of included files."""
    segments = [
        Segment(category, donor, *(part.decode("latin-1") for part in parts))
        for parts in SEGMENT.findall(text)
    ]
    return _includes(text), segments


def read_page(paths: Iterable[str], include: Callable[[str], bytes]) -> Page:
    """Read the ink of files and of all that they include; `include` gives the text of a path."""
    header = Header()
    headers, blocks, is_down = [], [], []
    n_incomplete_lines = 0
    for name, argument in _keywords(paths, include):
        words = argument.split() if name not in (b"PEN_DOWN", b"PEN_UP") else []
        match name:
            case b"PEN_DOWN" | b"PEN_UP":
                points, n_incomplete = _points(argument, header.coordinates)
                n_incomplete_lines += n_incomplete
                if len(points):
                    blocks.append(points)
                    is_down.append(name == b"PEN_DOWN")
                    headers.append(header)
            case b"COORD":
                header = replace(header, coordinates=tuple(words))
            case b"WRITER_ID" if words:
                header = replace(header, writer=words[0].decode("latin-1"))
            case b"STYLE" if words:
                header = replace(header, style=words[0].decode("latin-1"))
            case b"H_LINE":
                header = replace(header, h_lines=tuple(map(float, words)))
    return Page(
        points=np.concatenate([np.empty((0, 2), np.int64), *blocks]),
        starts=np.cumsum([0, *map(len, blocks)], dtype=np.int64),
        is_down=np.array(is_down, np.bool_),
        headers=tuple(headers),
        n_incomplete_lines=n_incomplete_lines,
    )


def _keywords(
    paths: Iterable[str], include: Callable[[str], bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield each keyword of files with its argument; replace `.INCLUDE` by those of its file."""
    for path in paths:
        for chunk in KEYWORD.split(include(path))[1:]:
            name = chunk.split(None, 1)[0]
            if name == b"INCLUDE":
                yield from _keywords(_includes(b"." + chunk), include)
            else:
                yield name, chunk[len(name) :]


def _points(argument: bytes, coordinates: tuple[bytes, ...]) -> tuple[Points, int]:
    """Return the points [n, 2] of a component, and how many lines are left out as incomplete."""
    body, width = argument.lstrip(), len(coordinates)
    if body[:1] not in b"+-0123456789":  # prose with the keyword in front
        body = b""
    n_incomplete = 0
    numbers = np.fromstring(body, np.float64, sep=" ")
    if len(numbers) % width:
        lines = [line for line in body.splitlines() if line.strip()]
        complete = [line for line in lines if len(line.split()) == width]
        numbers = np.fromstring(b"\n".join(complete), np.float64, sep=" ")
        n_incomplete = len(lines) - len(complete)
    axes = [coordinates.index(b"X"), coordinates.index(b"Y")]
    return np.rint(numbers.reshape(-1, width)[:, axes]).astype(np.int64), n_incomplete
