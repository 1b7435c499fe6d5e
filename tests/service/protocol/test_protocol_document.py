"""The examples in docs/protocol.md are messages, and the tables of docs/errors.md are complete."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from inkstream.model.checkpoint import find, read
from inkstream.service.protocol.client_messages import CLIENT_TYPES, parse_client
from inkstream.service.protocol.errors import MEANINGS
from inkstream.service.protocol.server_messages import (
    Limits,
    Ready,
    ServerMessage,
    encode,
    parse_server,
)
from inkstream.service.session.inbox import CONTROL_WEIGHT

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = re.findall(r"^([<>]) (\{.*\})$", (DOCS / "protocol.md").read_text("utf-8"), re.MULTILINE)
TEXT = (DOCS / "errors.md").read_text("utf-8")
ROWS = re.findall(r"^\| (.+?) \|(?: (\d+) \| (\d+) \|)?", TEXT, re.MULTILINE)


@pytest.mark.parametrize("text", [text for side, text in EXAMPLES if side == ">"])
def test_client_messages_in_the_document_are_valid(text: str) -> None:
    assert parse_client(text)


@pytest.mark.parametrize("text", [text for side, text in EXAMPLES if side == "<"])
def test_server_messages_in_the_document_are_encoded_as_they_stand_there(text: str) -> None:
    assert encode(parse_server(text)).decode() == text


def test_the_model_of_the_first_conversation_has_the_version_that_is_shipped() -> None:
    ready = parse_server(EXAMPLES[0][1])
    assert isinstance(ready, Ready)
    assert ready.model.version == read(find("digits")).metadata.version


def test_every_message_of_both_sides_has_an_example() -> None:
    shown = {match for _, text in EXAMPLES for match in re.findall(r'^\{"type":"(\w+)"', text)}
    answers = {
        kind.model_fields["type"].default if issubclass(kind, BaseModel) else "result"
        for kind in get_args(ServerMessage)
    }
    assert shown == {*CLIENT_TYPES, *answers}


def test_every_code_is_in_the_table_with_closing_code_and_status() -> None:
    documented = {
        code: (int(closing), int(http))
        for names, closing, http in ROWS
        if closing
        for code in re.findall(r"`(\w+)`", names)
    }
    assert documented == {
        code: (meaning.closing, meaning.http) for code, meaning in MEANINGS.items()
    }


def test_every_limit_is_in_the_table() -> None:
    named = {name for names, _, _ in ROWS for name in re.findall(r"`(\w+)`", names)}
    assert Limits.model_fields.keys() <= named


def test_waiting_messages_count_as_the_limit_says() -> None:
    limit = Limits.model_json_schema()["properties"]["max_waiting_columns"]
    assert f"{CONTROL_WEIGHT} or more for each other message" in limit["description"]
