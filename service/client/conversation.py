"""The client's side of the protocol, without I/O.

Each call of a program is an `Exchange`: a generator that asks the stream to send, to receive, to
wait or to open a connection, and yields what the program gets. A connection that breaks is replaced
within the call: `KeptLine` has what is needed to go on with the line on another. The streams in
`client` add the sockets. This module needs pydantic alone.
"""

import json
import operator
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, AnyStr, Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from inkstream.model.errors import InkstreamError
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.columns import python_columns
from inkstream.service.protocol.errors import (
    LOSSES,
    CallError,
    NoConnectionError,
    NotResumableError,
    Ref,
    StoppingError,
    ValueRefusedError,
    error_of,
)
from inkstream.service.protocol.strokes import portions, python_height, python_strokes

OPTIONS: Final = tuple(
    name for name in messages.Configured.model_fields if name not in ("type", "seq", "id")
)
CHUNK_COLUMNS: Final = 64  # in one message: answers begin while the others are still being sent
WINDOW_COLUMNS: Final = 128  # sent and not yet answered: no queue on the way ever fills
MAX_KEPT_BYTES: Final = 8 * 1024 * 1024  # of messages of a line
RESUME_ID: Final = "resume"  # of `resume` and its pings; ids of the program's messages are numbers


@dataclass(slots=True)
class Result:
    """What the model reads after a column."""

    column: int  # the index in the line, from 0, of the newest one that this result covers
    probabilities: dict[str, float]  # of labels; the most probable first where `top_k` is set
    letter_end: float | None = None  # a transcriber's: probability that a letter has just ended
    text: str | None = None  # a transcriber's: of the line so far, with what may still change
    events: tuple[messages.Event, ...] = ()  # what a transcriber decided since the result before

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def __repr__(self) -> str:
        read = "" if self.text is None else f", text={self.text!r}"
        label = f"{self.label!r}: {self.probabilities[self.label]:.3f}"
        return f"Result(column={self.column}, {label}{read}, events={len(self.events)})"


class _WithEvents(messages.Answer):
    """What a client adds to a line's answer."""

    events: tuple[messages.Event, ...] = ()
    """What a transcriber decided since the newest result."""


class Flushed(messages.Flushed, _WithEvents):
    """The answer for a line."""


class LineEnd(messages.LineEnd, _WithEvents):
    """The end of a line that ended by itself."""


class Done(messages.Done, _WithEvents):
    """The end of the stream, and of its last line."""


WITH_EVENTS: Final[dict[type, Any]] = {kind.__mro__[1]: kind for kind in (Flushed, LineEnd, Done)}


class Io(Enum):
    """What an exchange asks its driver for, beside sending and waiting."""

    OPEN = "open a connection in place of the present one"
    RECEIVE = "receive the next message"
    RECEIVE_SOON = "receive the next message, which is due"


T = TypeVar("T")
Given = TypeVar("Given", bound=Result | Flushed | LineEnd | Done)
Step: TypeAlias = str | bytes | float | Io  # text or bytes to send, seconds to wait, or what to do
Reply: TypeAlias = str | bytes | InkstreamError | None  # what was received, or why that failed
Waiting: TypeAlias = Generator[Step, Reply, T]  # returns something
Exchange: TypeAlias = Generator[Step | T, Reply, None]  # yields something for the program


@dataclass(slots=True, eq=False)
class Call:
    """A call that sends: its exchange, as far as it has come."""

    exchange: Exchange[Result]
    postponed: Step | Result | None = None  # the step to begin with: it was not done
    is_dropped: bool = False  # whether a later call has dropped results of this one

    def step(self, reply: Reply) -> Step | Result | None:
        """Return what to do next, or the next result; None where the call is over."""
        step, self.postponed = self.postponed, None
        with suppress(StopIteration):
            return self.exchange.send(reply) if step is None else step
        return None


