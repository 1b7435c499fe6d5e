"""The AsyncAPI description is made from the messages, and the served file is that description."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from inkstream.service.protocol.client_messages import CLIENT_TYPES, parse_client
from inkstream.service.protocol.server_messages import ServerMessage, parse_server
from tools import asyncapi

DOCUMENT = asyncapi.document()
MESSAGES = DOCUMENT["components"]["messages"]
OPTIONAL_FIELDS = {
    "label",
    "text",
    "letter_end",
    "stable",
    "frame",
}  # fields that other models or lines leave out
FILE = Path(__file__).parents[2] / "service" / "rest" / "asyncapi.json"


def test_the_served_file_is_the_generated_description() -> None:
    assert json.loads(FILE.read_text("utf-8")) == DOCUMENT, (
        "write it again: python -m tools.asyncapi > service/rest/asyncapi.json"
    )


def test_the_description_is_plain_json_of_version_3() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["asyncapi"] == "3.0.0"


def test_every_message_of_both_sides_is_described() -> None:
    assert tuple(asyncapi.FROM_CLIENT) == CLIENT_TYPES
    kinds = {type(example) for example in asyncapi.FROM_SERVER.values()}
    assert kinds == set(get_args(ServerMessage))
    assert MESSAGES.keys() == {"binary", *asyncapi.FROM_CLIENT, *asyncapi.FROM_SERVER}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_has_a_title_and_a_summary(name: str) -> None:
    assert MESSAGES[name]["name"] == name
    assert MESSAGES[name]["title"]
    assert MESSAGES[name]["summary"].endswith(".")


@pytest.mark.parametrize("name", asyncapi.FROM_CLIENT)
def test_client_examples_are_parsed_by_the_server(name: str) -> None:
    (example,) = MESSAGES[name]["examples"]
    assert parse_client(json.dumps(example["payload"])) == asyncapi.FROM_CLIENT[name]
    assert payload_of(name)["properties"]["type"]["const"] == name


@pytest.mark.parametrize("name", asyncapi.FROM_SERVER)
def test_server_examples_are_parsed_by_the_client(name: str) -> None:
    examples = [asyncapi.FROM_SERVER[name]]
    examples += [asyncapi.OF_A_TRANSCRIBER[name]] if name in asyncapi.OF_A_TRANSCRIBER else []
    payload = payload_of(name)
    for example, message in zip(MESSAGES[name]["examples"], examples, strict=True):
        assert parse_server(json.dumps(example["payload"])) == message
        assert set(payload["required"]) <= set(example["payload"]) <= set(payload["properties"])
        assert set(payload["properties"]) - set(example["payload"]) <= OPTIONAL_FIELDS
        for either in [payload["oneOf"]] if "oneOf" in payload else []:
            assert (
                sum(alternative["required"][0] in example["payload"] for alternative in either) == 1
            )


def test_every_reference_has_a_target() -> None:
    for reference in _references(DOCUMENT):
        target = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            assert step in target, reference
            target = target[step]


def test_every_limit_is_described() -> None:
    limits = DOCUMENT["components"]["schemas"]["Limits"]["properties"]
    assert all(limit["description"] for limit in limits.values())


def payload_of(name: str) -> dict[str, Any]:
    """Return the schema of a message's payload."""
    schema = MESSAGES[name]["payload"]["$ref"].rpartition("/")[2]
    payload: dict[str, Any] = DOCUMENT["components"]["schemas"][schema]
    return payload


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for each in node for found in _references(each)]
    if isinstance(node, dict):
        references = [node["$ref"]] if "$ref" in node else []
        return references + [found for each in node.values() for found in _references(each)]
    return []
