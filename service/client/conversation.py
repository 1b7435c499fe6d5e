"""What client and server say to each other, without I/O: text and bytes in, text and bytes out.

What goes in several messages: `service/sending.py`. The clients in `service/client.py` are two
thin shells around both. They need pydantic alone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from inkstream.model.errors import InkstreamError
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.errors import MEANINGS, ServiceError, ValueRefusedError
from inkstream.service.protocol.events import Event, Letter, Punctuation, Word
from inkstream.service.protocol.server_messages import (
    PATH,
    Configured,
    Error,
    Goaway,
    Pong,
    Ready,
    ResetDone,
    Rewound,
    ServerMessage,
)

SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
CHOICES: Final = tuple(name for name in Configured.model_fields if name not in ("type", "id"))


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
        """Read one of the server's messages; raises the error that ends the stream."""
        message = messages.parse_server(text)
        if isinstance(message, messages.Result):
            return message
        if isinstance(message, Error) and message.fatal:
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
        """A message with an id of its own; `answers` knows the answer by it.

        Raises `ValueRefusedError` for a name that no `configure` has: the server would ignore it.
        """
        unknown = [name for name in fields if kind == "configure" and name not in CHOICES]
        if unknown:
            raise ValueRefusedError(f"{unknown[0]} came, allowed: {', '.join(CHOICES)}")
        self.asked += 1
        return json.dumps({"type": kind, "id": self.asked, **fields})

    def answers(self, message: ServerMessage, expected: type[Answer]) -> Answer | None:
        """The message, if it is the answer to the newest `ask`; else None.

        Raises the error that it is instead; one about an earlier message is nobody's any more.
        """
        if isinstance(message, Error) and message.ref == self.asked:
            raise error_of(message.code, message.message)
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


def stream_url(url: str, model: str | None) -> str:
    """The address of the stream on the server at `url`.

    Raises `ValueRefusedError` if `url` isn't one of a server.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in SCHEMES and parts.netloc and parts.port != 0
    except ValueError:  # brackets or a port that are none
        is_one = False
    if not is_one:
        raise ValueRefusedError(f"url is {url!r}, expected one such as ws://127.0.0.1:8000")
    path = parts.path.rstrip("/")
    path = path if path.endswith(PATH) else path + PATH
    query = dict(parse_qsl(parts.query)) | ({} if model is None else {"model": model})
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, urlencode(query), ""))


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
