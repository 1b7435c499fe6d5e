"""The client's side of the protocol, without I/O: text and bytes in, text and bytes out.

`Conversation` keeps what was sent and what is still to be answered. Sending columns or ink is an
`Exchange`, a generator that the clients in `client` drive: they send what it yields, receive where
it yields None, and pass results on. So is `resume`, which goes on with the line on another
connection, with what `line_log` keeps. This module needs pydantic alone.
"""

import json
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from inkstream.model.errors import InkstreamError
from inkstream.service.line_log import OWN_ID, LineLog
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.columns import python_columns, shortened
from inkstream.service.protocol.errors import (
    MEANINGS,
    MessageError,
    NotResumableError,
    OverLimitError,
    ServiceError,
    StoppingError,
    ValueRefusedError,
    error_of,
)
from inkstream.service.protocol.strokes import python_strokes

SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
OPTIONS: Final = tuple(
    name for name in messages.Configured.model_fields if name not in ("type", "id")
)

CHUNK_COLUMNS: Final = 64  # in one message: answers begin while the rest is still being sent
WINDOW_COLUMNS: Final = 128  # sent and not yet answered: no queue on the way ever fills
POINT_BYTES: Final = 54  # as JSON at most: two numbers of 24, brackets, commas and blanks
FRAME_BYTES: Final = 2048  # at most, of a message of ink without its strokes; nearly all for `undo`
MOVE_S: Final = 1.0  # how long after `goaway` the snapshot may take to come


class NoConnectionError(ServiceError, code="no_connection"):
    """The server cannot be reached, or the connection broke off."""


class StreamEndedError(NoConnectionError, code="stream_ended"):
    """The stream has ended as the client asked."""


CLOSINGS: Final = {  # closing codes beside those of `MEANINGS`; RFC 6455, 7.4.1
    1000: StreamEndedError,
    1002: MessageError,
    1007: MessageError,
    1008: OverLimitError,
    1009: OverLimitError,
    1012: StoppingError,
}
RESUMED_CLOSINGS: Final = frozenset((1001, 1011, 1012, 1013, 4408, 4440))
LOSSES: Final = frozenset(  # codes of errors that end a connection, and not the line
    (
        "no_connection",
        *(code for code, each in MEANINGS.items() if each.closing in RESUMED_CLOSINGS),
    )
)


@dataclass(slots=True)
class Result(messages.Result):
    """What the model reads after a column."""

    events: tuple[messages.Event, ...] = ()  # what a transcriber decided since the result before

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


class Flushed(messages.Flushed):
    """The answer for a line."""

    events: tuple[messages.Event, ...] = ()
    """What a transcriber decided since the newest result."""


class Done(messages.Done):
    """The summary at the end."""

    events: tuple[messages.Event, ...] = ()
    """What a transcriber decided since the newest result."""


Answer = TypeVar("Answer", bound=messages.ServerMessage)
Frame = TypeVar("Frame", str, bytes)
# Yields what to send, None to receive the server's next message, and results for the program.
Exchange: TypeAlias = Generator[str | bytes | Result | None, messages.ServerMessage | None]
Resumption: TypeAlias = Generator[str | bytes | None, messages.ServerMessage | None]


