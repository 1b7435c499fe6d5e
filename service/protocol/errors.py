"""A class for each stable error code, and what each code becomes on the wire.

`MEANINGS` gives the WebSocket closing code (used where the error is fatal) and the HTTP status of
every code, including those of `model.errors`. docs/protocol.md lists the closing codes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from inkstream.model.errors import InkstreamError, InputError

Ref = int | str | None  # the `id` that a client gave to one of its messages

MAX_QUOTED: Final = 40  # characters of a faulty value that an error quotes


def described(value: Any) -> str:
    """Describe in a few words a value that came as JSON."""
    match value:
        case list():
            return "an array"
        case dict():
            return "an object"
    return quoted(value)


def quoted(value: Any) -> str:
    """Return the beginning of a value that came as JSON, as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}..."


class MessageError(InputError):
    """One of the client's messages is refused as a whole; the stream goes on."""

    code: ClassVar[str] = "bad_message"

    def __init__(self, message: str, ref: Ref = None) -> None:
        super().__init__(message)
        self.ref = ref


class JsonError(MessageError):
    """A text frame is not JSON, or JSON that is not an object."""

    code = "bad_json"


class TypeUnknownError(MessageError):
    """A message has no `type`, or one that version 1 of the protocol does not know."""

    code = "unknown_type"


class ColumnsError(MessageError):
    """Columns of a wrong length, number or pixel."""

    code = "bad_columns"


class InkError(MessageError):
    """Strokes that cannot be drawn."""

    code = "bad_ink"


class ValueRefusedError(MessageError):
    """A field is missing or beyond what is allowed."""

    code = "bad_value"


class ServiceError(InkstreamError):
    """A session or request is refused or ended, but not because of a malformed message."""


class OverLimitError(ServiceError):
    """More came than one of the announced limits allows."""

    code = "over_limit"


class TooManyControlError(ServiceError):
    """Control messages came too fast for too long."""

    code = "too_many_messages"


class ClientFullError(ServiceError):
    """This client has as many sessions as one client is allowed."""

    code = "too_many_sessions"


class ServerFullError(ServiceError):
    """The server has as many sessions as it is allowed."""

    code = "server_full"


class UnauthorizedError(ServiceError):
    """No key, or one that is not known."""

    code = "unauthorized"


class OriginError(ServiceError):
    """A web page of an origin that is not allowed."""

    code = "forbidden_origin"


class PathUnknownError(ServiceError):
    """There is nothing at this path."""

    code = "not_found"


class ModelUnknownError(ServiceError):
    """No model of this name is served."""

    code = "unknown_model"


class SessionUnknownError(ServiceError):
    """No session of this name can be resumed."""

    code = "unknown_session"


class IdleError(ServiceError):
    """Nothing came for longer than the announced idle time."""

    code = "idle"


class SessionExpiredError(ServiceError):
    """The session reached the longest age that is allowed."""

    code = "session_expired"


class StoppingError(ServiceError):
    """The server is stopping."""

    code = "stopping"


@dataclass(frozen=True, slots=True)
class Meaning:
    """The numbers for a code."""

    closing: int  # WebSocket closing code, RFC 6455 section 7.4 and docs/protocol.md
    http: int  # HTTP status


MEANINGS: Final[dict[str, Meaning]] = {
    "internal": Meaning(1011, 500),
    "bad_config": Meaning(1011, 500),
    "bad_data": Meaning(1011, 500),
    "bad_checkpoint": Meaning(1011, 500),
    "bad_input": Meaning(4400, 400),
    "bad_image": Meaning(4400, 415),
    "bad_message": Meaning(4400, 400),
    "bad_json": Meaning(4400, 400),
    "unknown_type": Meaning(4400, 400),
    "bad_columns": Meaning(4400, 422),
    "bad_ink": Meaning(4400, 422),
    "bad_value": Meaning(4400, 422),
    "unauthorized": Meaning(4401, 401),
    "forbidden_origin": Meaning(4403, 403),
    "not_found": Meaning(4404, 404),
    "unknown_model": Meaning(4404, 404),
    "unknown_session": Meaning(4404, 404),
    "idle": Meaning(4408, 408),
    "over_limit": Meaning(4413, 413),
    "too_many_messages": Meaning(4429, 429),
    "too_many_sessions": Meaning(4429, 429),
    "session_expired": Meaning(4440, 408),
    "server_full": Meaning(1013, 503),
    "stopping": Meaning(1001, 503),
}


def error_of(code: str, message: str) -> InkstreamError:
    """Return the typed error of a code; a code that is not known here stays in the text."""
    for kind in (*_kinds(ServiceError), *_kinds(InkstreamError)):
        if kind.code == code:
            return kind(message)
    return ServiceError(f"{code}: {message}")


def _kinds(root: type[InkstreamError]) -> Iterator[type[InkstreamError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
