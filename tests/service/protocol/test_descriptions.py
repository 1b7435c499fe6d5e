"""Fields are described in schemas by the texts below them, of the class or of the one above it."""

from pydantic import TypeAdapter

from inkstream.service.protocol.client_messages import Rewind
from inkstream.service.protocol.server_messages import Flushed, Result
from inkstream.service.rest.answers import Transcription


def test_a_field_is_described_by_the_text_below_it() -> None:
    fields = Rewind.model_json_schema()["properties"]
    assert fields["column"]["description"].startswith("The first column to forget")
    assert "description" not in fields["type"]


def test_a_field_of_the_class_above_is_described_too() -> None:
    fields = Rewind.model_json_schema()["properties"]
    assert fields["id"]["description"] == ("Comes back in the answer, and as `ref` of an error.")


def test_schemas_that_are_changed_otherwise_are_described_too() -> None:
    for kind in (Flushed, Result):
        fields = TypeAdapter(kind).json_schema()["properties"]
        assert fields["text"]["description"].startswith("A transcriber's")


def test_other_modules_are_read_too() -> None:
    fields = Transcription.model_json_schema()["properties"]
    assert fields["words"]["description"] == "Its words."
