"""What was read of an image, columns or strokes -> the JSON of the answer.

A page worker makes the answer about a page: see `work`.
"""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, RootModel

from inkstream.model.pages.answers import Letter, Word
from inkstream.model.pages.transcription import Page
from inkstream.service.protocol import server_messages as messages
from inkstream.service.rest.errors import Described
from inkstream.service.rest.inputs import Input
from inkstream.service.rest.recognition import Answers, Encoder, ordered_pairs


class Classification(Described):
    """What a classifier read in an image, columns or strokes."""

    type: Literal["classification"]
    label: str
    """The most probable label; "" of a blank image."""
    probabilities: list[messages.Pair]
    """Labels and their probabilities after the last column, the most probable first."""
    columns: int
    """How many columns were read."""
    curve: list[list[messages.Pair]] | None = None
    """With `curve=true`: the probabilities after every column."""
    hint: str | None = None
    """Where the image is blank, or the input looks like a line or a page. Else left out."""


class Transcription(Described):
    """What a transcriber read in an image, columns or strokes."""

    type: Literal["transcription"]
    text: str
    """All that is written."""
    letters: list[Letter]
    """Its letters and marks, in the order of the line."""
    words: list[Word]
    """Its words."""
    columns: int
    """How many columns were read."""
    hint: str | None = None
    """Where the image is blank, or the input looks like a page. Else left out."""


class PageError(Described):
    """What is in the place of a page that cannot be read."""

    type: Literal["error"] = "error"
    code: str
    """Stable; compare this one."""
    message: str
    """What came and what is allowed, for people."""


class Document(Described):
    """The pages of a PDF, or of an image file that holds several."""

    type: Literal["document"] = "document"
    pages: list[Annotated[Page | PageError, Field(discriminator="type")]]
    """Each page, or the error in its place."""


class PageReading(RootModel[Annotated[Page | Document, Field(discriminator="type")]]):
    """The page of an image, or the pages of a document."""


class Recognition(
    RootModel[
        Annotated[Classification | Transcription | Page | Document, Field(discriminator="type")]
    ]
):
    """The answer of the model that suits the input; its `type` says which one it is."""


async def answer_json(answers: Answers, came: Input, encoder: Encoder) -> bytes:
    """Return a `Transcription` or a `Classification` as JSON."""
    about: dict[str, Any]
    if answers.text is not None:
        words = [event for event in answers.events if isinstance(event, messages.Word)]
        letters = [event for event in answers.events if not isinstance(event, messages.Word)]
        about = {
            "type": "transcription",
            "text": answers.text,
            "letters": await encoder.encode(letters),
            "words": await encoder.encode(words),
        }
    else:
        newest = answers.newest  # of the last column; a blank image has none
        probabilities = [] if newest is None else ordered_pairs(newest)
        about = {
            "type": "classification",
            "label": probabilities[0][0] if probabilities else "",
            "probabilities": probabilities,
        }
        if answers.curve:
            about["curve"] = answers.curve
    about["columns"] = len(came.columns)
    if came.hint:
        about["hint"] = came.hint
    return msgspec.json.encode(about)
