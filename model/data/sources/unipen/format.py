"""The UNIPEN format 1.0 (Guyon, Schomaker, Plamondon, Liberman, Janet, ICPR 1994).

A file is a row of keywords, each a dot and capitals at the start of a line, with their arguments.
Ink stands in components, blocks of points with the pen down or up; both kinds are numbered from 0
in one count, but only those that have points. A segment names components, or points of them:
`3`, `3-7`, `3:5-4:10` (component:point), or several such with commas; both ends belong to it.
"""

import math
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import DataError

KEYWORD: Final = re.compile(rb"^[ \t]*\.(?=[A-Z])", re.MULTILINE)
INCLUDE: Final = re.compile(rb"^[ \t]*\.INCLUDE\s+(\S+)", re.MULTILINE)
SEGMENT: Final = re.compile(
    rb"^[ \t]*\.SEGMENT[ \t]+\S+[ \t]+(\S+)[ \t]+(\S+)[ \t]*(.*?)[ \t\r]*$", re.MULTILINE
)
PLACE: Final = r"(\d+)(?::(\d+))?"
RANGE: Final = re.compile(rf"{PLACE}(?:-{PLACE})?")
PEN: Final = (b"PEN_DOWN", b"PEN_UP")
HEADER: Final = (b"COORD", b"WRITER_ID", b"STYLE", b"H_LINE")
FURTHEST: Final = 1 << 30  # of a coordinate: any two differ by less than 32 bits
NUMBER_STARTS: Final = frozenset(b"+-0123456789")

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
    """A labelled part of the ink, as it stands in the file."""

    delineation: str
    quality: str
    label: str  # with quotes and escapes


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The ink that one file includes: P points in C components; y grows upwards."""

    points: Points  # [P, 2]
    is_new: NDArray[np.bool_]  # [P], whether it differs from the one before it in its component
    starts: NDArray[np.int64]  # [C + 1], into points
    is_down: NDArray[np.bool_]  # [C]
    headers: tuple[Header, ...]  # C
    unreadable_lines: int

    def header(self, point: int) -> Header:
        """Return the header of the component that holds a point."""
        return self.headers[int(np.searchsorted(self.starts, point, "right")) - 1]

    def strokes(self, delineation: str) -> list[tuple[int, int]]:
        """Return ranges of points with the pen down that a segment names, in the order of the file.

        Raises `DataError` when it cannot be read, or names ink that is not there.
        """
        cuts = []
        for text in delineation.split(","):
            found = RANGE.fullmatch(text)
            if found is None:
                raise DataError("delineation not readable")
            first, first_point, last, last_point = found.groups()
            start = self._place(int(first), int(first_point or 0))
            if last is None:
                last, last_point = first, first_point
            stop = self._place(int(last), None if last_point is None else int(last_point)) + 1
            for component in range(int(first), int(last) + 1):
                if self.is_down[component]:
                    low, high = self.starts[component : component + 2].tolist()
                    cuts.append((component, max(start, low), min(stop, high)))
        return _joined(sorted(cuts))

    def _place(self, component: int, point: int | None) -> int:
        """Return the index of a component's point among all points; None is its last."""
        if component >= len(self.is_down):
            raise DataError("names a component that is not there")
        start, stop = self.starts[component : component + 2].tolist()
        place = stop - 1 if point is None else start + point
        if place >= stop:
            raise DataError("names a point that is not there")
        return int(place)


