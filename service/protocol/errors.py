"""A class for each stable error code, and what each code becomes on the wire.

`MEANINGS` gives the WebSocket closing code (used where the error is fatal) and the HTTP status of
every code, including those of `model.errors`. docs/protocol.md lists the closing codes.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from inkstream.model.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ImageError,
    InkstreamError,
    InputError,
)

Ref = int | str | None  # the `id` that a client gave to one of its messages


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code becomes on the wire, and the error that a client raises for it."""

    closing: int  # WebSocket closing code, RFC 6455 section 7.4 and docs/protocol.md
    http: int  # HTTP status
    kind: type[InkstreamError]


MEANINGS: Final[dict[str, Meaning]] = {  # of the model's errors; each class below adds its own
    "internal": Meaning(1011, 500, InkstreamError),
    "bad_config": Meaning(1011, 500, ConfigError),
    "bad_data": Meaning(1011, 500, DataError),
    "bad_checkpoint": Meaning(1011, 500, CheckpointError),
    "bad_input": Meaning(4400, 400, InputError),
    "bad_image": Meaning(4400, 415, ImageError),
}


class CodedError(InkstreamError):
    """An error whose class names its code, and the code's numbers unless it is never sent."""

    def __init_subclass__(cls, *, code: str, closing: int | None = None, http: int = 500) -> None:
        cls.code = code
        if closing is not None:
            MEANINGS[code] = Meaning(closing, http, cls)


class MessageError(InputError, CodedError, code="bad_message", closing=4400, http=400):
    """One of the client's messages is refused as a whole; the stream goes on."""

    of_line = True  # whether it is one of the line's messages: all are but `ping` and `resume`

    def __init__(self, message: str, ref: Ref = None) -> None:
        super().__init__(message)
        self.ref = ref


class JsonError(MessageError, code="bad_json", closing=4400, http=400):
    """A text frame is not JSON, or JSON that is not an object."""


class TypeUnknownError(MessageError, code="unknown_type", closing=4400, http=400):
    """A message has no `type`, or one that version 1 of the protocol does not know."""


class ColumnsError(MessageError, code="bad_columns", closing=4400, http=422):
    """Columns of a wrong length, number or pixel."""


class InkError(MessageError, code="bad_ink", closing=4400, http=422):
    """Strokes that cannot be drawn."""


class UnreadableError(InputError, CodedError, code="unreadable", closing=4400, http=422):
    """An image, columns or strokes whose reading fails, for no reason that another error names."""


class ValueRefusedError(MessageError, code="bad_value", closing=4400, http=422):
    """A field is missing or beyond what is allowed."""


class NotResumableError(InputError, CodedError, code="not_resumable"):
    """A line that cannot go on from this snapshot, or whose beginning was forgotten."""


class CallError(InputError, CodedError, code="bad_call"):
    """A call of a stream that does not fit the others: at the same time, or too late."""


class ServiceError(CodedError, code="internal", closing=1011, http=500):
    """A session or request is refused or ended, but not because of a malformed message."""


class UnauthorizedError(ServiceError, code="unauthorized", closing=4401, http=401):
    """No key, or one that is not known."""


class OriginError(ServiceError, code="forbidden_origin", closing=4403, http=403):
    """A web page of an origin that is not allowed."""


class HostError(ServiceError, code="forbidden_host", closing=4421, http=421):
    """The server is addressed by a name that is not allowed."""


class ForwardedError(ServiceError, code="bad_forwarded", closing=4400, http=400):
    """A proxy that is believed gives no address of the client."""


class PathUnknownError(ServiceError, code="not_found", closing=4404, http=404):
    """There is nothing at this path."""


class ModelUnknownError(ServiceError, code="unknown_model", closing=4404, http=404):
    """No model of this name is served."""


class IdleError(ServiceError, code="idle", closing=4408, http=408):
    """Nothing came for longer than the announced idle time."""


class OverLimitError(ServiceError, code="over_limit", closing=4413, http=413):
    """More came than one of the announced limits allows."""


class ClientFullError(ServiceError, code="too_many_sessions", closing=4429, http=429):
    """This client has as many sessions as one client is allowed."""


class SessionExpiredError(ServiceError, code="session_expired", closing=4440, http=408):
    """The session reached the longest age that is allowed."""


class ServerFullError(ServiceError, code="server_full", closing=1013, http=503):
    """The server has as many sessions as it is allowed."""


class StoppingError(ServiceError, code="stopping", closing=1001, http=503):
    """The server is stopping."""


class NoConnectionError(ServiceError, code="no_connection"):
    """The server cannot be reached, or the connection broke off."""


class StreamEndedError(NoConnectionError, code="stream_ended"):
    """The stream has ended as the client asked."""


CLOSINGS: Final = {  # closing codes beside those of `MEANINGS`; RFC 6455, 7.4.1
    1000: StreamEndedError,
    1002: MessageError,
    1007: MessageError,
    1008: OverLimitError,
    1009: OverLimitError,
    1012: StoppingError,
}
LOSSES: Final = {  # codes of errors that end a connection, and not the line
    "no_connection",
    *(
        code
        for code, meaning in MEANINGS.items()
        if meaning.closing in (1001, 1011, 1012, 1013, 4408, 4440)
    ),
}


def described(value: Any) -> str:
    """Describe in a few words a value that came as JSON."""
    match value:
        case list():
            return "an array"
        case dict():
            return "an object"
    return quoted(value)


def quoted(value: Any) -> str:
    """Return the first 40 characters of a value that came as JSON, as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."


def error_of(code: str, message: str) -> InkstreamError:
    """Return the typed error of a code; a code that is not known here stays in the text."""
    if code in MEANINGS:
        return MEANINGS[code].kind(message)
    return ServiceError(f"{code}: {message}")


def error_of_http(status: int, body: bytes | bytearray) -> InkstreamError:
    """Return the typed error of a refusal by HTTP; a proxy's has a status alone."""
    try:
        error = json.loads(body)["error"]
        return error_of(error["code"], error["message"])
    except (ValueError, KeyError, TypeError):
        return NoConnectionError(f"the server refused the stream with HTTP status {status}")


def error_of_closing(closing: int, reason: str) -> InkstreamError:
    """Return the typed error of a closing code that no `error` message explained."""
    kinds = {known.closing: known.kind for known in reversed(MEANINGS.values())} | CLOSINGS
    kind = kinds.get(closing, NoConnectionError)
    return kind(f"the server closed the stream ({closing}{': ' * bool(reason)}{reason})")
