"""Says what is wrong with a text frame that is not one of the client's messages.

pydantic finds the fault; here its first complaint is put into our words: what came and what is
allowed.
"""

from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from inkstream.service.protocol.columns import columns_fault
from inkstream.service.protocol.errors import (
    ColumnsError,
    InkError,
    JsonError,
    MessageError,
    Ref,
    TypeUnknownError,
    ValueRefusedError,
    described,
)
from inkstream.service.protocol.strokes import HEIGHT_ALLOWED, strokes_fault

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
    "height": HEIGHT_ALLOWED,
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


def explain(text: str | bytes, error: ValidationError) -> MessageError:
    """The error to answer a text frame with that gave this validation error."""
    try:
        message = from_json(text)
    except ValueError as broken:
        return JsonError(f"text frame is not JSON: {broken}")
    if not isinstance(message, dict):
        return JsonError(f"message is {described(message)}, expected an object with a type")
    fault = error.errors(include_url=False, include_input=False)[0]
    if fault["loc"]:
        return _explain_field(message, fault["type"], fault["loc"][1:])
    got = f"type is {described(message['type'])}" if "type" in message else "message has no type"
    return TypeUnknownError(f"{got}, allowed: {', '.join(CLIENT_TYPES)}", _ref(message))


def _explain_field(
    message: dict[str, Any], fault: str, where: tuple[int | str, ...]
) -> MessageError:
    name, ref = str(where[0]), _ref(message)
    if fault == "missing" and len(where) == 1:
        return ValueRefusedError(f"{message['type']} has no {name}", ref)
    if name == "columns":
        return ColumnsError(columns_fault(message["columns"], where[1:]), ref)
    if name == "strokes":
        return InkError(strokes_fault(message["strokes"], where[1:], ID_ALLOWED), ref)
    if name == "words" and len(where) > 1:
        word = int(where[1])
        return ValueRefusedError(
            f"word {word} is {described(message[name][word])}, allowed: a text", ref
        )
    return ValueRefusedError(f"{name} is {described(message[name])}, allowed: {ALLOWED[name]}", ref)


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