class KeptLine:
    """What a client keeps of its line: its messages without pings, and what it has heard."""

    def __init__(self) -> None:
        self.heard = 0  # number of the newest answer
        self.digest = ""  # of the model that gave the answers
        self._snapshot: messages.Snapshot | None = None
        self._sent: deque[str | bytes] = deque()  # messages
        self._n_bytes = 0  # of these messages
        self._n_dropped = 0  # older messages of the line
        self._options: dict[str, Any] = {}
        self._line_options = self._options  # in force at the line's beginning

    def add(self, frame: str | bytes) -> None:
        """Keep a message; drop the oldest ones that are too many."""
        self._sent.append(frame)
        self._n_bytes += len(frame)
        while self._n_bytes > MAX_KEPT_BYTES:
            self._n_bytes -= len(self._sent.popleft())
            self._n_dropped += 1

    def hear(self, message: messages.ServerMessage, column_height: int) -> None:
        """Take note of a message of the server."""
        if (seq := getattr(message, "seq", None)) is not None:
            self.heard = seq
        match message:
            case messages.Snapshot():
                self._snapshot = message
            case messages.Configured():
                self._options = message.model_dump(include={*OPTIONS})
            case messages.ResetDone():
                self._begin_line(self._sent.index(_frame("reset", message.id)) + 1)
            case messages.LineEnd():
                n_bytes = message.rest_columns * column_height
                self._begin_line(message.messages - self._n_dropped, n_bytes)

    def _begin_line(self, n_messages: int, n_left_bytes: int = 0) -> None:
        """Forget the first kept messages, except `n_left_bytes` at the end of the last of them."""
        sent = [*self._sent]
        left = [sent[n_messages - 1][-n_left_bytes:]] if n_left_bytes else []
        self._sent = deque([*left, *sent[n_messages:]])
        self._n_bytes = sum(map(len, self._sent))
        self.heard, self._n_dropped, self._snapshot = 0, 0, None
        self._line_options = self._options

    @property
    def can_resume(self) -> bool:
        """Whether the line can go on elsewhere."""
        return self._n_dropped <= (self._snapshot.messages if self._snapshot else 0)

    def resume(self) -> str:
        """Return the first message on another connection."""
        heard = {"heard": self.heard, "digest": self.digest, "options": self._line_options}
        return _frame("resume", RESUME_ID, **heard, snapshot=self._snapshot and self._snapshot.blob)

    def after(self, n_messages: int) -> list[str | bytes]:
        """Return the line's messages after the first ones; 0: the server refused the snapshot."""
        if n_messages == 0:
            self._snapshot = None
        if n_messages < self._n_dropped:
            raise NotResumableError("the server refuses the snapshot of a line that is too long")
        return [*self._sent][n_messages - self._n_dropped :]


