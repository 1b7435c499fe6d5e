"""Fields are described in schemas by the texts below them, of the class or of the one above it."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from inkstream.service.protocol.client_messages import Configure, Ink, Rewind
from inkstream.service.protocol.server_messages import Error, Flushed, Result
from inkstream.service.rest.answers import Transcription


@pytest.mark.parametrize(
    ("kind", "field", "text"),
    [
        (Rewind, "column", "The first column to forget: the next column gets its number. Written"),
        (Ink, "strokes", "Strokes and pieces of them"),  # whose schema is changed otherwise too
        (Configure, "top_k", "How many of the most probable labels"),
        (Error, "code", "For programs"),
        (Rewind, "id", "Comes back in the answer, and as `ref` of an error."),  # of its base
        (Rewind, "type", ""),
        (Flushed, "text", "A transcriber's"),  # whose schema is changed otherwise too
        (Result, "text", "A transcriber's"),
        (Transcription, "words", "Its words."),  # of another module
    ],
)
def test_a_field_is_described_by_the_text_below_it(kind: Any, field: str, text: str) -> None:
    description = TypeAdapter(kind).json_schema()["properties"][field].get("description", "")
    assert description.startswith(text)
    assert bool(description) == bool(text)
