"""Every message that a server may send.

`encode` makes the text of a message, `parse_server` reads it. The documents of the protocol are
made from these models and from `client_messages`. The protocol in words: docs/protocol.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from inkstream.model.config import Kind
from inkstream.service.protocol.client_messages import (
    SCHEMA,
    Every,
    Id,
    Message,
    Polarity,
    Results,
    Text,
)
from inkstream.service.protocol.descriptions import describe
from inkstream.service.protocol.errors import MEANINGS, JsonError, described

PROTOCOL: Final = "inkstream.v1"  # also the WebSocket subprotocol
PATH: Final = "/v1/stream"  # of the WebSocket
FRAME_BYTES: Final = 1024  # of a message of columns beside these: its type, and an id in escapes
PIXEL_BYTES: Final = 5  # of a pixel as JSON at most: three digits, a comma and a blank
PARTS_OF_A_MESSAGE: Final = 64  # arrays and objects beside columns, strokes and texts
NEGLIGIBLE: Final = 0.01  # of a confidence: it tells no other reading

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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
    languages: tuple[str, ...] = ()  # language models that its lines can be read with


def _some_of_a_transcriber(schema: dict[str, Any], model: type) -> None:
    """Make the fields optional that a classifier's results lack."""
    describe(schema, model)
    schema["required"] = [
        n for n in schema["required"] if n not in ("letter_end", "text", "stable")
    ]


def _label_or_text(schema: dict[str, Any], model: type) -> None:
    """Require either `label`, of a classifier, or `text`, of a transcriber."""
    describe(schema, model)
    names = ("label", "text")
    schema["required"] = [n for n in schema["required"] if n not in (*names, "frame")]
    schema["oneOf"] = [{"required": [name]} for name in names]


class Limits(BaseModel):
    """What one server allows. Each limit is a setting, and `ready.limits` has it under its name."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # the server always sends every field
    )

    max_frame_bytes: Annotated[int, Field(ge=1024)] = 336 * 1024
    """Bytes of one message; beyond it the WebSocket is closed with 1009."""
    max_message_columns: Count = 2048
    """Columns in one message; of a model fewer if they do not fit into max_frame_bytes as JSON."""
    max_waiting_columns: Count = 4096
    """Columns that wait, and 64 or more for each other message; then the server takes no more."""
    max_line_columns: Count = 100_000
    """Columns of one line; one more closes with 4413."""
    max_rewind_columns: Count = 512
    """How far a rewind may go back from the furthest column of the line."""
    max_control_per_s: Count = 250
    """Messages other than columns, in the long run; the server reads more, or more ink, later."""
    max_hint_characters: Count = 4096
    """Characters of `words`, `context`, `pattern` and `characters` in one `configure`."""
    max_message_points: Count = 8192
    """Points of the pen in one message."""
    ink_margin_columns: Annotated[int, Field(ge=0, le=256)] = 8
    """How far the pen must be beyond a column for a transcriber to read it."""
    max_ink_strokes: Count = 512
    """Strokes that a rewind may still reach, and strokes in one message."""
    max_ink_points: Count = 65_536
    """Points of these strokes together."""
    max_bad_messages: Count = 16
    """Bad messages in a row that close with 4400."""
    max_sessions: Count = 1024
    """Sessions in all."""
    max_sessions_per_client: Count = 512
    """Sessions of one client address."""
    idle_timeout_s: Seconds = 300.0
    """Longest silence of a client before it is closed with 4408."""
    max_session_s: Seconds = 6 * 3600.0
    """Longest session; then it is closed with 4440."""
    resume_lifetime_s: Seconds = 3600.0
    """For how long a snapshot can be resumed."""
    max_body_bytes: Count = 16 * 1024 * 1024
    """Bytes of one REST request's body; JSON has at most 2097152."""
    max_image_pixels: Count = 16_000_000
    """Pixels of one image, by its header."""

    def of_columns(self, column_height: int) -> Self:
        """Return the limits of a model: a message has no more columns than fit into it as JSON."""
        fitting = (self.max_frame_bytes - FRAME_BYTES) // (PIXEL_BYTES * column_height + 2)
        most = max(1, min(self.max_message_columns, fitting))
        return self.model_copy(update={"max_message_columns": most})

    @property
    def most_parts(self) -> int:
        """Arrays and objects in one text message: enough for all that one may bring."""
        columns_or_points = self.max_message_columns + self.max_message_points
        return self.most_objects + columns_or_points + self.max_ink_strokes

    @property
    def most_objects(self) -> int:
        """Objects in one text message: strokes, and braces in its texts."""
        return PARTS_OF_A_MESSAGE + self.max_ink_strokes + self.max_hint_characters


class ServedModel(Message):
    """Which model answers."""

    name: str
    version: str
    kind: Kind


