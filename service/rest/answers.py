"""What was read of a body -> the text of the answer, without a long step on the event loop.

The answer about a page takes the longest, and a page worker makes it: see `rendering`.
"""

from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict

from inkstream.service import pages
from inkstream.service.protocol.descriptions import describe
from inkstream.service.protocol.server_messages import Letter, Result, Word
from inkstream.service.rest.encoding import Encoder, encoded_event
from inkstream.service.rest.inputs import JSON, Input
from inkstream.service.rest.recognition import Answers

MEDIA_TYPES: Final = MappingProxyType(
    {"json": JSON, "hocr": pages.HOCR_TYPE, "alto": pages.ALTO_TYPE}
)


class Recognition(BaseModel):
    """What a classifier read in an image, columns or strokes."""

    model_config = ConfigDict(json_schema_extra=describe)

    label: str
    """The most probable label."""
    probabilities: dict[str, float]
    """The probability of each label, after the last column."""
    columns: int
    """How many columns were read."""
    curve: list[dict[str, float]] | None = None
    """With `curve=true`: the probabilities after every column."""
    hint: str | None = None
    """Where the input looks like a line or a page: what to try. Else left out."""


class Transcription(BaseModel):
    """What a transcriber read in an image, columns or strokes."""

    model_config = ConfigDict(json_schema_extra=describe)

    text: str
    """All that is written."""
    letters: list[Letter]
    """Its letters and marks, in the order of the line."""
    words: list[Word]
    """Its words."""
    columns: int
    """How many columns were read."""
    hint: str | None = None
    """Where the input looks like a page: what to try. Else left out."""


async def answer_json(answers: Answers, came: Input, with_curve: bool, encoder: Encoder) -> bytes:
    """Return a `Transcription` or a `Recognition` as JSON."""
    about: dict[str, Any]
    if answers.text is not None:
        words = [event for event in answers.events if isinstance(event, Word)]
        others = [event for event in answers.events if not isinstance(event, Word)]
        about = {
            "text": answers.text,
            "letters": await encoder.encode(others, encoded_event),
            "words": await encoder.encode(words, encoded_event),
            "columns": len(came.columns),
        }
    else:
        last = answers.results[-1]
        about = {
            "label": max(last.probabilities, key=itemgetter(1))[0],
            "probabilities": msgspec.Raw(_probabilities(last)),
            "columns": len(came.columns),
        }
        if with_curve:
            about["curve"] = await encoder.encode(answers.results, _probabilities)
    if came.hint:
        about["hint"] = came.hint
    return msgspec.json.encode(about)


def _probabilities(result: Result) -> bytes:
    shown = {label: round(p, pages.DECIMALS) for label, p in result.probabilities}
    return msgspec.json.encode(shown)
