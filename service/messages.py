"""Every message of the wire protocol: the one source that documents and pages are made from.

Client messages are told apart by `type`; `parse_client` reads one text frame or says what came and
what is allowed. Server messages become text by `encode`; a client reads them with `parse_server`.
Binary frames are columns and never come here. The protocol in words: docs/protocol.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from service.errors import (
    ColumnsError,
    JsonError,
    MessageError,
    NotOfferedError,
    Ref,
    TypeUnknownError,
    ValueRefusedError,
)

PROTOCOL: Final = "inkstream.v1"  # also the WebSocket subprotocol

MAX_REF_CHARACTERS: Final = 128  # an id is echoed: it stays far smaller than a frame
MAX_REF: Final = 2**53 - 1  # the largest whole number that a browser counts exactly
MAX_SHOWN_CHARACTERS: Final = 40  # of a faulty value that is quoted in an error


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server allows; each name is also a setting's name and stands in `ready.limits`."""

    max_frame_bytes: int  # beyond it the WebSocket layer closes with 1009
    max_message_columns: int  # columns in one message
    max_waiting_columns: int  # received and not yet read; beyond it the server stops reading
    max_line_columns: int  # columns between two resets
    max_rewind_columns: int  # how far a rewind may go back from the furthest column of the line
    max_control_per_s: int  # messages other than columns, in the long run
    max_bad_messages: int  # so many in a row close the stream
    max_sessions: int
    max_sessions_per_client: int
    idle_timeout_s: float
    max_session_s: float
    max_body_bytes: int  # of one REST request
    max_image_pixels: int  # read from an image's header, before decoding


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What clients may know of a served model."""

    name: str
    version: str
    kind: Literal["classifier"]
    labels: tuple[str, ...]  # K answers, in the order of the scores
    column_height: int  # H, pixels of one column
    parameters: int = 0
    licence: str = ""
    data: str = ""  # name of the training data
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


Whole = Annotated[int, Field(strict=True, ge=0)]
Pixel = Annotated[int, Field(strict=True, ge=0, le=255)]
Id = (
    Annotated[int, Field(strict=True, ge=-MAX_REF, le=MAX_REF)]
    | Annotated[str, Field(strict=True, max_length=MAX_REF_CHARACTERS)]
    | None
)


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# Client to server


class ClientMessage(_Message):
    """A text frame from a client; an `id` comes back in the answer or as `ref` of an error."""

    id: Id = None


class Columns(ClientMessage):
    """Columns for people with a JSON-only client; a binary frame says the same in H bytes each."""

    type: Literal["columns"]
    columns: Annotated[list[Annotated[list[Pixel], FailFast()]], FailFast()]


class Configure(ClientMessage):
    """Change what may change mid-stream, from the next column on; absent fields stay."""

    type: Literal["configure"]
    every: Literal["column", "message"] = "column"
    top_k: Annotated[int, Field(strict=True, ge=1)] | None = None
    polarity: Literal["ink-high", "ink-low"] = "ink-high"
    characters: Annotated[str, Field(strict=True, min_length=1)] | None = None
    line_end_columns: Whole = 0


class Rewind(ClientMessage):
    """Forget this column and all after it."""

    type: Literal["rewind"]
    column: Whole


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
    kind: Literal["classifier"]


class Ready(_Message):
    """The first message of every stream."""

    type: Literal["ready"] = "ready"
    protocol: Literal["inkstream.v1"] = PROTOCOL
    session: str
    model: ServedModel
    labels: tuple[str, ...]
    column_height: int
    limits: Limits
    next_column: int = 0
    resume: None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What the model believes after a column.

    A plain dataclass, since one is made for every column: pydantic reads its schema all the same.
    """

    epoch: int
    column: int
    probabilities: dict[str, float]
    type: Literal["result"] = "result"


class Configured(_Message):
    """The values in force after a `configure`."""

    type: Literal["configured"] = "configured"
    id: Id = None
    every: Literal["column", "message"]
    top_k: int | None
    polarity: Literal["ink-high", "ink-low"]
    characters: str | None
    line_end_columns: int


class Rewound(_Message):
    """Results of `column` and after are withdrawn; the next column has this number."""

    type: Literal["rewound"] = "rewound"
    id: Id = None
    epoch: int
    column: int
    label: str | None
    letters: int = 0
    words: int = 0


class Flushed(_Message):
    """The answer for the line so far."""

    type: Literal["flushed"] = "flushed"
    id: Id = None
    epoch: int
    columns: int
    label: str | None


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
    resumable: bool = False


