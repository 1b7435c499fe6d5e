"""What a session asks of the rooms around it: the engine restores, the stream sends and closes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import InkstreamError
from inkstream.service.protocol.errors import Ref
from inkstream.service.protocol.server_messages import Error, ServerMessage


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to the client."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; the last effect of a session."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Restore:
    """Put this row [D] into the session's slot before its next columns run; None is the start."""

    state: NDArray[np.float32] | None


Effect = Send | Close | Restore


def failure(error: InkstreamError, fatal: bool, index: int | None = None, ref: Ref = None) -> Send:
    """The `error` message; index and ref are those of the message at fault, where one is."""
    text = str(error)
    return Send(Error(code=error.code, message=text, fatal=fatal, index=index, ref=ref))
