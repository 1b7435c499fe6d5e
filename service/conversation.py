"""What client and server say to each other, without I/O: text and bytes in, text and bytes out.

The clients in `service/client.py` are two thin shells around it. It needs pydantic alone.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeVar

from model.errors import InkstreamError
from service import messages
from service.errors import MEANINGS, ColumnsError, ServiceError
from service.messages import (
    Configured,
    Done,
    Error,
    Flushed,
    Goaway,
    Pong,
    Ready,
    ResetDone,
    Rewound,
    ServerMessage,
)

CHUNK_COLUMNS: Final = 64  # in one message: answers begin while the rest is still being sent
WINDOW_COLUMNS: Final = 128  # sent and not yet answered: no queue on the way ever fills

Answer = TypeVar("Answer", Configured, Done, Flushed, Pong, ResetDone, Rewound)


class NoConnectionError(ServiceError):
    """The server cannot be reached, or the connection broke off."""

    code: ClassVar[str] = "no_connection"


class Result(messages.Result):
    """What the model believes after a column."""

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


class Conversation:
    """What was sent and what is still to be answered.

    Columns are counted through, over resets and line ends, so that a result can be told to belong
    to a send that was broken off earlier.
    """

    def __init__(self, first: str | bytes) -> None:
        """Begin with the server's first message; raises the error that it is instead of `ready`."""
        self.going_away: Goaway | None = None
        self.sent = 0  # columns, less those taken back by a rewind
        self.line_start = 0  # the count at column 0 of this line
        self._asked = 0
        ready = self.hear(first)
        if not isinstance(ready, Ready):
            raise NoConnectionError(f"the server began with {ready.type}, expected ready")
        self.ready = ready

    def hear(self, text: str | bytes) -> ServerMessage:
        """Read one of the server's messages; raises the error that it carries."""
        message = messages.parse_server(text)
        if isinstance(message, Error):
            raise error_of(message.code, message.message)
        if isinstance(message, Goaway):
            self.going_away = message
        if isinstance(message, Flushed) and message.id is None:  # the line ended by itself
            self.line_start += message.columns
        return message

    def ask(self, kind: str, **fields: Any) -> str:
        """A message with an id of its own; `answers` knows the answer by it."""
        self._asked += 1
        return json.dumps({"type": kind, "id": self._asked, **fields})

    def answers(self, message: ServerMessage, expected: type[Answer]) -> Answer | None:
        """The message, if it is the answer to the newest `ask`; else None."""
        if not isinstance(message, expected):
            return None
        if not isinstance(message, Done) and message.id != self._asked:
            return None
        if isinstance(message, Rewound):
            self.sent = self.line_start + message.column
        if isinstance(message, ResetDone):
            self.line_start = self.sent
        return message


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
        """The result that `message` is, if it belongs to these columns."""
        if not isinstance(message, messages.Result):
            return None
        count = self._conversation.line_start + message.column + 1
        if count <= self._answered:
            return None
        self._answered = count
        return Result(message.epoch, message.column, message.probabilities)


def pixels(columns: Any, column_height: int) -> bytes:
    """Columns as the bytes of a binary frame, H for each.

    Args:
        columns: bytes, a buffer [n, H] of unsigned bytes (a numpy array, say), or a list of lists.
        column_height: H.

    Raises `ColumnsError` that says what came and what is expected.
    """
    try:
        view = memoryview(columns)
    except TypeError:
        return b"".join(_column(number, column, column_height) for number, column in _each(columns))
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


def _column(number: int, column: Any, column_height: int) -> bytes:
    try:
        row = list(column)
    except TypeError:
        raise ColumnsError(f"column {number} is {column!r:.40}, expected a row of pixels") from None
    if len(row) != column_height:
        raise ColumnsError(f"column {number} has {len(row)} pixels, expected {column_height}")
    if bool not in map(type, row):
        with suppress(TypeError, ValueError):
            return bytes(row)
    place, pixel = next(pair for pair in enumerate(row) if not _is_pixel(pair[1]))
    raise ColumnsError(
        f"pixel {place} of column {number} is {pixel!r:.40}, allowed: whole numbers 0..255"
    )


def _is_pixel(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and 0 <= value <= 255


def error_of(code: str, message: str) -> InkstreamError:
    """The typed error of a stable code; a code that this client doesn't know stays in the text."""
    for kind in (*_kinds(ServiceError), *_kinds(InkstreamError)):
        if kind.code == code:
            return kind(message)
    return ServiceError(f"{code}: {message}")


def error_of_http(status: int, body: bytes | bytearray) -> InkstreamError:
    """The typed error of a refusal by HTTP: our server says which, a proxy has its status alone."""
    try:
        error = json.loads(body)["error"]
        return error_of(error["code"], error["message"])
    except (ValueError, KeyError, TypeError):
        return NoConnectionError(f"the server refused the stream with HTTP status {status}")


def error_of_closing(closing: int, reason: str) -> InkstreamError:
    """The typed error of a WebSocket closing code, for closes that no `error` message explained."""
    for code, meaning in MEANINGS.items():
        if meaning.closing == closing:
            return error_of(code, reason or f"the server closed the stream ({closing})")
    return NoConnectionError(f"the stream ended ({closing}{': ' * bool(reason)}{reason})")


def _kinds(root: type[InkstreamError]) -> Iterator[type[InkstreamError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
