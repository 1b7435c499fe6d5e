"""Every message of the wire protocol: the one source that its documents are made from.

Client messages are told apart by `type`; `parse_client` reads one text frame, or raises what is
wrong with it. `encode` makes the text of a server message, `parse_server` reads it again. Binary
frames are columns and never come here. The protocol in words: docs/protocol.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from service.errors import JsonError
from service.faults import MAX_REF, MAX_REF_CHARACTERS, explain, shown

PROTOCOL: Final = "inkstream.v1"  # also the WebSocket subprotocol

SCHEMA: Final = ConfigDict(
    frozen=True,
    extra="ignore",
    use_attribute_docstrings=True,
    json_schema_serialization_defaults_required=True,  # the server always sends every field
)

Whole = Annotated[int, Field(strict=True, ge=0, le=MAX_REF)]
Pixel = Annotated[int, Field(strict=True, ge=0, le=255)]
Id = (
    Annotated[int, Field(strict=True, ge=-MAX_REF, le=MAX_REF)]
    | Annotated[str, Field(strict=True, max_length=MAX_REF_CHARACTERS)]
    | None
)
Every = Literal["column", "message"]
Polarity = Literal["ink-high", "ink-low"]
Kind = Literal["classifier", "transcriber"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server allows. Each name is also a setting's name and stands in `ready.limits`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)

    max_frame_bytes: int
    """Bytes of one message; beyond it the WebSocket is closed with 1009."""
    max_message_columns: int
    """Columns in one message."""
    max_waiting_columns: int
    """Columns received and not yet read; beyond it the server takes no more until it has room."""
    max_line_columns: int
    """Columns of one line; one more closes with 4413."""
    max_rewind_columns: int
    """How far a rewind may go back from the furthest column of the line."""
    max_control_per_s: int
    """Messages other than columns, in the long run; more for too long close with 4429."""
    max_bad_messages: int
    """Bad messages in a row that close with 4400."""
    max_sessions: int
    """Sessions in all."""
    max_sessions_per_client: int
    """Sessions of one client address."""
    idle_timeout_s: float
    """Longest silence of a client before it is closed with 4408."""
    max_session_s: float
    """Longest session; then it is closed with 4440."""
    max_body_bytes: int
    """Bytes of one REST request's body."""
    max_image_pixels: int
    """Pixels of one image, by its header."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What clients may know of a served model."""

    name: str
    version: str
    kind: Kind
    labels: tuple[str, ...]  # K answers, in the order of the scores
    column_height: int  # H, pixels of one column
    parameters: int = 0
    licence: str = ""
    data: str = ""  # name of the training data
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class _Message(BaseModel):
    model_config = SCHEMA


# Client to server


class ClientMessage(_Message):
    """A text frame of a client."""

    id: Id = None
    """Comes back in the answer, and as `ref` of an error."""


class Columns(ClientMessage):
    """Columns, oldest first, for clients that speak JSON only."""

    type: Literal["columns"]
    columns: Annotated[list[Annotated[list[Pixel], FailFast()]], FailFast()]
    """Columns of `column_height` pixels, top to bottom, 0 = paper, 255 = ink."""


class Configure(ClientMessage):
    """Change some of these from the next column on; a field that is absent stays as it is."""

    type: Literal["configure"]
    every: Every = "column"
    """One result a column, or one a message."""
    top_k: Annotated[int, Field(strict=True, ge=1, le=MAX_REF)] | None = None
    """So many of the most probable labels in a result; null is all."""
    polarity: Polarity = "ink-high"
    """Whether ink is 255 (ink-high) or 0 (ink-low) in the columns that come."""
    characters: Annotated[str, Field(strict=True, min_length=1)] | None = None
    """Only what these characters spell is answered; null is every label."""
    line_end_columns: Whole = 0
    """So many blank columns after ink end a line; 0 is never."""


class Rewind(ClientMessage):
    """Forget a column and all after it."""

    type: Literal["rewind"]
    column: Whole
    """The first column to forget: the next one that comes takes its number."""


class Flush(ClientMessage):
    """Decide everything that is still open."""

    type: Literal["flush"]


class Reset(ClientMessage):
    """Start a new line in the same session."""

    type: Literal["reset"]


class Ping(ClientMessage):
    """Ask for a `pong`."""

    type: Literal["ping"]


class End(ClientMessage):
    """Flush, then `done`, then close."""

    type: Literal["end"]


# Server to client


class ServedModel(_Message):
    """Which model answers."""

    name: str
    version: str
    kind: Kind


