"""Client messages: valid ones are parsed, and others are refused with an error."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.evaluation.streaming import least_s
from inkstream.service.protocol import client_messages as requests
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.client_messages import (
    ALLOWED,
    CLIENT_TYPES,
    ID_ALLOWED,
    WHOLE_ALLOWED,
    parse_client,
)
from inkstream.service.protocol.columns import unpack_columns
from inkstream.service.protocol.errors import (
    ColumnsError,
    InkError,
    JsonError,
    MessageError,
    TypeUnknownError,
    ValueRefusedError,
)
from inkstream.service.protocol.server_messages import encode
from inkstream.service.protocol.strokes import MAX_STROKES, json_strokes


def error_of(text: str) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse_client(text)
    return caught.value


# Valid messages


def test_unknown_fields_are_ignored() -> None:
    assert parse_client('{"type":"flush","colour":"red"}') == requests.Flush(type="flush")


def test_configure_remembers_which_fields_were_given() -> None:
    message = parse_client('{"type":"configure","characters":null,"top_k":3}')
    assert message.model_fields_set == {"type", "characters", "top_k"}


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_client('{"type":"rewind","column":12}').column = 3  # type: ignore[attr-defined]


def test_the_types_named_in_errors_are_those_that_are_read() -> None:
    fields = {"column": 0, "strokes": [], "height": 9, "digest": ""}
    for kind in CLIENT_TYPES:
        message = parse_client(json.dumps({"type": kind, "columns": [[1]], **fields}))
        assert type(message).__name__.lower() == kind


def test_every_field_has_a_text_about_allowed_values() -> None:
    kinds = requests.ClientMessage.__subclasses__()
    fields = {name for kind in kinds for name in kind.model_fields}
    assert ALLOWED.keys() == fields - {"type", "columns", "strokes"}


# Texts that are no messages


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "EOF while parsing"),
        ("{", "EOF while parsing an object"),
        ("{'type': 'ping'}", "key must be a string"),
        ('{"type":"ping"} and more', "trailing characters"),
        ('{"type":"ping",}', "trailing comma"),
        ("[" * 5_000, "recursion limit exceeded"),
        ('{"type":"ping","x":' + "[" * 5_000 + "]" * 5_000 + "}", "recursion limit exceeded"),
        ('{"type":' * 4_000, "recursion limit exceeded"),
        ('{"type":"rewind","column":' + "9" * 5_000 + "}", "number out of range"),
        ('{"type":"ping","id":"\\ud800"}', "hex escape"),
        ("\x00", "expected value"),
    ],
)
def test_the_error_of_broken_json_names_the_fault(text: str, reason: str) -> None:
    error = error_of(text)
    assert type(error) is JsonError
    assert str(error).startswith("text frame is not JSON: ")
    assert reason in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[]", "an array"),
        ("3", "3"),
        ("null", "null"),
        ("true", "true"),
        ('"columns"', '"columns"'),
        ("NaN", "NaN"),
    ],
)
def test_json_that_is_no_object_is_refused(text: str, value: str) -> None:
    error = error_of(text)
    assert type(error) is JsonError
    assert str(error) == f"message is {value}, expected an object with a type"


@pytest.mark.parametrize(
    ("message", "value"),
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
def test_a_missing_or_unknown_type_lists_the_known_ones(message: object, value: str) -> None:
    error = error_of(json.dumps(message))
    assert type(error) is TypeUnknownError
    known = "columns, ink, configure, rewind, flush, reset, ping, end, resume"
    assert str(error) == f"{value}, allowed: {known}"


# Faulty fields


@pytest.mark.parametrize(
    ("columns", "reason"),
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
def test_the_error_of_a_faulty_pixel_or_column_names_its_index(columns: str, reason: str) -> None:
    message = parse_client('{"type":"columns","id":"c","columns":' + columns + "}")
    assert isinstance(message, requests.Columns)
    height = 2 if columns == "[[1,300]]" else 1
    with pytest.raises(ColumnsError) as caught:
        unpack_columns(message.columns, height, 9, message.id)
    assert str(caught.value) == reason
    assert caught.value.ref == "c"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "columns"}, "columns has no columns"),
        ({"type": "rewind"}, "rewind has no column"),
        ({"type": "resume"}, "resume has no digest"),
        *(
            ({"type": "rewind", "column": given}, f"column is {shown}, allowed: {WHOLE_ALLOWED}")
            for given, shown in [
                *((-1, "-1"), ("3", '"3"'), (1.5, "1.5"), (None, "null")),
                (10**300, "1" + "0" * 39 + "..."),
            ]
        ),
        *(
            ({"type": kind, name: given}, f"{name} is {shown}, allowed: {ALLOWED[name]}")
            for kind, name, given, shown in [
                ("configure", "results", "second", '"second"'),
                ("configure", "results", None, "null"),
                ("configure", "top_k", 0, "0"),
                ("configure", "top_k", "all", '"all"'),
                ("configure", "characters", "", '""'),
                ("configure", "characters", [1], "an array"),
                ("configure", "line_end_columns", -3, "-3"),
                ("configure", "language", 3, "3"),
                ("configure", "words", "one", '"one"'),
                ("configure", "context", None, "null"),
                ("configure", "pattern", [], "an array"),
                ("configure", "snapshot_columns", 63, "63"),
                ("configure", "snapshot_columns", False, "false"),
                ("configure", "snapshot_columns", 0.0, "0.0"),
                ("configure", "snapshot_columns", None, "null"),
                ("ink", "undo", 1.5, "1.5"),
                ("ink", "pause", "yes", '"yes"'),
                ("ink", "height", 0, "0"),
                ("resume", "heard", -1, "-1"),
                ("resume", "heard", ["a"], "an array"),
                ("resume", "digest", 3, "3"),
                ("resume", "options", [], "an array"),
                ("resume", "snapshot", 3, "3"),
            ]
        ),
        ({"type": "configure", "words": ["one", 2]}, "word 1 is 2, allowed: a text"),
    ],
)
def test_the_error_of_a_faulty_field_names_what_came_and_what_is_allowed(
    fields: dict[str, Any], reason: str
) -> None:
    needed = {"digest": ""} if len(fields) > 1 else {}
    error = error_of(json.dumps(needed | fields | {"id": 9}))
    assert type(error) is ValueRefusedError
    assert str(error) == reason
    assert error.ref == 9


@pytest.mark.parametrize(
    ("strokes", "reason"),
    [
        ("7", "strokes is 7, expected an array of strokes"),
        ("[7]", "stroke 0 is 7, expected an object with points"),
        ("[[[1,2]]]", "stroke 0 is an array, expected an object with points"),
        ("[{}]", "stroke 0 has no points"),
        ('[{"points":null}]', "points of stroke 0 is null, allowed: an array of points"),
        ('[{"points":7}]', "points of stroke 0 is 7, allowed: an array of points"),
        ('[{"points":[]},{"points":[[1]]}]', "point 0 of stroke 1 is [1]"),
        ('[{"points":[[1,2,3],[1]]}]', "point 1 of stroke 0 is [1]"),
        ('[{"points":[[1,NaN]]}]', "point 0 of stroke 0 is [1, NaN]"),
        ('[{"points":[[1,1e400]]}]', "point 0 of stroke 0 is [1, Infinity]"),
        ('[{"points":[[1,"2"]]}]', 'point 0 of stroke 0 is [1, "2"]'),
        ('[{"points":[[1,true]]}]', "point 0 of stroke 0 is [1, true]"),
        ('[{"points":[[1,null]]}]', "point 0 of stroke 0 is [1, null]"),
        ('[{"points":[null]}]', "point 0 of stroke 0 is null"),
        ('[{"points":["%s"]}]' % ("x" * 99), 'point 0 of stroke 0 is "' + "x" * 39 + "..."),
        ('[{"points":[],"id":[]}]', f"id of stroke 0 is an array, allowed: {ID_ALLOWED}"),
        ('[{"points":[],"last":null}]', "last of stroke 0 is null, allowed: true or false"),
        ('[{"points":[],"last":0}]', "last of stroke 0 is 0, allowed: true or false"),
    ],
)
def test_the_error_of_a_faulty_stroke_or_point_names_its_index(strokes: str, reason: str) -> None:
    error = error_of('{"type":"ink","id":"i","height":9,"strokes":' + strokes + "}")
    assert type(error) is InkError
    assert str(error).startswith(reason)
    assert error.ref == "i"


@pytest.mark.parametrize("ref", [True, 1.5, [], {}, 2**53, "x" * 129])
def test_an_id_that_cannot_be_echoed_is_refused_and_not_echoed(ref: object) -> None:
    error = error_of(json.dumps({"type": "ping", "id": ref}))
    assert type(error) is ValueRefusedError
    assert str(error).startswith("id is ")
    assert error.ref is None


@pytest.mark.parametrize("ref", [0, -5, 2**53 - 1, "", "x" * 128, 'é"\\', None])
def test_an_id_is_kept_as_it_is(ref: int | str | None) -> None:
    assert parse_client(json.dumps({"type": "ping", "id": ref})).id == ref


# Messages that are as dear as possible

N_PARTS = 16_000


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"configure","words":[' + "0," * 120_000 + "0]}",
        '{"type":"ink","strokes":[' + "0," * 120_000 + "0]}",
        '{"type":"ink","strokes":[{"points":[' + "0," * 120_000 + "0]}]}",
        '{"type":"columns","columns":[' + "0," * 120_000 + "0]}",
        '{"type":"ping","id":[' + "{}," * N_PARTS + "{}]}",
        '{"type":"ink","strokes":[' + '{"points":[]},' * (N_PARTS // 2) + "{}]}",
        '{"type":"ink","strokes":[' + "[]," * 85_000 + "{}]}",
        '{"type":"sing","notes":[' + "{}," * 85_000 + "{}]}",
    ],
)
def test_no_message_takes_long_to_read(text: str) -> None:
    def read() -> None:
        with suppress(MessageError):
            parse_client(text)

    assert least_s(read) < 0.015


def test_more_arrays_and_objects_than_allowed_are_refused() -> None:
    text = '{"type":"ping","x":[[],{}]}'
    assert parse_client(text, 4) == requests.Ping(type="ping")
    with pytest.raises(MessageError, match="4 arrays and objects in one message, allowed: 3"):
        parse_client(text, 3)


# Any text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
ALMOST_MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(CLIENT_TYPES) | VALUES},
    optional=dict.fromkeys(
        ("id", "columns", "column", "strokes", "height", "undo", "top_k", "results", "heard"),
        VALUES,
    ),
)


@given(text=st.text() | VALUES.map(json.dumps) | ALMOST_MESSAGES.map(json.dumps))
def test_any_text_gives_a_message_or_an_error(text: str) -> None:
    answer: requests.ClientMessage | messages.Error
    try:
        answer = parse_client(text)
    except MessageError as error:
        answer = messages.Error(code=error.code, message=str(error), fatal=False, ref=error.ref)
    assert isinstance(answer, requests.ClientMessage) or 80 < len(encode(answer)) < 500


def test_too_many_strokes_of_a_body_are_refused_before_they_are_read() -> None:
    dots = [[[1, 1]]] * MAX_STROKES
    assert len(json_strokes({"strokes": dots})[0]) == MAX_STROKES
    with pytest.raises(InkError, match="8193 strokes, allowed: up to 8192"):
        json_strokes({"strokes": [*dots, "not even looked at"]})