class Conversation:
    """What was sent and what is still to be answered.

    Columns are counted through, over resets and line ends, so that a result of a send that was left
    early is recognised as such.
    """

    def __init__(self, first: str | bytes, *, reconnect: bool = False) -> None:
        """Begin with the server's first message, `ready`; raise the error that came instead.

        With `reconnect` the line is kept as far as the server offers to resume it.
        """
        self.going_away: messages.Goaway | None = None
        self.ended_line: Flushed | None = None  # the newest that ended by itself, or at the end
        self.rewound: messages.Rewound | None = None  # the newest rewind that ink caused
        self.barrier: int | None = None  # id of a ping after ink that is not answered yet
        self.sent = 0  # columns, less those taken back by a rewind
        self.line_start = 0  # the count at column 0 of this line
        self.newest_id = 0  # of this client's messages
        self._end_id: int | None = None  # of its `end`
        self._events: list[messages.Event] = []  # that no result has been given with yet
        self._inbox: deque[messages.ServerMessage] = deque()  # read and not taken
        self._text = ""  # of the line, as the newest message has it
        self._has_results = True  # whether `configure` leaves them
        self.ready = _ready(first)
        keeps = reconnect and self.ready.resume is not None
        self._log = LineLog(self.ready.column_height) if keeps else None

    @property
    def opening(self) -> str | None:
        """What is sent before everything else, if anything."""
        return None if self._log is None else self._log.options()

    @property
    def patience_s(self) -> float | None:
        """How long the server may send nothing before the client leaves it; None is for ever."""
        return MOVE_S if self._is_leaving else None

    @property
    def _is_leaving(self) -> bool:
        return self.going_away is not None and self._log is not None and self._log.can_resume

    def read(self, text: str | bytes) -> messages.ServerMessage:
        """Read one of the server's messages, for `take`.

        Raises the error that ends the stream or, where the line can be resumed, `StoppingError`
        once all is there that it takes to leave a server that stops.
        """
        message = _parsed(text)
        self._complete_text(message)
        if isinstance(message, messages.Goaway):
            self.going_away = message
        else:
            self._inbox += [message] if self._log is None else self._log.receive(message)
        going_away = self.going_away if self._is_leaving else None
        if going_away and (isinstance(message, messages.Snapshot) or not going_away.resumable):
            raise StoppingError(going_away.reason)
        return message

    def _complete_text(self, message: messages.ServerMessage) -> None:
        """Put the text of a result together that has the end of it alone."""
        if isinstance(message, messages.Result):
            if message.stable is not None and message.text is not None:
                message.text = self._text[: message.stable] + message.text
                message.stable = None
            self._text = message.text or ""
        elif isinstance(message, messages.Rewound | messages.Flushed):
            self._text = message.text or ""

    def take(self) -> messages.ServerMessage | None:
        """Take the oldest message that was read; None if there is none."""
        if not self._inbox:
            return None
        message = self._inbox.popleft()
        if isinstance(message, messages.Result):
            return message
        match message:
            case messages.Decided():
                self._events.append(message)
            case messages.Pong(id=self.barrier):
                self.barrier = None
            case messages.ResetDone():
                self._events = []
            case messages.Configured():
                self._has_results = message.results == "all"
            case messages.Rewound():
                self._events = [
                    event
                    for event in self._events
                    if event.id < (message.words if event.type == "word" else message.letters)
                ]
                if message.id is None:
                    self.rewound = message
            case messages.Flushed():
                message = Flushed.model_construct(events=self._take_events(), **dict(message))
                if message.id in (None, self._end_id):
                    self.ended_line = message
                    self.line_start += message.columns
            case messages.Done() if self.ended_line is not None:
                message = Done.model_construct(events=self.ended_line.events, **dict(message))
        return message

    def _with_events(self, result: messages.Result) -> Result:
        """Return a result with the events since the one before."""
        return Result(
            result.epoch,
            result.column,
            result.probabilities,
            result.letter_end,
            result.text,
            events=self._take_events(),
        )

    def _take_events(self) -> tuple[messages.Event, ...]:
        events, self._events = tuple(self._events), []
        return events

    def columns(self, columns: Any) -> Exchange:
        """Send columns, at most a window of them unanswered at any time, and yield their results.

        Raises `ColumnsError` before anything is sent if they do not fit, and the server's error
        about them.
        """
        height, limits = self.ready.column_height, self.ready.limits
        data = python_columns(columns, height)
        chunk = min(CHUNK_COLUMNS, limits.max_message_columns, limits.max_frame_bytes // height)
        if not self._has_results:
            yield from self._without_results(data, chunk * height)
            return
        start = answered = self.sent
        end = start + len(data) // height
        while answered < end:
            while self.sent < end and self.sent - answered < WINDOW_COLUMNS:
                first, self.sent = self.sent, min(self.sent + chunk, end)
                frame = data[(first - start) * height : (self.sent - start) * height]
                yield self._keep("columns", frame)
            message = yield None
            if isinstance(message, messages.Error) and message.ref is None:
                self.sent = answered  # the columns behind the faulty ones are refused too
                raise error_of(message.code, message.message)
            if isinstance(message, messages.Result):
                count = self.line_start + message.column + 1
                if count > answered:
                    answered = count
                    yield self._with_events(message)

    def _without_results(self, data: bytes, chunk_bytes: int) -> Exchange:
        """Send columns; after each message wait for the answer to a ping, not to fill queues."""
        height = self.ready.column_height
        for start in range(0, len(data), chunk_bytes):
            frame = data[start : start + chunk_bytes]
            yield self._keep("columns", frame)
            yield self.ask("ping")
            own = self.barrier = self.newest_id
            while self.barrier == own:
                message = yield None
                if isinstance(message, messages.Error) and message.ref is None:
                    raise error_of(message.code, message.message)
            self.sent += len(frame) // height

    def ink(
        self,
        strokes: Any = (),
        height: float | None = None,
        *,
        undo: int | str | None = None,
        pause: bool = False,
        fit: bool = False,
    ) -> Exchange:
        """Send ink and yield its results: those up to the answer to a ping that follows it.

        Raises `InkError` before anything is sent if these are no strokes, and the server's error
        about them.
        """
        frame = {} if height is None else {"height": _height(height)}
        portions = list(_portions(python_strokes(strokes), self.ready.limits))
        earlier = self.barrier  # of ink whose results were not waited for
        refs: list[int] = []
        for number, portion in enumerate(portions):
            fields: dict[str, Any] = {"strokes": portion, **frame}
            if number == 0 and undo is not None:
                fields["undo"] = undo
            if number == len(portions) - 1:
                fields |= ({"pause": True} if pause else {}) | ({"fit": True} if fit else {})
            yield self.ask("ink", **fields)
            yield self.ask("ping")
            own = self.barrier = self.newest_id
            refs += [own - 1, own]
            while self.barrier == own:
                message = yield None
                if isinstance(message, messages.Error) and message.ref in refs:
                    raise error_of(message.code, message.message)
                if isinstance(message, messages.Pong) and message.id == earlier:
                    earlier = None
                if earlier is None and isinstance(message, messages.Result):
                    yield self._with_events(message)

    def ask(self, kind: str, **fields: Any) -> str:
        """Return a message with a new id, by which `answers` recognises its answer.

        Raises `ValueRefusedError` for a name that no `configure` has: the server would ignore it.
        """
        unknown = [name for name in fields if kind == "configure" and name not in OPTIONS]
        if unknown:
            raise ValueRefusedError(f"{unknown[0]} came, allowed: {', '.join(OPTIONS)}")
        self.newest_id += 1
        if kind == "end":
            self._end_id = self.newest_id
        frame = json.dumps({"type": kind, "id": self.newest_id, **fields})
        return self._keep(kind, frame, self.newest_id)

    def _keep(self, kind: str, frame: Frame, message_id: int | None = None) -> Frame:
        """Return what is sent; the log keeps it."""
        if self._log is not None:
            self._log.add(kind, frame, message_id)
        return frame

    def answers(self, message: messages.ServerMessage, expected: type[Answer]) -> Answer | None:
        """Return the message if it is the answer to the newest `ask`, else None.

        Raises the error that came instead; an error about an earlier message is ignored.
        """
        if isinstance(message, messages.Error) and message.ref == self.newest_id:
            raise error_of(message.code, message.message)
        if not isinstance(message, expected) or getattr(message, "id", None) != self.newest_id:
            return None
        if isinstance(message, messages.Rewound):
            self.sent = self.line_start + message.column
        if isinstance(message, messages.ResetDone):
            self.line_start = self.sent
        return message

    # Another connection

    def can_resume(self, error: InkstreamError) -> bool:
        """Whether the line can go on elsewhere after this error."""
        return error.code in LOSSES and self._log is not None and self._log.can_resume

    def resume(self, first: str | bytes) -> Resumption:
        """Go on with the line on another connection, whose first message came.

        Sends what the session there lacks, and receives until it has answered all of it. Raises
        `NotResumableError` if the line is too long to be read again and the server refuses its
        snapshot, or if the server has a model for other columns.
        """
        log = self._log
        assert log is not None
        ready = _ready(first)
        if ready.resume is None or ready.column_height != self.ready.column_height:
            raise NotResumableError("the server that answers now cannot go on with this line")
        self.ready, self.going_away = ready, None
        log.begin_again()
        if log.snapshot is not None:
            yield log.resume()
            try:
                yield from self._barrier_passed(log)
            except NotResumableError:
                log.forget_snapshot()
        if log.snapshot is None:
            if not log.is_whole:
                raise NotResumableError(
                    "the server refuses the snapshot of a line that is too long"
                )
            yield log.options()
            yield log.resume()
        n_bytes = 0
        for frame in log.newer():
            yield frame
            n_bytes += len(frame)
            if n_bytes >= WINDOW_COLUMNS * ready.column_height:
                yield from self._barrier_passed(log)
                n_bytes = 0
        yield from self._barrier_passed(log)
        self._inbox += log.catch_up()

    def _barrier_passed(self, log: LineLog) -> Resumption:
        """Receive until all is answered that was sent; raise the error about a message of ours.

        Nothing is answered after `done`.
        """
        yield log.ping()
        refusal: messages.Error | None = None
        while True:
            message = yield None
            if isinstance(message, messages.Error) and message.ref == OWN_ID:
                refusal = message
            if isinstance(message, messages.Done) or (
                isinstance(message, messages.Pong) and message.id == OWN_ID
            ):
                break
        if refusal is not None:
            raise error_of(refusal.code, refusal.message)


def _parsed(text: str | bytes) -> messages.ServerMessage:
    """Read one of the server's messages; raise the error that ends the stream."""
    message = messages.parse_server(text)
    if isinstance(message, messages.Error) and message.fatal:
        raise error_of(message.code, message.message)
    return message


def _ready(text: str | bytes) -> messages.Ready:
    """Read the server's first message; raise the error that came instead."""
    message = _parsed(text)
    if not isinstance(message, messages.Ready):
        raise NoConnectionError(f"the server began with {message.type}, expected ready")
    return message


def stream_url(url: str, model: str | None) -> str:
    """Return the address of the stream of the server at `url`.

    Raises `ValueRefusedError` if `url` is no address of a server.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in SCHEMES and parts.netloc and parts.port != 0
    except ValueError:  # brackets or a port that are none
        is_one = False
    if not is_one:
        raise ValueRefusedError(f"url is {url!r}, expected one such as ws://127.0.0.1:8000")
    path = parts.path.rstrip("/")
    path = path if path.endswith(messages.PATH) else path + messages.PATH
    query = dict(parse_qsl(parts.query)) | ({} if model is None else {"model": model})
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, urlencode(query), ""))


def error_of_http(status: int, body: bytes | bytearray) -> InkstreamError:
    """Return the typed error of a refusal by HTTP; a proxy's has a status alone."""
    try:
        error = json.loads(body)["error"]
        return error_of(error["code"], error["message"])
    except (ValueError, KeyError, TypeError):
        return NoConnectionError(f"the server refused the stream with HTTP status {status}")


def error_of_closing(closing: int, reason: str) -> InkstreamError:
    """Return the typed error of a closing code that no `error` message explained."""
    kinds = {each.closing: each.kind for each in reversed(MEANINGS.values())} | CLOSINGS
    kind = kinds.get(closing, NoConnectionError)
    return kind(f"the server closed the stream ({closing}{': ' * bool(reason)}{reason})")


def _height(height: Any) -> float:
    try:
        return float(height)
    except (TypeError, ValueError):
        got = f"height is {shortened(height)}"
        raise ValueRefusedError(f"{got}, allowed: a number above 0") from None


def _portions(
    strokes: list[dict[str, Any]], limits: messages.Limits
) -> Iterator[list[dict[str, Any]]]:
    """Yield the strokes of one message after the other, with as many points in each as fit.

    A stroke that is cut continues under its id, or, if it has none, as another stroke that begins
    where it ended: the ink is the same.
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