class Ready(_Message):
    """The first message of a stream."""

    type: Literal["ready"] = "ready"
    protocol: Literal["inkstream.v1"] = PROTOCOL
    session: str
    """Names this session in the server's logs."""
    model: ServedModel
    labels: tuple[str, ...]
    """All possible answers."""
    column_height: int
    """Pixels, and bytes, of one column."""
    limits: Limits
    next_column: int = 0
    """The number that the next column will have."""
    resume: None = None
    """Resuming is not offered."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the model believes after a column."""

    # Made once a column: a plain dataclass, a third of the time of a model. pydantic reads it too.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )

    epoch: int
    """Rises by one with every rewind, reset and line end."""
    column: int
    """The newest column that this result covers, from 0."""
    probabilities: dict[str, float]
    """Of the labels that may be answered; the most probable ones where `top_k` is set."""
    type: Literal["result"] = "result"


class Configured(_Message):
    """The values in force after a `configure`."""

    type: Literal["configured"] = "configured"
    id: Id = None
    every: Every = "column"
    top_k: int | None = None
    polarity: Polarity = "ink-high"
    characters: str | None = None
    line_end_columns: int = 0


class Rewound(_Message):
    """The results of a column and of all after it are withdrawn."""

    type: Literal["rewound"] = "rewound"
    id: Id = None
    epoch: int
    column: int
    """The first column that was forgotten."""
    label: str | None
    """The answer for the columns that stand; null where none stand."""
    letters: int = 0
    """How many letters stand; a classifier decides none."""
    words: int = 0
    """How many words stand; a classifier decides none."""


class Flushed(_Message):
    """The answer for the line: after a `flush`, at `end`, or (then without id) at a line's end."""

    type: Literal["flushed"] = "flushed"
    id: Id = None
    epoch: int
    columns: int
    """Columns of the line."""
    label: str | None
    """The answer; null where no column came."""


class ResetDone(_Message):
    """A new line begins at column 0."""

    type: Literal["reset_done"] = "reset_done"
    id: Id = None
    epoch: int


class Pong(_Message):
    """The answer to `ping`."""

    type: Literal["pong"] = "pong"
    id: Id = None


class Goaway(_Message):
    """The server is about to stop."""

    type: Literal["goaway"] = "goaway"
    reason: str
    time_left_ms: int
    """Time to `end` in good order."""
    resumable: bool = False


class Error(_Message):
    """What came and what is allowed."""

    type: Literal["error"] = "error"
    code: str
    """Stable, for programs."""
    message: str
    """For people."""
    fatal: bool
    """Whether the stream is closed now."""
    index: int | None = None
    """Which of the client's messages is at fault, from 0; null where none is."""
    ref: Id = None
    """That message's id."""


class Done(_Message):
    """The last message after `end`."""

    type: Literal["done"] = "done"
    columns: int
    """Columns read in the whole session, those of rewinds included."""
    letters: int = 0
    words: int = 0
    label: str | None
    """The answer for the last line."""
    seconds: float
    """From the first message to `end`."""


ServerMessage = (
    Ready | Result | Configured | Rewound | Flushed | ResetDone | Pong | Goaway | Error | Done
)
CLIENT: Final[TypeAdapter[ClientMessage]] = TypeAdapter(
    Annotated[
        Columns | Configure | Rewind | Flush | Reset | Ping | End, Field(discriminator="type")
    ]
)
SERVER: Final[TypeAdapter[ServerMessage]] = TypeAdapter(
    Annotated[ServerMessage, Field(discriminator="type")]
)


def parse_client(text: str | bytes) -> ClientMessage:
    """Read one text frame; raises a `MessageError` that says what came and what is allowed."""
    try:
        return CLIENT.validate_json(text)
    except ValidationError as error:
        raise explain(text, error) from None


def parse_server(text: str | bytes) -> ServerMessage:
    """Read one of the server's messages; raises `JsonError` for anything else."""
    try:
        return SERVER.validate_json(text)
    except ValidationError as error:
        raise JsonError(f"not a server's message of {PROTOCOL}: {shown(str(text))}") from error


def encode(message: ServerMessage) -> str:
    """The JSON text of one server message; probabilities have six decimals."""
    if isinstance(message, Result):
        labels = message.probabilities
        return _result_template(tuple(labels)) % (message.epoch, message.column, *labels.values())
    return message.model_dump_json()


@lru_cache(maxsize=1024)  # `top_k` brings its labels in many orders
def _result_template(labels: tuple[str, ...]) -> str:
    """The text of a result with places for epoch, column and the probabilities of `labels`."""
    places = ",".join(f"{json.dumps(label)}:".replace("%", "%%") + "%.6f" for label in labels)
    return '{"type":"result","epoch":%d,"column":%d,"probabilities":{' + places + "}}"
