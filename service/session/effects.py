"""What a session asks its surroundings to do.

A message is to be sent to the client, a `Close` closes the WebSocket, and a `Restore` puts a state
back into the engine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkstream.service.protocol.server_messages import ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; the last effect of a session."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Restore:
    """Put `state` [D] into the session's slot before its next run; None is the start of a line."""

    state: NDArray[np.float32] | None


Effect = ServerMessage | Close | Restore