class Error(_Message):
    """What came and what is allowed; a fatal one is followed by a close."""

    type: Literal["error"] = "error"
    code: str
    message: str
    fatal: bool
    index: int | None = None
    ref: Id = None


class Done(_Message):
    """The last message after `end`."""

    type: Literal["done"] = "done"
    columns: int
    letters: int = 0
    words: int = 0
    label: str | None
    seconds: float


AnyClientMessage = Annotated[
    Columns | Configure | Rewind | Flush | Reset | Ping | End, Field(discriminator="type")
]
ServerMessage = (
    Ready | Result | Configured | Rewound | Flushed | ResetDone | Pong | Goaway | Error | Done
)
CLIENT: Final[TypeAdapter[ClientMessage]] = TypeAdapter(AnyClientMessage)
SERVER: Final[TypeAdapter[ServerMessage]] = TypeAdapter(
    Annotated[ServerMessage, Field(discriminator="type")]
)
CLIENT_TYPES: Final = ("columns", "configure", "rewind", "flush", "reset", "ping", "end")


def parse_client(text: str | bytes) -> ClientMessage:
    """Read one text frame; raises a `MessageError` that says what came and what is allowed."""
    try:
        return CLIENT.validate_json(text)
    except ValidationError as error:
        raise _explain(text, error) from None


def parse_server(text: str | bytes) -> ServerMessage:
    """Read one of the server's messages; raises `JsonError` for anything else."""
    try:
        return SERVER.validate_json(text)
    except ValidationError as error:
        raise JsonError(f"not a message of {PROTOCOL}: {_shown(text)}") from error


def encode(message: ServerMessage) -> str:
    """The JSON text of one server message; probabilities have six decimals."""
    if type(message) is Result:
        probabilities = message.probabilities
        template = _result_template(tuple(probabilities))
        return template % (message.epoch, message.column, *probabilities.values())
    assert isinstance(message, BaseModel)
    return message.model_dump_json()


@lru_cache(maxsize=1024)
def _result_template(labels: tuple[str, ...]) -> str:
    """A result's text with places for epoch, column and the probabilities of these labels."""
    names = [json.dumps(label).replace("%", "%%") for label in labels]
    probabilities = ",".join(f"{name}:%.6f" for name in names)
    return '{"type":"result","epoch":%d,"column":%d,"probabilities":{' + probabilities + "}}"


def _explain(text: str | bytes, error: ValidationError) -> MessageError:
    """Turn pydantic's first complaint about `text` into ours."""
    first = error.errors(include_url=False, include_input=False)[0]
    try:
        message = from_json(text)
    except ValueError as broken:
        return JsonError(f"text frame is not JSON: {broken}")
    if not isinstance(message, dict):
        return JsonError(f"message is {_shown(message)}, expected an object with a type")
    ref = _ref(message)
    match message.get("type"):
        case None:
            return TypeUnknownError(f"message has no type, {_types()}", ref)
        case "ink":
            return NotOfferedError("ink is not offered by this server, send columns", ref)
        case kind if kind not in CLIENT_TYPES:
            return TypeUnknownError(f"type is {_shown(kind)}, {_types()}", ref)
    where, allowed = first["loc"][1:], first["msg"].removeprefix("Input should be ")
    got = _at(message, where)
    if where[0] == "columns":
        return ColumnsError(_columns_text(where[1:], got), ref)
    if first["type"] == "missing":
        return ValueRefusedError(f"{message['type']} has no {where[0]}", ref)
    return ValueRefusedError(f"{where[0]} is {_shown(got)}, allowed: {allowed}", ref)


def _columns_text(where: tuple[int | str, ...], got: Any) -> str:
    match where:
        case (column, pixel):
            return f"pixel {pixel} of column {column} is {_shown(got)}, allowed: whole 0..255"
        case (column,):
            return f"column {column} is {_shown(got)}, expected an array of pixels"
    return f"columns is {_shown(got)}, expected an array of columns"


def _types() -> str:
    return f"allowed: {', '.join(CLIENT_TYPES)}"


def _at(message: Any, where: tuple[int | str, ...]) -> Any:
    for step in where:
        message = message.get(step) if isinstance(message, dict) else message[step]
    return message


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."


def _ref(message: dict[str, Any]) -> Ref:
    """The message's id, where it is one that may be echoed."""
    match message.get("id"):
        case bool():
            return None
        case int(number) if abs(number) <= MAX_REF:
            return number
        case str(name) if len(name) <= MAX_REF_CHARACTERS:
            return name
    return None