class Resuming(Message):
    """What a client may rely on when it resumes."""

    lifetime_s: float
    """For how long a snapshot can be resumed, in seconds."""


class Ready(Message):
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
    languages: tuple[str, ...] = ()
    """Language models that `configure` can choose."""
    limits: Limits
    next_column: int = 0
    """The number that the next column will have."""
    resume: Resuming | None = None
    """How a line can be resumed; null: it cannot."""


@dataclass(slots=True)
class Result:
    """What the model reads after a column."""

    # Made once a column: a plain dataclass takes a tenth of the time of a model, and if it were
    # frozen three times as long. pydantic reads it too. It is never changed.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        json_schema_serialization_defaults_required=True,
        json_schema_extra=_some_of_a_transcriber,
    )

    epoch: int
    """Increases by one with every rewind, reset and line end."""
    column: int
    """The index of the newest column that this result covers, from 0."""
    probabilities: dict[str, float]
    """Of the labels that may be answered; the most probable ones where `top_k` is set."""
    letter_end: float | None = None
    """A transcriber's: the probability that a letter has just ended."""
    text: str | None = None
    """A transcriber's: the text so far, with what may still change; with `stable`, what follows."""
    stable: int | None = None
    """How many characters of the text before `text` stand, where `configure` asks for the tail."""
    type: Literal["result"] = "result"

    def after(self, before: "Result") -> "Result":
        """Return the result as it is where the one right before it is not sent."""
        if self.stable is None or self.text is None or before.stable is None or before.text is None:
            return self
        stood = before.text[: self.stable - before.stable]
        return replace(self, stable=before.stable, text=stood + self.text)


class Character(Message):
    """A character and how probable it is."""

    char: str
    p: float


class Spelling(Message):
    """A text and how probable it is."""

    text: str
    p: float


class Span(Message):
    """A part of a stroke of the pen."""

    id: int | str
    """The stroke's, as the client gave it."""
    start: int
    """Its first point, from 0."""
    end: int
    """The point after the last one."""


class Decided(Message):
    """Something that is decided: final, only a rewind withdraws it."""

    type: str
    id: int
    """From 0 in every line. Letters and marks share one numbering, words have their own."""
    start: int
    """The first column."""
    end: int
    """The column after the last one."""
    column: int
    """The column at which it was decided: a rewind to it or to one before withdraws this."""
    confidence: float
    """The probability that it is right."""
    strokes: tuple[Span, ...] | None = None
    """The parts of strokes with ids that it consists of; null in a line of columns."""


class Letter(Decided):
    """A letter or digit that has ended."""

    type: Literal["letter"] = "letter"
    char: str
    alternatives: tuple[Character, ...]
    """Other readings, the most probable first."""


class Punctuation(Decided):
    """A mark, which is neither letter nor digit."""

    type: Literal["punctuation"] = "punctuation"
    char: str
    alternatives: tuple[Character, ...]
    """Other readings, the most probable first."""


class Word(Decided):
    """A word that a space or a flush has ended; marks that touch it belong to it."""

    type: Literal["word"] = "word"
    text: str
    alternatives: tuple[Spelling, ...]
    """Other readings, the most probable first."""


Event = Letter | Punctuation | Word


def is_like(before: Event, after: Event) -> bool:
    """Return whether an event need not be told in place of the one that had its id."""
    ignored = {"confidence": 0.0, "alternatives": ()}
    is_close = abs(before.confidence - after.confidence) < NEGLIGIBLE
    return is_close and before.model_copy(update=ignored) == after.model_copy(update=ignored)


class Configured(Message):
    """The values in force after a `configure`."""

    type: Literal["configured"] = "configured"
    id: Id = None
    every: Every = "column"
    top_k: int | None = None
    polarity: Polarity = "ink-high"
    characters: str | None = None
    line_end_columns: int = 0
    language_model: str | None = None
    words: tuple[str, ...] = ()
    context: str = ""
    pattern: str | None = None
    text: Text = "full"
    results: Results = "all"
    snapshot_columns: int = 0


_EITHER: Final = SCHEMA | ConfigDict(json_schema_extra=_label_or_text)


class Frame(Message):
    """The band of a line that becomes its columns, in the units of its ink."""

    top: float
    height: float


class Rewound(Message):
    """The results of a column and of all after it are withdrawn."""

    model_config = _EITHER

    type: Literal["rewound"] = "rewound"
    id: Id = None
    epoch: int
    column: int
    """The first column that was forgotten."""
    label: str | None = None
    """A classifier's answer for the columns that remain; null if none remain."""
    text: str | None = None
    """A transcriber's text of the columns that remain."""
    letters: int = 0
    """How many letters and marks remain: ids from this number on are withdrawn."""
    words: int = 0
    """How many words remain: ids from this number on are withdrawn."""
    frame: Frame | None = None
    """The line's frame, once it was fitted to the ink; else left out."""


