"""What client and server say to each other, without I/O: text and bytes in, text and bytes out.

The clients in `service/client.py` are two thin shells around it. It needs pydantic alone.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from model.errors import InkstreamError
from service import messages
from service.errors import MEANINGS, ColumnsError, ServiceError
from service.events import Event, Letter, Punctuation, Word
from service.messages import (
    Configured,
    Error,
    Goaway,
    Pong,
    Ready,
    ResetDone,
    Rewound,
    ServerMessage,
)

CHUNK_COLUMNS: Final = 64  # in one message: answers begin while the rest is still being sent
WINDOW_COLUMNS: Final = 128  # sent and not yet answered: no queue on the way ever fills


class NoConnectionError(ServiceError):
    """The server cannot be reached, or the connection broke off."""

    code: ClassVar[str] = "no_connection"


@dataclass(slots=True)
class Result(messages.Result):
    """What the model believes after a column."""

    events: tuple[Event, ...] = ()  # what a transcriber decided since the result before

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


class Flushed(messages.Flushed):
    """The answer for a line."""

    events: tuple[Event, ...] = ()
    """What a transcriber decided since the newest result."""


class Done(messages.Done):
    """The summary at the end."""

    events: tuple[Event, ...] = ()
    """What a transcriber decided since the newest result."""


Answer = TypeVar("Answer", Configured, Done, Flushed, Pong, ResetDone, Rewound)


class Conversation:
    """What was sent and what is still to be answered.

    Columns are counted through, over resets and line ends, so that a result can be told to belong
    to a send that was broken off earlier.
    """

    def __init__(self, first: str | bytes) -> None:
        """Begin with the server's first message; raises the error that it is instead of `ready`."""
        self.going_away: Goaway | None = None
        self.ended_line: Flushed | None = None  # the newest that ended by itself, or at the end
        self.rewound: Rewound | None = None  # the newest way back that ink brought
        self.barrier: int | None = None  # id of a ping behind ink that is not answered yet
        self.sent = 0  # columns, less those taken back by a rewind
        self.line_start = 0  # the count at column 0 of this line
        self.asked = 0  # the newest id
        self._events: list[Event] = []  # that no result has been given with yet
        ready = self.hear(first)
        if not isinstance(ready, Ready):
            raise NoConnectionError(f"the server began with {ready.type}, expected ready")
        self.ready = ready

    def hear(self, text: str | bytes) -> ServerMessage:
        """Read one of the server's messages; raises the error that it carries."""
        message = messages.parse_server(text)
        if isinstance(message, messages.Result):
            return message
        if isinstance(message, Error):
            raise error_of(message.code, message.message)
        return self._noted(message)

    def _noted(self, message: ServerMessage) -> ServerMessage:
        """Note what a message other than a result changes here; an answer gets its events."""
        match message:
            case Letter() | Punctuation() | Word():
                self._events.append(message)
            case Goaway():
                self.going_away = message
            case Pong(id=self.barrier):
                self.barrier = None
            case ResetDone():
                self._events = []
            case Rewound():
                self._events = [event for event in self._events if _stands(event, message)]
                if message.id is None:
                    self.rewound = message
            case messages.Flushed():
                message = Flushed.model_construct(events=self.take_events(), **dict(message))
                if message.id is None:
                    self.ended_line = message
                    self.line_start += message.columns
            case messages.Done() if self.ended_line is not None:
                message = Done.model_construct(events=self.ended_line.events, **dict(message))
        return message

    def with_events(self, result: messages.Result) -> Result:
        """A result, with what was decided since the one before."""
        return Result(
            result.epoch,
            result.column,
            result.probabilities,
            result.letter_end,
            result.text,
            events=self.take_events(),
        )

    def take_events(self) -> tuple[Event, ...]:
        """What was decided since this was asked last."""
        events, self._events = tuple(self._events), []
        return events

    def ask(self, kind: str, **fields: Any) -> str:
        """A message with an id of its own; `answers` knows the answer by it."""
        self.asked += 1
        return json.dumps({"type": kind, "id": self.asked, **fields})

    def answers(self, message: ServerMessage, expected: type[Answer]) -> Answer | None:
        """The message, if it is the answer to the newest `ask`; else None."""
        if not isinstance(message, expected):
            return None
        if not isinstance(message, Done) and message.id != self.asked:
            return None
        if isinstance(message, Rewound):
            self.sent = self.line_start + message.column
        if isinstance(message, ResetDone):
            self.line_start = self.sent
        return message


def _stands(event: Event, rewound: Rewound) -> bool:
    """Whether a way back leaves an event as it was told."""
    return event.id < (rewound.words if isinstance(event, Word) else rewound.letters)


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
    ) -> None:
        self._conversation = conversation
        self._strokes = [_stroke_of(stroke) for stroke in strokes]
        self._frame = {} if height is None else {"height": float(height)}
        self._first = {} if undo is None else {"undo": undo}
        self._last = {"pause": True} if pause else {}
        self._earlier = conversation.barrier  # of ink whose results were not waited for

    def portions(self) -> Iterator[list[str]]:
        """The messages to send, so many at a time; the next ones when these are answered."""
        said = self._conversation
        portions = list(_portions(self._strokes, said.ready.limits.max_message_points))
        for number, strokes in enumerate(portions):
            fields = {"strokes": strokes, **self._frame}
            fields |= self._first if not number else {}
            fields |= self._last if number == len(portions) - 1 else {}
            messages = [said.ask("ink", **fields), said.ask("ping")]
            self._own = said.barrier = said.asked
            yield messages

    @property
    def answered(self) -> bool:
        """Whether all that is about the newest portion was said."""
        return self._conversation.barrier != self._own

    def take(self, message: ServerMessage) -> Result | None:
        """The result that `message` is, if it is about this ink."""
        if isinstance(message, Pong) and message.id == self._earlier:
            self._earlier = None
        if self._earlier is None and isinstance(message, messages.Result):
            return self._conversation.with_events(message)
        return None


def _stroke_of(stroke: Any) -> dict[str, Any]:
    """A stroke as it is sent: of a row of points, or of a mapping with points, id and last."""
    fields = dict(stroke) if isinstance(stroke, Mapping) else {"points": stroke}
    return fields | {"points": [(float(x), float(y)) for x, y in fields["points"]]}


def _portions(strokes: list[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    """Strokes for one message after the other, at most so many points in each, but two may be.

    One that is cut goes on by its name, or, if it has none, where it ended: its ink is the same.
    """
    portion: list[dict[str, Any]] = []
    most = room = max(most, 2)
    for stroke in strokes:
        named, rest = stroke.get("id") is not None, stroke["points"]
        while len(rest) > room:
            if room > 1:
                portion.append(
                    stroke | {"points": rest[:room]} | ({"last": False} if named else {})
                )
                rest = rest[room if named else room - 1 :]
            yield portion
            portion, room = [], most
        portion.append(stroke | {"points": rest})
        room -= len(rest)
    yield portion


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
