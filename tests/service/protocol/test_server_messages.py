"""The server's messages are encoded as documented, and a client parses them."""

import json
from typing import get_args

import pytest
from pydantic import BaseModel, TypeAdapter

from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.client_messages import MAX_REF_CHARACTERS
from inkstream.service.protocol.errors import JsonError
from inkstream.service.protocol.server_messages import (
    Answer,
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
    assert n_columns >= 1
    assert len(text) <= max_frame_bytes or n_columns == 1


def test_with_default_limits_2048_columns_of_the_served_models_fit() -> None:
    for column_height in (28, 32):
        assert Limits().of_columns(column_height).max_message_columns == 2048


PAIRS = [("a", 0.75), ('"', 0.2), ("%s", 1e-6), ("\\", 0.0), ("\u00df", 0.0), ("\n", 0.0)]
DIGIT = '"probabilities":[["7",0.123457],["1",0.0]]'
LETTER = '"probabilities":[["a",0.75],["\\"",0.2]],"letter_end":0.5,"stable":3,"text":"a\\"\u00df"'
RESULTS = [
    (Result(41, [("7", 0.123457), ("1", 0.0)], seq=3), DIGIT),
    (Result(7, [("a", 0.75), ('"', 0.2)], 0.5, 3, 'a"\u00df', 3), LETTER),
]


@pytest.mark.parametrize(("result", "fields"), RESULTS)
def test_a_result_is_encoded_in_any_of_its_forms_and_read_back(result: Result, fields: str) -> None:
    text = f'{{"type":"result","seq":3,"column":{result.column},{fields}}}'.encode()
    assert encode(result) == text
    assert parse_server(text) == result
    assert json.loads(text).items() <= json.loads(TypeAdapter(Result).dump_json(result)).items()


EXAMPLES: list[ServerMessage] = [
    *FROM_SERVER.values(),
    *OF_A_TRANSCRIBER.values(),
    Result(3, PAIRS, 0.25, 0, "a\u00df", seq=2),
    messages.Configured(top_k=1, characters="01", seq=2),
    messages.Rewound(id=4, column=2, label=None, seq=9),
    messages.Revised(seq=0, column=2, text="", letters=3, words=1),
    messages.Revised(seq=8, column=2, text="", frame=messages.Frame(top=0.5, height=9.0)),
    messages.Flushed(columns=2, label="1", seq=1),
    messages.LineEnd(columns=2, text="a.", messages=3, rest_columns=1, seq=1),
    messages.ResetDone(seq=2),
    messages.Pong(id=""),
    messages.Error(code="bad_value", message="\u00e9", fatal=False, index=0, ref="x"),
    messages.Done(columns=2, letters=2, words=1, text="a.", seq=7),
]


def test_every_server_message_is_parsed_as_it_was_encoded() -> None:
    assert {type(message) for message in EXAMPLES} == set(get_args(ServerMessage))
    for message in EXAMPLES:
        assert parse_server(encode(message)) == message


def test_fields_that_a_message_lacks_are_not_sent_and_all_others_are() -> None:
    assert all(issubclass(kind, BaseModel) or kind is Result for kind in get_args(ServerMessage))
    optional = {"seq", "label", "text", "frame", "letter_end", "stable"}
    for message in EXAMPLES:
        fields = json.loads(encode(message))
        names = {*type(message).model_fields} if isinstance(message, BaseModel) else {*fields}
        assert names - fields.keys() <= optional
        assert ("seq" in fields) == (getattr(message, "seq", None) is not None)
        if isinstance(message, Answer):
            assert ("label" in fields) == (message.text is None) != ("text" in fields)


@pytest.mark.parametrize("text", ["", "[]", '{"type":"ping"}', '{"type":"pong","id":[]}'])
def test_a_text_that_is_no_server_message_is_refused(text: str) -> None:
    with pytest.raises(JsonError, match=r"not a server's message of inkstream\.v1"):
        parse_server(text)
