"""Every message that a client may send in a text frame, and what is wrong with any other.

`parse_client` reads one by its `type`. pydantic finds the first fault; the error says what came and
what is allowed. `columns` checks columns, which come in binary frames too. The protocol in words:
docs/protocol.md.
"""

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    ConfigDict,
    FailFast,
    Field,
    SkipValidation,
    StrictBool,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json

from inkstream.model.messages import SCHEMA, Message
from inkstream.service.protocol.columns import Rows
from inkstream.service.protocol.errors import (
    InkError,
    JsonError,
    MessageError,
    Ref,
    TypeUnknownError,
    ValueRefusedError,
    described,
)
from inkstream.service.protocol.strokes import HEIGHT_ALLOWED, Height, Points, strokes_fault

MAX_REF_CHARACTERS: Final = 128  # an id is echoed: it stays far smaller than a message
MAX_REF: Final = 2**53 - 1  # the largest whole number that a browser keeps exactly
ID_ALLOWED: Final = (
    f"a whole number up to 2**53 - 1, a text of at most {MAX_REF_CHARACTERS} characters, or null"
)
WHOLE_ALLOWED: Final = "a whole number from 0 to 2**53 - 1"
LEAST_SPACING: Final = 64  # columns between two snapshots: each takes as long as some columns
ALLOWED: Final = {  # in each field but columns and strokes
    "id": ID_ALLOWED,
    "undo": ID_ALLOWED,
    "pause": "true or false",
    "fit": "true or false",
    "height": HEIGHT_ALLOWED,
    "column": WHOLE_ALLOWED,
    "results": '"column", "message" or "none"',
    "top_k": "a whole number from 1 to 2**53 - 1, or null",
    "characters": "a text of at least 1 character, or null",
    "line_end_columns": WHOLE_ALLOWED,
    "language": "a text, or null",
    "words": "an array of texts",
    "context": "a text",
    "pattern": "a text, or null",
    "snapshot_columns": f"0, or a whole number from {LEAST_SPACING} to 2**53 - 1",
    "heard": WHOLE_ALLOWED,
    "digest": "a text: `digest` of the model in `ready`",
    "options": "an object of options of `configure`",
    "snapshot": "the blob of a snapshot, or null",
}
WRITTEN: Final = "Written without fraction and exponent: 1.0 is refused."  # no schema can say it
Whole = Annotated[int, Field(strict=True, ge=0, le=MAX_REF, description=WRITTEN)]
Id = (
    Annotated[int, Field(strict=True, ge=-MAX_REF, le=MAX_REF, description=WRITTEN)]
    | Annotated[str, Field(strict=True, max_length=MAX_REF_CHARACTERS)]
    | None
)
ID: Final[TypeAdapter[Ref]] = TypeAdapter(Id)
Spacing = (
    Annotated[int, Field(strict=True, ge=0, le=0)]
    | Annotated[int, Field(strict=True, ge=LEAST_SPACING, le=MAX_REF)]
)
Results = Literal["column", "message", "none"]


def _without_defaults(schema: dict[str, Any]) -> None:
    """Say in a schema that absent fields have no defaults: they stay as they are."""
    for name, field in schema["properties"].items():
        if name != "id":
            field.pop("default", None)


class ClientMessage(Message):
    """A text frame of a client."""

    id: Id = None
    """Comes back in the answer, and as `ref` of an error."""


class Columns(ClientMessage):
    """Columns, oldest first, for clients that speak JSON only."""

    type: Literal["columns"]
    columns: Annotated[Rows, SkipValidation()]  # `unpack_columns` checks them, as those of REST
    """Columns of `column_height` pixels, top to bottom, 0 = paper, 255 = ink."""


class Stroke(Message):
    """What the pen wrote from touching the paper to leaving it, or a piece of that."""

    model_config = SCHEMA | ConfigDict(
        json_schema_extra={  # a stroke that goes on needs an id
            "if": {"required": ["last"], "properties": {"last": {"const": False}}},
            "then": {"required": ["id"], "properties": {"id": {"type": ["integer", "string"]}}},
        }
    )

    id: Id = None
    """Names the stroke, so that more points can be added, `undo` and events can refer to it."""
    points: Points
    """Positions of the pen, x to the right and y downwards, in units of the client's choice."""
    last: StrictBool = True
    """Whether the stroke is complete; else more points of it follow."""


class Ink(ClientMessage):
    """Strokes of a pen, which the server turns into columns."""

    model_config = SCHEMA | ConfigDict(
        json_schema_extra={  # strokes need the height of their frame
            "if": {"required": ["strokes"], "properties": {"strokes": {"minItems": 1}}},
            "then": {"required": ["height"], "properties": {"height": {"type": "number"}}},
        }
    )

    type: Literal["ink"]
    strokes: Annotated[list[Stroke], FailFast()] = []  # noqa: RUF012 - pydantic copies it
    """Strokes and pieces of them, in the order in which they were written."""
    height: Height | None = None
    """Height of the frame that is written in, in units of the points; one for the whole line."""
    undo: Id = None
    """The id of a stroke to remove before the others are added."""
    pause: StrictBool = False
    """Whether the pen rests: the columns that it still touches are read too."""
    fit: StrictBool = False
    """Whether a line whose ink is small in its frame, or exceeds it, is read in a fitting frame."""


