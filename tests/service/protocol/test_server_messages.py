"""The server's messages are encoded as documented, and a client parses them."""

import json
from typing import get_args

import pytest
from pydantic import BaseModel, TypeAdapter

from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.client_messages import MAX_REF_CHARACTERS
from inkstream.service.protocol.errors import JsonError
from inkstream.service.protocol.server_messages import (
    Limits,
    Result,
    ServerMessage,
    encode,
    parse_server,
)
from tools.asyncapi import FROM_SERVER, OF_A_TRANSCRIBER


@pytest.mark.parametrize("column_height", [1, 16, 28, 32, 64, 500])
@pytest.mark.parametrize("max_frame_bytes", [2048, 65_536, Limits().max_frame_bytes])
def test_as_many_columns_as_a_message_may_have_fit_into_it_as_json(
    column_height: int, max_frame_bytes: int
) -> None:
    limits = Limits(max_frame_bytes=max_frame_bytes).of_columns(column_height)
    n_columns = limits.max_message_columns
    columns = [[255] * column_height] * n_columns
    text = json.dumps({"type": "columns", "id": "\0" * MAX_REF_CHARACTERS, "columns": columns})
    assert len(text) <= max_frame_bytes or n_columns == 1


def test_with_default_limits_2048_columns_of_the_served_models_fit() -> None:
    for column_height in (28, 32):
        assert Limits().of_columns(column_height).max_message_columns == 2048


def test_a_result_of_a_classifier_is_sent_without_letter_end_and_text() -> None:
    text = encode(Result(epoch=2, column=41, probabilities={"7": 0.123457, "1": 0.0}))
    assert text == (
        '{"type":"result","epoch":2,"column":41,"probabilities":{"7":0.123457,"1":0.0}}'
    )


def test_a_transcribers_result_adds_letter_end_and_text() -> None:
    result = Result(1, 7, {"a": 0.75, '"': 0.2}, letter_end=0.5, text='sa "ß%d')
    text = encode(result)
    assert text == (
        '{"type":"result","epoch":1,"column":7,"probabilities":{"a":0.75,"\\"":0.2},'
        '"letter_end":0.5,"text":"sa \\"ß%d"}'
    )
    assert parse_server(text) == result


def test_pydantic_writes_a_result_as_we_do_but_for_the_order_of_its_fields() -> None:
    result = Result(1, 7, {"a": 0.75, "ß": 1e-6}, letter_end=0.5, text="ß", stable=3)
    assert json.loads(TypeAdapter(Result).dump_json(result)) == json.loads(encode(result))


@pytest.mark.parametrize("label", ['"', "%", "%s", "\\", "é", "ß%d", "\n", "two words"])
def test_any_label_is_read_back_from_json(label: str) -> None:
    result = Result(epoch=0, column=0, probabilities={label: 0.25, "other": 0.75})
    assert parse_server(encode(result)) == result


def test_every_server_message_is_parsed_as_it_was_encoded() -> None:
    examples: list[ServerMessage] = [
        *FROM_SERVER.values(),
        *OF_A_TRANSCRIBER.values(),
        Result(epoch=0, column=3, probabilities={"a": 0.5}, letter_end=0.25, text="a\u00df"),
        messages.Configured(top_k=1, characters="01"),
        messages.Rewound(id=4, epoch=1, column=2, label=None),
        messages.Rewound(id=4, epoch=1, column=2, text="", letters=3, words=1),
        messages.Flushed(epoch=1, columns=2, label="1"),
        messages.Flushed(epoch=1, columns=2, text="a."),
        messages.ResetDone(epoch=2),
        messages.Pong(id=""),
        messages.Error(code="bad_value", message="é", fatal=False, index=0, ref="x"),
        messages.Done(columns=2, letters=2, words=1, text="a.", seconds=0.25),
    ]
    assert {type(message) for message in examples} == set(get_args(ServerMessage))
    for message in examples:
        assert parse_server(encode(message)) == message


def test_an_answer_carries_a_label_or_a_text_but_not_both() -> None:
    label = json.loads(encode(messages.Flushed(epoch=1, columns=0)))
    text = json.loads(encode(messages.Flushed(epoch=1, columns=0, text="")))
    assert label == {"type": "flushed", "id": None, "epoch": 1, "columns": 0, "label": None}
    assert text == {"type": "flushed", "id": None, "epoch": 1, "columns": 0, "text": ""}


def test_a_server_message_carries_all_its_other_fields() -> None:
    assert json.loads(encode(messages.Pong())) == {"type": "pong", "id": None}
    error = messages.Error(code="idle", message="m", fatal=True)
    assert json.loads(encode(error)).keys() == {
        *("type", "code", "message", "fatal", "index", "ref")
    }
    assert all(issubclass(kind, BaseModel) or kind is Result for kind in get_args(ServerMessage))


@pytest.mark.parametrize("text", ["", "[]", '{"type":"ping"}', '{"type":"pong","id":[]}'])
def test_a_text_that_is_no_server_message_is_refused(text: str) -> None:
    with pytest.raises(JsonError, match=r"not a server's message of inkstream\.v1"):
        parse_server(text)