def _joined(cuts: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Return sorted cuts (component, start, stop) as ranges; merge adjacent ones."""
    joined: list[tuple[int, int, int]] = []
    for component, start, stop in cuts:
        if joined and joined[-1][0] == component and start <= joined[-1][2]:
            joined[-1] = (component, joined[-1][1], max(stop, joined[-1][2]))
        elif start < stop:
            joined.append((component, start, stop))
    return [(start, stop) for _, start, stop in joined]


def includes(text: bytes) -> tuple[str, ...]:
    """Return the paths that a file includes, in their order."""
    return tuple(path.decode("latin-1") for path in INCLUDE.findall(text))


def own_ink(text: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the keywords with which a file itself describes ink, not by including it."""
    keywords = [chunk for chunk in _chunks(text) if chunk[0] in (*PEN, *HEADER)]
    has_ink = any(name in PEN and _body(argument) for name, argument in keywords)
    return tuple(keywords) if has_ink else ()


def read_segments(text: bytes) -> list[Segment]:
    """Return the segments of a file in order, without those of included files."""
    return [Segment(*(part.decode("latin-1") for part in parts)) for parts in SEGMENT.findall(text)]


def read_page(text: bytes, include: Callable[[str], bytes]) -> Page:
    """Read the ink of a file and of all that it includes, in the order in which it stands there.

    Args:
        text: the file.
        include: gives the text of an included file by its path; what it raises goes through.

    Raises `DataError` when files include each other or nothing, or points have no X or Y.
    """
    header = Header()
    headers, blocks, is_down = [], [], []
    unreadable_lines = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        for name, argument in _keywords(text, include, ()):
            if name not in PEN:
                header = _changed(header, name, argument)
                continue
            points, unreadable = _points(argument, header.coordinates)
            unreadable_lines += unreadable
            if len(points):
                blocks.append(points)
                is_down.append(name == b"PEN_DOWN")
                headers.append(header)
    points = np.concatenate([np.empty((0, 2), np.int64), *blocks])
    starts = np.cumsum([0, *map(len, blocks)], dtype=np.int64)
    is_new = np.ones(len(points), np.bool_)
    is_new[1:] = (points[1:] != points[:-1]).any(1)
    is_new[starts[:-1]] = True
    return Page(
        points=points,
        is_new=is_new,
        starts=starts,
        is_down=np.array(is_down, np.bool_),
        headers=tuple(headers),
        unreadable_lines=unreadable_lines,
    )


def _chunks(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each keyword of a file with its argument."""
    for chunk in KEYWORD.split(text)[1:]:
        name = chunk.split(None, 1)[0]
        yield name, chunk[len(name) :]


def _keywords(
    text: bytes, include: Callable[[str], bytes], trail: tuple[str, ...]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield each keyword with its argument; replace `.INCLUDE` by the included file's keywords."""
    for name, argument in _chunks(text):
        if name == b"INCLUDE":
            path = b"".join(argument.split(None, 1)[:1]).decode("latin-1")
            if not path:
                raise DataError("an include without a path")
            if path in trail:
                raise DataError(f"{' -> '.join((*trail, path))}: files that include each other")
            yield from _keywords(include(path), include, (*trail, path))
        else:
            yield name, argument


def _changed(header: Header, name: bytes, argument: bytes) -> Header:
    """Return the header after one more keyword."""
    words = argument.split()
    match name:
        case b"COORD":
            return replace(header, coordinates=tuple(words))
        case b"WRITER_ID" if words:
            return replace(header, writer=words[0].decode("latin-1"))
        case b"STYLE" if words:
            return replace(header, style=words[0].decode("latin-1"))
        case b"H_LINE":
            return replace(header, h_lines=tuple(_numbers(words)))
    return header


def _numbers(words: list[bytes]) -> Iterator[float]:
    """Yield the numbers among words; their unit may stand beside them."""
    for word in words:
        try:
            number = float(word)
        except ValueError:
            continue
        if math.isfinite(number):
            yield number


def _body(argument: bytes) -> bytes:
    """Return the points of a component; none where a line of prose begins with its keyword."""
    body = argument.lstrip()
    return body if body and body[0] in NUMBER_STARTS else b""


def _points(argument: bytes, coordinates: tuple[bytes, ...]) -> tuple[Points, int]:
    """Return the points [n, 2] of a component, and how many of its lines could not be read."""
    body = _body(argument)
    if not body:
        return np.empty((0, 2), np.int64), 0
    if not {b"X", b"Y"} <= set(coordinates):
        raise DataError("points without X and Y")
    axes = [coordinates.index(axis) for axis in (b"X", b"Y")]
    try:
        numbers = np.fromstring(body, np.int64, sep=" ").reshape(-1, len(coordinates))
    except (ValueError, DeprecationWarning):  # the latter from numpy before 2.3
        return _points_of_lines(body.splitlines(), len(coordinates), axes)
    return numbers[:, axes], 0


def _points_of_lines(lines: list[bytes], width: int, axes: list[int]) -> tuple[Points, int]:
    """Do the same line by line: round coordinates, leave out and count unreadable lines."""
    points, unreadable = [], 0
    for fields in filter(None, (line.split() for line in lines)):
        try:
            numbers = [round(float(text)) for text in fields]
        except (ValueError, OverflowError):  # the latter for infinity
            numbers = []
        point = [numbers[axis] for axis in axes] if len(numbers) == width else []
        if point and max(map(abs, point)) <= FURTHEST:
            points.append(point)
        else:
            unreadable += 1
    return np.array(points, np.int64).reshape(-1, 2), unreadable
