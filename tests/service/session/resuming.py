"""A client that keeps its line as docs/protocol.md says, to go on over another connection."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.client_messages import parse_client
from inkstream.service.protocol.errors import MessageError
from inkstream.service.protocol.server_messages import (
    Configured,
    Done,
    LineEnd,
    ResetDone,
    Revised,
    ServerMessage,
    Snapshot,
    encode,
)
from inkstream.service.sealing import Sealer
from tests.helpers.single_session import LANGUAGES, LIMITS, SessionClient, message

KEY = "a key for tests, 32 characters or more"
SEALS = Sealer([KEY], "snapshot of the model")
PATIENT = LIMITS.model_copy(update={"max_control_per_s": 10_000, "max_bad_messages": 1000})
DIGEST = "of the model"

Frame = str | bytes


class SnapshotClient(SessionClient):
    """A client of a server with snapshots, after its `ready`."""

    def __init__(self, runtime: Runtime, **different: Any) -> None:
        languages = LANGUAGES if runtime.config.kind == "transcriber" else {}
        usual: dict[str, Any] = {"limits": PATIENT, "languages": languages}
        usual |= {"seals": SEALS, "digest": DIGEST}
        super().__init__(runtime, **usual | different)
        self.new_messages()


class KeptLine:
    """What a client keeps of its line: all that it needs to go on elsewhere."""

    def __init__(self, column_size: int, digest: str = DIGEST) -> None:
        self.frames: list[Frame] = []  # of the line, without pings
        self.heard = 0  # number of the newest message
        self.digest = digest  # of the model that numbered it
        self.snapshot: Snapshot | None = None
        self.options: dict[str, Any] = {}  # at the line's beginning
        self.is_done = False
        self._newest_options = self.options
        self._column_size = column_size

    def send(self, *frames: Frame) -> None:
        """Keep what is sent."""
        self.frames += [frame for frame in frames if kind_of(frame) != "ping"]

    def hear(self, messages: Iterable[ServerMessage]) -> None:
        """Keep what is to be kept of messages that came."""
        for each in messages:
            self.heard = getattr(each, "seq", None) or self.heard
            match each:
                case Configured():
                    self._newest_options = each.model_dump(exclude={"type", "id", "seq"})
                case Snapshot():
                    self.snapshot = each
                case Revised(seq=0):  # other weights read the line
                    self.heard, self.snapshot = 0, None
                case ResetDone():
                    self._begin([kind_of(frame) for frame in self.frames].index("reset") + 1)
                case LineEnd(messages=n, rest_columns=rest_columns):
                    self._begin(n, rest_columns)
                case Done():
                    self.is_done = True

    def _begin(self, n_messages: int, rest_columns: int = 0) -> None:
        """Begin a line with what follows so many messages, and with columns of the last one."""
        last, self.frames = self.frames[n_messages - 1], self.frames[n_messages:]
        if rest_columns:
            self.frames.insert(0, end_of(last, rest_columns, self._column_size))
        self.heard, self.snapshot, self.options = 0, None, self._newest_options

    def resume(self, *, with_snapshot: bool = True, **different: Any) -> str:
        """Return the first message on another connection."""
        blob = self.snapshot.blob if with_snapshot and self.snapshot else None
        fields = {"heard": self.heard, "digest": self.digest, "options": self.options}
        return message("resume", id="again", **fields | {"snapshot": blob} | different)

    def following(self, n_messages: int) -> list[Frame]:
        """Return what to send when the server has so many messages of the line."""
        return self.frames[n_messages:]


def kind_of(frame: Frame) -> str | None:
    """Return the type of a client's message; None for binary columns and bad messages."""
    try:
        return parse_client(frame).type if isinstance(frame, str) else None  # type: ignore[attr-defined]
    except MessageError:
        return None


def end_of(frame: Frame, n_columns: int, column_size: int) -> Frame:
    """Return a message with the last columns of a message of columns."""
    if isinstance(frame, bytes):
        return frame[-n_columns * column_size :]
    fields = json.loads(frame)
    return json.dumps(fields | {"columns": fields["columns"][-n_columns:]})


def numbered(messages: Sequence[ServerMessage]) -> list[bytes]:
    """Return what follows from the line's messages, as it is sent."""
    return [encode(each) for each in messages if getattr(each, "seq", None) is not None]