class Conversation:
    """What was sent, and what is still to be answered."""

    ready: messages.Ready  # the server's first message: its model, labels, column height, limits
    going_away: messages.Goaway | None = None  # the server's notice that it is about to stop
    ended_line: LineEnd | Done | None = None  # the newest that ended by itself or with the stream
    revised: messages.Revised | None = None
    """The newest change of columns that were read: because of ink, or by other weights.

    Events from its `letters` and `words` on are withdrawn, and its `text` is what remains.
    """

    def __init__(self, *, reconnect: bool = False) -> None:
        """Prepare; `reconnect` says whether the line goes on where a connection is lost."""
        self._reconnects = reconnect
        self._line = KeptLine()
        self._loss: InkstreamError | None = None  # why the connection is to be replaced, if it is
        self._merges = False  # whether results that are heard again are merged
        self._newest_id = 0  # of this client's messages
        self._ping: int | None = None  # id of the newest one, if it is not answered yet
        self._asked: int | None = None  # id of a call's message, if it is not answered yet
        self._n_unanswered = 0  # columns that were sent and that no result covers yet
        self._n_read = 0  # columns of the line up to the newest one that a result covers
        self._inbox: deque[messages.ServerMessage | Result] = deque()  # received, and not taken
        self._calls: deque[Call] = deque()  # that may have something left to send, oldest first
        self._events: list[messages.Event] = []  # taken, and not given to the program
        self._text = ""  # of the line, as the newest message has it
        self._has_results = True  # whether the options ask for them

    # Calls of the program

    def _begin(self) -> Exchange[None]:
        """Open the first connection."""
        self.ready = yield from self._open()
        self._line.digest = self.ready.model.digest
        if self._reconnects:
            yield self._message("configure", snapshot_columns=512)

    def _columns(self, columns: Any) -> Exchange[Result]:
        """Return the exchange that sends columns; raise `ColumnsError` if they do not fit."""
        return self._pixels(python_columns(columns, self.ready.column_height))

    def _pixels(self, data: bytes) -> Exchange[Result]:
        """Send columns, at most a window of them unanswered at any time, and give their results."""
        height, limits = self.ready.column_height, self.ready.limits
        chunk = min(CHUNK_COLUMNS, limits.max_message_columns, limits.max_frame_bytes // height)
        n_bytes = chunk * height
        yield from self._settle()
        for start in range(0, len(data), n_bytes):
            frame = data[start : start + n_bytes]
            self._n_unanswered += len(frame) // height
            if self._has_results:
                yield self._kept(frame)
            else:
                yield from self._until_pong(self._kept(frame))
            is_last = start + n_bytes >= len(data)
            while self._n_unanswered >= (1 if is_last else WINDOW_COLUMNS):
                n_before = self._n_read
                message = yield from self._next(None)
                if isinstance(message, Result) and self._n_read > n_before:
                    yield message

    def _ink(
        self, strokes: Any = (), height: float | None = None, undo: Ref = None, **marks: bool
    ) -> Exchange[Result]:
        """Return the exchange that sends ink; raise an error if these are no strokes.

        The last message has those of `marks`, `pause` and `fit`, that are true.
        """
        frame = {} if height is None else {"height": python_height(height)}
        limits = self.ready.limits
        max_sizes = limits.max_message_points, limits.max_ink_strokes, limits.max_frame_bytes
        parts = portions(python_strokes(strokes), *max_sizes)
        ink: list[dict[str, Any]] = [{"strokes": part, **frame} for part in parts]
        ink[0] |= {} if undo is None else {"undo": undo}
        ink[-1] |= {name: True for name, is_set in marks.items() if is_set}
        return self._portions(ink)

    def _portions(self, ink: list[dict[str, Any]]) -> Exchange[Result]:
        """Send messages of ink, each when the one before is answered, and give their results."""
        yield from self._settle()
        for fields in ink:
            yield from self._until_pong(self._message("ink", **fields), self._newest_id)

    # A program may read all results of a call, some or none. `Call` keeps what is left to send.

    def _start(self, call: Call) -> Exchange[Result]:
        """Send as much of a call as can be sent before anything is received."""
        yield from self._complete()
        yield from self._settle()
        self._calls.append(call)
        while isinstance(step := call.step(None), str | bytes):
            yield step
        call.postponed = step

    def _next_of(self, call: Call) -> Exchange[Result]:
        """Give the next result of a call, if there is one; raise `CallError` if it was dropped."""
        if call.is_dropped:
            raise CallError("these results were dropped by a later call: read them before it")
        yield from self._complete(call)
        if (result := (yield from self._advance(call))) is not None:
            yield self._with_events(result)

    def _complete(self, last: Call | None = None) -> Waiting[None]:
        """Send what the calls before `last` have left, and drop their results, not the events."""
        while self._calls and (call := self._calls[0]) is not last:
            while (yield from self._advance(call)) is not None:
                call.is_dropped = True
            self._calls.popleft()

    def _advance(self, call: Call) -> Waiting[Result | None]:
        """Do what a call asks for until it has a result; return that, or None at its end."""
        reply: Reply = None
        while not isinstance(step := call.step(reply), Result | None):
            try:
                reply = yield step
            except GeneratorExit:  # Ctrl-C, or the task was cancelled
                call.postponed = None if isinstance(step, str | bytes) else step  # else it is sent
                raise
        return step

    def _settle(self) -> Waiting[None]:
        """Receive the answers to calls that failed or were cancelled: they may move the column."""
        if self._asked is not None or self._n_unanswered:
            yield self._message("ping")
        while self._ping is not None:
            yield from self._next()
        self._asked = None

    def _until_pong(self, frame: str | bytes, message_id: int | None = None) -> Exchange[Result]:
        """Send a message and a ping, and give results until the ping is answered."""
        yield frame
        yield self._message("ping")
        ping_id = self._newest_id
        while self._ping is not None:
            message = yield from self._next(message_id, ping_id)
            if isinstance(message, Result):
                yield message

    def _ask(self, expected: type[T], kind: str, **fields: Any) -> Exchange[T]:
        """Send a message and give its answer; raise the error that comes instead.

        Raises `ValueRefusedError` for a name that no `configure` has: the server would ignore it.
        """
        unknown = [name for name in fields if kind == "configure" and name not in OPTIONS]
        if unknown:
            raise ValueRefusedError(f"{unknown[0]} came, allowed: {', '.join(OPTIONS)}")
        yield from self._complete()
        yield from self._settle()
        frame = self._message(kind, **fields)
        self._asked = self._newest_id
        yield frame
        while self._asked is not None:
            message = yield from self._next(self._asked)
            if isinstance(message, expected) and getattr(message, "id", None) == self._asked:
                self._asked = None
                if isinstance(message, Flushed):
                    self._with_events(message)
                yield message

    def _message(self, kind: str, **fields: Any) -> str:
        """Return a message with a new id, which its answer will have."""
        self._newest_id += 1
        if kind == "ping":
            self._ping = self._newest_id
            return _frame(kind, self._newest_id)
        return self._kept(_frame(kind, self._newest_id, **fields))

    def _kept(self, frame: AnyStr) -> AnyStr:
        """Return a message of the line; keep it where the line may be resumed."""
        if self._reconnects:
            self._line.add(frame)
        return frame

    # From the server

    def _next(self, *refs: Ref) -> Waiting[messages.ServerMessage | Result]:
        """Return the next message, if need be over another connection; raise an error of `refs`."""
        while self._loss is not None or not self._inbox:
            try:
                if self._loss is None:  # else a call was cancelled while it reconnected
                    yield from self._receive(Io.RECEIVE)
            except InkstreamError as error:
                if not self.can_resume(error):
                    raise
                self._loss = error
            if self._loss is not None:
                yield from self._reconnect(self._loss)
                self._loss = None
        message = self._inbox.popleft()
        if isinstance(message, messages.Error) and message.ref in refs:
            self._asked = None
            raise error_of(message.code, message.message)
        self._take_note(message)
        return message

    def _take_note(self, message: messages.ServerMessage | Result) -> None:
        """Take note of what a message says beside what it answers."""
        match message:
            case Result():
                self._read(message.column + 1)
            case messages.Letter() | messages.Word():
                self._events.append(message)
            case messages.Pong() if message.id == self._ping:
                self._ping = None
                if not self._has_results:
                    self._n_read += self._n_unanswered
                self._n_unanswered = 0  # columns without a result that was asked for were refused
            case messages.Configured():
                self._has_results = message.results != "none"
            case messages.Rewound() | messages.Revised():
                n_left = {"letter": message.letters, "word": message.words}
                self._events = [event for event in self._events if event.id < n_left[event.type]]
                if isinstance(message, messages.Revised):
                    self.revised = message
                    return
                if message.id == self._asked:  # else other weights read the line again
                    self._n_read = message.column
                if message.id != self._newest_id:  # the answer to a call that is over
                    fields = message.model_dump(exclude={"type", "id"})
                    self.revised = messages.Revised.model_construct(**fields)
            case messages.ResetDone():
                self._events, self._n_read = [], 0
            case LineEnd() | Done():
                self.ended_line = self._with_events(message)
                self._read(message.columns)
                self._n_read = 0

    def _read(self, n_columns: int) -> None:
        """Take note that so many columns of the line have been read."""
        n_new = max(0, n_columns - self._n_read)
        self._n_read += n_new
        self._n_unanswered = max(0, self._n_unanswered - n_new)  # ink is not counted in columns

    def _with_events(self, answer: Given) -> Given:
        """Return an answer with the events that the program gets with it."""
        answer.events, self._events = tuple(self._events), []
        return answer

    def _receive(self, how: Io) -> Waiting[messages.ServerMessage]:
        """Receive a message and put it into the inbox; raise the error that ends the connection.

        A server that is about to stop is left at once where the line can be resumed.
        """
        message = _parsed((yield how))
        if self._reconnects:
            self._line.hear(message, self.ready.column_height)
        if isinstance(message, messages.Goaway):
            self.going_away = message
            error = StoppingError(message.reason)
            if self.can_resume(error):
                raise error
        elif isinstance(message, messages.Result):
            text = None if message.text is None else self._text[: message.stable] + message.text
            self._text = text or ""
            if self._merges and self._inbox and isinstance(self._inbox[-1], Result):
                self._inbox.pop()  # of a line that is read again there may be a hundred thousand
            probabilities = dict(message.probabilities)
            self._inbox.append(Result(message.column, probabilities, message.letter_end, text))
        else:
            if isinstance(message, messages.Answer):  # of a new line nothing is stable at first
                self._text = message.text or ""
            if isinstance(message, messages.Revised) and message.seq == 0:  # by other weights
                self._line.digest, self._merges = self.ready.model.digest, True
            if isinstance(message, messages.Rewound) and self._merges:
                # The line is read anew: no result comes again once it was withdrawn.
                self._inbox = deque(
                    kept
                    for kept in self._inbox
                    if not isinstance(kept, Result) or kept.column < message.column
                )
            kind = WITH_EVENTS.get(type(message))
            self._inbox.append(message if kind is None else kind.model_construct(**dict(message)))
        return message

    # Connections

    def can_resume(self, error: InkstreamError) -> bool:
        """Return whether the line can go on over another connection after this error."""
        return self._reconnects and error.code in LOSSES and self._line.can_resume

    def _reconnect(self, reason: InkstreamError) -> Waiting[None]:
        """Go on over another connection, in as many attempts as it takes."""
        raise NotImplementedError

    def _open(self) -> Waiting[messages.Ready]:
        """Open a connection; return the server's first message."""
        refusal = yield Io.OPEN
        if isinstance(refusal, InkstreamError):
            raise refusal
        message = _parsed((yield Io.RECEIVE_SOON))
        if not isinstance(message, messages.Ready):
            raise NoConnectionError(f"the server began with {message.type}, expected ready")
        return message

    def _resume(self) -> Waiting[None]:
        """Go on with the line over another connection, and receive the answers not heard yet.

        No more bytes are under way at once than of new columns. Raises `NotResumableError` if the
        line is too long to be read again and the server refuses its snapshot, or if the server has
        a model for other columns.
        """
        ready = yield from self._open()
        if ready.column_height != self.ready.column_height:
            raise NotResumableError("the server that answers now has a model for other columns")
        self.ready, self.going_away = ready, None
        resumed = yield from self._exchanged(self._line.resume())
        assert isinstance(resumed, messages.Resumed)
        n_bytes, window = 0, WINDOW_COLUMNS * ready.column_height
        for frame in self._line.after(resumed.messages):
            yield frame
            n_bytes += len(frame)
            if n_bytes >= window:
                yield from self._exchanged(_frame("ping", RESUME_ID))
                n_bytes = 0
        if n_bytes:  # else all is answered, and after `done` no ping is
            yield from self._exchanged(_frame("ping", RESUME_ID))
        self._merges = False
        if self._ping is not None:
            yield _frame("ping", self._ping)

    def _exchanged(self, frame: str) -> Waiting[messages.ServerMessage]:
        """Send a message with `RESUME_ID`; return its answer, or `done`, after which none comes."""
        yield frame
        while True:
            message = yield from self._receive(Io.RECEIVE_SOON)
            if isinstance(message, messages.Error) and message.ref == RESUME_ID:
                raise error_of(message.code, message.message)
            if isinstance(message, messages.Done) or getattr(message, "id", None) == RESUME_ID:
                return message


def _frame(kind: str, message_id: Ref, **fields: Any) -> str:
    try:  # numbers of numpy are written too
        return json.dumps({"type": kind, "id": message_id, **fields}, default=operator.index)
    except TypeError as error:
        raise ValueRefusedError(f"{kind} holds a value that JSON has not: {error}") from error


def _parsed(reply: Reply) -> messages.ServerMessage:
    """Read one of the server's messages; raise the error that ends the connection."""
    if isinstance(reply, InkstreamError):
        raise reply
    assert reply is not None
    message = messages.parse_server(reply)
    if isinstance(message, messages.Error) and message.fatal:
        raise error_of(message.code, message.message)
    return message


def stream_url(url: str, model: str | None) -> str:
    """Return the address of the stream of the server at `url`.

    Raises `ValueRefusedError` if `url` is no address of a server.
    """
    schemes = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
    with suppress(ValueError):  # raised for wrong brackets or ports
        parts = urlsplit(url)
        if parts.scheme in schemes and parts.netloc and parts.port != 0:
            path = parts.path.rstrip("/").removesuffix(messages.PATH) + messages.PATH
            query = dict(parse_qsl(parts.query)) | ({} if model is None else {"model": model})
            return urlunsplit((schemes[parts.scheme], parts.netloc, path, urlencode(query), ""))
    raise ValueRefusedError(f"url is {url!r}, expected one such as ws://127.0.0.1:8000")
