"""Every message that a server may send.

`encode` makes the text of a message, `parse_server` reads it. The documents of the protocol are
made from these models and from `client_messages`. The protocol in words: docs/protocol.md.

A line is a function of its messages: what follows from them is `Numbered`, from 1 in each line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from inkstream.model.config import Kind
from inkstream.model.messages import SCHEMA, Character, Message, Spelling, describe
from inkstream.service.protocol.client_messages import Id, Results
from inkstream.service.protocol.errors import MEANINGS, JsonError, described

PROTOCOL: Final = "inkstream.v1"  # also the WebSocket subprotocol
PATH: Final = "/v1/stream"  # of the WebSocket

Pair = tuple[str, float]  # a label and its probability

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
    optional = ("letter_end", "text", "stable")
    schema["required"] = [name for name in schema["required"] if name not in optional]


def _label_or_text(schema: dict[str, Any]) -> None:
    """Require either `label`, of a classifier, or `text`, of a transcriber."""
    either, optional = ("label", "text"), ("label", "text", "frame")
    schema["required"] = [name for name in schema["required"] if name not in optional]
    schema["oneOf"] = [{"required": [name]} for name in either]


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
    max_image_pixels: Count = 1 << 27
    """Pixels of one image, by its header; fewer of a format that takes more than 4 bytes each."""

    def of_columns(self, column_height: int) -> Self:
        """Return the limits of a model: a message has no more columns than fit into it as JSON."""
        # A pixel takes up to 5 bytes: three digits, a comma and a blank; the type of the message
        # and its id, which may be in escapes, take up to 1024.
        n_fitting = (self.max_frame_bytes - 1024) // (5 * column_height + 2)
        max_columns = max(1, min(self.max_message_columns, n_fitting))
        return self.model_copy(update={"max_message_columns": max_columns})

    @property
    def max_parts(self) -> int:
        """Arrays and objects in one text message: enough for all that one may bring."""
        columns_or_points = self.max_message_columns + self.max_message_points
        return self.max_objects + columns_or_points + self.max_ink_strokes

    @property
    def max_objects(self) -> int:
        """Objects in one text message: strokes, braces in its texts, and 64 for all else."""
        return 64 + self.max_ink_strokes + self.max_hint_characters


class ServedModel(Message):
    """Which model answers."""

    name: str
    version: str
    kind: Kind
    digest: str
    """Of all that answers depend on: the weights and the language models."""


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


class Numbered(Message):
    """A message that follows from those of its line, and has its number."""

    model_config = SCHEMA | ConfigDict(frozen=False)  # it gets its number last

    type: str
    seq: int | None = None
    """The number in its line, from 1; the client that resumes says which one it has heard."""


@dataclass(slots=True)
class Result:
    """What the model reads after a column."""

    # Made once a column: a plain dataclass takes a tenth of the time of a model, and if it were
    # frozen three times as long. pydantic reads it too.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        json_schema_serialization_defaults_required=True,
        json_schema_extra=_some_of_a_transcriber,
    )

    column: int
    """The index of the newest column that this result covers, from 0."""
    probabilities: list[Pair]
    """Labels that may be answered, each with its probability; with `top_k` the most probable."""
    letter_end: float | None = None
    """A transcriber's: the probability that a letter has just ended."""
    stable: int | None = None
    """A transcriber's: how many characters of the text before this result stand."""
    text: str | None = None
    """A transcriber's: what follows them; it may still change."""
    seq: int | None = None
    """The number in its line, from 1; gaps are results that were merged into later ones."""
    type: Literal["result"] = "result"

    def after(self, before: "Result") -> "Result":
        """Return the result as it is where the one right before it is not sent."""
        if self.stable is None or self.text is None or before.stable is None or before.text is None:
            return self
        if self.stable <= before.stable:  # nothing of that one's text is left
            return self
        stood = before.text[: self.stable - before.stable]
        return replace(self, stable=before.stable, text=stood + self.text)


class Span(Message):
    """A part of a stroke of the pen."""

    id: int | str
    """The stroke's, as the client gave it."""
    start: int
    """Its first point, from 0."""
    end: int
    """The point after the last one."""


class Decided(Numbered):
    """Something that is decided: final, unless `rewound` or `revised` withdraws it."""

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
    """A letter, digit or mark that has ended."""

    type: Literal["letter"] = "letter"
    char: str
    mark: bool
    """Whether it is neither letter nor digit, as punctuation is."""
    alternatives: tuple[Character, ...]
    """Other readings, the most probable first."""


class Word(Decided):
    """A word that a space or a flush has ended; marks that touch it belong to it."""

    type: Literal["word"] = "word"
    text: str
    alternatives: tuple[Spelling, ...]
    """Other readings, the most probable first."""


Event = Letter | Word


def is_like(before: Event, after: Event) -> bool:
    """Return whether an event need not be sent in place of the one that had its id."""
    ignored = {"confidence": 0.0, "alternatives": (), "seq": None}
    return abs(before.confidence - after.confidence) < 0.01 and before.model_copy(
        update=ignored
    ) == after.model_copy(update=ignored)


class Configured(Numbered):
    """The values in force after a `configure`."""

    type: Literal["configured"] = "configured"
    id: Id = None
    results: Results = "column"
    top_k: int | None = None
    characters: str | None = None
    line_end_columns: int = 0
    language: str | None = None
    words: tuple[str, ...] = ()
    context: str = ""
    pattern: str | None = None
    snapshot_columns: int = 0