class Flushed(Message):
    """The answer for the line: after `flush` or `end`, or (then without id) at a line's end."""

    model_config = _EITHER

    type: Literal["flushed"] = "flushed"
    id: Id = None
    epoch: int
    columns: int
    """Columns of the line."""
    label: str | None = None
    """A classifier's answer; null if no column came."""
    text: str | None = None
    """A transcriber's text of the whole line."""


class ResetDone(Message):
    """A new line begins at column 0."""

    type: Literal["reset_done"] = "reset_done"
    id: Id = None
    epoch: int


class Pong(Message):
    """The answer to `ping`."""

    type: Literal["pong"] = "pong"
    id: Id = None


class Goaway(Message):
    """The server is about to stop."""

    type: Literal["goaway"] = "goaway"
    reason: str
    time_left_ms: int
    """Time that is left to go over to another connection, or to send `end`."""
    resumable: bool = False
    """Whether a snapshot follows, with which the line can be resumed on another connection."""


class Snapshot(Message):
    """The session as it was after its first `messages` messages, for `resume`."""

    type: Literal["snapshot"] = "snapshot"
    epoch: int
    column: int
    """Columns of the line that were read."""
    messages: int
    """How many of the client's messages it covers, columns included: those with a lower index."""
    letters: int
    """Letters and marks of the line that were decided."""
    words: int
    """Words of the line that were decided."""
    blob: str
    """The state, sealed: only servers with its key can read it."""
    lifetime_s: float
    """For how long it can be resumed, in seconds."""


class Resumed(Message):
    """The line goes on: what was heard has been read again."""

    type: Literal["resumed"] = "resumed"
    id: Id = None
    epoch: int
    column: int
    """Columns of the line that are read now: the next result is about this column."""
    letters: int
    """How many letters and marks stand: ids from this number on are sent, again or newly."""
    words: int
    """How many words stand: ids from this number on are sent, again or newly."""


def _known_codes(schema: dict[str, Any]) -> None:
    """List the codes of errors in a schema."""
    schema["properties"]["code"]["enum"] = sorted(MEANINGS)


class Error(Message):
    """A message was refused, or the stream ends: what came and what is allowed."""

    model_config = SCHEMA | ConfigDict(json_schema_extra=_known_codes)

    type: Literal["error"] = "error"
    code: str
    """For programs; it is stable."""
    message: str
    """For people."""
    fatal: bool
    """Whether the stream is closed now."""
    index: int | None = None
    """The index, from 0, of the client's message that was refused; null if none was."""
    ref: Id = None
    """That message's id."""


class Done(Message):
    """The last message after `end`."""

    model_config = _EITHER

    type: Literal["done"] = "done"
    id: Id = None
    columns: int
    """Columns read in the whole session, including those of rewinds."""
    letters: int = 0
    """Letters and marks that were decided in the whole session and not withdrawn."""
    words: int = 0
    """Words that were decided in the whole session and not withdrawn."""
    label: str | None = None
    """A classifier's answer for the last line."""
    text: str | None = None
    """A transcriber's text of the last line."""
    seconds: float
    """From the first message to `end`."""


ServerMessage = (
    Ready
    | Result
    | Event
    | Configured
    | Rewound
    | Flushed
    | ResetDone
    | Pong
    | Goaway
    | Snapshot
    | Resumed
    | Error
    | Done
)
_RESULTS: Final = msgspec.json.Encoder()  # a tenth of the time that pydantic takes
SERVER: Final[TypeAdapter[ServerMessage]] = TypeAdapter(
    Annotated[ServerMessage, Field(discriminator="type")]
)


def parse_server(text: str | bytes) -> ServerMessage:
    """Read one of the server's messages; raise `JsonError` for anything else."""
    try:
        return SERVER.validate_json(text)
    except ValidationError as error:
        raise JsonError(f"not a server's message of {PROTOCOL}: {described(str(text))}") from error


def encode(message: ServerMessage) -> str:
    """Return the JSON text of a message."""
    if isinstance(message, Result):
        return _RESULTS.encode(_fields(message)).decode()
    if isinstance(message, Rewound | Flushed | Done):
        absent = {"text" if message.text is None else "label"}
        if isinstance(message, Rewound) and message.frame is None:
            absent.add("frame")
        return message.model_dump_json(exclude=absent)
    return message.model_dump_json()


def _fields(result: Result) -> dict[str, Any]:
    """Return what is sent of a result."""
    fields: dict[str, Any] = {
        "type": "result",
        "epoch": result.epoch,
        "column": result.column,
        "probabilities": result.probabilities,
    }
    if result.letter_end is not None:
        fields["letter_end"] = result.letter_end
    if result.stable is not None:
        fields["stable"] = result.stable
    if result.text is not None:
        fields["text"] = result.text
    return fields
