"""Text frames that are invalid, or almost."""

import json
from collections.abc import Sequence
from typing import Any, Final


def message(kind: str, **fields: Any) -> str:
    """Return a client message as JSON."""
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def _with(kind: str, name: str, values: Sequence[Any]) -> list[str]:
    """Return a message for each value of one field."""
    return [message(kind, id=f"of {name}", **{name: value}) for value in values]


def _ink(*strokes: Any, height: Any = 32) -> str:
    return message("ink", id="of ink", strokes=strokes, height=height)


def _pixel(text: str) -> str:
    """Return a `columns` message for `digits` whose last pixel is this JSON value."""
    return '{"type":"columns","id":"c","columns":[[' + "0," * 27 + text + "]]}"


def _point(text: str) -> str:
    """Return an `ink` message with a point that is this JSON value."""
    return '{"type":"ink","id":"p","height":32,"strokes":[{"points":[[5,5],' + text + "]}]}"


_LONG: Final = "x" * 129  # one character longer than an id may be

_JSON: Final = [
    *("", "{", "[]", "null", "7", '"ping"', "{}", "NaN", "\ufeff{}", '{"type":"ping"} x'),
    *('{"type":7}', '{"type":null}', '{"type":"sing"}', '{"type":["ping"]}', '{"type":"PING"}'),
    *('  {"type":"ping"}  ', '{"type":"ping","id":1,"id":2}', '{"type":"ping","colour":"blue"}'),
    *('{"type":"ping",}', '{"type":"ping","id":"\\ud800"}', '{"type":"ping","id":"\\u0000"}'),
    *("[" * 300 + "]" * 300, '{"type":"ping","id":' + "[" * 300 + "]" * 300 + "}"),
]
_IDS: Final = [
    message("ping", id=each)
    for each in [True, 1.5, 2**53, -(2**53), 2**53 - 1, _LONG, _LONG[1:], [1], {}, "", 0, None]
] + [message("sing", id=each) for each in ["of a fault", 12, 2**60, _LONG, False]]
_REWINDS: Final = [
    message("rewind"),
    message("rewind", id=4),
    *_with("rewind", "column", [None, -1, "3", 1.0, True, 2**53, 10**30, [], 100_000]),
]
_COLUMNS: Final = [
    message("columns"),
    *_with(
        "columns", "columns", [None, [], {}, "x", [[]], [5], [None], [[0] * 27], [[0] * 31] * 2]
    ),
    message("columns", columns=[[0] * 28, [0] * 29]),
    *map(_pixel, ["300", "-1", "0.5", '"9"', "null", "true", "NaN", "1e400", "[]", "1.0"]),
]
_CONFIGURES: Final = [
    *(message("configure"), message("configure", id=[]), message("configure", colour=1)),
    *_with("configure", "results", ["never", None, 1, "Column"]),
    *_with("configure", "top_k", [0, -1, "3", 1.5, True, 1000, 2**60]),
    *_with("configure", "characters", ["", "☃", 5, [], "\u0000", "☃ü☃" * 9]),
    *_with("configure", "line_end_columns", [-1, None, "4", 2.5, 2**53]),
    *_with("configure", "language", ["klingon", "", 5, "k" * 99]),
    *_with("configure", "words", ["abc", None, [5], ["a b"], ["☃"], [""], {}, ["a"] * 5000]),
    *_with("configure", "context", [5, None, "x" * 4097]),
    *_with("configure", "pattern", ["(", "[", "a{999}", "\\", "x" * 257, 5, "", "[z-a]", "☃"]),
    *_with("configure", "pattern", ["(a", "a**", "(?:a)", "a{2,1}", "[^\\w\\W]"]),
    message("configure", results="message", top_k=0),
    message("configure", top_k=2, words=["☃"]),
]
_INKS: Final = [
    *(message("ink"), message("ink", height=9), message("ink", id="empty", strokes=[])),
    *_with("ink", "strokes", [None, {}, "x", [{"points": [[1, 2]]}]]),
    *map(_ink, [5, {}, None, {"points": 5}, {"points": None}, {"points": []}]),
    *map(_point, ["5", "[]", "[1]", "[1,2,3]", '["1",2]', "[null,1]", "[true,1]", "{}"]),
    *map(
        _point,
        ["[NaN,1]", "[1e400,1]", "[-1,2]", "[1e300,2]", "[70000,2]", "[2,1e9]", "[2,-1e300]"],
    ),
    *(_ink({"points": [[1, 2]], "last": each}) for each in ["yes", None, 1]),
    *(_ink({"points": [[1, 2]], "id": each}) for each in [True, 1.5, [], _LONG]),
    *(_ink({"points": [[1, 2]], "last": False}), _ink({"points": [[0, 0], [60_000, 0]] * 2})),
    *(_ink({"points": [[1, 2]]}, height=each) for each in [0, -1, "32", None, True, 1e-320, 1e308]),
    *_with("ink", "undo", ["nothing", 5, True, 1.5, []]),
    *_with("ink", "pause", [1, "yes", True]),
    *_with("ink", "fit", [None, 0, True]),
]

_RESUME_VALUES: Final[dict[str, list[Any]]] = {
    "heard": [None, -1, "3", 1.0, 2**53, [[0]]],
    "options": [None, [], "x", {"top_k": 0}, {"results": 5}, {"colour": 1}],
    "snapshot": [5, [], True, {}],
}
_RESUMES: Final = [
    *(message("resume"), message("resume", id="twice", digest="d", heard=5)),
    message("resume", digest="d", snapshot="A" * 99),
    *_with("resume", "digest", [5, None, [], True, {}]),
    *(
        message("resume", digest="d", **{name: value})
        for name, values in _RESUME_VALUES.items()
        for value in values
    ),
    *_with("configure", "snapshot_columns", [63, -1, None, True, 64.0, 2**53]),
]

INVALID_MESSAGES: Final = (*_JSON, *_IDS, *_REWINDS, *_COLUMNS, *_CONFIGURES, *_INKS, *_RESUMES)
