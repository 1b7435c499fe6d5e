"""The conversations are the same in every run, and cover the protocol."""

import json
from typing import Any

import numpy as np
import pytest

from inkstream.service.protocol.client_messages import CLIENT_TYPES, Configure
from tools.conversations import Conversation, conversations
from tools.handwriting import Handwriting, Sample
from tools.requests import requests


@pytest.fixture(scope="module")
def handwriting() -> Handwriting:
    """Return made-up handwriting: 8 digits, 10 words and a line."""
    random = np.random.default_rng(1)

    def sample(width: int) -> Sample:
        strokes = [random.uniform(0, (width, 30), (9, 2)) for _ in range(3)]
        columns = random.integers(0, 256, (width, 32)).astype(np.uint8)
        return Sample(
            " ".join(f"w{n}" for n in random.integers(99, size=9)), strokes, 32.0, columns
        )

    digits = random.integers(0, 256, (8, 28, 28)).astype(np.uint8)
    return Handwriting(digits, [sample(40) for _ in range(10)], [sample(200)])


def messages(all_conversations: list[Conversation]) -> list[dict[str, Any]]:
    """Return all text frames that are objects with a type."""
    found = []
    for conversation in all_conversations:
        for frame in conversation.frames:
            try:
                value = json.loads(frame.data) if isinstance(frame.data, str) else None
            except ValueError:
                continue
            if isinstance(value, dict) and "type" in value:
                found.append(value)
    return found


def test_conversations_are_the_same_in_every_run(handwriting: Handwriting) -> None:
    assert conversations(handwriting) == conversations(handwriting)
    assert requests(handwriting) == requests(handwriting)


def test_more_than_300_conversations_have_all_client_messages(handwriting: Handwriting) -> None:
    all_conversations = conversations(handwriting)
    assert len(all_conversations) > 300
    assert {str(each["type"]) for each in messages(all_conversations)} >= set(CLIENT_TYPES)


def test_every_option_of_configure_is_used(handwriting: Handwriting) -> None:
    names = {name for each in messages(conversations(handwriting)) for name in each}
    assert names >= set(Configure.model_fields)
