"""Every message that a client may send, read from one text frame.

Messages are told apart by `type`; `parse_client` reads one, or raises what is wrong with it. Binary
frames are columns and never come here. The protocol in words: docs/protocol.md.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from inkstream.service.protocol.columns import Rows
from inkstream.service.protocol.strokes import Height, Points
from inkstream.service.protocol.validation import MAX_REF, MAX_REF_CHARACTERS, explain

SCHEMA: Final = ConfigDict(
    frozen=True,
    extra="ignore",
    use_attribute_docstrings=True,
    json_schema_serialization_defaults_required=True,  # the server always sends every field
)

Whole = Annotated[int, Field(strict=True, ge=0, le=MAX_REF)]
Id = (
    Annotated[int, Field(strict=True, ge=-MAX_REF, le=MAX_REF)]
    | Annotated[str, Field(strict=True, max_length=MAX_REF_CHARACTERS)]
    | None
)
Every = Literal["column", "message"]
Polarity = Literal["ink-high", "ink-low"]


class Message(BaseModel):
    """What all messages have in common."""

    model_config = SCHEMA


class ClientMessage(Message):
    """A text frame of a client."""

    id: Id = None
    """Comes back in the answer, and as `ref` of an error."""


class Columns(ClientMessage):
    """Columns, oldest first, for clients that speak JSON only."""

    type: Literal["columns"]
    columns: Rows
    """Columns of `column_height` pixels, top to bottom, 0 = paper, 255 = ink."""


class Stroke(Message):
    """What the pen wrote from its touching the paper to its leaving it, or a piece of that."""

    id: Id = None
    """Names the stroke; more points may come for it, it can be undone, and events tell of it."""
    points: Points
    """Places of the pen, x to the right and y downwards, in units of the client's choice."""
    last: Annotated[bool, Field(strict=True)] = True
    """Whether the stroke is complete; else its next points go on from here."""


class Ink(ClientMessage):
    """Strokes of a pen, which the server turns into columns."""

    type: Literal["ink"]
    strokes: Annotated[list[Stroke], FailFast()] = []
    """Strokes and pieces of them, in the order in which they were written."""
    height: Height | None = None
    """Height of the writing's frame in the units of the points; the same for the whole line."""
    undo: Id = None
    """The id of a stroke that is taken back first."""
    pause: Annotated[bool, Field(strict=True)] = False
    """Whether the pen rests: columns that it still touches are read too."""
    fit: Annotated[bool, Field(strict=True)] = False
    """Whether a line whose ink is small in its frame, or goes beyond it, is read in another one."""


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
    language_model: Annotated[str, Field(strict=True)] | None = None
    """Of the next lines, one of the `languages` of `ready`; null is none."""
    words: Annotated[tuple[Annotated[str, Field(strict=True)], ...], Field(strict=False)] = ()
    """That the next lines may well hold: names, terms."""
    context: Annotated[str, Field(strict=True)] = ""
    """The text before the next line, for a language model."""
    pattern: Annotated[str, Field(strict=True)] | None = None
    """A regular expression that the next lines fulfil from end to end; null is none."""


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


CLIENT: Final[TypeAdapter[ClientMessage]] = TypeAdapter(
    Annotated[
        Columns | Ink | Configure | Rewind | Flush | Reset | Ping | End,
        Field(discriminator="type"),
    ]
)


def parse_client(text: str | bytes) -> ClientMessage:
    """Read one text frame; raises a `MessageError` that says what came and what is allowed."""
    try:
        return CLIENT.validate_json(text)
    except ValidationError as error:
        raise explain(text, error) from None
