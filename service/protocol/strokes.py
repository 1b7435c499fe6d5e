"""Strokes that are all there, as a request's body or a file has them in JSON."""

from typing import Annotated, Any, Final

from pydantic import FailFast, TypeAdapter, ValidationError

from inkstream.service.protocol.client_messages import Height, Points
from inkstream.service.protocol.errors import InkError, ValueRefusedError
from inkstream.service.protocol.validation import ALLOWED, shown, spelt

STROKES: Final = TypeAdapter(Annotated[list[Points], FailFast()])
HEIGHT: Final = TypeAdapter(Height | None)


def strokes_of(message: dict[str, Any]) -> tuple[list[list[tuple[float, float]]], float | None]:
    """The strokes of `{"strokes": [[[x, y], ...], ...], "height": h}`, and h; None where it lacks.

    Raises `InkError` or `ValueRefusedError`, which name the first fault.
    """
    try:
        height = HEIGHT.validate_python(message.get("height"))
    except ValidationError:
        got = f"height is {shown(message['height'])}"
        raise ValueRefusedError(f"{got}, allowed: {ALLOWED['height']}") from None
    try:
        return STROKES.validate_python(message.get("strokes")), height
    except ValidationError as error:
        raise InkError(_fault(message.get("strokes"), error.errors()[0]["loc"])) from None


def _fault(strokes: Any, where: tuple[int | str, ...]) -> str:
    """What is wrong with the strokes."""
    match where:
        case (int(stroke), int(point), *_):
            got = f"point {point} of stroke {stroke} is {spelt(strokes[stroke][point])}"
            return f"{got}, expected [x, y], two finite numbers"
        case (int(stroke), *_):
            return f"stroke {stroke} is {shown(strokes[stroke])}, expected an array of points"
    return f"strokes is {shown(strokes)}, expected an array of strokes"