class Configure(ClientMessage):
    """Change options from the next column on; an option that is absent stays as it is."""

    model_config = SCHEMA | ConfigDict(json_schema_extra=_without_defaults)

    type: Literal["configure"]
    results: Results = "column"
    """One result for each column, one for the last column of each message, or events alone."""
    top_k: Annotated[int, Field(strict=True, ge=1, le=MAX_REF)] | None = None
    """How many of the most probable labels a result has; null is all."""
    characters: Annotated[str, Field(strict=True, min_length=1)] | None = None
    """Only labels that consist of these characters are answered; null is every label."""
    line_end_columns: Whole = 0
    """How many blank columns after ink end a line; 0 is never."""
    language: StrictStr | None = None
    """Of the next lines, by name or code (ISO 639), several with commas, or auto; null is none."""
    words: Annotated[tuple[StrictStr, ...], FailFast()] = ()
    """Words that are likely in the next lines: names, terms."""
    context: StrictStr = ""
    """The text before the next line, for a language model."""
    pattern: StrictStr | None = None
    """A regular expression that the next lines match completely; null is none."""
    snapshot_columns: Spacing = 0
    """How many columns of a line lie between two snapshots at least; 0 is no snapshots."""


class Rewind(ClientMessage):
    """Forget a column and all after it."""

    type: Literal["rewind"]
    column: Whole
    """The first column to forget: the next column gets its number."""


class Flush(ClientMessage):
    """Decide everything that is not decided yet."""

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


class Resume(ClientMessage):
    """Go on with a line whose connection was lost: its messages follow once more."""

    type: Literal["resume"]
    heard: Whole = 0
    """The number of the last message of the line that was heard: none up to it is sent again."""
    digest: StrictStr
    """Of the model, as `ready` had it on the connection where that was heard."""
    options: dict[StrictStr, Any] = {}  # noqa: RUF012 - as above
    """The options of `configure` at the line's beginning; absent ones are as at first."""
    snapshot: StrictStr | None = None
    """The newest snapshot's blob: then only the messages follow that it does not cover."""


_KINDS = Columns | Ink | Configure | Rewind | Flush | Reset | Ping | End | Resume
CLIENT_TYPES: Final = tuple(kind.__name__.lower() for kind in get_args(_KINDS))
CLIENT: Final[TypeAdapter[ClientMessage]] = TypeAdapter(
    Annotated[_KINDS, Field(discriminator="type")]
)


def parse_client(text: str, max_parts: int = 16_384, max_objects: int = 4096) -> ClientMessage:
    """Read one text frame; raise a `MessageError` that says what came and what is allowed.

    More arrays and objects than `max_parts`, or more objects than `max_objects`, are refused
    before they are read: each takes far longer than the three bytes in which it comes, and an
    object four times as long as an array.
    """
    n_objects = text.count("{")
    n_parts = text.count("[") + n_objects
    if n_parts > max_parts:
        raise MessageError(f"{n_parts} arrays and objects in one message, allowed: {max_parts}")
    if n_objects > max_objects:
        raise MessageError(f"{n_objects} objects in one message, allowed: {max_objects}")
    try:
        return CLIENT.validator.validate_json(text)  # type: ignore[no-any-return]
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        raise JsonError(f"text frame is not JSON: {fault['ctx']['error']}")
    message = from_json(text)
    if not isinstance(message, dict):
        raise JsonError(f"message is {described(message)}, expected an object with a type")
    try:
        ref = ID.validate_python(message.get("id"))
    except ValidationError:  # an id that is refused is not echoed either
        ref = None
    if fault["loc"]:
        refused = _field_error(message, fault["type"], fault["loc"][1:], ref)
        refused.of_line = message["type"] not in ("ping", "resume")
        raise refused
    got = f"type is {described(message['type'])}" if "type" in message else "message has no type"
    raise TypeUnknownError(f"{got}, allowed: {', '.join(CLIENT_TYPES)}", ref)


def _field_error(
    message: dict[str, Any], fault: str, where: tuple[int | str, ...], ref: Ref
) -> MessageError:
    """Return the error of a message whose field at the place `where` pydantic refused."""
    name = str(where[0])
    if fault == "missing" and len(where) == 1:
        return ValueRefusedError(f"{message['type']} has no {name}", ref)
    if name == "strokes":
        return InkError(strokes_fault(message["strokes"], where[1:], ID_ALLOWED), ref)
    if name == "words" and len(where) > 1:
        word = int(where[1])
        return ValueRefusedError(
            f"word {word} is {described(message[name][word])}, allowed: a text", ref
        )
    got = f"{name} is {described(message[name])}"
    return ValueRefusedError(f"{got}, allowed: {ALLOWED[name]}", ref)
