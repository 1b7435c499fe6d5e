"""The wire messages: what is read, what is refused with which words, and what is written."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from service import events, messages, requests
from service.errors import (
    ColumnsError,
    InkError,
    JsonError,
    MessageError,
    NotOfferedError,
    TypeUnknownError,
    ValueRefusedError,
)
from service.faults import CLIENT_TYPES
from service.messages import Result, ServerMessage, encode, parse_server
from service.requests import parse_client


def refusal(text: str | bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse_client(text)
    return caught.value


# What a client may say


def test_a_message_is_read_into_the_model_of_its_type() -> None:
    assert parse_client('{"type":"rewind","column":12,"id":"r1"}') == requests.Rewind(
        type="rewind", column=12, id="r1"
    )


def test_bytes_are_read_like_text() -> None:
    assert parse_client(b'{"type":"ping","id":7}') == requests.Ping(type="ping", id=7)


def test_unknown_fields_are_ignored() -> None:
    assert parse_client('{"type":"flush","colour":"red"}') == requests.Flush(type="flush")


def test_columns_are_read_as_whole_numbers() -> None:
    message = parse_client('{"type":"columns","columns":[[0,255],[7,8]]}')
    assert isinstance(message, requests.Columns)
    assert message.columns == [[0, 255], [7, 8]]


def test_configure_remembers_which_fields_were_given() -> None:
    message = parse_client('{"type":"configure","characters":null,"top_k":3}')
    assert message.model_fields_set == {"type", "characters", "top_k"}


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_client('{"type":"rewind","column":12}').column = 3  # type: ignore[attr-defined]


def test_the_types_named_in_errors_are_those_that_are_read() -> None:
    fields = {"column": 0, "columns": [[1]], "strokes": [], "height": 9}
    for kind in CLIENT_TYPES:
        message = parse_client(json.dumps({"type": kind, **fields}))
        assert type(message).__name__.lower() == kind


# What is not a message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "EOF while parsing"),
        ("{", "EOF while parsing an object"),
        ("{'type': 'ping'}", "key must be a string"),
        ('{"type":"ping"} and more', "trailing characters"),
        ('{"type":"ping",}', "trailing comma"),
        ("[" * 50_000, "recursion limit exceeded"),
        ('{"type":"ping","x":' + "[" * 50_000 + "]" * 50_000 + "}", "recursion limit exceeded"),
        ('{"type":' * 50_000, "recursion limit exceeded"),
        ('{"type":"rewind","column":' + "9" * 5_000 + "}", "number out of range"),
        ('{"type":"ping","id":"\\ud800"}', "hex escape"),
        (b'{"type":"ping","id":"\xff"}', "invalid unicode"),
        ("\x00", "expected value"),
    ],
)
def test_broken_json_says_what_is_wrong_and_where(text: str | bytes, words: str) -> None:
    error = refusal(text)
    assert type(error) is JsonError
    assert str(error).startswith("text frame is not JSON: ")
    assert words in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("[]", "an array"),
        ("3", "3"),
        ("null", "null"),
        ("true", "true"),
        ('"columns"', '"columns"'),
        ("NaN", "NaN"),
    ],
)
def test_json_that_is_no_object_is_refused(text: str, got: str) -> None:
    error = refusal(text)
    assert type(error) is JsonError
    assert str(error) == f"message is {got}, expected an object with a type"


@pytest.mark.parametrize(
    ("message", "got"),
    [
        ({}, "message has no type"),
        ({"type": None}, "type is null"),
        ({"type": 3}, "type is 3"),
        ({"type": True}, "type is true"),
        ({"type": ["ping"]}, "type is an array"),
        ({"type": {"type": "ping"}}, "type is an object"),
        ({"type": "Ping"}, 'type is "Ping"'),
        ({"type": "z" * 999}, 'type is "' + "z" * 39 + "..."),
        ({"type": "result"}, 'type is "result"'),
    ],
)
def test_a_missing_or_unknown_type_lists_the_known_ones(message: object, got: str) -> None:
    error = refusal(json.dumps(message))
    assert type(error) is TypeUnknownError
    known = "columns, ink, configure, rewind, flush, reset, ping, end"
    assert str(error) == f"{got}, allowed: {known}"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"undo": 3}, "undo is not offered yet; a rewind is"),
        ({"undo": 3, "strokes": [], "height": 1}, "undo is not offered yet; a rewind is"),
        (
            {"strokes": [{"id": 1, "points": [[0, 0]], "last": False}], "height": 1},
            "last of stroke 0 is false: pieces of strokes are not offered yet",
        ),
    ],
)
def test_what_the_protocol_knows_of_ink_but_is_not_offered_is_said_so(
    fields: dict[str, Any], words: str
) -> None:
    error = refusal(json.dumps({"type": "ink", "id": 5, **fields}))
    assert type(error) is NotOfferedError
    assert error.ref == 5
    assert str(error) == words


# Faulty fields


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("[[1,300]]", "pixel 1 of column 0 is 300, allowed: whole numbers 0..255"),
        ("[[1],[-1]]", "pixel 0 of column 1 is -1, allowed: whole numbers 0..255"),
        ("[[NaN]]", "pixel 0 of column 0 is NaN, allowed: whole numbers 0..255"),
        ("[[Infinity]]", "pixel 0 of column 0 is Infinity, allowed: whole numbers 0..255"),
        ("[[1e400]]", "pixel 0 of column 0 is Infinity, allowed: whole numbers 0..255"),
        ("[[0.5]]", "pixel 0 of column 0 is 0.5, allowed: whole numbers 0..255"),
        ("[[1.0]]", "pixel 0 of column 0 is 1.0, allowed: whole numbers 0..255"),
        ('[["7"]]', 'pixel 0 of column 0 is "7", allowed: whole numbers 0..255'),
        ("[[null]]", "pixel 0 of column 0 is null, allowed: whole numbers 0..255"),
        ("[[true]]", "pixel 0 of column 0 is true, allowed: whole numbers 0..255"),
        ("[[[1]]]", "pixel 0 of column 0 is an array, allowed: whole numbers 0..255"),
        ("[[1],2]", "column 1 is 2, expected an array of pixels"),
        ("[1,2,3]", "column 0 is 1, expected an array of pixels"),
        ("7", "columns is 7, expected an array of columns"),
        ("null", "columns is null, expected an array of columns"),
        ('"AAAA"', 'columns is "AAAA", expected an array of columns'),
        ('{"0":[1]}', "columns is an object, expected an array of columns"),
    ],
)
def test_a_faulty_pixel_or_column_is_named_with_its_place(columns: str, words: str) -> None:
    error = refusal('{"type":"columns","id":"c","columns":' + columns + "}")
    assert type(error) is ColumnsError
    assert str(error) == words
    assert error.ref == "c"


def test_only_the_first_of_many_faulty_pixels_is_looked_at() -> None:
    error = refusal(json.dumps({"type": "columns", "columns": [[999] * 28] * 2000}))
    assert str(error) == "pixel 0 of column 0 is 999, allowed: whole numbers 0..255"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "columns"}, "columns has no columns"),
        ({"type": "rewind"}, "rewind has no column"),
        ({"type": "ink"}, "ink has no strokes"),
        ({"type": "ink", "strokes": []}, "ink has no height"),
        ({"type": "rewind", "column": -1}, "column is -1, allowed: greater than or equal to 0"),
        ({"type": "rewind", "column": "3"}, 'column is "3", allowed: a valid integer'),
        ({"type": "rewind", "column": 1.5}, "column is 1.5, allowed: a valid integer"),
        ({"type": "rewind", "column": None}, "column is null, allowed: a valid integer"),
        (
            {"type": "rewind", "column": 10**300},
            f"column is {'1' + '0' * 39}..., allowed: less than or equal to 9007199254740991",
        ),
        (
            {"type": "configure", "every": "second"},
            "every is \"second\", allowed: 'column' or 'message'",
        ),
        ({"type": "configure", "every": None}, "every is null, allowed: 'column' or 'message'"),
        (
            {"type": "configure", "polarity": "negative"},
            "polarity is \"negative\", allowed: 'ink-high' or 'ink-low'",
        ),
        ({"type": "configure", "top_k": 0}, "top_k is 0, allowed: greater than or equal to 1"),
        ({"type": "configure", "top_k": "all"}, 'top_k is "all", allowed: a valid integer'),
        (
            {"type": "configure", "characters": ""},
            'characters is "", allowed: at least 1 character',
        ),
        (
            {"type": "configure", "characters": [1]},
            "characters is an array, allowed: a valid string",
        ),
        (
            {"type": "configure", "line_end_columns": -3},
            "line_end_columns is -3, allowed: greater than or equal to 0",
        ),
    ],
)
def test_a_faulty_field_says_what_came_and_what_is_allowed(
    fields: dict[str, Any], words: str
) -> None:
    error = refusal(json.dumps(fields | {"id": 9}))
    assert type(error) is ValueRefusedError
    assert str(error) == words
    assert error.ref == 9


@pytest.mark.parametrize(
    ("strokes", "words"),
    [
        ("7", "strokes is 7, expected an array of strokes"),
        ("[7]", "stroke 0 is 7, expected an object with points"),
        ("[[[1,2]]]", "stroke 0 is an array, expected an object with points"),
        ("[{}]", "points of stroke 0 is null, allowed: an array of points"),
        ('[{"points":7}]', "points of stroke 0 is 7, allowed: an array of points"),
        ('[{"points":[]},{"points":[[1]]}]', "point 0 of stroke 1 is [1]"),
        ('[{"points":[[1,2],[1,2,3]]}]', "point 1 of stroke 0 is [1, 2, 3]"),
        ('[{"points":[[1,NaN]]}]', "point 0 of stroke 0 is [1, NaN]"),
        ('[{"points":[[1,1e400]]}]', "point 0 of stroke 0 is [1, Infinity]"),
        ('[{"points":[[1,"2"]]}]', 'point 0 of stroke 0 is [1, "2"]'),
        ('[{"points":[[1,true]]}]', "point 0 of stroke 0 is [1, true]"),
        ('[{"points":[[1,null]]}]', "point 0 of stroke 0 is [1, null]"),
        ('[{"points":[null]}]', "point 0 of stroke 0 is null"),
        ('[{"points":["%s"]}]' % ("x" * 99), 'point 0 of stroke 0 is "' + "x" * 39 + "..."),
        ('[{"points":[],"id":[]}]', "id of stroke 0 is an array, allowed: a whole number"),
    ],
)
def test_a_faulty_stroke_or_point_is_named_with_its_place(strokes: str, words: str) -> None:
    error = refusal('{"type":"ink","id":"i","height":9,"strokes":' + strokes + "}")
    assert type(error) is InkError
    assert str(error).startswith(words)
    assert error.ref == "i"


@pytest.mark.parametrize("height", ["0", "-3", "NaN", "1e400", '"9"', "null", "true"])
def test_a_height_that_is_none_is_refused(height: str) -> None:
    error = refusal('{"type":"ink","strokes":[],"height":' + height + "}")
    assert type(error) is ValueRefusedError
    assert str(error).startswith("height is ")


@pytest.mark.parametrize("ref", [True, 1.5, [], {}, 2**53, "x" * 129])
def test_an_id_that_cannot_be_echoed_is_refused_and_not_echoed(ref: object) -> None:
    error = refusal(json.dumps({"type": "ping", "id": ref}))
    assert type(error) is ValueRefusedError
    assert str(error).startswith("id is ")
    assert error.ref is None


@pytest.mark.parametrize("ref", [0, -5, 2**53 - 1, "", "x" * 128, 'é"\\', None])
def test_an_id_comes_through_as_it_is(ref: int | str | None) -> None:
    assert parse_client(json.dumps({"type": "ping", "id": ref})).id == ref


# Whatever comes

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NEARLY = st.fixed_dictionaries(
    {"type": st.sampled_from(CLIENT_TYPES) | VALUES},
    optional=dict.fromkeys(
        ("id", "columns", "column", "strokes", "height", "undo", "top_k", "every", "characters"),
        VALUES,
    ),
)


@given(text=st.text() | st.binary() | VALUES.map(json.dumps) | NEARLY.map(json.dumps))
def test_whatever_comes_is_a_message_or_a_fault_in_words(text: str | bytes) -> None:
    answer: requests.ClientMessage | messages.Error
    try:
        answer = parse_client(text)
    except MessageError as error:
        answer = messages.Error(code=error.code, message=str(error), fatal=False, ref=error.ref)
    assert isinstance(answer, requests.ClientMessage) or 80 < len(encode(answer)) < 500


# What the server says

NEARLY_A = events.Character(char="o", p=0.25)


def test_a_result_has_six_decimals() -> None:
    text = encode(Result(epoch=2, column=41, probabilities={"7": 0.12345678, "1": 1e-9}))
    assert text == (
        '{"type":"result","epoch":2,"column":41,"probabilities":{"7":0.123457,"1":0.000000}}'
    )


def test_a_transcribers_result_adds_a_letters_end_and_the_text() -> None:
    result = Result(1, 7, {"a": 0.75, '"': 0.2}, letter_end=0.5, text='sa "ß%d')
    text = encode(result)
    assert text.startswith('{"type":"result","epoch":1,"column":7,"probabilities":{"a":0.750000,')
    assert text.endswith('"letter_end":0.500000,"text":"sa \\"\\u00df%d"}')
    assert parse_server(text) == result


@pytest.mark.parametrize("label", ['"', "%", "%s", "\\", "é", "ß%d", "\n", "two words"])
def test_any_label_survives_the_way_through_json(label: str) -> None:
    result = Result(epoch=0, column=0, probabilities={label: 0.25, "other": 0.75})
    assert parse_server(encode(result)) == result


def test_every_server_message_is_read_back_as_it_was_written() -> None:
    limits = messages.Limits(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11.5, 12.0, 13, 14)
    said: list[ServerMessage] = [
        messages.Ready(
            session="s",
            model=messages.ServedModel(name="digits", version="1", kind="classifier"),
            labels=("0", "1"),
            column_height=28,
            limits=limits,
        ),
        Result(epoch=0, column=3, probabilities={"0": 0.5, "1": 0.5}),
        Result(epoch=0, column=3, probabilities={"a": 0.5}, letter_end=0.25, text="a\u00df"),
        events.Letter(
            id=0, char="a", start=1, end=4, column=5, confidence=0.5, alternatives=(NEARLY_A,)
        ),
        events.Punctuation(
            id=1, char=".", start=4, end=5, column=9, confidence=0.5, alternatives=()
        ),
        events.Word(
            id=0,
            text="a.",
            start=1,
            end=5,
            column=9,
            confidence=0.25,
            alternatives=(events.Spelling(text="o.", p=0.125),),
        ),
        messages.Configured(id="c", top_k=1, characters="01"),
        messages.Rewound(id=4, epoch=1, column=2, label=None),
        messages.Rewound(id=4, epoch=1, column=2, text="", letters=3, words=1),
        messages.Flushed(epoch=1, columns=2, label="1"),
        messages.Flushed(epoch=1, columns=2, text="a."),
        messages.ResetDone(epoch=2),
        messages.Pong(id=""),
        messages.Goaway(reason="the server is about to stop", time_left_ms=5000),
        messages.Error(code="bad_value", message="é", fatal=False, index=0, ref="x"),
        messages.Done(columns=2, label="1", seconds=0.25),
        messages.Done(columns=2, letters=2, words=1, text="a.", seconds=0.25),
    ]
    assert {type(message) for message in said} == set(get_args(ServerMessage))
    for message in said:
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
def test_what_is_no_server_message_is_refused(text: str) -> None:
    with pytest.raises(JsonError, match=r"not a server's message of inkstream\.v1"):
        parse_server(text)
