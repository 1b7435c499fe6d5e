"""Columns as clients give them: in binary messages, in JSON, and as values of Python.

All become bytes, H for each column, or raise a `ColumnsError` that names the first fault.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import Field

from inkstream.service.protocol.errors import ColumnsError, Ref, described

Pixel = Annotated[int, Field(ge=0, le=255)]
Rows = Annotated[list[Annotated[list[Pixel], Field(min_length=1)]], Field(min_length=1)]  # [n, H]


def unpack_columns(
    message: bytes | list[list[int]], height: int, max_columns: int, ref: Ref = None
) -> bytes:
    """Return the columns of one message of a stream, from 1 to `max_columns`."""
    n_columns = len(message) if isinstance(message, list) else 0
    if isinstance(message, bytes):
        n_columns, excess_bytes = divmod(len(message), height)
        if excess_bytes or not message:
            raise ColumnsError(f"{len(message)} bytes, expected {height} for each column", ref)
    if n_columns > max_columns:  # none of them was looked at
        raise ColumnsError(f"{n_columns} columns in one message, allowed: 1..{max_columns}", ref)
    return message if isinstance(message, bytes) else json_columns(message, height, ref)


def json_columns(columns: Any, height: int, ref: Ref = None) -> bytes:
    """Return the columns of a JSON array, at least one."""
    if not isinstance(columns, list):
        raise ColumnsError(f"columns is {described(columns)}, expected an array of columns", ref)
    if not columns:
        raise ColumnsError("columns is empty, expected at least one column", ref)
    return _joined(columns, height, described, ref)


def python_columns(columns: Any, height: int) -> bytes:
    """Return columns that are bytes, a buffer [n, H] of unsigned bytes (numpy), or lists."""
    try:
        view = memoryview(columns)
    except TypeError:
        if isinstance(columns, list | tuple):
            return _joined(columns, height, shortened)
        got = f"columns are {type(columns).__name__}"
        raise ColumnsError(f"{got}, expected bytes, array or lists") from None
    if view.format != "B":
        raise ColumnsError(f"columns hold {view.format!r} numbers, expected bytes (uint8, 0..255)")
    if view.ndim > 2 or (view.ndim == 2 and view.shape and view.shape[1] != height):
        raise ColumnsError(f"columns have shape {view.shape}, expected (n, {height})")
    if view.nbytes % height:
        raise ColumnsError(f"{view.nbytes} bytes, expected a multiple of {height}")
    return view.tobytes()


def shortened(value: Any) -> str:
    """Return the beginning of a value as Python writes it."""
    return f"{value!r:.40}"


def _joined(
    columns: Iterable[Any], height: int, describe: Callable[[Any], str], ref: Ref = None
) -> bytes:
    """Join rows of pixels; `describe` puts a faulty value into words."""
    rows = []
    for number, column in enumerate(columns):
        try:
            row = None if isinstance(column, str | Mapping) else list(column)
        except TypeError:
            row = None
        if row is None:
            got = f"column {number} is {describe(column)}"
            raise ColumnsError(f"{got}, expected an array of pixels", ref)
        if len(row) != height:
            raise ColumnsError(f"column {number} has {len(row)} pixels, expected {height}", ref)
        if bool not in map(type, row):  # Python takes True for 1
            with suppress(TypeError, ValueError):
                rows.append(bytes(row))
                continue
        index, pixel = next(pair for pair in enumerate(row) if not _is_pixel(pair[1]))
        got = f"pixel {index} of column {number} is {describe(pixel)}"
        raise ColumnsError(f"{got}, allowed: whole numbers 0..255", ref)
    return b"".join(rows)


def _is_pixel(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and 0 <= value <= 255
