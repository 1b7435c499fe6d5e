"""Columns and ink on their way: what goes in several messages, and which results belong to it.

Without I/O, as the conversation that it is a part of.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from inkstream.service.client.conversation import Conversation, Result, error_of
from inkstream.service.limits import Limits
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.errors import ColumnsError, InkError, ValueRefusedError
from inkstream.service.protocol.server_messages import Error, Pong, ServerMessage

CHUNK_COLUMNS: Final = 64  # in one message: answers begin while the rest is still being sent
WINDOW_COLUMNS: Final = 128  # sent and not yet answered: no queue on the way ever fills
POINT_BYTES: Final = 54  # as JSON at most: two numbers of 24, brackets, commas and blanks
FRAME_BYTES: Final = 2048  # at most, of a message of ink without its strokes; nearly all for `undo`


class Sending:
    """Columns on their way: at most a window of them is unanswered at any time."""

    def __init__(self, conversation: Conversation, columns: Any) -> None:
        self._conversation = conversation
        self._height = conversation.ready.column_height
        self._data = pixels(columns, self._height)
        self._start = self._answered = conversation.sent
        self._end = conversation.sent + len(self._data) // self._height
        limits = conversation.ready.limits
        self._chunk = min(
            CHUNK_COLUMNS, limits.max_message_columns, limits.max_frame_bytes // self._height
        )

    @property
    def done(self) -> bool:
        """Whether every column is answered."""
        return self._answered >= self._end

    def outgoing(self) -> Iterator[bytes]:
        """What may be sent now."""
        said = self._conversation
        while said.sent < self._end and said.sent - self._answered < WINDOW_COLUMNS:
            first = said.sent - self._start
            said.sent = min(said.sent + self._chunk, self._end)
            last = said.sent - self._start
            yield self._data[first * self._height : last * self._height]

    def take(self, message: ServerMessage) -> Result | None:
        """The result that `message` is, if it belongs to these columns; raises their error."""
        if isinstance(message, Error) and message.ref is None:
            self._conversation.sent = self._answered  # what was sent behind them is refused too
            raise error_of(message.code, message.message)
        if not isinstance(message, messages.Result):
            return None
        count = self._conversation.line_start + message.column + 1
        if count <= self._answered:
            return None
        self._answered = count
        return self._conversation.with_events(message)


class Writing:
    """Ink on its way, in portions: what is said up to the answer to a ping belongs to the ink."""

    def __init__(
        self,
        conversation: Conversation,
        strokes: Any = (),
        height: float | None = None,
        *,
        undo: int | str | None = None,
        pause: bool = False,
        fit: bool = False,
    ) -> None:
        self._conversation = conversation
        rows = _each_of(strokes, "strokes", "strokes")
        self._strokes = [_stroke_of(*numbered) for numbered in enumerate(rows)]
        self._frame = {} if height is None else {"height": _height_of(height)}
        self._first = {} if undo is None else {"undo": undo}
        self._last = {name: True for name, is_so in (("pause", pause), ("fit", fit)) if is_so}
        self._refs: list[int] = []  # of its messages
        self._earlier = conversation.barrier  # of ink whose results were not waited for

    def portions(self) -> Iterator[list[str]]:
        """The messages to send, so many at a time; the next ones when these are answered."""
        said = self._conversation
        portions = list(_portions(self._strokes, said.ready.limits))
        for number, strokes in enumerate(portions):
            fields = {"strokes": strokes, **self._frame}
            fields |= self._first if not number else {}
            fields |= self._last if number == len(portions) - 1 else {}
            messages = [said.ask("ink", **fields), said.ask("ping")]
            self._own = said.barrier = said.asked
            self._refs += [self._own - 1, self._own]
            yield messages

    @property
    def answered(self) -> bool:
        """Whether all that is about the newest portion was said."""
        return self._conversation.barrier != self._own

    def take(self, message: ServerMessage) -> Result | None:
        """The result that `message` is, if it is about this ink; raises its error."""
        if isinstance(message, Error) and message.ref in self._refs:
            raise error_of(message.code, message.message)
        if isinstance(message, Pong) and message.id == self._earlier:
            self._earlier = None
        if self._earlier is None and isinstance(message, messages.Result):
            return self._conversation.with_events(message)
        return None


def _stroke_of(number: int, stroke: Any) -> dict[str, Any]:
    """A stroke as it is sent: of a row of points, or of a mapping with points, id and last."""
    fields = dict(stroke) if isinstance(stroke, Mapping) else {"points": stroke}
    if "points" not in fields:
        raise InkError(f"stroke {number} has no points")
    points = _each_of(fields["points"], f"stroke {number}", "points")
    return fields | {"points": [_point_of(number, *numbered) for numbered in enumerate(points)]}


def _each_of(values: Any, name: str, what: str) -> list[Any]:
    """The values of a row of strokes or points."""
    try:
        return list(values)
    except TypeError:
        raise InkError(f"{name} is {_shown(values)}, expected a row of {what}") from None


def _point_of(stroke: int, number: int, point: Any) -> tuple[float, float]:
    try:
        x, y = point
        return float(x), float(y)
    except (TypeError, ValueError):
        got = f"point {number} of stroke {stroke} is {_shown(point)}"
        raise InkError(f"{got}, expected (x, y), two finite numbers") from None


def _height_of(height: Any) -> float:
    try:
        return float(height)
    except (TypeError, ValueError):
        raise ValueRefusedError(f"height is {_shown(height)}, allowed: a number above 0") from None


def _portions(strokes: list[dict[str, Any]], limits: Limits) -> Iterator[list[dict[str, Any]]]:
    """Strokes for one message after the other, as many points in each as fit, but two may be.

    One that is cut goes on by its name, or, if it has none, where it ended: its ink is the same.
    """
    portion: list[dict[str, Any]] = []
    most = min(limits.max_message_points, (limits.max_frame_bytes - FRAME_BYTES) // POINT_BYTES)
    room = most
    for stroke in strokes:
        named, rest = stroke.get("id") is not None, stroke["points"]
        head_bytes = len(json.dumps(stroke | {"points": [], "last": False}))
        head = 1 + head_bytes // POINT_BYTES  # it takes the room of so many points
        whole = max(most - head, 2)
        room = room - head if portion else whole
        while len(rest) > room:
            if room > 1:
                portion.append(
                    stroke | {"points": rest[:room]} | ({"last": False} if named else {})
                )
                rest = rest[room if named else room - 1 :]
            if portion:
                yield portion
            portion, room = [], whole
        portion.append(stroke | {"points": rest})
        room -= len(rest)
    yield portion


def _shown(value: Any) -> str:
    """The beginning of a value as Python writes it."""
    return f"{value!r:.40}"


def pixels(columns: Any, column_height: int, shown: Callable[[Any], str] = _shown) -> bytes:
    """Columns as the bytes of a binary frame, H for each.

    Args:
        columns: bytes, a buffer [n, H] of unsigned bytes (a numpy array, say), or a list of lists.
        column_height: H.
        shown: puts a faulty value into words.

    Raises `ColumnsError` that says what came and what is expected.
    """
    try:
        view = memoryview(columns)
    except TypeError:
        rows = [_column(number, column, column_height, shown) for number, column in _each(columns)]
        return b"".join(rows)
    if view.format != "B":
        raise ColumnsError(f"columns hold {view.format!r} numbers, expected bytes (uint8, 0..255)")
    if view.ndim > 2 or (view.ndim == 2 and view.shape and view.shape[1] != column_height):
        raise ColumnsError(f"columns have shape {view.shape}, expected (n, {column_height})")
    if view.nbytes % column_height:
        raise ColumnsError(f"{view.nbytes} bytes, expected a multiple of {column_height}")
    return view.tobytes()


def _each(columns: Any) -> Iterator[tuple[int, Any]]:
    if not isinstance(columns, list | tuple):
        raise ColumnsError(f"columns are {type(columns).__name__}, expected bytes, array or lists")
    return enumerate(columns)


def _column(number: int, column: Any, column_height: int, shown: Callable[[Any], str]) -> bytes:
    try:
        row = None if isinstance(column, str | Mapping) else list(column)
    except TypeError:
        row = None
    if row is None:
        raise ColumnsError(f"column {number} is {shown(column)}, expected a row of pixels")
    if len(row) != column_height:
        raise ColumnsError(f"column {number} has {len(row)} pixels, expected {column_height}")
    if bool not in map(type, row):
        with suppress(TypeError, ValueError):
            return bytes(row)
    place, pixel = next(pair for pair in enumerate(row) if not _is_pixel(pair[1]))
    raise ColumnsError(
        f"pixel {place} of column {number} is {shown(pixel)}, allowed: whole numbers 0..255"
    )


def _is_pixel(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and 0 <= value <= 255
