"""What a session asks of the rooms around it: the engine restores, the stream sends and closes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.messages import ServerMessage


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
