"""Says what is wrong with a text frame that is not one of the client's messages.

pydantic finds the fault; here its first complaint is put into our words: what came and what is
allowed.
"""

import json
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from inkstream.service.protocol.errors import (
    ColumnsError,
    InkError,
    JsonError,
    MessageError,
    Ref,
    TypeUnknownError,
    ValueRefusedError,
)

CLIENT_TYPES: Final = ("columns", "ink", "configure", "rewind", "flush", "reset", "ping", "end")
MAX_REF_CHARACTERS: Final = 128  # an id is echoed: it stays far smaller than a message
MAX_REF: Final = 2**53 - 1  # the largest whole number that a browser keeps exactly
ID_ALLOWED: Final = (
    f"a whole number up to 2**53 - 1, a text of at most {MAX_REF_CHARACTERS} characters, or null"
)
ALLOWED: Final = {  # in each field but columns and strokes
    "id": ID_ALLOWED,
    "undo": ID_ALLOWED,
    "pause": "true or false",
    "fit": "true or false",
    "height": "a number above 0, or null",
    "column": "a whole number from 0 to 2**53 - 1",
    "every": '"column" or "message"',
    "top_k": "a whole number from 1 to 2**53 - 1, or null",
    "polarity": '"ink-high" or "ink-low"',
    "characters": "a text of at least 1 character, or null",
    "line_end_columns": "a whole number from 0 to 2**53 - 1",
    "language_model": "a text, or null",
    "words": "an array of texts",
    "context": "a text",
    "pattern": "a text, or null",
}
MAX_SHOWN_CHARACTERS: Final = 40  # of a faulty value that an error quotes


def explain(text: str | bytes, error: ValidationError) -> MessageError:
    """The error to answer a text frame with that gave this validation error."""
    try:
        message = from_json(text)
    except ValueError as broken:
        return JsonError(f"text frame is not JSON: {broken}")
    if not isinstance(message, dict):
        return JsonError(f"message is {shown(message)}, expected an object with a type")
    fault = error.errors(include_url=False, include_input=False)[0]
    if fault["loc"]:
        return _explain_field(message, fault["type"], fault["loc"][1:])
    got = f"type is {shown(message['type'])}" if "type" in message else "message has no type"
    return TypeUnknownError(f"{got}, allowed: {', '.join(CLIENT_TYPES)}", _ref(message))


def _explain_field(
    message: dict[str, Any], fault: str, where: tuple[int | str, ...]
) -> MessageError:
    name, ref = str(where[0]), _ref(message)
    if fault == "missing" and len(where) == 1:
        return ValueRefusedError(f"{message['type']} has no {name}", ref)
    if name == "columns":
        return _explain_columns(message["columns"], where[1:], ref)
    if name == "strokes":
        return _explain_strokes(message["strokes"], where[1:], ref)
    if name == "words" and len(where) > 1:
        word = int(where[1])
        return ValueRefusedError(
            f"word {word} is {shown(message[name][word])}, allowed: a text", ref
        )
    return ValueRefusedError(f"{name} is {shown(message[name])}, allowed: {ALLOWED[name]}", ref)


def _explain_columns(columns: Any, where: tuple[int | str, ...], ref: Ref) -> ColumnsError:
    match where:
        case (int(column), int(pixel)):
            got = f"pixel {pixel} of column {column} is {shown(columns[column][pixel])}"
            return ColumnsError(f"{got}, allowed: whole numbers 0..255", ref)
        case (int(column),):
            got = f"column {column} is {shown(columns[column])}"
            return ColumnsError(f"{got}, expected an array of pixels", ref)
    return ColumnsError(f"columns is {shown(columns)}, expected an array of columns", ref)


def _explain_strokes(strokes: Any, where: tuple[int | str, ...], ref: Ref) -> MessageError:
    match where:
        case (int(stroke), "last"):
            got = f"last of stroke {stroke} is {shown(strokes[stroke]['last'])}"
            return InkError(f"{got}, allowed: true or false", ref)
        case (int(stroke), "points", int(point), *_):
            got = f"point {point} of stroke {stroke} is {spelt(strokes[stroke]['points'][point])}"
            return InkError(f"{got}, expected [x, y], two finite numbers", ref)
        case (int(stroke), "points") if "points" not in strokes[stroke]:
            return InkError(f"stroke {stroke} has no points", ref)
        case (int(stroke), str(name), *_):
            got = f"{name} of stroke {stroke} is {shown(strokes[stroke][name])}"
            allowed = "an array of points" if name == "points" else ID_ALLOWED
            return InkError(f"{got}, allowed: {allowed}", ref)
        case (int(stroke),):
            got = f"stroke {stroke} is {shown(strokes[stroke])}"
            return InkError(f"{got}, expected an object with points", ref)
    return InkError(f"strokes is {shown(strokes)}, expected an array of strokes", ref)


def shown(value: Any) -> str:
    """A few words for a value that came as JSON."""
    match value:
        case list():
            return "an array"
        case dict():
            return "an object"
    return spelt(value)


def spelt(value: Any) -> str:
    """The beginning of a value that came as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."


def _ref(message: dict[str, Any]) -> Ref:
    """The message's id, where it is one that may be echoed."""
    match message.get("id"):
        case bool():
            return None
        case int(number) if abs(number) <= MAX_REF:
            return number
        case str(name) if len(name) <= MAX_REF_CHARACTERS:
            return name
    return None
