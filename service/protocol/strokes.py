"""Strokes of a pen as clients give them: in `ink` messages, in JSON bodies, as values of Python.

Their errors have the same texts everywhere.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import FailFast, Field, GetPydanticSchema, TypeAdapter, ValidationError
from pydantic_core import core_schema

from inkstream.service.protocol.columns import shortened
from inkstream.service.protocol.errors import InkError, ValueRefusedError, described, quoted

_COORDINATE: Final = core_schema.float_schema(strict=True, allow_inf_nan=False)
# x and y, and what follows them, such as pressure, which is not read. For a tuple with such an end
# pydantic has a schema and no type.
_POINT: Final = core_schema.tuple_schema(
    [_COORDINATE, _COORDINATE, core_schema.any_schema()], variadic_item_index=2, fail_fast=True
)
Point = Annotated[tuple[float, ...], GetPydanticSchema(lambda _kind, _handler: _POINT)]
Points = Annotated[list[Point], FailFast()]
Height = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]

MAX_STROKES: Final = 8192  # of one body: twenty pages, and read in good time
POINT_BYTES: Final = 54  # as JSON at most: two numbers of 24, brackets, commas and blanks
HEIGHT_ALLOWED: Final = "a number above 0, or null"
_STROKES: Final = TypeAdapter(Annotated[list[Points], FailFast()])
_HEIGHT: Final = TypeAdapter(Height | None)


def json_strokes(body: dict[str, Any]) -> tuple[list[list[tuple[float, ...]]], float | None]:
    """Return the strokes of `{"strokes": [[[x, y], ...], ...], "height": h}`, and h or None.

    What a point has beside x and y is left out.

    Raises `InkError` or `ValueRefusedError`, which name the first fault.
    """
    try:
        height = _HEIGHT.validate_python(body.get("height"))
    except ValidationError:
        got = f"height is {described(body['height'])}"
        raise ValueRefusedError(f"{got}, allowed: {HEIGHT_ALLOWED}") from None
    strokes: Any = body.get("strokes")
    if isinstance(strokes, list) and len(strokes) > MAX_STROKES:
        raise InkError(f"{len(strokes)} strokes, allowed: up to {MAX_STROKES}")
    try:
        checked = _STROKES.validate_python(strokes)
    except ValidationError as error:
        match error.errors()[0]["loc"]:
            case (int(stroke), int(point), *_):
                fault = _point_fault(point, stroke, quoted(strokes[stroke][point]))
            case (int(stroke), *_):
                got = f"stroke {stroke} is {described(strokes[stroke])}"
                fault = f"{got}, expected an array of points"
            case _:
                fault = strokes_fault(strokes, (), "")
        raise InkError(fault) from None
    return [[point[:2] for point in stroke] for stroke in checked], height


def strokes_fault(strokes: Any, where: tuple[int | str, ...], id_allowed: str) -> str:
    """Say what is wrong at the place `where` of the strokes of an `ink` message."""
    match where:
        case (int(stroke), "points", int(point), *_):
            return _point_fault(point, stroke, quoted(strokes[stroke]["points"][point]))
        case (int(stroke), "points") if "points" not in strokes[stroke]:
            return f"stroke {stroke} has no points"
        case (int(stroke), str(name), *_):
            allowed = {"last": "true or false", "points": "an array of points"}
            got = f"{name} of stroke {stroke} is {described(strokes[stroke][name])}"
            return f"{got}, allowed: {allowed.get(name, id_allowed)}"
        case (int(stroke),):
            got = f"stroke {stroke} is {described(strokes[stroke])}"
            return f"{got}, expected an object with points"
    return f"strokes is {described(strokes)}, expected an array of strokes"


def _point_fault(number: int, stroke: int, got: str) -> str:
    return f"point {number} of stroke {stroke} is {got}, expected [x, y], two finite numbers"


def python_strokes(strokes: Any) -> list[dict[str, Any]]:
    """Return strokes as an `ink` message has them, or raise `InkError`.

    Args:
        strokes: each an array of points, or a mapping with `points` and maybe `id` and `last`.
    """
    made = []
    for number, stroke in enumerate(_listed(strokes, "strokes", "strokes")):
        fields = dict(stroke) if isinstance(stroke, Mapping) else {"points": stroke}
        if "points" not in fields:
            raise InkError(f"stroke {number} has no points")
        points = []
        for index, point in enumerate(_listed(fields["points"], f"stroke {number}", "points")):
            try:
                x, y, *_ = point
                points.append((float(x), float(y)))
                if not math.isfinite(points[-1][0] + points[-1][1]):
                    raise ValueError("a coordinate is not finite")
            except (TypeError, ValueError):
                raise InkError(_point_fault(index, number, shortened(point))) from None
        made.append(fields | {"points": points})
    return made


def python_height(height: Any) -> float:
    """Return the height of a frame, or raise `ValueRefusedError`."""
    try:
        if 0 < float(height) < math.inf:
            return float(height)
    except (TypeError, ValueError):
        pass
    raise ValueRefusedError(f"height is {shortened(height)}, allowed: a number above 0")


def portions(
    strokes: list[dict[str, Any]], max_points: int, max_strokes: int, max_bytes: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield the strokes of one `ink` message after the other, each within the limits.

    A stroke that is too long continues under its id, or, if it has none, as another stroke that
    begins where it ended: the ink is the same.
    """
    # A message without its strokes takes up to 2048 bytes, nearly all of them for `undo`.
    room = max_room = min(max_points, (max_bytes - 2048) // POINT_BYTES)
    portion: list[dict[str, Any]] = []
    for stroke in strokes:
        points, overlap = stroke["points"], 1 if stroke.get("id") is None else 0
        # A stroke without its points takes the room of so many points.
        head = 1 + len(json.dumps(stroke | {"points": [], "last": False})) // POINT_BYTES
        size = max(max_room - head, 2)
        for start in range(0, max(len(points) - overlap, 1), size - overlap):
            part = stroke | {"points": points[start : start + size]}
            if not overlap and start + size < len(points):
                part["last"] = False
            cost = head + len(part["points"])
            if portion and (cost > room or len(portion) == max_strokes):
                yield portion
                portion, room = [], max_room
            portion.append(part)
            room -= cost
    yield portion


def _listed(values: Any, name: str, what: str) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise InkError(f"{name} is {shortened(values)}, expected an array of {what}") from None