class Frame(Message):
    """The band of a line that becomes its columns, in the units of its ink."""

    top: float
    height: float


class Answer(Numbered):
    """A message with the answer for the line so far."""

    model_config = Numbered.model_config | ConfigDict(json_schema_extra=_label_or_text)

    label: str | None = None
    """A classifier's answer; null if no column came."""
    text: str | None = None
    """A transcriber's text of the line."""


class Rewound(Answer):
    """The answer to `rewind`: a column and all after it are forgotten."""

    type: Literal["rewound"] = "rewound"
    id: Id = None
    column: int
    """The first column that was forgotten."""
    letters: int = 0
    """How many letters and marks remain: ids from this number on are withdrawn."""
    words: int = 0
    """How many words remain: ids from this number on are withdrawn."""


class Revised(Answer):
    """Columns were read again, because ink changed them or other weights read the line."""

    type: Literal["revised"] = "revised"
    column: int
    """The first column whose results are withdrawn."""
    letters: int = 0
    """How many letters and marks remain: ids from this number on are withdrawn."""
    words: int = 0
    """How many words remain: ids from this number on are withdrawn."""
    frame: Frame | None = None
    """The line's frame, once it was fitted to the ink; else left out."""


class Flushed(Answer):
    """The answer to `flush`: everything is decided."""

    type: Literal["flushed"] = "flushed"
    id: Id = None
    columns: int
    """Columns of the line."""


class LineEnd(Answer):
    """The line ended by itself, with blank columns; another one begins."""

    type: Literal["line_end"] = "line_end"
    columns: int
    """Columns of the line."""
    messages: int
    """How many of the client's messages the line has, from its first one."""
    rest_columns: int
    """Columns at the end of the last of them that begin the next line."""


class ResetDone(Numbered):
    """A new line begins at column 0."""

    type: Literal["reset_done"] = "reset_done"
    id: Id = None


class Pong(Message):
    """The answer to `ping`."""

    type: Literal["pong"] = "pong"
    id: Id = None


class Goaway(Message):
    """The server is about to stop: go on over another connection, or send `end`."""

    type: Literal["goaway"] = "goaway"
    reason: str
    time_left_ms: int
    """Time that is left for that."""


class Snapshot(Message):
    """The line after its first messages, for `resume`."""

    type: Literal["snapshot"] = "snapshot"
    messages: int
    """How many of the line's messages it covers."""
    blob: str
    """The state, sealed: only servers with its key can read it."""


class Resumed(Message):
    """The answer to `resume`."""

    type: Literal["resumed"] = "resumed"
    id: Id = None
    messages: int
    """How many of the line's messages the session has: the client sends those that follow."""


def _known_codes(schema: dict[str, Any]) -> None:
    """List the codes of errors in a schema; errors of the server have no number."""
    schema["properties"]["code"]["enum"] = sorted(MEANINGS)
    schema["required"] = [name for name in schema.get("required", ()) if name != "seq"]


class Error(Numbered):
    """A message was refused, or the stream ends: what came and what is allowed."""

    model_config = Numbered.model_config | ConfigDict(json_schema_extra=_known_codes)

    type: Literal["error"] = "error"
    code: str
    """For programs; it is stable."""
    message: str
    """For people."""
    fatal: bool
    """Whether the stream is closed now."""
    index: int | None = None
    """Which of the line's messages was refused, from 0; null if none was."""
    ref: Id = None
    """That message's id."""


class Done(Answer):
    """The answer to `end`, about the last line; then the server closes."""

    type: Literal["done"] = "done"
    id: Id = None
    columns: int
    letters: int = 0
    """Letters and marks that were decided and not withdrawn."""
    words: int = 0
    """Words that were decided and not withdrawn."""


ServerMessage = (
    Ready
    | Result
    | Event
    | Configured
    | Rewound
    | Revised
    | Flushed
    | LineEnd
    | ResetDone
    | Pong
    | Goaway
    | Snapshot
    | Resumed
    | Error
    | Done
)
_JSON: Final = msgspec.json.Encoder()  # a tenth of the time that pydantic takes
SERVER: Final[TypeAdapter[ServerMessage]] = TypeAdapter(
    Annotated[ServerMessage, Field(discriminator="type")]
)


def parse_server(text: str | bytes) -> ServerMessage:
    """Read one of the server's messages; raise `JsonError` for anything else."""
    try:
        return SERVER.validate_json(text)
    except ValidationError as error:
        raise JsonError(f"not a server's message of {PROTOCOL}: {described(str(text))}") from error


def encode(message: ServerMessage) -> bytes:
    """Return the JSON text of a message in UTF-8."""
    if isinstance(message, Result):
        fields: dict[str, Any] = {"type": "result", "seq": message.seq, "column": message.column}
        fields["probabilities"] = message.probabilities
        if message.text is not None:
            fields["letter_end"] = message.letter_end
            fields |= {"stable": message.stable, "text": message.text}
        return _JSON.encode(fields)
    absent = set()
    if isinstance(message, Numbered) and message.seq is None:
        absent.add("seq")
    if isinstance(message, Answer):
        absent.add("text" if message.text is None else "label")
    if isinstance(message, Revised) and message.frame is None:
        absent.add("frame")
    return message.model_dump_json(exclude=absent).encode()
