"""What the AsyncAPI description refuses, a session refuses, and nothing else that it can say."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.client_messages import parse_client
from inkstream.service.protocol.errors import MessageError
from inkstream.service.protocol.server_messages import Error
from tests.helpers.invalid_messages import INVALID_MESSAGES
from tests.helpers.single_session import LIMITS, SessionClient
from tools import asyncapi

DOCUMENT = asyncapi.document()
UNSAYABLE = ("\\ud800", "NaN", "1e400", ".0")  # no JSON, no finite number, or 1.0 for 1


def is_described(message: dict[str, Any]) -> bool:
    """Return whether the description allows a message."""
    payload = DOCUMENT["components"]["messages"][message["type"]]["payload"]
    schema = {**payload, "components": DOCUMENT["components"]}
    return bool(Draft202012Validator(schema).is_valid(message))


def known_messages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield texts that are JSON objects of a known type, and these objects."""
    for text in INVALID_MESSAGES:
        try:
            message = json.loads(text)
        except ValueError:
            continue
        if isinstance(message, dict) and message.get("type") in list(asyncapi.FROM_CLIENT):
            yield text, message


def test_a_session_refuses_what_the_description_refuses(line_net: Runtime) -> None:
    n_refused = 0
    for text, message in known_messages():
        if not is_described(message):
            n_refused += 1
            client = SessionClient(line_net, LIMITS.model_copy(update={"max_message_points": 9999}))
            assert any(isinstance(each, Error) for each in client.ask(text)), text
    assert n_refused > 1000


def test_what_no_message_may_be_is_described_as_far_as_a_schema_can_say_it() -> None:
    for text, message in known_messages():
        try:
            parse_client(text)
        except MessageError:
            assert not is_described(message) or any(each in text for each in UNSAYABLE), text


@pytest.mark.parametrize("name", [*asyncapi.FROM_CLIENT, *asyncapi.FROM_SERVER])
def test_examples_are_as_described(name: str) -> None:
    examples = DOCUMENT["components"]["messages"][name]["examples"]
    assert examples
    assert all(is_described(example["payload"]) for example in examples)


def test_a_configure_has_no_defaults_because_what_is_absent_stays() -> None:
    fields = DOCUMENT["components"]["schemas"]["Configure"]["properties"]
    assert [name for name, field in fields.items() if "default" in field] == ["id"]


def test_the_description_says_how_to_be_let_in() -> None:
    (server,) = DOCUMENT["servers"].values()
    named = [each["$ref"].rpartition("/")[2] for each in server["security"]]
    assert named == list(DOCUMENT["components"]["securitySchemes"])
