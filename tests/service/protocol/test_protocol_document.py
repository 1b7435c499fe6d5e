"""The examples in docs/protocol.md are messages, and its tables are complete."""

import re
from pathlib import Path

import pytest

from inkstream.service.protocol.client_messages import CLIENT_TYPES, parse_client
from inkstream.service.protocol.errors import MEANINGS
from inkstream.service.protocol.server_messages import Limits, encode, parse_server
from inkstream.service.session.inbox import CONTROL_WEIGHT, POINT_WEIGHT

TEXT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text("utf-8")
EXAMPLES = re.findall(r"^([<>]) (\{.*\})$", TEXT, re.MULTILINE)
ROWS = re.findall(r"^\| (.+?) \|(?: (\d+) \| (\d+) \|)?", TEXT, re.MULTILINE)


@pytest.mark.parametrize("text", [text for side, text in EXAMPLES if side == ">"])
def test_client_messages_in_the_document_are_valid(text: str) -> None:
    assert parse_client(text)


@pytest.mark.parametrize("text", [text for side, text in EXAMPLES if side == "<"])
def test_server_messages_in_the_document_are_encoded_as_they_stand_there(text: str) -> None:
    assert encode(parse_server(text)) == text


def test_every_message_of_both_sides_has_an_example() -> None:
    shown = {match for _, text in EXAMPLES for match in re.findall(r'^\{"type":"(\w+)"', text)}
    answers = {"ready", "result", "configured", "rewound", "flushed", "reset_done", "pong"}
    answers |= {"letter", "punctuation", "word"}
    assert shown == {*CLIENT_TYPES, *answers, "goaway", "snapshot", "resumed", "error", "done"}


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
    assert f"counts as {CONTROL_WEIGHT} columns, with {POINT_WEIGHT} more for each point" in TEXT
    limit = Limits.model_json_schema()["properties"]["max_waiting_columns"]
    assert f"{CONTROL_WEIGHT} or more for each other message" in limit["description"]
