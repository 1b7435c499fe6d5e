"""Text frames that are invalid, or almost: messages of all types with one value replaced."""

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.helpers.mutations import MESSAGES

VALUES: Final[list[Any]] = [
    *(None, True, 0, -1, 1.0, 1.5, 63, 1000, 70_000, 2**53 - 1, 2**53, -(2**53), 10**30),
    *(-1e300, 1e308, 1e-320, "", "3", "☃", "\0", "a b", "klingon", "[z-a]", "a{999}"),
    *("x" * n for n in (128, 129, 257, 4097)),  # each of the three longer than a field may be
    *([], {}, [[]], [5], [None], [""], [[0] * 27], ["a"] * 5000, {"points": None}),
]
NO_MESSAGES: Final = [
    *("", "{", "[]", "null", "7", '"ping"', "{}", "NaN", "\ufeff{}", '{"type":"ping"} x'),
    *('{"type":7}', '{"type":null}', '{"type":"sing"}', '{"type":["ping"]}', '{"type":"PING"}'),
    *('  {"type":"ping"}  ', '{"type":"ping","id":1,"id":2}', '{"type":"ping","colour":"blue"}'),
    *('{"type":"ping",}', '{"type":"ping","id":"\\ud800"}', '{"type":"ping","id":"\\u0000"}'),
    *("[" * 300 + "]" * 300, '{"type":"ping","id":' + "[" * 300 + "]" * 300 + "}"),
    *('{"type":"sing","id":1}', '{"type":"columns","columns":[[NaN]]}'),
    *('{"type":"ink","height":32,"strokes":[{"points":[[1e400,1]]}]}', '{"type":"rewind"}'),
]


def replaced(value: Any) -> Iterator[Any]:
    """Yield a value with one part of it replaced; of an array only the first element is."""
    yield from VALUES
    if isinstance(value, dict):
        for name in value:
            yield from (value | {name: part} for part in replaced(value[name]))
    if isinstance(value, list) and value:
        yield from ([part, *value[1:]] for part in replaced(value[0]))


INVALID_MESSAGES: Final = NO_MESSAGES + [
    json.dumps(message | {name: part}, ensure_ascii=False)
    for message in MESSAGES
    for name in sorted(message.keys() - {"type"} | {"id", "colour"})
    for part in replaced(message.get(name))
]
